"""Grad-CAM of predicted expression: where in the scan a fitted segmenter finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from mmfusion.errors import DataError
from mmfusion.explain.conditional import evaluation_mode
from mmfusion.explain.layer_maps import layer_gradcam
from mmfusion.explain.scans import ScanAttribution
from mmfusion.imaging.sampling import cut
from mmfusion.lesions.inference import probability_map
from mmfusion.lesions.labels import given
from mmfusion.lesions.tables import table_of

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

_SLICES = 16  # slices that are explained together


class _Expression(nn.Module):
    """Expression of the genes as the only output of a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)["expression"]


def expression_gradcam(
    model: LesionSegmenter, X: pd.DataFrame, gene: str
) -> tuple[ScanAttribution, np.ndarray]:
    """Return Grad-CAM maps of the expression of a gene, on a cube around the predicted lesion.

    The cube has the side of a patch. Its middle is that of the predicted mask, or of the scan if nothing is
    marked or the network predicts no masks. A network of slices is explained slice by slice; each map is
    multiplied by the weight that the slice has in the prediction.

    Parameters
    ----------
    model : LesionSegmenter
        Fitted with expression; its network must have a `gradcam_layer`.
    X : DataFrame, shape (n, n_columns)
        Rows of `Cohort.X`. Masks are read only to be returned.
    gene : str
        One of `model.panel_.genes`.

    Returns
    -------
    maps : ScanAttribution
        Maps with a maximum of 1, and the cubes of the first scan. `classes` has the gene.
    masks : ndarray of uint8, shape (n, S, S, S)
        True masks in these cubes; 0 for patients without one.

    Raises
    ------
    DataError
        If the model has not learned the gene, or its network has no layer for Grad-CAM.
    """
    check_is_fitted(model, "module_")
    known = () if model.panel_ is None else model.panel_.genes
    if gene not in known:
        raise DataError("the model has not learned this gene", expected=", ".join(known) or "none", got=gene)
    if model.module_.gradcam_layer is None:
        raise DataError("the network has no layer for Grad-CAM", parameter="network", got=model.network)
    maps, cubes, masks = [], [], []
    with evaluation_mode(model) as (network,):
        for _, row in table_of(X).iterrows():
            cube, weight, mask = _around_lesion(model, row)
            maps.append(_map(network, cube, weight, known.index(gene), flat=len(model.fitted_.size) == 2))
            cubes.append(cube[0])
            masks.append(mask)
    patients = tuple(map(str, X.index))
    told = (patients, (gene,) * len(patients), model.fitted_.modalities[0])
    return ScanAttribution(np.stack(maps), np.stack(cubes), *told), np.stack(masks)


def _around_lesion(model: LesionSegmenter, row: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the scans (c, S, S, S), the predicted lesion and the true mask (S, S, S) of a cube."""
    scans, label = model.reader.prepare(row), row.get((model.fitted_.modalities[0], "mask"))
    space = scans.image.shape[1:]
    marked = np.ones(space, np.float32)
    if "mask" in model.module_.tasks:
        p = probability_map(model, scans, None).array
        marked = np.where(p > model.threshold_, p, 0) if (p > model.threshold_).any() else p
    at = [
        (marked.sum(axis=tuple(a for a in range(3) if a != axis)) * np.arange(n)).sum() / marked.sum()
        for axis, n in enumerate(space)
    ]
    side = np.full(3, max(model.fitted_.size))
    # inside the scan, if it is large enough
    low = np.clip(np.rint(at).astype(int) - side // 2, 0, np.maximum(np.array(space) - side, 0))
    has_mask = given(label, row.name, "mask")
    mask = model.reader.mask(row, label, scans) if has_mask else np.zeros(space, np.uint8)
    image = np.stack([cut(one.astype(np.float32), low, low + side, 0) for one in scans.image])
    return image, cut(marked, low, low + side, 0), cut(mask, low, low + side, 0)


def _map(network: nn.Module, cube: np.ndarray, weight: np.ndarray, gene: int, *, flat: bool) -> np.ndarray:
    """Return the map of one cube, float32, shape (S, S, S), scaled to a maximum of 1."""
    x = torch.from_numpy(cube)
    x = x.transpose(0, 1) if flat else x[None]  # slices, or one volume
    found = torch.cat(
        [layer_gradcam(_Expression(network), network.gradcam_layer, part, gene) for part in x.split(_SLICES)]
    ).numpy()
    found = found * weight.sum(axis=(1, 2))[:, None, None] if flat else found[0]
    return (found / max(float(found.max()), 1e-30)).astype(np.float32)
