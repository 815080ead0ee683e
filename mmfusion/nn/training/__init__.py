"""Training of networks: one loop, made of skorch's parts, for every network of the library."""

from mmfusion.nn.training.loop import StreamDataset, reproducible, train

__all__ = ["StreamDataset", "reproducible", "train"]
