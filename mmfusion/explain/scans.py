"""Maps of scans by HiResCAM, their overlap with the tumour, and a check against shuffled weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from mmfusion.errors import DataError, check_seed
from mmfusion.explain.conditional import FittedModel, OneStream, evaluation_mode
from mmfusion.explain.layer_maps import layer_hirescam
from mmfusion.explain.scan_target import ScanTarget, WithSeverity, scan_target
from mmfusion.explain.tumours import checked_maps


@dataclass(frozen=True, repr=False)
class ScanAttribution:
    """Maps on the crops that the model read.

    Parameters
    ----------
    maps : ndarray of float32, shape (n, S, S, S)
        One map per patient, axes (z, y, x), values in [0, 1]. The largest value of a map is 1, or all are 0.
    crops : ndarray of float32, shape (n, S, S, S)
        Crops that the model read, values in [0, 1].
    patients : tuple of str, length n
        Ids of the patients.
    classes : tuple of str, length n
        For each patient, what the map explains: a class, or "severity".
    stream : str
        The stream of the scan, such as "ct" or "pet".

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
    stream: str = "ct"

    def __repr__(self) -> str:
        side = self.maps.shape[1]
        return f"ScanAttribution: {len(self.patients)} patients, {side}^3 voxels"

    @classmethod
    def of(cls, target: ScanTarget, signed: torch.Tensor) -> ScanAttribution:
        """Return the positive part of maps, shape (n, S, S, S), each scaled to a maximum of 1."""
        maps = signed.float().clamp_min(0)
        maps = maps / maps.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-30)
        return cls(maps.numpy(), target.crops[:, 0].numpy(), target.patients, target.names, target.stream)


def scan_gradcam(
    model: FittedModel, X: object, *, class_: str | None = None, stream: str | None = None
) -> ScanAttribution:
    """Return maps of the places in a scan that raise the severity, or the probability of a class.

    The method is HiResCAM at the `gradcam_layer` of the scan encoder. It differs from Grad-CAM in that it
    keeps the gradient of each place. The maps of the networks are averaged with their signs, and positive
    values are kept. The other modalities stay as observed.

    The default is the severity. The map of a single class can mislead. For example, a large tumour lowers the
    probability of stage I, so the map of stage I is positive beside the tumour.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`. The scan encoders of its networks must have `gradcam_layer`.
    X : DataFrame or StreamInputs
        Patients to explain. Patients without a scan are left out.
    class_ : str, optional
        What is explained: a class, "predicted" (the most probable class of each patient), or "severity", the
        expected number of the class if the classes count from 0. Default: "severity".
    stream : str, optional
        Name of the scan stream. Default: the first.

    Returns
    -------
    ScanAttribution
        One map per patient with a scan.

    Raises
    ------
    DataError
        If the model reads no scans, no patient has a scan, the class is unknown, or the encoder has no layer
        for maps.

    References
    ----------
    HiResCAM: Draelos & Carin 2020, arXiv 2011.08891. Grad-CAM: Selvaraju et al. 2017, ICCV.
    """
    target = scan_target(model, X, class_, stream)
    return ScanAttribution.of(target, _signed(model, target))


def _signed(model: FittedModel, target: ScanTarget) -> torch.Tensor:
    """Return the maps of each patient with their signs, the mean over the networks, shape (n, S, S, S)."""
    crops, total = target.crops, []
    with evaluation_mode(model) as members:
        for rows in target.batches():
            maps = []
            for member in members:
                encoder = member.encoders[target.stream]
                maps.append(
                    layer_hirescam(
                        WithSeverity(OneStream([member], target.stream, target.inputs)),
                        _layer(encoder),
                        crops[rows],
                        target.outputs[rows],
                        extra=rows,
                        stride=getattr(encoder, "gradcam_stride", None),
                    )
                )
            total.append(torch.stack(maps).mean(0))
    return torch.cat(total)


def _layer(encoder: torch.nn.Module) -> torch.nn.Module:
    layer = getattr(encoder, "gradcam_layer", None)
    if layer is None:
        name = type(encoder).__name__
        raise DataError(f"{name} has no layer for maps", expected="gradcam_layer", hint="use scan_occlusion")
    return layer


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
        If the shapes differ, a value is not a finite number, or a map has negative values.

    Examples
    --------
    >>> mask = np.zeros((1, 2, 2, 2))
    >>> mask[0, 0, 0, 0] = 1
    >>> energy_in_tumour(np.ones((1, 2, 2, 2)), mask).iloc[0].to_dict()
    {'energy': 0.125, 'volume': 0.125, 'ratio': 1.0}
    """
    maps, inside = checked_maps(maps, masks)
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
    """Return the rank correlation of maps of the model and of the same model with shuffled weights.

    Near 0, the map depends on the learned weights. Near 1, the map depends on the scan only and explains
    nothing. The maps explain the severity.

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
    target = scan_target(model, X, None, stream)
    maps, others = (
        ScanAttribution.of(target, _signed(one, target)).maps
        for one in (model, shuffled(model, random_state))
    )
    values = [
        spearmanr(a.ravel(), b.ravel()).statistic if a.std() and b.std() else np.nan
        for a, b in zip(maps, others, strict=True)
    ]
    return pd.Series(values, pd.Index(target.patients, name="patient_id"), name="rank_correlation")


def shuffled(model: FittedModel, random_state: int = 0) -> FittedModel:
    """Return a copy of a model in which the entries of every weight are shuffled.

    The distribution of the entries of each weight stays the same. The model itself is not changed.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    random_state : int
        Seed of the shuffles.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(module_=torch.nn.Linear(3, 1, bias=False))
    >>> twin = shuffled(model)
    >>> bool((twin.module_.weight.sort()[0] == model.module_.weight.sort()[0]).all())
    True
    """
    check_seed(random_state)
    twin, generator = copy.copy(model), torch.Generator().manual_seed(random_state)
    twin.module_ = copy.deepcopy(model.module_)
    with torch.no_grad():
        for p in twin.module_.parameters():
            p.copy_(p.flatten()[torch.randperm(p.numel(), generator=generator)].view_as(p))
    return twin
