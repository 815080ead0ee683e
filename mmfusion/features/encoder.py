"""`FoundationEncoder`: 4096 features of the 50 mm round a tumour, as fmcib makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mmfusion import weights as published
from mmfusion.compute import one_thread
from mmfusion.errors import DataError, MMFusionError, ScanError
from mmfusion.features import crop
from mmfusion.imaging.files import read
from mmfusion.imaging.volume import Volume
from mmfusion.nn.foundation import N_FEATURES, pretrained_trunk, random_trunk
from mmfusion.storage.cache import cached, fingerprint, lookup

_KIND = "features"  # of the cache


class FoundationEncoder:
    """A frozen network that turns a scan and a point in it into 4096 numbers.

    Features of a file are kept in the cache under the scan's content, the point, the crop and the weights, so that no
    scan is encoded twice. The network is loaded when the first crop has to be encoded.

    Parameters
    ----------
    weights : path, optional
        Checkpoint; default the published `model_weights.torch`, see `mmfusion.weights.find`.
    random_weights : int, optional
        In place of a checkpoint, weights drawn from this seed: a control, that shows what features are worth without
        training. Its columns are named for it.
    device : str
        Where the network runs. Features differ between devices by rounding.

    Raises
    ------
    WeightsUnavailable
        If there are no weights on this machine and none can be had.
    DataError
        If both weights and random weights are asked for, or there is no such device.

    References
    ----------
    Pai et al. 2024, Foundation model for cancer imaging biomarkers, Nature Machine Intelligence 6, 354-367.
    """

    n_features = N_FEATURES

    def __init__(
        self, weights: str | Path | None = None, *, random_weights: int | None = None, device: str = "cpu"
    ) -> None:
        if weights is not None and random_weights is not None:
            raise DataError("weights from a file, or random ones", got=f"{weights} and seed {random_weights}")
        self.device = _checked_device(device)
        self.random_weights = random_weights
        self.path = None if random_weights is not None else published.find("fmcib", weights).absolute()
        self.weights_hash = f"random {random_weights}" if self.path is None else published.sha256(self.path)

    @property
    def columns(self) -> list[str]:
        """Names of the features: `pred_0` and on, as fmcib has it; `random<seed>_0` and on for random weights."""
        stem = "pred" if self.random_weights is None else f"random{self.random_weights}"
        return [f"{stem}_{k}" for k in range(self.n_features)]

    @property
    def provenance(self) -> dict[str, object]:
        """What the features depend on beside the scan and the seed."""
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
        """What the network reads: see `mmfusion.features.crop.foundation_crop`."""
        volume = scan if isinstance(scan, Volume) else read(scan, series, unit="HU")
        try:
            return crop.foundation_crop(volume, seed)
        except ScanError as error:
            error.file = error.file or (None if isinstance(scan, Volume) else scan)
            raise

    def encode(
        self, scan: Volume | str | Path, seed: Sequence[float], series: str | None = None
    ) -> np.ndarray:
        """Features of the tumour at `seed`; those of a file come from the cache, if they are there.

        Parameters
        ----------
        scan : Volume or path
            CT in HU; whatever `mmfusion.imaging.read` reads.
        seed : (x, y, z)
            A point in the tumour, LPS mm.
        series : str, optional
            Which series of a file of several; as of `mmfusion.imaging.read`.

        Returns
        -------
        ndarray of float32, shape (4096,)
            Read-only.

        Raises
        ------
        ScanError
            If the scan cannot be read or trusted, is not in HU, or the seed lies outside it.
        WeightsUnavailable
            If the file of weights is not one of this network's.
        """
        if isinstance(scan, Volume):
            return self.encode_crops(self.crop(scan, seed)[None])[0]
        key = self._key(scan, seed, series)
        return cached(_KIND, key, lambda: self.encode_crops(self.crop(scan, seed, series)[None])[0])

    def known(self, path: str | Path, seed: Sequence[float], series: str | None = None) -> np.ndarray | None:
        """What `encode` would give without work: the features in the cache, or None."""
        return lookup(_KIND, self._key(path, seed, series))

    def encode_crops(self, crops: np.ndarray, batch_size: int = 1) -> np.ndarray:
        """Features of crops.

        Parameters
        ----------
        crops : ndarray of float32, shape (n, 50, 50, 50)
            As `crop` makes them.
        batch_size : int
            Crops at a time. On a CPU one is as fast as several, and a crop's features do not then depend, in their
            last digits, on its company.

        Returns
        -------
        ndarray of float32, shape (n, 4096)
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
            raise MMFusionError("features that are not numbers", hint="are these weights of this network?")
        return out

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


def _checked_device(device: str) -> str:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # an assertion where torch was built without CUDA
        reason = str(error).splitlines()[0]
        raise DataError(
            "no such device", expected="cpu, or cuda with a GPU", got=f"{device} ({reason})"
        ) from error
    return device


@lru_cache(maxsize=1)
def _network(path: Path | None, _hash: str, seed: int | None, device: str) -> torch.nn.Module:
    """One network in memory for a process, however many encoders name it."""
    net = random_trunk(seed) if path is None else pretrained_trunk(path)
    return net.to(device)
