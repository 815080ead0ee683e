"""Backbones map a scan to a list of feature maps, from fine to coarse, with `channels` and `strides`."""
