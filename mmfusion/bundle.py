"""A saved model on disk: a folder of JSON, safetensors and npz; nothing in it is executed on loading."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import numpy as np

from mmfusion.atomic import atomic_folder
from mmfusion.errors import BundleError

FORMAT = 1
# the only classes that a bundle may name
ESTIMATORS = {"StageClassifier": "mmfusion.staging"}
_FILES = ("config.json", "weights.safetensors", "arrays.npz", "README.md")


def write_bundle(
    folder: str | Path,
    *,
    estimator: str,
    config: Mapping[str, object],
    tensors: Mapping[str, object],
    card: str,
) -> Path:
    """Write a bundle, whole or not at all; a bundle already there is replaced once the new one is complete.

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
        If `folder` exists and is not a bundle, or the disk is full.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    if folder.exists() and not (folder / "config.json").is_file():
        raise BundleError("this exists and is not a saved model", file=folder, hint="choose another name")
    arrays: dict[str, np.ndarray] = {}
    body = {"format": FORMAT, "estimator": estimator, "state": _split(config, arrays)}
    weights = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    try:
        with atomic_folder(folder, replace=True) as draft:
            (draft / "config.json").write_text(json.dumps(body, indent=1, sort_keys=True))
            save_file(weights, draft / "weights.safetensors")
            np.savez_compressed(draft / "arrays.npz", **arrays)
            (draft / "README.md").write_text(card)
            checksums = {name: _sha256(draft / name) for name in _FILES}
            (draft / "checksums.json").write_text(json.dumps(checksums, indent=1))
    except OSError as error:
        raise BundleError("could not be written", file=folder, got=error.strerror, hint="free some space") from error
    return folder


def read_bundle(folder: str | Path) -> tuple[str, dict[str, object], dict[str, object]]:
    """Read what `write_bundle` wrote: estimator's name, config with its arrays, tensors.

    Raises
    ------
    BundleError
        If it is no bundle, was edited or damaged, or comes from a newer release.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    if not (folder / "config.json").is_file() or not (folder / "checksums.json").is_file():
        raise BundleError("no saved model here", file=folder, expected="a folder with config.json and checksums.json")
    body = _read_json(folder / "config.json")
    if body.get("format", 0) > FORMAT:
        raise BundleError(
            "saved by a newer release",
            file=folder,
            expected=f"format {FORMAT} or older",
            got=body["format"],
            hint="upgrade mmfusion",
        )
    for name, expected in _read_json(folder / "checksums.json").items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            raise BundleError("edited or damaged since it was saved", file=path, hint="save the model again")
    try:
        with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, ValueError) as error:
        raise BundleError("cannot be read", file=folder / "arrays.npz", got=error) from error
    return body["estimator"], _join(body["state"], arrays), load_file(folder / "weights.safetensors")


def load(folder: str | Path) -> object:
    """The fitted model saved in `folder`; it gives the probabilities it gave when saved.

    Raises
    ------
    BundleError
        If it is no bundle, was edited or damaged, or comes from a newer release.
    """
    estimator, state, tensors = read_bundle(folder)
    if estimator not in ESTIMATORS:
        raise BundleError("holds an unknown kind of model", file=folder, got=estimator, expected=", ".join(ESTIMATORS))
    return getattr(import_module(ESTIMATORS[estimator]), estimator).from_bundle(state, tensors)


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BundleError("is not JSON: edited or damaged", file=path, got=error) from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
