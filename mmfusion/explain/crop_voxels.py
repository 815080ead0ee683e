"""Voxel size of the crops that a model read, so that maps of scans can be drawn without stretching."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.data.scans import scan_of
from mmfusion.explain.conditional import FittedModel, find_stream
from mmfusion.imaging import Volume, read
from mmfusion.modalities import scan_modality
from mmfusion.preprocessing.blocks import check_cohort
from mmfusion.preprocessing.crop_box import crop_box
from mmfusion.streams import CUBE


def crop_spacing(model: FittedModel, X: pd.DataFrame, *, stream: str | None = None) -> np.ndarray:
    """Return the voxel size of the crop of each patient's scan.

    A crop around the tumour has the same voxels for every patient, and no scan is read. A crop of the lungs
    (`crop_mode="lung"`) is the box around both lungs, as a cube of numbers: its voxels are not cubes, and
    differ between patients. The scans are then read.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame, shape (n, n_columns)
        Rows of `Cohort.X` of patients with a scan.
    stream : str, optional
        Name of the scan stream. Default: the first.

    Returns
    -------
    ndarray, shape (n, 3)
        mm, (z, y, x).

    Raises
    ------
    DataError
        If the model reads no scans, X is not rows of a cohort, or a patient has no scan.
    ScanError
        If a scan cannot be read.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from mmfusion.preprocessing.scans import ScanTransformer
    >>> from mmfusion.streams import StreamSpec
    >>> transformer = SimpleNamespace(
    ...     specs_=[StreamSpec("ct", "ct", (1, 32, 32, 32))], transformers_={"ct": ScanTransformer(32, 3.0)}
    ... )
    >>> model = SimpleNamespace(transformer_=transformer, module_=None, classes_=("I", "II"))
    >>> crop_spacing(model, pd.DataFrame({("ct", "volume"): ["a.nii.gz"]})).tolist()
    [[3.0, 3.0, 3.0]]
    """
    _, spec = find_stream(model, CUBE, "scan", stream)
    check_cohort(X)
    settings = model.transformer_.transformers_[spec.name]
    found = np.full((len(X), 3), float(settings.spacing))
    if settings.mode == "lung":
        for row, (_, cells) in zip(found, X[spec.modality].iterrows(), strict=True):
            path, series, _ = scan_of(cells)
            unit = scan_modality(spec.modality).unit
            scan = path if isinstance(path, Volume) else read(path, series, unit=unit)
            row[:] = crop_box(scan, None, settings.side, settings.spacing, "lung")[1] / settings.side
    return found
