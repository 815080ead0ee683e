"""Decoders, which map a list of feature maps to the logits of a mask."""
