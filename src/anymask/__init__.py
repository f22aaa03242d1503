"""Promptable segmentation: points, boxes and masks in, object masks out."""
