"""Maps of scans by occlusion: parts of the scan are hidden, and the prediction is repeated."""

from __future__ import annotations

import torch
from tqdm.auto import tqdm

from mmfusion.errors import DataError
from mmfusion.explain.conditional import FittedModel, OneStream, evaluation_mode
from mmfusion.explain.scan_target import WithSeverity, scan_target
from mmfusion.explain.scans import ScanAttribution

_AT_ONCE = 8  # places that are hidden in one batch, of each patient in it


def scan_occlusion(
    model: FittedModel,
    X: object,
    *,
    class_: str | None = None,
    stream: str | None = None,
    window: int = 8,
    step: int = 4,
    progress: bool = False,
) -> ScanAttribution:
    """Return maps of the fall of the severity, or of the probability of a class, if a cube is hidden.

    A cube of `window` voxels per edge moves over the crop in steps of `step` voxels. Its voxels are replaced
    by the median of the crop. In a crop around a tumour in the lung this is about the value of lung, so
    hiding the tumour removes it. Where cubes overlap, their changes are averaged. Only positive values are
    kept: at these places, the scan raises the severity. Unlike `scan_gradcam`, occlusion needs no gradient
    and no layer. It works for every encoder, and is a check of the other maps.

    Each patient is predicted `((S - window) / step + 1)^3` times, rounded up, by every network.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        Patients to explain. Patients without a scan are left out.
    class_ : str, optional
        As for `scan_gradcam`.
    stream : str, optional
        Name of the scan stream. Default: the first.
    window : int
        Edge of the hidden cube, voxels, 1 to S.
    step : int
        Distance of neighbouring cubes, voxels, 1 to `window`.
    progress : bool
        Show a progress bar over batches of patients.

    Returns
    -------
    ScanAttribution
        One map per patient with a scan.

    Raises
    ------
    DataError
        If the model reads no scans, no patient has a scan, the class is unknown, or `window` or `step` is out
        of range.

    References
    ----------
    Zeiler & Fergus 2014, ECCV.
    """
    from captum.attr import Occlusion

    target = scan_target(model, X, class_, stream)
    crops, side = target.crops, target.crops.shape[-1]
    _check(window, step, side)
    hidden = crops.flatten(1).median(dim=1).values.reshape(-1, 1, 1, 1, 1).expand_as(crops)
    found = []
    with evaluation_mode(model) as members, torch.no_grad():
        occlusion = Occlusion(WithSeverity(OneStream(members, target.stream, target.inputs)))
        for rows in tqdm(target.batches(), desc="occlusion", leave=False, disable=not progress):
            change = occlusion.attribute(
                crops[rows],
                sliding_window_shapes=(1, window, window, window),
                strides=(1, step, step, step),
                baselines=hidden[rows],
                target=target.outputs[rows],
                additional_forward_args=rows,
                perturbations_per_eval=_AT_ONCE,
            )
            found.append(change[:, 0])
    return ScanAttribution.of(target, torch.cat(found))


def _check(window: int, step: int, side: int) -> None:
    for name, value, most in (("window", window, side), ("step", step, window)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            expected = f"a whole number of voxels, 1 to {most}"
            raise DataError("out of range", parameter=name, expected=expected, got=value)
