"""A saved model on disk: a folder of JSON, safetensors and npz files. Loading it executes no code from it."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import numpy as np

from mmfusion.errors import BundleError
from mmfusion.limits import check_memory
from mmfusion.storage.atomic import atomic_folder, writing
from mmfusion.storage.drafts import sweep
from mmfusion.storage.hashing import hash_file
from mmfusion.storage.json_arrays import array_names, join, split
from mmfusion.storage.npz import read_arrays
from mmfusion.storage.strict_json import parse_json

FORMAT = 3
# the only classes that a bundle may name, and their modules; see `register_estimator`
ESTIMATORS = {
    "StageClassifier": "mmfusion.staging",
    "LesionSegmenter": "mmfusion.lesions",
    "ExpressionSegmenter": "mmfusion.lesions",
    "GenotypeClassifier": "mmfusion.radiogenomics",
    "ExpressionRegressor": "mmfusion.radiogenomics",
    "ClinicalClassifier": "mmfusion.radiogenomics",
}
_FILES = ("config.json", "weights.safetensors", "arrays.npz", "README.md")
SUMS = "checksums.json"
_AGAIN = "save the model again"
_DEPTH = 300  # levels of lists and objects in a config
# what numpy and safetensors raise on damaged files
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, LookupError, TypeError, ValueError, OSError)


def write_bundle(
    folder: str | Path,
    *,
    estimator: str,
    config: Mapping[str, object],
    tensors: Mapping[str, object],
    card: str,
) -> Path:
    """Write a bundle, complete or not at all.

    An existing bundle is replaced once the new one is complete. A folder that holds any other file is never
    replaced.

    Parameters
    ----------
    folder : path
        The folder to write.
    estimator : str
        Name of the estimator's class, one of `ESTIMATORS`.
    config : mapping
        JSON values and numpy arrays, nested to any depth. Arrays are written to `arrays.npz`.
    tensors : mapping of str to Tensor
        The network's state.
    card : str
        The model card, in Markdown.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    BundleError
        If `folder` exists and is not a bundle or holds other files too, if a value has no JSON form, or if
        the disk is full.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    with writing(folder, BundleError):
        _put_back(folder)
        if folder.exists():
            _check_replaceable(folder)
    arrays: dict[str, np.ndarray] = {}
    body = {"format": FORMAT, "estimator": estimator, "state": split(config, arrays)}
    weights = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    with (
        writing(folder, BundleError),
        atomic_folder(folder.resolve(), replace=True) as draft,  # a link keeps pointing to it
    ):
        (draft / "config.json").write_text(json.dumps(body, indent=1, sort_keys=True))
        save_file(weights, draft / "weights.safetensors")
        np.savez_compressed(draft / "arrays.npz", **arrays)
        (draft / "README.md").write_text(card)
        checksums = {name: _sha256(draft / name) for name in _FILES}
        (draft / SUMS).write_text(json.dumps(checksums, indent=1))
    return folder


