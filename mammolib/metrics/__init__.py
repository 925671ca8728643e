"""Metrics of detection and classification, and their intervals."""
