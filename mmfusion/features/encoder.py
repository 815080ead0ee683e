"""`FoundationEncoder`: 4096 features of the cube of 50 mm around a tumour, as fmcib computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mmfusion import weights as published
from mmfusion.compute import one_thread
from mmfusion.data.scans import scan_of
from mmfusion.errors import DataError, MMFusionError, ScanError
from mmfusion.features import crop
from mmfusion.features.base import KIND, Extractor
from mmfusion.imaging.files import read
from mmfusion.imaging.plausible import check_scan
from mmfusion.imaging.volume import Volume
from mmfusion.nn.foundation import N_FEATURES, pretrained_trunk, random_trunk
from mmfusion.storage.cache import cached, fingerprint, lookup
from mmfusion.storage.hashing import hash_file_once


class FoundationEncoder(Extractor):
    """Fixed network that computes 4096 features from a scan and a point in it.

    Features of a file are kept in the cache, so that no scan is encoded twice. The key of the cache contains
    the scan's content, the point, the crop and the weights. The network is loaded when the first crop has to
    be encoded.

    Parameters
    ----------
    weights : path, optional
        File with the weights. Default: the published `model_weights.torch`; see `mmfusion.weights.find`.
    random_weights : int, optional
        Seed for random weights, which are used instead of a file. This is a control: it shows how useful the
        features of an untrained network are. The names of the columns contain the seed.
    device : str
        Torch device of the network. Features of different devices differ by rounding.

    Raises
    ------
    WeightsUnavailable
        If the weights are not on this machine and cannot be downloaded.
    DataError
        If both `weights` and `random_weights` are given, or the device is unknown.

    References
    ----------
    Pai et al. 2024, Foundation model for cancer imaging biomarkers, Nature Machine Intelligence 6, 354-367.
    """

    n_features = N_FEATURES

    def __init__(
        self, weights: str | Path | None = None, *, random_weights: int | None = None, device: str = "cpu"
    ) -> None:
        if weights is not None and random_weights is not None:
            got = f"{weights} and seed {random_weights}"
            raise DataError("give a file of weights or a seed for random weights, not both", got=got)
        self.device = _checked_device(device)
        self.random_weights = random_weights
        self.path = None if random_weights is not None else published.find("fmcib", weights).absolute()
        self.weights_hash = f"random {random_weights}" if self.path is None else hash_file_once(self.path)

    @property
    def columns(self) -> list[str]:
        """Names of the features: `pred_0` ... as in fmcib, or `random<seed>_0` ... for random weights."""
        stem = "pred" if self.random_weights is None else f"random{self.random_weights}"
        return [f"{stem}_{k}" for k in range(self.n_features)]

    @property
    def provenance(self) -> dict[str, object]:
        """Everything except scan and seed that the features depend on: model, weights and crop."""
        return {
            "model": "fmcib ResNet-50x2"
            if self.random_weights is None
            else "fmcib ResNet-50x2, RANDOM WEIGHTS",
            "weights": self.weights_hash,
            "weights_file": None if self.path is None else self.path.name,
            "random_weights": self.random_weights,
            "crop_voxels": crop.SIDE,
            "crop_version": crop.VERSION,
        }

    def crop(self, scan: Volume | str | Path, seed: Sequence[float], series: str | None = None) -> np.ndarray:
        """Return the network's input, shape (50, 50, 50); see `mmfusion.features.crop.foundation_crop`."""
        volume = scan if isinstance(scan, Volume) else read(scan, series, unit="HU")
        if isinstance(scan, Volume):
            scan.expect("HU")
            check_scan(scan.array, "HU", None)
        try:
            return crop.foundation_crop(volume, seed)
        except ScanError as error:
            error.file = error.file or (None if isinstance(scan, Volume) else scan)
            raise

    def encode(
        self, scan: Volume | str | Path, seed: Sequence[float], series: str | None = None
    ) -> np.ndarray:
        """Return the features of the tumour at `seed`; for a file the cache is used.

        Parameters
        ----------
        scan : Volume or path
            CT in HU, or the path of one; see `mmfusion.imaging.read`.
        seed : (x, y, z)
            A point in the tumour, LPS mm.
        series : str, optional
            Rule that chooses a series if there are several; see `mmfusion.imaging.read`.

        Returns
        -------
        ndarray of float32, shape (4096,)
            Features. The array is read-only.

        Raises
        ------
        ScanError
            If the scan cannot be read, is not plausible or not in HU, or the seed lies outside of it.
        WeightsUnavailable
            If the file of weights is not one of this network.
        """
        if isinstance(scan, Volume):
            return self.encode_crops(self.crop(scan, seed)[None])[0]
        key = self._key(scan, seed, series)
        return cached(KIND, key, lambda: self.encode_crops(self.crop(scan, seed, series)[None])[0])

    def known(self, path: str | Path, seed: Sequence[float], series: str | None = None) -> np.ndarray | None:
        """Return the features that the cache has for a scan and a seed, or None; nothing is computed."""
        return lookup(KIND, self._key(path, seed, series))

    def encode_crops(self, crops: np.ndarray, batch_size: int = 1) -> np.ndarray:
        """Return the features of crops.

        Parameters
        ----------
        crops : ndarray of float32, shape (n, 50, 50, 50)
            Crops, as `crop` returns them.
        batch_size : int
            Number of crops that the network reads at once. On a CPU a batch of one is as fast. With a batch
            of one, the last digits of a crop's features do not depend on the other crops.

        Returns
        -------
        ndarray of float32, shape (n, 4096)
            One row per crop.

        Raises
        ------
        DataError
            If `crops` does not have four dimensions.
        MMFusionError
            If a feature is not a finite number.
        """
        if crops.ndim != 4:
            raise DataError("not crops", expected="shape (n, z, y, x)", got=f"shape {crops.shape}")
        net = _network(self.path, self.weights_hash, self.random_weights, self.device)
        out = np.empty((len(crops), self.n_features), dtype=np.float32)
        with one_thread(), torch.inference_mode():
            for start in range(0, len(crops), batch_size):
                batch = torch.tensor(
                    crops[start : start + batch_size], dtype=torch.float32, device=self.device
                )
                out[start : start + batch_size] = net(batch[:, None]).cpu().numpy()
        if not np.isfinite(out).all():
            raise MMFusionError("features are not finite numbers", hint="are these weights of this network?")
        return out

    def key(self, row: pd.Series) -> Mapping[str, object]:
        """Return everything that the features of a patient depend on; see `Extractor`.

        Raises
        ------
        ScanError
            If the patient has no seed, or the file does not exist.
        DataError
            If the seed is not three numbers.
        """
        return self._key(*_scan(row))

    def compute_row(self, row: pd.Series) -> np.ndarray:
        """Return the features of a patient without the cache; see `Extractor`."""
        return self.encode_crops(self.crop(*_scan(row))[None])[0]

    def _key(self, path: str | Path, seed: Sequence[float], series: str | None) -> Mapping[str, object]:
        return {
            "scan": fingerprint(path),
            "series": series,
            "seed": [float(v) for v in seed],
            "weights": self.weights_hash,
            "crop": [crop.SIDE, crop.VERSION],
        }

    def __repr__(self) -> str:
        source = self.path if self.path is not None else f"random weights {self.random_weights}"
        return f"FoundationEncoder({source}, device={self.device!r})"


def _scan(row: pd.Series) -> tuple[str, tuple[float, float, float], str | None]:
    """Return the path, seed and series of the CT of a patient."""
    path, series, seed = scan_of(row["ct"].rename(row.name))
    if seed is None:
        raise ScanError("no seed", file=path, hint="give seed_x, seed_y, seed_z in LPS mm")
    return path, seed, series


def _checked_device(device: str) -> str:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        reason = str(error).splitlines()[0]
        raise DataError(
            "no such device", expected="cpu, or cuda with a GPU", got=f"{device} ({reason})"
        ) from error
    return device


@lru_cache(maxsize=1)
def _network(path: Path | None, _hash: str, seed: int | None, device: str) -> torch.nn.Module:
    """Return the network; all encoders of a process share one copy."""
    net = random_trunk(seed) if path is None else pretrained_trunk(path)
    return net.to(device)
