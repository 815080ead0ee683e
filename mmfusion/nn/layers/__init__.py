"""Layers shared by encoders and fusions."""
