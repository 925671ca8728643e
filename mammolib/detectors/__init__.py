"""Detectors beside and around the network: boxes that never move, a lookup, and SSD over whole films by windows.

A film or a set of crops goes in, `geometry.Detections` come out. `centre` and `lookup` learn nothing and are what every
network has to beat; `windows` lets a network for crops look at films of any size, and at a reader's own files.
"""
