"""Detectors: films or crops go in, `geometry.Detections` come out.

- `classical`, `features`, `ensemble`, `ssd_windows`: detectors of whole films, fitted on films of some women and shown
  those of others; `experiments.rungs` lists them.
- `centre`, `lookup`: boxes that never move and a list of the training crops, which every network has to beat.
- `windows`: a trained network on films of any size, and any detector on a reader's own file.
- `breast`, `efficientnet`, `pictures`: what these share.
"""
