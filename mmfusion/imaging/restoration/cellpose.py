"""Image restoration of Cellpose 3 (Stringer & Pachitariu 2025) for CT, with HU kept.

The networks were trained on fluorescence images of cells, and their output has no unit. Cellpose would scale
every slice to its own percentiles, so that neighbouring slices no longer match. Here one window of HU is
mapped to [0, 1] for the whole volume. The result is mapped back to HU by the monotone map that gives it the
same distribution of values as the input. The networks can still invent or remove texture: check the
difference between input and result before using it.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from mmfusion.errors import MMFusionError, WeightsUnavailable
from mmfusion.imaging.hu import CT_WINDOW
from mmfusion.imaging.quantiles import match_histogram, quantiles
from mmfusion.imaging.restoration.base import Restorer
from mmfusion.registry import RESTORERS
from mmfusion.storage.hashing import hash_file_once
from mmfusion.weights import KNOWN, find

MODES = tuple(name for name, known in KNOWN.items() if known.url.startswith("https://www.cellpose.org/"))
_LOGGERS = tuple(f"cellpose.{name}" for name in ("core", "denoise", "models", "transforms", "utils"))
_SLICES = 16  # slices per batch
# entries of a state dict that restoration does not use
_OPTIONAL = ("diam_mean", "diam_labels", "num_batches_tracked")


@RESTORERS.register(
    "cellpose", modality="ct", paper="Stringer & Pachitariu 2025, doi:10.1038/s41592-025-02595-5"
)
class CellposeRestorer(Restorer):
    """Restoration networks of Cellpose 3, applied slice by slice, with HU kept.

    The network does not see values outside the window; the part beyond the window is added back to the
    result. Upsampling modes work on a finer grid within the slice. "aniso" modes work on coronal planes,
    resampled so that the slice distance equals the pixel size. Both results are resampled to the scan's grid.

    Parameters
    ----------
    mode : str
        One of `MODES`. The name contains the task, the loss used in training (perceptual, segmentation or
        reconstruction; all of them if none is named) and the kind of cells.
    diameter : float, optional
        Size in pixels of the structures to restore, at least 3. The image is scaled so that they have the
        size of the cells that the network was trained on (30 pixels, nuclei 17). Default: this size, so that
        the image is not scaled; half of it for upsampling modes.
    window : (low, high)
        HU that are mapped to 0 and 1.
    weights : path, optional
        File with the weights of the network. Default: `mmfusion.weights.find(mode)`.
    device : str
        Torch device.

    Raises
    ------
    MMFusionError
        If the mode is unknown, `diameter` is below 3, or the window is empty.
    """

    needs_weights = True

    def __init__(
        self,
        *,
        mode: str = "deblur_cyto3",
        diameter: float | None = None,
        window: tuple[float, float] = CT_WINDOW,
        weights: str | Path | None = None,
        device: str = "cpu",
    ) -> None:
        if mode not in MODES:
            raise MMFusionError("unknown cellpose mode", got=mode, expected=", ".join(MODES))
        if diameter is not None and not diameter >= 3:
            raise MMFusionError("diameter out of range", expected="3 pixels or more", got=diameter)
        low, high = (float(v) for v in window)
        if not low < high:
            raise MMFusionError("not a window", expected="(low, high) in HU", got=window)
        self.mode = mode
        self.diameter = None if diameter is None else float(diameter)
        self.window = (low, high)
        self.weights = None if weights is None else str(weights)
        self.device = device

    def key(self) -> dict[str, object]:
        """Return the options, with the hash of the weights instead of their path, and without the device.

        Raises
        ------
        WeightsUnavailable
            If the weights are not available.
        """
        path = find(self.mode, self.weights)
        out = {
            **super().key(),
            "window": list(self.window),
            "weights": hash_file_once(path),
        }
        del out["device"]
        return out

    def _restore(self, hu: np.ndarray, spacing: tuple[float, float, float], known: np.ndarray) -> np.ndarray:
        from mmfusion.imaging.isolation import undisturbed  # loads torch

        low, high = self.window
        inside = np.clip(hu, low, high)
        with undisturbed(*_LOGGERS):
            raw = self._run((inside - low) / (high - low), spacing)
        return match_histogram(raw, quantiles(raw[known]), quantiles(inside[known])) + (hu - inside)

    def _run(self, image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
        """Return the network's output for an image (z, y, x) in [0, 1]: same shape, no unit."""
        model = _model(find(self.mode, self.weights), self.mode, self.device)
        diameter = self.diameter or model.diam_mean / (2 if "upsample" in self.mode else 1)
        factor = model.diam_mean / diameter
        if not self.mode.startswith("aniso"):
            return _by_planes(model, image, (factor, factor))
        across = image.transpose(1, 0, 2)  # coronal planes (z, x)
        return _by_planes(model, across, (factor * spacing[0] / spacing[2], factor)).transpose(1, 0, 2)


def _by_planes(model: object, planes: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    """Scale planes, restore them and scale them back, in batches."""
    from cellpose.transforms import resize_image

    shape = planes.shape[1:]
    scaled = tuple(max(1, round(n * f)) for n, f in zip(shape, factors))
    out = np.empty(planes.shape, dtype=np.float32)
    for start in range(0, len(planes), _SLICES):
        part = planes[start : start + _SLICES]
        # cellpose would read a single plane as a channel
        work = np.concatenate([part, part]) if len(part) == 1 else part
        if scaled != shape:
            work = resize_image(work, *scaled, no_channels=True)
        work = model.eval(work, z_axis=0, normalize={"normalize": False})[..., 0]
        if scaled != shape:
            work = resize_image(work, *shape, no_channels=True)
        out[start : start + len(part)] = work[: len(part)]
    return out


def _model(path: Path, mode: str, device: str) -> object:
    """Return a `DenoiseModel` with these weights.

    Cellpose itself would ignore weights that do not fit, without a warning; here they raise an error.
    """
    import torch

    try:
        from cellpose.denoise import DenoiseModel
    except ImportError as error:
        raise MMFusionError("cellpose 3 is not installed", hint="pip install 'mmfusion[restore]'") from error
    diameter = 17.0 if "nuclei" in mode else 30.0
    model = DenoiseModel(diam_mean=diameter, device=torch.device(device))
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        shapes = {name: tuple(value.shape) for name, value in state.items()}
    except (pickle.UnpicklingError, RuntimeError, AttributeError, EOFError, ValueError) as error:
        raise WeightsUnavailable("not a file of weights", file=path, got=error) from error
    wanted = {n: tuple(v.shape) for n, v in model.net.state_dict().items() if not n.endswith(_OPTIONAL)}
    if odd := [name for name, shape in wanted.items() if shapes.get(name) != shape]:
        problem = f"not the weights of a cellpose restoration network: {len(odd)} of {len(wanted)} do not fit"
        raise WeightsUnavailable(
            problem, file=path, expected=f"{odd[0]} {wanted[odd[0]]}", got=shapes.get(odd[0])
        )
    model.net.mkldnn = False  # otherwise the weights are converted again for every batch, by scripted modules
    model.net.load_state_dict(state, strict=False)
    model.pretrained_model = str(path)
    return model
