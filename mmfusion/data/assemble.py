"""Join the tables and scans of a manifest into a cohort."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from mmfusion.data.blocks import presence
from mmfusion.data.cohort import Cohort
from mmfusion.data.keys import unify
from mmfusion.data.manifest_schema import SCAN_ROLES, UNUSED, parameters_of
from mmfusion.data.overlap import shared_columns, shared_patients
from mmfusion.data.persons import person_ids
from mmfusion.data.rows import RowReader
from mmfusion.data.tables.notes import listed
from mmfusion.data.targets.ajcc import EDITIONS
from mmfusion.data.targets.base import is_labelled, registered_targets
from mmfusion.data.targets.stage import target_labels
from mmfusion.errors import DataError, ManifestError, MMFusionError
from mmfusion.modalities import IMAGING, META


def assemble(
    manifest: pd.DataFrame,
    root: Path,
    target: str | None = None,
    *,
    edition: int | None = None,
    allow_leaky: bool = False,
    problems: list[MMFusionError] | None = None,
) -> Cohort:
    """Read the files of one data set into a cohort.

    Ids of different tables that differ only in spelling are made equal (`mmfusion.data.keys`), and a note
    says so. Modalities that share few patients, and tables of one modality that share few columns, are
    warnings.

    Parameters
    ----------
    manifest : DataFrame
        Rows of one data set, as `read_manifest` returns them.
    root : path
        Folder from which the paths start.
    target : str, optional
        Name of a target. Default: the one that the rows of labels state in the column `parameters`. If none
        is stated: I < II < III < IV if a patient has stage IV, else I < II < III, both under the AJCC
        edition. If the labels have no stages, the first target for which they have a column.
    edition : {7, 8, 9}
        AJCC edition of the stages, T, N and M in the labels. If a table has no stage, its T, N and M are
        turned into a stage by this edition. Default: the one that the rows of labels state in the column
        `parameters`, as `write_cohort` does; or the one in the header of the stage; or 7.
    allow_leaky : bool
        Keep T, N and M of the EHR table among the inputs.
    problems : list, optional
        If given, the errors of single files, and of files that do not fit each other, are added to this list,
        and the files are left out. By default, the first error is raised.

    Returns
    -------
    Cohort
        All patients of the tables. `groups["patient"]` is the person's id (`mmfusion.data.persons`).
        `provenance` has lines of text in "notes", "warnings" and "not_used" (tables that are not used).

    Raises
    ------
    ManifestError
        If the patient of a scan is in no table, a patient has two sites, an RNA table has no unit, or a row
        is derived from an unknown file.
    DataError
        If a table cannot be read, a patient has several tumour samples in one table, two modalities share no
        patient, or two tables of one modality share no column.
    """
    stated = _stated(manifest, "ajcc_edition") if edition is None else [edition]
    assumed = next((e for e in stated if e in EDITIONS), 7)
    reader = RowReader(root, assumed, stated=bool(stated), allow_leaky=allow_leaky, problems=problems)
    rows = list(manifest.itertuples(index=False))
    reader.read_all(rows)
    spelling = unify(reader.ids())
    for conflict in spelling.conflicts:
        reader.fail(conflict)
    reader.respell(spelling)
    rows = [
        r._replace(patient_id=spelling.of(r.patient_id), derived_from=spelling.of(r.derived_from))
        for r in rows
        if r.patient_id not in spelling.dropped
    ]
    reader.notes += spelling.notes
    reader.warnings += spelling.problems
    _compare(reader)
    patients = _patients(reader, rows)
    blocks = {
        m: pd.concat([p.reindex(patients) for p in parts], axis=1) for m, parts in _blocks(reader).items()
    }
    outcomes = reader.outcomes(patients)
    table = pd.concat(blocks, axis=1)
    reader.warnings += _without_labels(table, outcomes)
    site = blocks.get(META, pd.DataFrame(index=patients)).reindex(columns=["site"])
    return Cohort(
        name=manifest["dataset"].iloc[0],
        table=table,
        outcomes=outcomes,
        target=target or _stated_target(manifest) or _usual_target(outcomes, reader.edition),
        units=reader.units,
        groups=site.assign(patient=person_ids(rows, patients)),
        provenance={
            "files": {r.path: r.sha256 for r in rows if r.role not in (*SCAN_ROLES, UNUSED)},
            "license": ", ".join(sorted({r.license for r in rows} - {""})),
            "notes": tuple(reader.notes),
            "warnings": tuple(reader.warnings),
            "not_used": tuple(f"not used: {listed(files)}: {why}" for why, files in reader.not_used.items()),
            "ajcc_edition": " and ".join(map(str, stated)) if len(stated) > 1 else reader.edition,
            "leaky": allow_leaky,
            **reader.facts,
        },
    )


def _compare(reader: RowReader) -> None:
    """Note how many patients and columns the parts of a cohort share; warn of few, fail at none."""
    has: dict[str, set[str]] = {"labels": set(reader.labelled())}
    for (modality, what), frames in reader.parts.items():
        if what in ("features", "volume"):
            has.setdefault(modality, set()).update(*(frame.index for _, frame in frames))
    found = [shared_patients(has)]
    for modality in IMAGING:
        seeds = [frame.index for _, frame in reader.parts.get((modality, "seeds"), ())]
        if seeds and not has.get(modality):
            reader.notes.append(f"there are seeds of {modality}, but no {modality} scans")
        elif seeds:
            pair = {f"{modality} seeds": set().union(*seeds), modality: has[modality]}
            found.append(replace(shared_patients(pair), note=""))
    found += [shared_columns(modality, files) for modality, files in reader.files.items()]
    for overlap in found:
        reader.notes += [overlap.note] if overlap.note else []
        reader.warnings += overlap.warnings
        for error in overlap.errors:
            reader.fail(error)


def _blocks(reader: RowReader) -> dict[str, list[pd.DataFrame]]:
    """Return the parts of each modality, to be put side by side; the rows of a part are joined."""
    blocks: dict[str, list[pd.DataFrame]] = {}
    for (modality, what), frames in reader.parts.items():
        joined = pd.concat([frame for _, frame in frames])
        if joined.index.has_duplicates:
            twice = joined.index[joined.index.duplicated()].unique()
            files = sorted({source for source, frame in frames if frame.index.isin(twice).any()})
            reader.fail(
                DataError(
                    f"two tables give {modality} {what}",
                    patient=listed(twice),
                    file=listed(files),
                    hint="keep one row per patient, or one of the tables in the manifest",
                )
            )
            joined = joined[~joined.index.duplicated()]
        blocks.setdefault(modality, []).append(joined)
    if reader.sites and not any("site" in f for f in blocks.get(META, [])):
        blocks.setdefault(META, []).append(pd.DataFrame({"site": pd.Series(reader.sites, dtype="str")}))
    if not set(blocks) - {META}:
        raise ManifestError("no scans and no features", hint="list volumes or tables in the manifest")
    return blocks


def _patients(reader: RowReader, rows: list) -> pd.Index:
    """Return all patients of the tables, or the patients of the scans if there are no tables."""
    tables = [
        frame.index
        for (_, what), frames in reader.parts.items()
        if what in {"features", "seeds"}
        for _, frame in frames
    ]
    scans = pd.Index([r.patient_id for r in rows if r.role in SCAN_ROLES])
    named = [r.patient_id for r in rows if r.patient_id and r.role not in SCAN_ROLES]
    ids = [*reader.labelled(), *(p for index in tables for p in index), *named]
    known = pd.Index(pd.unique(pd.Series(ids, dtype="str")))
    unlisted = scans.difference(known)
    if len(known) and len(unlisted):
        hint = "add the patient to the labels (the stage may stay empty), or correct the id"
        patient = ", ".join(unlisted[:5])
        reader.fail(ManifestError("a scan's patient is in no table", patient=patient, hint=hint))
    return (known if len(known) else scans.unique()).rename("patient_id")


def _without_labels(table: pd.DataFrame, outcomes: pd.DataFrame) -> list[str]:
    """Return a warning for each modality of which no patient has an outcome, if others have one."""
    known, has = is_labelled(outcomes), presence(table)
    return [
        f"none of the {int(has[modality].sum())} patients with {modality} has a label"
        for modality in has
        if known.any() and has[modality].any() and not (has[modality] & known).any()
    ]


def _stated(manifest: pd.DataFrame, key: str) -> list:
    """Return what the rows of labels state about their AJCC edition or target; [] if none states it."""
    cells = manifest.loc[manifest["role"] == "labels", "parameters"]
    values = [parameters_of(cell).get(key, []) for cell in cells]
    found = {tuple(value if isinstance(value, list) else [value]) for value in values} - {()}
    if len(found) > 1:
        got = "; ".join(", ".join(map(str, value)) for value in sorted(found))
        hint = "give the edition: load_cohort(..., edition=)"
        raise ManifestError("labels of several AJCC editions", column="parameters", got=got, hint=hint)
    return list(found.pop()) if found else []


def _stated_target(manifest: pd.DataFrame) -> str | None:
    cells = manifest.loc[manifest["role"] == "labels", "parameters"]
    found = {parameters_of(cell).get("target") for cell in cells} - {None}
    return found.pop() if len(found) == 1 else None


def _usual_target(outcomes: pd.DataFrame, edition: int) -> str:
    if "stage" in outcomes:
        four = f"stage4_ajcc{edition}"
        return four if (target_labels(outcomes["stage"], four) == "IV").any() else f"stage3_ajcc{edition}"
    return next((name for name in registered_targets() if name in outcomes), "expression")
