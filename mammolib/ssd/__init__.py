"""The single-shot detector of the paper, part by part: default boxes, targets, model, loss, decoding, whole films."""
