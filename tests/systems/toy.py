"""Toy segmentation systems in two and three dimensions, which only connect parts of the library."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import torch
from monai.losses import DiceCELoss
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn

from mmfusion.bundle import register_estimator, write_bundle
from mmfusion.imaging import Volume, read, read_mask
from mmfusion.nn.training import JointLoss, TrainingPlan, fit_network, reproducible
from mmfusion.nn.training.patches import PatchDataset, predict_volume
from mmfusion.preprocessing.augmentation import CropAugmentation, augment_pair
from mmfusion.storage.cache import cached, fingerprint

SCAN = ("ct", "volume")


class ToyNetwork(nn.Module):
    """Two levels of convolutions in 2-D or 3-D; gives a mask and, if asked for, a vector."""

    def __init__(self, dims: int, width: int = 8, n_values: int = 0) -> None:
        super().__init__()
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        self.encoder = nn.Sequential(
            conv(1, width, 3, padding=1), nn.ReLU(), conv(width, width, 3, padding=1)
        )
        self.deep = nn.Sequential(nn.ReLU(), conv(width, width, 3, padding=1, stride=2), nn.ReLU())
        self.head = conv(2 * width, 1, 3, padding=1)
        self.values = nn.Linear(2 * width, n_values) if n_values else None

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        fine = self.encoder(x)
        deep = nn.functional.interpolate(self.deep(fine), size=fine.shape[2:], mode="nearest")
        features = torch.cat([fine.relu(), deep], dim=1)
        out = {"mask": self.head(features)}
        if self.values is not None:
            out["panel"] = self.values(features.flatten(2).mean(dim=2))
        return out


class ToySegmenter(BaseEstimator):
    """Segments the lesion of a scan.

    Parameters
    ----------
    dims : {2, 3}
        Whether the network reads slices or volumes.
    spacing : float
        Voxels of the grid that the network works on, mm.
    side : int
        Side of a patch, voxels.
    training : TrainingPlan, optional
        How the network is trained.
    device, random_state, checkpoint
        Of `fit_network` and `reproducible`.
    """

    def __init__(
        self, dims=3, *, spacing=2.0, side=16, training=None, device="cpu", random_state=0, checkpoint=None
    ):
        self.dims = dims
        self.spacing = spacing
        self.side = side
        self.training = training
        self.device = device
        self.random_state = random_state
        self.checkpoint = checkpoint

    def fit(
        self, X: pd.DataFrame, y: pd.Series, panel: pd.DataFrame | None = None, **options
    ) -> ToySegmenter:
        """Learn from scans (paths in X), masks (paths, or missing) and vectors (or rows of NaN)."""
        self.panel_ = [] if panel is None else list(panel.columns)
        data = self.patches(X, y, panel)
        losses = {"mask": DiceCELoss(sigmoid=True)} | ({"panel": nn.MSELoss()} if self.panel_ else {})
        with reproducible(self.random_state, self.device):
            self.module_, self.history_ = fit_network(
                self._network(), JointLoss(losses), data, None, self.training or TrainingPlan(),
                device=self.device, checkpoint=self.checkpoint, **options,
            )  # fmt: skip
        return self

    def predict(self, X: pd.DataFrame) -> list[Volume]:
        """The mask of each scan, on the scanner's grid."""
        check_is_fitted(self, "module_")
        masks = []
        for path in X[SCAN]:
            scan = read(path)
            image = scan.resample(self.spacing)
            logits = predict_volume(
                self.module_, image.array, self._size, intensity=lung_window, device=self.device
            )
            masks.append(Volume((logits[0] > 0).astype(np.uint8), image.affine, unit="mask").like(scan))
        return masks

    def patches(self, X: pd.DataFrame, y: pd.Series, panel=None, *, seed=None) -> PatchDataset:
        """Patches of memory-mapped scans; with a seed always the same, round the lesion."""
        pairs = [self._mapped(path, mask) for path, mask in zip(X[SCAN], y, strict=True)]
        images, masks = zip(*pairs, strict=True)
        labels = {} if panel is None else {"panel": panel.to_numpy(np.float32)}
        share, augment = (
            (1.0, None) if seed is not None else (0.7, partial(augment_pair, config=CropAugmentation()))
        )
        return PatchDataset(
            images,
            masks,
            self._size,
            per_image=8,
            lesion_share=share,
            jitter=3,
            labels=labels,
            intensity=lung_window,
            augment=augment,
            seed=seed,
        )

    def save(self, folder) -> ToySegmenter:
        """Save what prediction needs."""
        params = self.get_params(deep=False)
        params["training"] = self.training and self.training.to_dict()
        config = {"params": params | {"checkpoint": None}, "panel": self.panel_, "history": self.history_}
        write_bundle(
            folder, estimator="ToySegmenter", config=config, tensors=self.module_.state_dict(), card="# Toy"
        )
        return self

    @classmethod
    def from_bundle(cls, state, tensors) -> ToySegmenter:
        """The fitted model that `save` described."""
        params = dict(state["params"])
        model = cls(
            **params | {"training": params["training"] and TrainingPlan.from_dict(params["training"])}
        )
        model.panel_, model.history_ = state["panel"], state["history"]
        model.module_ = model._network().eval()
        model.module_.load_state_dict(dict(tensors))
        return model

    @property
    def _size(self) -> tuple[int, ...]:
        return (self.side,) * self.dims

    def _network(self) -> ToyNetwork:
        return ToyNetwork(self.dims, n_values=len(self.panel_))

    def _mapped(self, path: str, mask: object) -> tuple[np.ndarray, np.ndarray | None]:
        key = {"scan": fingerprint(path), "spacing": self.spacing}
        image = cached("toy", key, lambda: read(path).resample(self.spacing).array)
        if not isinstance(mask, str):
            return image, None
        return image, cached(
            "toy",
            key | {"mask": fingerprint(mask)},
            lambda: read_mask(mask).like(read(path).resample(self.spacing)).array,
        )


def lung_window(hu: np.ndarray) -> np.ndarray:
    """Values in [0, 1] from -1000 to 400 HU."""
    return (np.clip(hu, -1000, 400) + 1000) / 1400


register_estimator("ToySegmenter", __name__)
