"""Read the files of a manifest into a cohort."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.manifest import SCAN_ROLES, resolve
from mmfusion.data.persons import person_ids
from mmfusion.data.tables.cells import to_numbers
from mmfusion.data.tables.files import header_key
from mmfusion.data.tables.labels import read_outcomes
from mmfusion.data.tables.readers import read_ehr_table, read_features, read_rna
from mmfusion.data.targets.base import registered_targets
from mmfusion.data.targets.expression import PREFIX
from mmfusion.data.targets.stage import target_labels
from mmfusion.errors import DataError, ManifestError
from mmfusion.modalities import META, SEED

EXPRESSION_UNITS = {"log": "the logarithm that was recorded", "zscore": "the z-scores that were recorded"}
SEED_HEADERS = {f"{head}{axis}": name for head in ("seed ", "coord") for axis, name in zip("xyz", SEED)}


def assemble(
    manifest: pd.DataFrame,
    root: Path,
    target: str | None = None,
    *,
    edition: int | None = None,
    allow_leaky: bool = False,
) -> Cohort:
    """Read the files of one data set into a cohort.

    Parameters
    ----------
    manifest : DataFrame
        Rows of one data set, as `read_manifest` returns them.
    root : path
        Folder from which the paths start.
    target : str, optional
        Name of a target. Default: I < II < III < IV if a patient has stage IV, else I < II < III, both under
        the AJCC edition. If the labels have no stages, the first target for which they have a column.
    edition : {7, 8, 9}
        AJCC edition of the stages, T, N and M in the labels. If a table has no stage, its T, N and M are
        turned into a stage by this edition. Default: the one that the rows of labels state in the column
        `parameters`, as `write_cohort` does, or 7.
    allow_leaky : bool
        Keep T, N and M of the EHR table among the inputs.

    Returns
    -------
    Cohort
        All patients of the tables. `groups["patient"]` is the person's id (`mmfusion.data.persons`).

    Raises
    ------
    ManifestError
        If the patient of a scan is in no table, a patient has two sites, an RNA table has no unit, or a row
        is derived from an unknown file.
    DataError
        If a table cannot be read.
    """
    stated = _stated_editions(manifest) if edition is None else (edition,)
    edition = stated[0]
    reader = _Reader(root, edition, allow_leaky=allow_leaky)
    rows = list(manifest.itertuples(index=False))
    for row in sorted(rows, key=lambda r: r.role in SCAN_ROLES):
        reader.read(row)
    patients = reader.patients(rows)
    blocks = {
        m: pd.concat([p.reindex(patients) for p in parts], axis=1) for m, parts in reader.blocks().items()
    }
    outcomes = reader.outcomes(patients)
    site = blocks.get(META, pd.DataFrame(index=patients)).reindex(columns=["site"])
    return Cohort(
        name=manifest["dataset"].iloc[0],
        table=pd.concat(blocks, axis=1),
        outcomes=outcomes,
        target=target or _usual_target(outcomes, edition),
        units=reader.units,
        groups=site.assign(patient=person_ids(rows, patients)),
        provenance={
            "files": {r.path: r.sha256 for r in rows if r.role not in SCAN_ROLES},
            "license": ", ".join(sorted({r.license for r in rows} - {""})),
            "notes": tuple(reader.notes),
            "ajcc_edition": edition if len(stated) == 1 else " and ".join(map(str, stated)),
            "leaky": allow_leaky,
            **reader.facts,
        },
    )


class _Reader:
    """Reader of a manifest's rows, which collects the parts of each block."""

    def __init__(self, root: Path, edition: int, *, allow_leaky: bool) -> None:
        self.root, self.edition, self.allow_leaky = root, edition, allow_leaky
        # (modality, "features", "seeds" or a role of scans) -> tables of different patients
        self.parts: dict[tuple[str, str], list[pd.DataFrame]] = {}
        self.labels: list[pd.DataFrame] = []
        self.facts: dict[str, str] = {}
        self.units: dict[str, str] = {}
        self.notes: list[str] = []
        self.sites: dict[str, str] = {}

    def read(self, row) -> None:
        path = resolve(row.path, self.root)
        if row.site and row.patient_id and self.sites.setdefault(row.patient_id, row.site) != row.site:
            got = f"{self.sites[row.patient_id]} and {row.site}"
            raise ManifestError("two sites for one patient", patient=row.patient_id, column="site", got=got)
        if row.role in SCAN_ROLES:
            cells = {row.role: str(path)} | ({f"{row.role}_part": row.part} if row.part else {})
            self._add(row.modality, row.role, pd.DataFrame(cells, index=[row.patient_id]))
        elif row.role == "labels":
            self._labels(row, path)
        elif row.role == "seeds":
            self._add(row.modality, "seeds", _seeds(path, row.patient_id or None))
        elif row.role == "features":
            self._add(row.modality, "features", self._features(row, path))

    def _labels(self, row, path: Path) -> None:
        labels = read_outcomes(path, self.edition)
        for before in self.labels:  # a patient may be in two tables if these have different outcomes
            twice = before.index.intersection(labels.index)
            if len(twice) and set(before) & set(labels):
                raise DataError("labelled twice", patient=twice[0], file=path)
        self.labels.append(labels)
        if row.unit and any(c.startswith(PREFIX) for c in labels):
            self.facts["expression_unit"] = EXPRESSION_UNITS.get(row.unit, row.unit)

    def outcomes(self, patients: pd.Index) -> pd.DataFrame:
        """Return the outcomes of all tables of labels; without a table, an empty column `stage`."""
        columns = list(dict.fromkeys(c for labels in self.labels for c in labels))
        if not columns:
            return pd.DataFrame({"stage": pd.Series(index=patients, dtype="str")})
        joined = {c: pd.concat([labels[c] for labels in self.labels if c in labels]) for c in columns}
        return pd.DataFrame({c: values.reindex(patients) for c, values in joined.items()})

    def _labelled(self) -> list[str]:
        return list(dict.fromkeys(p for labels in self.labels for p in labels.index))

    def _features(self, row, path: Path) -> pd.DataFrame:
        patient = row.patient_id or None
        if row.modality == "rna":
            if not row.unit:
                hint = "fill in the manifest's unit cell: counts, tpm, fpkm, log or zscore"
                raise ManifestError("the RNA table has no unit", file=path, column="unit", hint=hint)
            if self.units.setdefault("rna", row.unit) != row.unit:
                raise ManifestError("RNA in two units", file=path, expected=self.units["rna"], got=row.unit)
            return read_rna(path, patient, patients=self._labelled(), unit=row.unit)
        if row.modality == "ehr":
            table = read_ehr_table(path, patient, allow_leaky=self.allow_leaky)
            if table.left_out:
                self.notes.append(
                    f"{row.path}: columns left out, as they reveal the stage or follow the diagnosis: "
                    f"{', '.join(table.left_out)}"
                )
            if not table.meta.empty:
                self._add(META, "features", table.meta)
            return table.features
        if row.unit:
            self.units[row.modality] = row.unit
        return read_features(path, patient)

    def _add(self, modality: str, what: str, frame: pd.DataFrame) -> None:
        self.parts.setdefault((modality, what), []).append(frame)

    def blocks(self) -> dict[str, list[pd.DataFrame]]:
        """Return the parts of each modality, to be put side by side; the rows of a part are joined."""
        blocks: dict[str, list[pd.DataFrame]] = {}
        for (modality, what), frames in self.parts.items():
            joined = pd.concat(frames)
            if joined.index.has_duplicates:
                patient = joined.index[joined.index.duplicated()][0]
                raise DataError(
                    f"two tables give {modality} {what}", patient=patient, hint="keep one row per patient"
                )
            blocks.setdefault(modality, []).append(joined)
        if self.sites and not any("site" in f for f in blocks.get(META, [])):
            blocks.setdefault(META, []).append(pd.DataFrame({"site": pd.Series(self.sites, dtype="str")}))
        if not set(blocks) - {META}:
            raise ManifestError("no scans and no features", hint="list volumes or tables in the manifest")
        return blocks

    def patients(self, rows: list) -> pd.Index:
        """Return all patients of the tables, or the patients of the scans if there are no tables."""
        tables = [
            f.index
            for (_, what), frames in self.parts.items()
            if what in {"features", "seeds"}
            for f in frames
        ]
        scans = pd.Index([r.patient_id for r in rows if r.role in SCAN_ROLES])
        named = [r.patient_id for r in rows if r.patient_id and r.role not in SCAN_ROLES]
        known = pd.Index(
            pd.unique(
                pd.Series([*self._labelled(), *(p for index in tables for p in index), *named], dtype="str")
            )
        )
        unlisted = scans.difference(known)
        if len(known) and len(unlisted):
            hint = "add the patient to the labels (the stage may stay empty), or correct the id"
            raise ManifestError("a scan's patient is in no table", patient=", ".join(unlisted[:5]), hint=hint)
        return (known if len(known) else scans.unique()).rename("patient_id")


