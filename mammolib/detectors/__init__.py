"""Detectors: films or crops go in, `geometry.Detections` come out.

`classical`, `features`, `ensemble` and `ssd_windows` mark whole films, fitted on films of some women and shown those of
others (`experiments.rungs` lists them); every network has to beat `centre` and `lookup`; `windows` shows a trained
network films of any size, and any detector a reader's own file; `breast`, `efficientnet` and `pictures` serve these.
"""
