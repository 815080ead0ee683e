"""Where in the scan a prediction looks: Grad-CAM, whether that is the tumour, and whether training made it so."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from mmfusion.errors import DataError
from mmfusion.explain.conditional import (
    FittedModel,
    OneStream,
    as_inputs,
    find_stream,
    quiet_model,
    rows_with,
)
from mmfusion.streams import CUBE, StreamInputs

_BATCH = 16


@dataclass(frozen=True, repr=False)
class ScanAttribution:
    """Grad-CAM maps on the crops that the model read.

    Parameters
    ----------
    maps : ndarray of float32, shape (n, S, S, S)
        Non-negative, (z, y, x); the largest value of a patient is 1, or all are 0.
    crops : ndarray of float32, shape (n, S, S, S)
        What the model read, in [0, 1].
    patients, classes : tuple of str, length n
        Who, and the class that the map speaks for.
    """

    maps: np.ndarray
    crops: np.ndarray
    patients: tuple[str, ...]
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        side = self.maps.shape[1]
        return f"ScanAttribution: {len(self.patients)} patients, {side}^3 voxels"


def scan_gradcam(
    model: FittedModel, X: object, *, class_: str | None = None, stream: str | None = None
) -> ScanAttribution:
    """Grad-CAM of a class's probability at the scan encoder's `gradcam_layer`, other modalities as observed.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`; its networks' scan encoder has `gradcam_layer`.
    X : DataFrame or stream inputs
        Patients to explain; those without a scan are left out.
    class_ : str, optional
        Class to explain; default each patient's most probable one.
    stream : str, optional
        Volume stream; default the first.

    Raises
    ------
    DataError
        If the model reads no scans, nobody has one, or the class is unknown.

    References
    ----------
    Selvaraju et al. 2017, ICCV; maps are interpolated trilinearly to the crop.
    """
    position, spec = find_stream(model, CUBE, "scan", stream)
    inputs = as_inputs(model, X)
    some = inputs.rows(rows_with(inputs, position, "a scan"))
    classes = [str(c) for c in model.classes_]
    if class_ is not None and class_ not in classes:
        raise DataError(f"the model has no class {class_!r}", expected=", ".join(classes))
    targets = (
        _predicted(model, some, spec.name)
        if class_ is None
        else np.full(len(some.index), classes.index(class_))
    )
    maps, crops = _maps(model, some, spec.name, targets), np.asarray(some.arrays[spec.name])[:, 0]
    return ScanAttribution(maps, crops, tuple(map(str, some.index)), tuple(classes[k] for k in targets))


def _predicted(model: FittedModel, inputs: StreamInputs, stream: str) -> np.ndarray:
    with quiet_model(model) as members, torch.no_grad():
        function = OneStream(members, stream, inputs)
        batches = torch.arange(len(inputs.index)).split(_BATCH)
        crops = torch.as_tensor(inputs.arrays[stream])
        return torch.cat([function(crops[rows], rows).argmax(dim=1) for rows in batches]).numpy()


def _maps(model: FittedModel, inputs: StreamInputs, stream: str, targets: np.ndarray) -> np.ndarray:
    """Grad-CAM of each row's target class, the mean of the networks', scaled to a maximum of 1, (n, S, S, S)."""
    from captum.attr import LayerAttribution, LayerGradCam

    crops, total = torch.as_tensor(inputs.arrays[stream]), []
    with quiet_model(model) as members:
        for rows in torch.arange(len(targets)).split(_BATCH):
            cams = []
            for member in members:
                layer = member.encoders[stream].gradcam_layer
                cam = LayerGradCam(OneStream([member], stream, inputs), layer)
                target = torch.as_tensor(targets)[rows]
                small = cam.attribute(
                    crops[rows], target, additional_forward_args=rows, relu_attributions=True
                )
                cams.append(LayerAttribution.interpolate(small.detach(), crops.shape[2:], "trilinear"))
            total.append(torch.stack(cams).mean(0)[:, 0])
    maps = torch.cat(total)
    return (maps / maps.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-30)).numpy()


def energy_in_tumour(maps: np.ndarray, masks: np.ndarray) -> pd.DataFrame:
    """How much of each map lies inside the tumour, next to what an even map would have there.

    Parameters
    ----------
    maps : ndarray, shape (n, S, S, S)
        Non-negative.
    masks : ndarray, shape (n, S, S, S)
        Tumour on the same crops, 0 or 1.

    Returns
    -------
    DataFrame
        A row a patient: energy (0 to 1; NaN for a map of zeros), volume (the mask's share of the crop), and their
        ratio, which is 1 where the map ignores the tumour.

    Raises
    ------
    DataError
        If shapes differ or a map is negative somewhere.
    """
    maps, inside = np.asarray(maps, dtype=float), np.asarray(masks) > 0
    if maps.shape != inside.shape or maps.ndim != 4:
        raise DataError("maps and masks differ in shape", expected=maps.shape, got=inside.shape)
    if (maps < 0).any():
        raise DataError("a map has negative values", got=float(maps.min()), expected="0 or more")
    axes = (1, 2, 3)
    total, volume = maps.sum(axis=axes), inside.mean(axis=axes)
    energy = np.divide((maps * inside).sum(axis=axes), total, out=np.full(len(maps), np.nan), where=total > 0)
    ratio = np.divide(energy, volume, out=np.full(len(maps), np.nan), where=volume > 0)
    return pd.DataFrame({"energy": energy, "volume": volume, "ratio": ratio})


def randomisation_check(
    model: FittedModel, X: object, *, stream: str | None = None, random_state: int = 0
) -> pd.Series:
    """Rank correlation, for each patient, of Grad-CAM with that of the same model with its weights shuffled.

    Near 0 the map depends on what was learned; near 1 it is a picture of the scan and explains nothing. NaN where
    either map is constant. The class explained is the one that the model as trained predicts. `stream` is the stream
    of scans to look at; default the first.

    References
    ----------
    Adebayo et al. 2018, NeurIPS.
    """
    position, spec = find_stream(model, CUBE, "scan", stream)
    inputs = as_inputs(model, X)
    some = inputs.rows(rows_with(inputs, position, "a scan"))
    targets = _predicted(model, some, spec.name)
    twin = copy.copy(model)
    twin.module_ = _shuffled(model.module_, random_state)
    pairs = zip(_maps(model, some, spec.name, targets), _maps(twin, some, spec.name, targets), strict=True)
    found = [spearmanr(a.ravel(), b.ravel()).statistic if a.std() and b.std() else np.nan for a, b in pairs]
    return pd.Series(found, pd.Index(map(str, some.index), name="patient_id"), name="rank_correlation")


def _shuffled(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """A copy in which the entries of every weight are shuffled: same distribution, nothing learned."""
    twin, generator = copy.deepcopy(module), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in twin.parameters():
            p.copy_(p.flatten()[torch.randperm(p.numel(), generator=generator)].view_as(p))
    return twin