def _stated_editions(manifest: pd.DataFrame) -> tuple[int, ...]:
    """Return the AJCC editions that the rows of labels state; (7,) if none states one."""
    cells = manifest.loc[manifest["role"] == "labels", "parameters"]
    found = {tuple(json.loads(cell or "{}").get("ajcc_edition", [7])) for cell in cells}
    if len(found) > 1:
        got = "; ".join(", ".join(map(str, editions)) for editions in sorted(found))
        hint = "give the edition: load_cohort(..., edition=)"
        raise ManifestError("labels of several AJCC editions", column="parameters", got=got, hint=hint)
    return found.pop() if found else (7,)


def _usual_target(outcomes: pd.DataFrame, edition: int) -> str:
    if "stage" in outcomes:
        four = f"stage4_ajcc{edition}"
        return four if (target_labels(outcomes["stage"], four) == "IV").any() else f"stage3_ajcc{edition}"
    return next((name for name in registered_targets() if name in outcomes), "expression")


def _seeds(path: Path, patient: str | None) -> pd.DataFrame:
    table = read_features(path, patient).rename(columns=lambda c: SEED_HEADERS.get(header_key(c), c))
    absent = [c for c in SEED if c not in table]
    if absent:
        raise DataError(
            "not seed points", file=path, column=", ".join(absent), expected=f"{', '.join(SEED)} in LPS mm"
        )
    return table[list(SEED)].apply(lambda c: to_numbers(c, c.name, path))
