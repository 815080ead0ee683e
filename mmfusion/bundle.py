"""A saved model on disk: a folder of JSON, safetensors and npz; nothing in it is executed on loading."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import numpy as np

from mmfusion.errors import BundleError
from mmfusion.storage.atomic import atomic_folder
from mmfusion.storage.hashing import hash_file

FORMAT = 1
# the only classes that a bundle may name
ESTIMATORS = {"StageClassifier": "mmfusion.staging"}
_FILES = ("config.json", "weights.safetensors", "arrays.npz", "README.md")
_SUMS = "checksums.json"
_AGAIN = "save the model again"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    OSError,
)  # said by readers


def write_bundle(
    folder: str | Path,
    *,
    estimator: str,
    config: Mapping[str, object],
    tensors: Mapping[str, object],
    card: str,
) -> Path:
    """Write a bundle, whole or not at all; a bundle already there is replaced once the new one is complete.

    What is replaced is a folder of this library's making that holds a bundle's files and no others.

    Parameters
    ----------
    folder : path
        Where it will stand.
    estimator : str
        Name in `ESTIMATORS`.
    config : mapping
        JSON values and numpy arrays, nested as you like; arrays go to `arrays.npz`.
    tensors : mapping of str to Tensor
        The network's state.
    card : str
        The model card, Markdown.

    Raises
    ------
    BundleError
        If `folder` exists and is not a bundle, or holds anything else too, or the disk is full.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    if folder.exists():
        _check_replaceable(folder)
    arrays: dict[str, np.ndarray] = {}
    body = {"format": FORMAT, "estimator": estimator, "state": _split(config, arrays)}
    weights = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    try:
        with atomic_folder(folder.resolve(), replace=True) as draft:  # a link goes on pointing to it
            (draft / "config.json").write_text(json.dumps(body, indent=1, sort_keys=True))
            save_file(weights, draft / "weights.safetensors")
            np.savez_compressed(draft / "arrays.npz", **arrays)
            (draft / "README.md").write_text(card)
            checksums = {name: _sha256(draft / name) for name in _FILES}
            (draft / _SUMS).write_text(json.dumps(checksums, indent=1))
    except OSError as error:
        raise BundleError(
            "could not be written", file=folder, got=error.strerror, hint="free some space"
        ) from error
    return folder


def read_bundle(folder: str | Path) -> tuple[str, dict[str, object], dict[str, object]]:
    """Read what `write_bundle` wrote: estimator's name, config with its arrays, tensors.

    Raises
    ------
    BundleError
        If it is no bundle, was edited or damaged, or comes from a newer release.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    if not (folder / "config.json").is_file() or not (folder / _SUMS).is_file():
        raise BundleError(
            "no saved model here", file=folder, expected=f"a folder with config.json and {_SUMS}"
        )
    body = _read_json(folder / "config.json")
    if _format(body) > FORMAT:  # whose files need not be those of this release
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
    try:
        with (folder / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        tensors = load_file(folder / "weights.safetensors")
        return body["estimator"], _join(body["state"], arrays), tensors
    except (*_DAMAGE, SafetensorError) as error:
        raise BundleError("cannot be read", file=folder, got=error, hint=_AGAIN) from error


def load(folder: str | Path) -> object:
    """The fitted model saved in `folder`; it gives the probabilities it gave when saved.

    Raises
    ------
    BundleError
        If it is no bundle, was edited or damaged, or comes from a newer release.
    """
    estimator, state, tensors = read_bundle(folder)
    if estimator not in tuple(ESTIMATORS):
        raise BundleError(
            "holds an unknown kind of model", file=folder, got=estimator, expected=", ".join(ESTIMATORS)
        )
    return getattr(import_module(ESTIMATORS[estimator]), estimator).from_bundle(state, tensors)


def _check_replaceable(folder: Path) -> None:
    """Raise `BundleError` unless all that would be lost is a bundle."""
    if not _is_bundle(folder):
        raise BundleError("this exists and is not a saved model", file=folder, hint="choose another name")
    if others := sorted({path.name for path in folder.iterdir()} - {*_FILES, _SUMS}):
        got, hint = ", ".join(others[:5]), "move them, or choose another name"
        raise BundleError("other files lie beside the model saved here", file=folder, got=got, hint=hint)


def _is_bundle(folder: Path) -> bool:
    """Whether this library made the folder, going by its config."""
    if not (folder / "config.json").is_file() or not (folder / _SUMS).is_file():
        return False
    try:
        body = _read_json(folder / "config.json")
    except BundleError:
        return False
    return _format(body) > 0 and body.get("estimator") in tuple(ESTIMATORS)


def _check_sums(folder: Path) -> None:
    """Raise `BundleError` unless every file of a bundle is as it was saved."""
    sums = _read_json(folder / _SUMS)
    if set(sums) != set(_FILES):
        expected = ", ".join(_FILES)
        raise BundleError("does not list the bundle's files: edited or damaged", file=folder / _SUMS, expected=expected,
                          got=", ".join(sums) or "none", hint=_AGAIN)  # fmt: skip
    for name in _FILES:
        path = folder / name
        if not path.is_file() or _sha256(path) != sums[name]:
            raise BundleError("edited or damaged since it was saved", file=path, hint=_AGAIN)


def _format(body: Mapping[str, object]) -> int:
    """The format that a bundle names, 1 or above; 0 if it names none."""
    value = body.get("format")
    return value if type(value) is int and value > 0 else 0


def _read_json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
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


def _split(value: object, arrays: dict[str, np.ndarray]) -> object:
    """JSON with arrays put aside; tuples and numpy scalars keep their kind."""
    if isinstance(value, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = value.astype(str) if value.dtype == object else value
        return {"__array__": key}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"__dict__": [[_split(k, arrays), _split(v, arrays)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"__tuple__": [_split(v, arrays) for v in value]}
    if isinstance(value, list):
        return [_split(v, arrays) for v in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise BundleError("cannot be saved: a value has no JSON form", got=type(value).__name__)


def _join(value: object, arrays: Mapping[str, np.ndarray]) -> object:
    if isinstance(value, list):
        return [_join(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        return arrays[value["__array__"]]
    if "__tuple__" in value:
        return tuple(_join(v, arrays) for v in value["__tuple__"])
    return {_join(k, arrays): _join(v, arrays) for k, v in value["__dict__"]}
