"""A small RA-Seg for tests of deep features."""

from __future__ import annotations

import mmfusion as mf
from mmfusion.nn.training import reproducible

OPTIONS = {"channels": (4, 8), "hidden": 6, "layers": 1, "dropout": 0.0}


def segmenter(seed: int = 0, **changes) -> mf.LesionSegmenter:
    """A RA-Seg with the weights it starts from, as `fit` would leave it."""
    settings = {"options": OPTIONS, "size": 16, "spacing": 2.0} | changes
    model = mf.LesionSegmenter("raseg", **settings)
    with reproducible(seed):
        model.module_ = model.settings.build().eval()
    model.fitted_, model.threshold_, model.detector_, model.panel_ = model.settings, 0.5, None, None
    model.history_, model.patients_, model.scans_ = [], [], []
    return model
