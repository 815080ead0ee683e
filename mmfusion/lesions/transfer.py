"""Start of a training from the weights of a saved segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mmfusion.bundle import load
from mmfusion.errors import DataError
from mmfusion.lesions.settings import SegmenterSettings
from mmfusion.nn.segmenters import Segmenter


@dataclass(frozen=True)
class Start:
    """Weights that a training starts from, and the patients that they were learned from.

    Parameters
    ----------
    weights : mapping of str to Tensor, optional
        Weights of a trained network; None means random weights.
    patients, scans : tuple of str
        Hashes of the patients and scans that the weights were learned from.

    Examples
    --------
    >>> Start().patients
    ()
    """

    weights: Mapping[str, torch.Tensor] | None = None
    patients: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()

    def build(self, settings: SegmenterSettings) -> Segmenter:
        """Return a new network with these weights.

        Raises
        ------
        MMFusionError
            If the weights do not fit the network.
        """
        module = settings.build()
        return module if self.weights is None else module.start_from(self.weights)


def read_start(folder: str | Path | None, settings: SegmenterSettings) -> Start:
    """Return the weights of a saved segmenter, and the patients that it has learned from.

    Parameters
    ----------
    folder : path, optional
        Folder that `LesionSegmenter.save` wrote; None means that the training starts from random weights.
    settings : SegmenterSettings
        Settings of the new training.

    Raises
    ------
    BundleError
        If the folder is not a bundle.
    DataError
        If it is another kind of model, or reads other scans.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> read_start(None, LesionSegmenter("unet").settings).weights is None
    True
    """
    if folder is None:
        return Start()
    model = load(folder)
    if not isinstance(getattr(model, "module_", None), Segmenter):
        raise DataError(
            "not a saved segmenter", file=folder, parameter="start", expected="LesionSegmenter",
            got=type(model).__name__,
        )  # fmt: skip
    if model.fitted_.modalities != settings.modalities:
        raise DataError(
            "the saved segmenter reads other scans",
            file=folder,
            parameter="start",
            expected=", ".join(settings.modalities),
            got=", ".join(model.fitted_.modalities),
        )
    return Start(model.module_.state_dict(), tuple(model.patients_), tuple(model.scans_))
