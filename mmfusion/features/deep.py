"""`DeepFeatures`: what a trained segmenter has inside at a lesion, as features for a classifier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted

from mmfusion.bundle import load
from mmfusion.data.scans import part_of, scan_of
from mmfusion.errors import DataError, ScanError
from mmfusion.features.base import Extractor
from mmfusion.imaging.boxes import box_map
from mmfusion.imaging.sampling import filled_box
from mmfusion.imaging.volume import Volume
from mmfusion.lesions import LesionSegmenter
from mmfusion.lesions.inference import prediction_boxes
from mmfusion.lesions.scans import Prepared
from mmfusion.nn.training import reproducible
from mmfusion.nn.training.devices import on_device
from mmfusion.registry import SEGMENTERS
from mmfusion.storage.cache import fingerprint
from mmfusion.storage.hashing import checksum, hash_each_id, hash_json

VERSION = 1  # version of the patch; with a new number all stored features are computed again


class DeepFeatures(Extractor):
    """Features of a lesion that a trained segmenter computes on its way to the mask.

    The network reads one patch of the size that it was trained on: around the mask of the lesion, or without
    a mask around the seed. Where the scan is smaller than the patch, the patch lies in the middle of the scan
    and its last voxels are repeated. The network gets the boxes that it would get to segment the scan.

    Segmenters see masks when they are trained. Features of a patient on whom the segmenter was trained can
    look better than those of a new patient; see `saw`.

    Parameters
    ----------
    segmenter : LesionSegmenter or path
        A fitted segmenter, or the folder of a saved one. Its network has levels of features, as `raseg` has.
    level : str
        Level of the features. Of RA-Seg: "high", before the last step of the decoder, "mid", after the
        recurrent layers, or "multi", both. At its full size these are 8192, 8192 and 16384 features.
    device : str
        Torch device of the network. Features of different devices differ by rounding.

    Raises
    ------
    DataError
        If the segmenter's network has no features, or not of this level.

    References
    ----------
    Gollini et al. 2022, arXiv 2211.06620.

    Examples
    --------
    >>> DeepFeatures(LesionSegmenter("unet"))
    Traceback (most recent call last):
    mmfusion.errors.DataError: the network has no features (expected one of raseg; got unet)
    """

    def __init__(
        self, segmenter: LesionSegmenter | str | Path, level: str = "high", *, device: str = "cpu"
    ) -> None:
        self.path = None if isinstance(segmenter, LesionSegmenter) else Path(segmenter).absolute()
        self._model = segmenter if self.path is None else load(self.path)
        if not isinstance(self._model, LesionSegmenter):
            got = type(self._model).__name__
            raise DataError("not a segmenter", file=self.path, expected="a saved LesionSegmenter", got=got)
        self.level, self.device = level, device
        check_level(self._model.network, level)
        check_is_fitted(self._model, "module_")
        self.modality = self.model.fitted_.modalities[0]
        self.weights_hash = _hash(self.model)

    @property
    def model(self) -> LesionSegmenter:
        """The fitted segmenter."""
        if self._model is None:  # in another process
            self._model = _loaded(self.path, self.weights_hash)
        return self._model

    @cached_property
    def n_features(self) -> int:
        """Number of features, found without computing any."""
        fitted = self.model.fitted_
        with reproducible(0), torch.device("meta"):
            x = torch.empty(1, len(fitted.modalities), *fitted.size)
            return fitted.build().eval().features(x, None, self.level).shape[1]

    @property
    def columns(self) -> Sequence[str]:
        """Names of the features: `raseg_high_0` and so on."""
        return [f"{self.model.network}_{self.level}_{k}" for k in range(self.n_features)]

    @property
    def provenance(self) -> Mapping[str, object]:
        """The segmenter, its level, and the patch that it reads."""
        fitted = self.model.fitted_
        return {
            "model": f"{self.model.short_name}, {self.level}-level features",
            "weights": self.weights_hash,
            "folder": None if self.path is None else self.path.name,
            "level": self.level,
            "modalities": list(fitted.modalities),
            "box_mode": self.model.box_mode,
            "patch_voxels": list(fitted.size),
            "spacing_mm": list(fitted.spacing),
            "patch_version": VERSION,
        }

    def saw(self, patients: Iterable[object]) -> list[object]:
        """Return the patients whose ids are those of training patients of the segmenter.

        `LesionSegmenter.saw` also finds their scans under other ids.
        """
        known, patients = set(self.model.patients_), list(patients)
        return [p for p, h in zip(patients, hash_each_id(patients), strict=True) if h in known]

    def key(self, row: pd.Series) -> Mapping[str, object]:
        """Return everything that the features of a patient depend on; see `Extractor`.

        Raises
        ------
        ScanError
            If the patient lacks a scan that the segmenter reads, or a file does not exist.
        """
        model, files = self.model, []
        if lacking := model.reader.lacking(row):
            raise ScanError(f"no {lacking[0]} scan", expected=f"scans: {', '.join(model.fitted_.modalities)}")
        for modality in model.fitted_.modalities:
            path, series, _ = scan_of(row[modality].rename(row.name))
            files.append([modality, fingerprint(path), series])
        mask, seed = row.get((self.modality, "mask")), scan_of(row[self.modality].rename(row.name))[2]
        return {
            "scans": files,
            "mask": None if pd.isna(mask) else fingerprint(mask),
            "mask_part": part_of(row.get((self.modality, "mask_part"))),
            "seed": seed,
            "weights": self.weights_hash,
            "level": self.level,
            "version": VERSION,
        }

    def compute_row(self, row: pd.Series) -> np.ndarray:
        """Return the features of a patient without the cache; see `Extractor`."""
        model = self.model
        scans = model.reader.prepare(row)
        label = row.get((self.modality, "mask"))
        mask = None if pd.isna(label) else model.reader.mask(row, label, scans)
        boxes = None if model.box_mode == "none" else prediction_boxes(model, row, scans, mask)
        space = scans.image.shape[1:]
        near = _patch(space, model.fitted_.size, self._center(row, scans, mask))
        image = scans.image[(slice(None), *near)].astype(np.float32)
        cue = None if boxes is None else box_map(boxes, space)[near][None, None]
        with on_device(model.module_, self.device) as target:
            x = torch.from_numpy(image[None]).to(target)
            read = None if cue is None else torch.from_numpy(cue).to(target)
            found = model.module_.features(x, read, self.level)[0].cpu().numpy()
        if not np.isfinite(found).all():
            raise ScanError("features that are not numbers", expected="finite weights of the segmenter")
        return found

    def _center(self, row: pd.Series, scans: Prepared, mask: np.ndarray | None) -> np.ndarray:
        """Return the middle of the patch in voxels (z, y, x) of the network's grid."""
        space = scans.image.shape[1:]
        if mask is not None and (box := filled_box(mask)) is not None:
            return np.array([(s.start + s.stop - 1) / 2 for s in box])
        path, _, seed = scan_of(row[self.modality].rename(row.name))
        grid = Volume(np.broadcast_to(np.uint8(0), space), scans.affine, unit="mask")
        if seed is not None:
            return grid.mm_to_voxel(grid.expect_inside(seed))[::-1]
        if all(n <= side for n, side in zip(space, self.model.fitted_.size)):
            return (np.array(space) - 1) / 2
        hint = "give a mask, or seed_x, seed_y, seed_z in LPS mm"
        raise ScanError("no lesion and no seed", file=path, expected="the place of the patch", hint=hint)

    def __getstate__(self) -> dict[str, object]:
        """Leave a segmenter of a folder out: another process reads it from there, once."""
        return self.__dict__ | ({} if self.path is None else {"_model": None})


