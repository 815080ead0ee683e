"""Find the lungs with R231 of the package lungmask (Hofmanninger 2020, doi:10.1186/s41747-020-00173-2)."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmfusion.errors import MMFusionError, WeightsUnavailable
from mmfusion.imaging.isolation import undisturbed
from mmfusion.imaging.volume import Volume

_NOT_WEIGHTS = (
    pickle.UnpicklingError,
    RuntimeError,
    AttributeError,
    KeyError,
    TypeError,
    IndexError,
    EOFError,
)


def segment(volume: Volume, weights: Path) -> Volume:
    """Return a mask of both lungs.

    Parameters
    ----------
    volume : Volume
        CT in HU, in LPS orientation.
    weights : path
        File with the weights of R231.

    Returns
    -------
    Volume
        uint8 in {0, 1} on the grid of `volume`, unit "mask".

    Raises
    ------
    MMFusionError
        If lungmask is not installed.
    WeightsUnavailable
        If the file does not contain the weights of R231.
    """
    with undisturbed("lungmask"):
        try:
            from lungmask import LMInferer
        except ImportError as error:
            raise MMFusionError("lungmask is not installed", hint="pip install 'mmfusion[lungs]'") from error
        try:
            network = LMInferer(modelpath=str(weights), force_cpu=True, batch_size=4, tqdm_disable=True)
        except _NOT_WEIGHTS as error:
            raise WeightsUnavailable("not the weights of R231", file=weights) from error
        labels = network.apply(volume.array.astype(np.float32))  # 1: right lung, 2: left lung
    return replace(volume, array=(labels > 0).astype(np.uint8), unit="mask")