def read_bundle(folder: str | Path) -> tuple[str, dict[str, object], dict[str, object]]:
    """Read a bundle that `write_bundle` wrote.

    Returns
    -------
    estimator : str
        Name of the estimator's class.
    config : dict
        The configuration, arrays included.
    tensors : dict of str to Tensor
        The network's state.

    Raises
    ------
    BundleError
        If the folder is not a bundle, was edited or damaged, or comes from a newer release.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    _put_back(folder)
    if not (folder / "config.json").is_file() or not (folder / SUMS).is_file():
        raise BundleError(
            "no saved model here", file=folder, expected=f"a folder with config.json and {SUMS}"
        )
    body = _read_json(folder / "config.json")
    if _format(body) > FORMAT:  # its files may be others than those of this release
        raise BundleError(
            "saved by a newer release",
            file=folder,
            expected=f"format {FORMAT} or older",
            got=body["format"],
            hint="upgrade mmfusion",
        )
    _check_sums(folder)
    if not _format(body):
        raise BundleError("names no format", file=folder / "config.json", got=body.get("format"), hint=_AGAIN)
    for name in ("weights.safetensors", "arrays.npz"):
        check_memory((folder / name).stat().st_size, "the saved model", file=folder / name, error=BundleError)
    try:
        arrays = read_arrays(folder / "arrays.npz", array_names(body["state"]))
        tensors = load_file(folder / "weights.safetensors")
        return body["estimator"], join(body["state"], arrays), tensors
    except (*_DAMAGE, SafetensorError) as error:
        raise BundleError("cannot be read", file=folder, got=error, hint=_AGAIN) from error


def is_whole(folder: str | Path) -> bool:
    """Return True if a folder is a bundle whose files are as they were saved.

    Examples
    --------
    >>> is_whole("a folder that does not exist")
    False
    """
    folder = Path(folder)
    _put_back(folder)
    try:
        _check_sums(folder)
    except BundleError:
        return False
    return True


def register_estimator(name: str, module: str) -> None:
    """Allow saved models of a class; `load` refuses all others, and imports nothing that a file names.

    Parameters
    ----------
    name : str
        Name of the class. It has a class method `from_bundle(state, tensors)` that returns the fitted model.
    module : str
        Importable module that the class is an attribute of.

    Raises
    ------
    BundleError
        If the name belongs to another module.
    """
    if ESTIMATORS.setdefault(name, module) != module:
        raise BundleError(
            f"two kinds of model are called {name}", expected=ESTIMATORS[name], got=module, hint="rename one"
        )


def load(folder: str | Path) -> object:
    """Load a fitted model. It gives the same probabilities as when it was saved.

    Parameters
    ----------
    folder : path
        A folder that a fitted estimator's `save` wrote.

    Raises
    ------
    BundleError
        If the folder is not a bundle, was edited or damaged, or comes from a newer release.
    """
    estimator, state, tensors = read_bundle(folder)
    if estimator not in tuple(ESTIMATORS):
        raise BundleError(
            "holds an unknown kind of model", file=folder, got=estimator, expected=", ".join(ESTIMATORS)
        )
    return getattr(import_module(ESTIMATORS[estimator]), estimator).from_bundle(state, tensors)


def _put_back(folder: Path) -> None:
    """Put an older bundle back to its name if a process was killed while it replaced it."""
    if not folder.exists():
        sweep(folder.parent)


def _check_replaceable(folder: Path) -> None:
    """Raise `BundleError` unless the folder holds the files of a bundle and no others."""
    if not _is_bundle(folder):
        raise BundleError("this exists and is not a saved model", file=folder, hint="choose another name")
    if others := sorted({path.name for path in folder.iterdir()} - {*_FILES, SUMS}):
        got, hint = ", ".join(others[:5]), "move them, or choose another name"
        raise BundleError("other files lie beside the model saved here", file=folder, got=got, hint=hint)


def _is_bundle(folder: Path) -> bool:
    """Return whether the config says that this library wrote the folder."""
    if not (folder / "config.json").is_file() or not (folder / SUMS).is_file():
        return False
    try:
        body = _read_json(folder / "config.json")
    except BundleError:
        return False
    return _format(body) > 0 and body.get("estimator") in tuple(ESTIMATORS)


def _check_sums(folder: Path) -> None:
    """Raise `BundleError` unless every file of a bundle is as it was saved."""
    sums = _read_json(folder / SUMS)
    if set(sums) != set(_FILES):
        expected = ", ".join(_FILES)
        problem, got = "does not list the bundle's files: edited or damaged", ", ".join(sums) or "none"
        raise BundleError(problem, file=folder / SUMS, expected=expected, got=got, hint=_AGAIN)
    for name in _FILES:
        path = folder / name
        if not path.is_file() or _sha256(path) != sums[name]:
            raise BundleError("edited or damaged since it was saved", file=path, hint=_AGAIN)


def _format(body: Mapping[str, object]) -> int:
    """Return the format version that a bundle names, 1 or above; 0 if it names none."""
    value = body.get("format")
    return value if type(value) is int and value > 0 else 0


def _read_json(path: Path) -> dict[str, object]:
    try:
        check_memory(20.0 * path.stat().st_size, "the file", file=path, error=BundleError)
        value = parse_json(path.read_bytes(), depth=_DEPTH, nan=True)
    except BundleError:
        raise
    except (OSError, ValueError) as error:
        raise BundleError("is not JSON: edited or damaged", file=path, got=error, hint=_AGAIN) from error
    if not isinstance(value, dict):
        raise BundleError(
            "is not a JSON object: edited or damaged", file=path, got=type(value).__name__, hint=_AGAIN
        )
    return value


def _sha256(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError as error:
        raise BundleError("cannot be read", file=path, got=error.strerror or error) from error
