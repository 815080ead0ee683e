"""Generated cohorts: made once, written as files, and loaded from these files like a user's own data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path

from mmfusion import __version__
from mmfusion.data.assemble import assemble
from mmfusion.data.cohort import Cohort
from mmfusion.data.export import write_cohort
from mmfusion.data.manifest import check_hashes, read_manifest
from mmfusion.errors import DataError, ManifestError
from mmfusion.storage.atomic import atomic_folder
from mmfusion.storage.hashing import hash_json
from mmfusion.storage.strict_json import parse_json

GENERATORS = ("mmfusion.synthetic:phantom",)  # the only functions that a manifest may call
_NOT_GIVEN = ("root",)  # parameters of a generator that say where to write


def generate(entry: str, parameters: dict, folder: Path, target: str | None = None) -> Cohort:
    """Make the files of a generated cohort, unless they exist, and load them like a user's own data.

    Parameters
    ----------
    entry : str
        "mmfusion.<module>:<function>". The function returns a cohort and its optimum. The module has a
        constant `VERSION`, the version of the cohorts that it makes.
    parameters : dict
        Keyword arguments of the function. `version`, if given, must be equal to `VERSION`.
    folder : path
        Parent folder. Each release, version of the generator and set of parameters has a folder of its own
        below it.
    target : str, optional
        Name of a target; default, the target that the generator sets.

    Raises
    ------
    ManifestError
        If there is no such generator, or it does not take a parameter, or the parameter says where to write.
    DataError
        If a parameter is out of range, or the files cannot be written.
    """
    make, version = _generator(entry)
    _check_parameters(make, parameters)
    home = folder / hash_json([__version__, version, entry, parameters])[:12]
    if not home.exists():
        try:
            _write_generated(make, parameters, home)
        except OSError as error:
            hint = "free some space, or set MMFUSION_CACHE to a folder that can be written"
            got = error.strerror or error
            raise DataError(
                "a generated cohort cannot be written", file=folder, got=got, hint=hint
            ) from error
    facts = _facts(home)
    manifest = read_manifest(home / "files" / "manifest.csv")
    check_hashes(manifest, home / "files")
    cohort = assemble(manifest, home / "files")
    provenance = {**cohort.provenance, **facts["provenance"]}
    return replace(cohort, target=target or facts["target"], provenance=provenance)


def _facts(home: Path) -> dict:
    """Return what the generator recorded about its cohort.

    Raises
    ------
    ManifestError
        If the record was edited or damaged.
    """
    record = home / "provenance.json"
    try:
        facts = parse_json(record.read_text(encoding="utf-8"), nan=True)
        return {"target": str(facts["target"]), "provenance": dict(facts["provenance"])}
    except (OSError, ValueError, LookupError, TypeError) as error:
        hint = f"delete {home}, and it is made again"
        raise ManifestError(
            "a generated cohort was edited or damaged", file=record, got=error, hint=hint
        ) from error


def _generator(entry: str) -> tuple[Callable, object]:
    if entry not in GENERATORS:
        expected = " or ".join(GENERATORS)
        raise ManifestError("no such generator", column="generator", expected=expected, got=repr(entry))
    module_name, _, function = entry.partition(":")
    module = import_module(module_name)
    return getattr(module, function), module.VERSION


def _check_parameters(make: Callable, parameters: Mapping[str, object]) -> None:
    """Raise `ManifestError` if the generator does not take a parameter, or it says where to write."""
    known = [name for name in signature(make).parameters if name not in _NOT_GIVEN]
    where = {"column": "parameters", "expected": ", ".join([*known, "version"])}
    if refused := sorted(set(parameters) & set(_NOT_GIVEN)):
        hint = "a manifest writes only below its own folder, at its path"
        raise ManifestError(
            f"the generator does not take these parameters ({', '.join(refused)})",
            **where,
            got=parameters,
            hint=hint,
        )
    if unknown := sorted(set(parameters) - {*known, "version"}):
        text = f"the generator does not take these parameters (unknown: {', '.join(unknown)})"
        raise ManifestError(text, **where, got=parameters)


def _write_generated(make: Callable, parameters: dict, home: Path) -> None:
    version = parameters.get("version")
    try:
        cohort, optimum = make(**{k: v for k, v in parameters.items() if k != "version"})
    except TypeError as error:
        raise ManifestError(
            f"the generator does not take these parameters ({error})", column="parameters", got=parameters
        ) from error
    if version is not None and version != cohort.provenance.get("version"):
        hint = "this release makes different files from these parameters: change version in the manifest"
        raise ManifestError(
            "another version",
            column="parameters",
            expected=cohort.provenance.get("version"),
            got=version,
            hint=hint,
        )
    facts = {
        "target": cohort.target,
        "provenance": {**cohort.provenance, "optimum": dict(optimum["macro_auc"])},
    }
    try:
        with atomic_folder(home) as draft:
            write_cohort(cohort, draft / "files")
            (draft / "provenance.json").write_text(json.dumps(facts), encoding="utf-8")
    except (DataError, OSError):
        if not home.exists():  # if it exists, another process wrote the same files first
            raise