def check_level(network: str, level: str) -> None:
    """Raise a `DataError` unless a network has features of this level.

    Examples
    --------
    >>> check_level("raseg", "mid")
    """
    levels = SEGMENTERS.get(network).feature_levels
    if not levels:
        able = ", ".join(name for name in SEGMENTERS.frame().index if SEGMENTERS.get(name).feature_levels)
        raise DataError("the network has no features", expected=f"one of {able}", got=network)
    if level not in levels:
        raise DataError("unknown level of features", expected=", ".join(levels), got=level)


def _patch(space: Sequence[int], size: Sequence[int], center: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the indices (z, y, x) of the voxels of a patch; those beyond the scan are its last voxels.

    >>> [one.ravel().tolist() for one in _patch((2, 9, 9), (4, 4, 4), np.array([0.5, 1.0, 8.0]))]
    [[0, 0, 1, 1], [0, 1, 2, 3], [5, 6, 7, 8]]
    """
    ends = []
    for n, side, middle in zip(space, size, center):
        start = int(np.clip(round(middle - (side - 1) / 2), 0, n - side)) if n > side else -((side - n) // 2)
        ends.append(np.clip(np.arange(start, start + side), 0, n - 1))
    return np.ix_(*ends)


def _hash(model: LesionSegmenter) -> str:
    """Return a hash of everything of a segmenter that its features depend on."""
    fitted, parts = model.fitted_, []
    networks = (
        [model.module_] if model.detector_ is None else [model.module_, model.detector_.segmenter.module_]
    )
    for network in networks:
        for name, tensor in network.state_dict().items():
            parts += [name.encode(), np.ascontiguousarray(tensor.cpu().numpy())]
    facts = {
        "network": model.network,
        "options": dict(fitted.options),
        "modalities": fitted.modalities,
        "size": fitted.size,
        "spacing": fitted.spacing,
        "box_mode": model.box_mode,
    }
    return hash_json({"facts": facts, "weights": checksum(*parts).hex()})


@lru_cache(maxsize=1)
def _loaded(path: Path, _hash: str) -> LesionSegmenter:
    return load(path)
