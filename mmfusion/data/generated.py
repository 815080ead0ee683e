"""Generated cohorts: made once, written as files, and loaded from these files like a user's own data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from mmfusion import __version__
from mmfusion.data.assemble import assemble
from mmfusion.data.cohort import Cohort
from mmfusion.data.export import write_cohort
from mmfusion.data.manifest import check_hashes, read_manifest
from mmfusion.errors import DataError, ManifestError
from mmfusion.storage.atomic import atomic_folder, writing
from mmfusion.storage.hashing import hash_json


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
        If there is no such generator, or it does not take a parameter.
    DataError
        If the files cannot be written.
    """
    make, version = _generator(entry)
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
    facts = json.loads((home / "provenance.json").read_text(encoding="utf-8"))
    manifest = read_manifest(home / "files" / "manifest.csv")
    check_hashes(manifest, home / "files")
    cohort = assemble(manifest, home / "files")
    provenance = {**cohort.provenance, **facts["provenance"]}
    return replace(cohort, target=target or facts["target"], provenance=provenance)


def _generator(entry: str) -> tuple[Callable, object]:
    module_name, _, function = entry.partition(":")
    if not module_name.startswith("mmfusion."):
        raise ManifestError("a generator must be part of mmfusion", column="generator", got=repr(entry))
    try:
        module = import_module(module_name)
        return getattr(module, function), module.VERSION
    except (ImportError, AttributeError) as error:
        raise ManifestError("no such generator", column="generator", got=repr(entry)) from error


def _write_generated(make: Callable, parameters: dict, home: Path) -> None:
    version = parameters.get("version")
    try:
        cohort, optimum = make(**{k: v for k, v in parameters.items() if k != "version"})
    except TypeError as error:
        raise ManifestError(
            f"the generator refuses its parameters ({error})", column="parameters", got=parameters
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
        with writing(home), atomic_folder(home) as draft:
            write_cohort(cohort, draft / "files")
            (draft / "provenance.json").write_text(json.dumps(facts), encoding="utf-8")
    except DataError:
        if not home.exists():  # if it exists, another process wrote the same files first
            raise
