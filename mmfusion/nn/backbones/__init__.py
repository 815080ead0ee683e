"""Backbones, which map a scan to feature maps, from fine to coarse, with `channels` and `strides`."""
