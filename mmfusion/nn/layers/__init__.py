"""Layers shared by encoders, fusions and segmentation networks."""
