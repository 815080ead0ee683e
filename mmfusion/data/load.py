"""Load a cohort from a manifest, or a known cohort by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from mmfusion.data.assemble import assemble
from mmfusion.data.cohort import Cohort
from mmfusion.data.generated import generate
from mmfusion.data.manifest import check_hashes, read_manifest, resolve
from mmfusion.data.manifest_schema import parameters_of
from mmfusion.data.sources import sources
from mmfusion.errors import DataError, ManifestError, MMFusionError, TableWarning, did_you_mean, warn


def load_cohort(
    source: str | Path, root: str | Path | None = None, target: str | None = None, **options: object
) -> Cohort:
    """Load a cohort from a manifest, or a known cohort by its name.

    Parameters
    ----------
    source : path or str
        A manifest (`mmfusion.data.manifest`), or the name of a known cohort: "radiogenomics", "lung1",
        "r01_egfr", "tcga_luad", "demo"; of lesions with masks: "lidc", "msd_lung", "autopet", "4d_lung",
        "nnunet", "sts_petct"; "lesion_phantom" and "radiomics_phantom", synthetic.
    root : path, optional
        For a manifest: the folder from which its paths start; default, the folder of the manifest. For a
        known cohort: the folder of its files.
    target : str, optional
        Name of a target (`mmfusion.list_targets()`); default, the target of the cohort.
    **options
        For a known cohort: see its reader in `mmfusion.data.sources`. For a manifest: `dataset`, the name of
        one data set if the manifest has several; `edition`, the AJCC edition of its stages, T, N and M (7, 8
        or 9; default the one that the manifest or a header states, or 7); `allow_leaky`, to keep T, N and M
        among the inputs; `verify=False`, to skip the check of hashes; `problems`, a list that takes the
        errors of single files, which are then left out.

    Returns
    -------
    Cohort

    Raises
    ------
    DataError, ManifestError
        If a file is absent, has changed or cannot be read, if two modalities share no patient, or two tables
        of one modality share no column. The error names file, patient and column.

    Warns
    -----
    TableWarning
        If modalities share few patients, or tables of one modality share few columns. The warnings are among
        `Cohort.notes` too.
    """
    known = sources()
    if isinstance(source, str) and source in known:
        cohort = known[source](root, **options)
        return cohort if target is None else cohort.with_target(target)
    path = Path(source)
    if path.is_dir() or (not path.is_file() and path.suffix != ".csv"):
        expected = f"a manifest, or one of {', '.join(known)}"
        hint = f"make a manifest with: mmfusion init {path}" if path.is_dir() else did_you_mean(source, known)
        raise DataError("no such cohort", got=str(source), expected=expected, hint=hint)
    return from_manifest(path, root, target, **options)


def from_manifest(
    path: str | Path,
    root: str | Path | None = None,
    target: str | None = None,
    *,
    dataset: str | None = None,
    verify: bool = True,
    problems: list[MMFusionError] | None = None,
    **options: object,
) -> Cohort:
    """Load a cohort from a manifest; parameters and errors as in `load_cohort`."""
    manifest = _of_dataset(read_manifest(path), dataset, path)
    # absolute, since a worker process may have another working folder
    root = (Path(path).parent if root is None else Path(root)).absolute()
    generators = manifest[manifest["role"] == "generator"]
    if len(generators):
        row = generators.iloc[0]
        parameters = {**parameters_of(row["parameters"]), **options}
        folder = resolve(row["path"], root)
        if not folder.resolve().is_relative_to(root.resolve()):
            problem, hint = "a link leads out of the manifest's folder", "nothing is written there"
            raise ManifestError(problem, file=path, column="path", got=row["path"], hint=hint)
        return generate(row["generator"], parameters, folder, target)
    if verify:
        check_hashes(manifest, root)
    cohort = assemble(manifest, root, target, problems=problems, **options)
    if problems is None:  # else the caller shows them
        for text in cohort.provenance["warnings"]:
            warn(f"{path}: {text}", TableWarning, stacklevel=3)
    return replace(cohort, provenance={"source": str(path), **cohort.provenance})


def _of_dataset(manifest: pd.DataFrame, dataset: str | None, path: str | Path) -> pd.DataFrame:
    names = list(manifest["dataset"].unique())
    if not names:
        raise ManifestError("the manifest has no rows", file=path)
    if dataset is None and len(names) > 1:
        raise ManifestError(
            "several data sets", file=path, got=", ".join(names), hint="choose one with dataset="
        )
    if dataset is not None and dataset not in names:
        hint = did_you_mean(dataset, names)
        raise ManifestError("no such data set", file=path, expected=", ".join(names), got=dataset, hint=hint)
    return manifest if dataset is None else manifest[manifest["dataset"] == dataset]
