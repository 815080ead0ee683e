"""Grad-CAM maps of scans, their overlap with the tumour, and a check against shuffled weights."""

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
    evaluation_mode,
    find_stream,
    rows_with,
)
from mmfusion.explain.layer_maps import layer_gradcam
from mmfusion.streams import CUBE, StreamInputs

_BATCH = 16


@dataclass(frozen=True, repr=False)
class ScanAttribution:
    """Grad-CAM maps on the crops that the model read.

    Parameters
    ----------
    maps : ndarray of float32, shape (n, S, S, S)
        One map per patient, axes (z, y, x), values in [0, 1]. The largest value of a map is 1, or all are 0.
    crops : ndarray of float32, shape (n, S, S, S)
        Crops that the model read, values in [0, 1].
    patients : tuple of str, length n
        Ids of the patients.
    classes : tuple of str, length n
        For each patient, the class that the map explains.

    Examples
    --------
    >>> maps = np.zeros((1, 4, 4, 4), dtype=np.float32)
    >>> ScanAttribution(maps, maps, ("P1",), ("II",))
    ScanAttribution: 1 patients, 4^3 voxels
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
    """Return Grad-CAM maps of a class's probability, at the `gradcam_layer` of the scan encoder.

    The other modalities stay as observed. Maps are interpolated trilinearly to the size of the crop.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`. The scan encoders of its networks must have `gradcam_layer`.
    X : DataFrame or StreamInputs
        Patients to explain. Patients without a scan are left out.
    class_ : str, optional
        Class to explain. Default: the most probable class of each patient.
    stream : str, optional
        Name of the scan stream. Default: the first.

    Returns
    -------
    ScanAttribution
        One map per patient with a scan.

    Raises
    ------
    DataError
        If the model reads no scans, no patient has a scan, or the class is unknown.

    References
    ----------
    Selvaraju et al. 2017, ICCV.
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
    with evaluation_mode(model) as members, torch.no_grad():
        function = OneStream(members, stream, inputs)
        batches = torch.arange(len(inputs.index)).split(_BATCH)
        crops = torch.as_tensor(inputs.arrays[stream])
        return torch.cat([function(crops[rows], rows).argmax(dim=1) for rows in batches]).numpy()


def _maps(model: FittedModel, inputs: StreamInputs, stream: str, targets: np.ndarray) -> np.ndarray:
    """Return Grad-CAM maps of each row's target class, shape (n, S, S, S).

    They are the mean over the networks, scaled to a maximum of 1.
    """
    crops, total = torch.as_tensor(inputs.arrays[stream]), []
    with evaluation_mode(model) as members:
        for rows in torch.arange(len(targets)).split(_BATCH):
            of = torch.as_tensor(targets)[rows]
            cams = [
                layer_gradcam(
                    OneStream([member], stream, inputs),
                    member.encoders[stream].gradcam_layer,
                    crops[rows],
                    of,
                    extra=rows,
                )
                for member in members
            ]
            total.append(torch.stack(cams).mean(0))
    maps = torch.cat(total)
    return (maps / maps.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-30)).numpy()


def energy_in_tumour(maps: np.ndarray, masks: np.ndarray) -> pd.DataFrame:
    """Return the share of each map that lies inside the tumour, and the share of an even map.

    Parameters
    ----------
    maps : ndarray, shape (n, S, S, S)
        Maps with values of 0 or above.
    masks : ndarray, shape (n, S, S, S)
        Masks of the tumour on the same crops, 0 or 1.

    Returns
    -------
    DataFrame
        One row per patient. Columns: `energy` (share of the map inside the tumour, 0 to 1; NaN for a map of
        zeros), `volume` (share of the crop that the tumour fills), and their `ratio`. The ratio is 1 if the
        map does not depend on the tumour.

    Raises
    ------
    DataError
        If the shapes differ, or a map has negative values.

    Examples
    --------
    >>> mask = np.zeros((1, 2, 2, 2))
    >>> mask[0, 0, 0, 0] = 1
    >>> energy_in_tumour(np.ones((1, 2, 2, 2)), mask).iloc[0].to_dict()
    {'energy': 0.125, 'volume': 0.125, 'ratio': 1.0}
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
    """Return the rank correlation of Grad-CAM maps of the model and of the same model with shuffled weights.

    Near 0, the map depends on the learned weights. Near 1, the map depends on the scan only and explains
    nothing. The class that the trained model predicts is explained.

    Parameters
    ----------
    model : fitted model
        See `scan_gradcam`.
    X : DataFrame or StreamInputs
        Patients to explain. Patients without a scan are left out.
    stream : str, optional
        Name of the scan stream. Default: the first.
    random_state : int
        Seed of the shuffles.

    Returns
    -------
    Series
        Spearman's rank correlation per patient (index patient_id), in [-1, 1]; NaN if one of the two maps is
        constant.

    Raises
    ------
    DataError
        If the model reads no scans, or no patient has a scan.

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
    """Return a copy in which the entries of every weight are shuffled; their distribution stays the same."""
    twin, generator = copy.deepcopy(module), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in twin.parameters():
            p.copy_(p.flatten()[torch.randperm(p.numel(), generator=generator)].view_as(p))
    return twin
