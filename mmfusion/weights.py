"""Pretrained weights: find a file on this machine, download it if it is absent, and check its hash."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from mmfusion.errors import COPY_AGAIN, WeightsUnavailable
from mmfusion.limits import check_memory
from mmfusion.storage.atomic import atomic_file, cache_folder
from mmfusion.storage.hashing import hash_file, hash_file_once

if TYPE_CHECKING:
    import pandas as pd
    from requests import Response

_log = logging.getLogger(__name__)
_SCHEMES = ("https",)
_TIMEOUT_S, _CHUNK = 30, 1 << 20
_HEADERS = {"User-Agent": "mmfusion", "Accept-Encoding": "identity"}  # compressed, it would have another size
_JOBS = ("denoise", "deblur", "upsample", "oneclick")  # of Cellpose 3
_CELLPOSE = ("$CELLPOSE_LOCAL_MODELS_PATH", "~/.cellpose/models")
_TORCH_HUB = ("$TORCH_HOME/hub/checkpoints", "~/.cache/torch/hub/checkpoints")


@dataclass(frozen=True)
class WeightFile:
    """A published file of weights.

    Parameters
    ----------
    file : str
        Name on disk.
    url : str
        Address that it is downloaded from.
    paper, license : str
        What to cite, and the terms of use.
    sha256 : str, optional
        The published hash, or its first digits. None if the publisher gives none: the hash of the first file
        seen is then recorded beside it, and a later change is an error.
    places : tuple of str
        Folders in which the file's own package keeps it. `$NAME` is an environment variable.
    """

    file: str
    url: str
    paper: str
    license: str
    sha256: str | None = None
    places: tuple[str, ...] = ()


def _known() -> dict[str, WeightFile]:
    jobs = [f"{job}_{cells}" for cells in ("cyto3", "cyto2", "nuclei") for job in _JOBS]
    jobs += [
        f"{job}_{loss}_{cells}"
        for cells in ("cyto2", "nuclei")
        for job in _JOBS
        for loss in ("per", "seg", "rec")
    ]
    cellpose = {
        name: WeightFile(
            file=name,
            url=f"https://www.cellpose.org/models/{name}",
            paper="Stringer & Pachitariu 2025, Cellpose3, doi:10.1038/s41592-025-02595-5",
            license="BSD-3-Clause; trained on data for non-commercial use (CC BY-NC)",
            places=_CELLPOSE,
        )
        for name in (*jobs, "aniso_cyto2", "aniso_nuclei")
    }
    fmcib = WeightFile(
        file="model_weights.torch",
        url="https://zenodo.org/records/10528450/files/model_weights.torch?download=1",
        paper="Pai et al. 2024, doi:10.1038/s42256-024-00807-9; weights doi:10.5281/zenodo.10528450",
        license="CC BY 4.0",
    )
    r231 = WeightFile(
        file="unet_r231-d5d2fc3d.pth",
        url="https://github.com/JoHof/lungmask/releases/download/v0.0/unet_r231-d5d2fc3d.pth",
        paper="Hofmanninger et al. 2020, doi:10.1186/s41747-020-00173-2",
        license="Apache-2.0",
        sha256="d5d2fc3d",  # part of the file's name, as torch.hub does it
        places=_TORCH_HUB,
    )
    return {"fmcib": fmcib, "r231": r231, **cellpose}


KNOWN: Mapping[str, WeightFile] = MappingProxyType(_known())


def find(
    name: str | Path, path: str | Path | None = None, *, download: bool = True, progress: bool = True
) -> Path:
    """Return the path of a file of weights on this machine; download the file if it is absent.

    The file is searched in this order: `path`; the folder $MMFUSION_WEIGHTS; the folders in which its own
    package keeps it; the folder `weights` of the cache. A download goes to $MMFUSION_WEIGHTS, or else to the
    cache. It uses https only, and leaves a complete file or none.

    Parameters
    ----------
    name : str or path
        A name from `list_weights`, or the path of the user's own file.
    path : path, optional
        A file to use in place of the published one. Its hash is not checked.
    download : bool
        Whether to download an absent file. If $MMFUSION_OFFLINE is set, nothing is downloaded.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    WeightsUnavailable
        If the file is absent and cannot be downloaded, is not the published one, or is too large for memory.
        The error names the file, where it comes from and where to put it.
    """
    if path is not None or (str(name) not in KNOWN and Path(name).is_file()):
        return _given(Path(path if path is not None else name))
    if str(name) not in KNOWN:
        raise WeightsUnavailable(
            "no such weights", got=str(name), expected=f"a file, or one of {', '.join(KNOWN)}"
        )
    known = KNOWN[str(name)]
    here = _locate(known)
    if here is None:
        here = _home() / known.file
        if not download or os.environ.get("MMFUSION_OFFLINE"):
            raise _unavailable(known)
        _download(known, here, progress=progress)
    _verify(known, here)
    _check_size(here)
    return here


def list_weights() -> pd.DataFrame:
    """List the known files of weights.

    Returns
    -------
    DataFrame
        Indexed by name. Columns: `file`, `found` (its path on this machine, or ""), `url`, `paper`,
        `license`.

    Examples
    --------
    >>> list_weights().loc["r231", "file"]
    'unet_r231-d5d2fc3d.pth'
    """
    import pandas as pd

    from mmfusion.display import FullTable

    rows = {
        name: {
            "file": known.file,
            "found": str(_locate(known) or ""),
            "url": known.url,
            "paper": known.paper,
            "license": known.license,
        }
        for name, known in KNOWN.items()
    }
    return FullTable(pd.DataFrame.from_dict(rows, orient="index").rename_axis("name"))


def _home() -> Path:
    return Path(os.environ.get("MMFUSION_WEIGHTS") or cache_folder() / "weights")


def _locate(known: WeightFile) -> Path | None:
    expanded = [os.path.expandvars(place) for place in known.places]
    folders = [
        _home(),
        *(Path(place).expanduser() for place in expanded if "$" not in place),
        cache_folder() / "weights",
    ]
    return next((folder / known.file for folder in folders if (folder / known.file).is_file()), None)


def _given(path: Path) -> Path:
    if not path.is_file():
        raise WeightsUnavailable("no such file of weights", file=path)
    _check_size(path)
    return path


def _check_size(path: Path) -> None:
    """Raise if a file of weights needs more memory than allowed; an archive may unpack to any size.

    Raises
    ------
    WeightsUnavailable
        With the size and the limit.
    """
    size = path.stat().st_size
    if zipfile.is_zipfile(path):  # as torch writes it
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(info.file_size for info in archive.infolist())
        except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
            raise WeightsUnavailable(
                "weights that cannot be read", file=path, got=error, hint=COPY_AGAIN
            ) from error
    check_memory(size, "the file of weights", file=path, error=WeightsUnavailable)


def _unavailable(known: WeightFile, reason: object = None) -> WeightsUnavailable:
    hint = f"download {known.url} and put it at {_home() / known.file}, or give its path"
    return WeightsUnavailable("these weights are not on this machine", file=known.file, got=reason, hint=hint)


def _download(known: WeightFile, target: Path, *, progress: bool) -> None:
    """Download a file, complete or not at all.

    Raises
    ------
    WeightsUnavailable
        If it cannot be downloaded over https or written, or is not the complete published file.
    """
    from pooch import HTTPDownloader
    from tqdm.auto import tqdm

    sizes: list[int] = []

    def check(response: Response, **_: object) -> None:  # called for every answer, also for redirects
        location = response.headers.get("Location")
        _check_scheme(known, urljoin(response.url, location) if location else response.url)
        sizes.append(int(response.headers.get("Content-Length") or 0))

    _log.info("downloading %s from %s", known.file, known.url)
    _check_scheme(known, known.url)
    # pooch sets the total later, but first asks for the truth value of the bar, which needs a total
    bar = tqdm(total=1, desc=known.file, unit="B", unit_scale=True, leave=False, disable=not progress)
    get = HTTPDownloader(bar, _CHUNK, headers=_HEADERS, timeout=_TIMEOUT_S, hooks={"response": check})
    try:
        with bar, atomic_file(target) as draft:
            get(known.url, str(draft), None)
            if (size := sizes[-1]) and (got := draft.stat().st_size) != size:
                raise _unavailable(known, f"the download ended after {got:,} of {size:,} bytes")
            if not hash_file(draft).startswith(known.sha256 or ""):
                raise _unavailable(known, "the download is not the published file: its hash differs")
    except OSError as error:  # of the disk, or of requests
        raise _unavailable(known, error) from error


def _check_scheme(known: WeightFile, url: str) -> None:
    if urlsplit(url).scheme not in _SCHEMES:
        raise _unavailable(known, f"not over {' or '.join(_SCHEMES)}: {url}")


def _verify(known: WeightFile, path: Path) -> None:
    """Raise if the file is not the published one; if no hash is published, not the first one seen here.

    Raises
    ------
    WeightsUnavailable
        With the expected and the found hash.
    """
    record = path.with_name(f"{path.name}.sha256")
    ours = path.parent in (_home(), cache_folder() / "weights")
    got = hash_file_once(path)
    if known.sha256:
        expected, hint = known.sha256, "delete it, and it is downloaded again"
    elif record.is_file():
        expected = record.read_text(encoding="utf-8").partition(" ")[0] or "a hash in the record"
        hint = f"delete it, and it is downloaded again; if you changed it on purpose, delete {record}"
    else:
        expected, hint = got, None
        if ours:
            _remember(record, f"{got}  {path.name}\n")
    if not got.startswith(expected):
        raise WeightsUnavailable(
            "not the weights that were published", file=path, expected=expected, got=got, hint=hint
        )


def _remember(record: Path, line: str) -> None:
    """Record the hash of a new file, in the format that `sha256sum -c` reads."""
    try:
        with atomic_file(record) as draft:
            draft.write_text(line, encoding="utf-8")
    except OSError as error:  # a folder shared read-only
        _log.warning("cannot record the hash of %s: %s", record.stem, error)
    else:
        _log.info("no hash is published for %s: recorded that of this file in %s", record.stem, record)
