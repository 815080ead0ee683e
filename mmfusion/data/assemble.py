"""From a manifest's rows to a cohort."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import META, SEED, Cohort
from mmfusion.data.manifest import SCAN_ROLES, resolve
from mmfusion.data.persons import people
from mmfusion.data.tables.cells import clean_cells, to_numbers
from mmfusion.data.tables.files import by_patient, header_key, id_column, read_table
from mmfusion.data.tables.readers import read_ehr_table, read_features, read_rna
from mmfusion.data.tables.stage_headers import ACCEPTED, stage_columns
from mmfusion.data.targets.stage import TARGETS, normalise_stage, stage_group
from mmfusion.errors import DataError, ManifestError

SEED_HEADERS = {f"{head}{axis}": name for head in ("seed ", "coord") for axis, name in zip("xyz", SEED)}


def assemble(
    manifest: pd.DataFrame,
    root: Path,
    target: str | None = None,
    *,
    edition: int = 7,
    allow_leaky: bool = False,
) -> Cohort:
    """Read the files of one data set.

    Parameters
    ----------
    manifest : DataFrame
        Rows of one data set, as `read_manifest` gives them.
    root : path
        Folder that their paths start from.
    target : str, optional
        Named target; by default I < II < III < IV if any patient has stage IV, else I < II < III.
    edition : {7, 8}
        AJCC edition that turns T, N and M into a stage, where the labels have no stage.
    allow_leaky : bool
        Keep T, N and M of the EHR table among the inputs.

    Returns
    -------
    Cohort
        Patients of any table; `groups["patient"]` joins a row with the patient it is `derived_from`.

    Raises
    ------
    ManifestError
        If a scan's patient is in no table, two sites are given for one patient, an RNA table has no unit, or a row is
        derived from an unknown file.
    DataError
        If a table cannot be read.
    """
    reader = _Reader(root, edition, allow_leaky=allow_leaky)
    rows = list(manifest.itertuples(index=False))
    for row in sorted(rows, key=lambda r: r.role in SCAN_ROLES):
        reader.read(row)
    patients = reader.patients(rows)
    blocks = {
        m: pd.concat([p.reindex(patients) for p in parts], axis=1) for m, parts in reader.blocks().items()
    }
    stage = reader.stage.reindex(patients)
    if target is None:
        target = (
            "stage4_ajcc7" if (stage.map(TARGETS["stage4_ajcc7"].mapping) == "IV").any() else "stage3_ajcc7"
        )
    site = blocks.get(META, pd.DataFrame(index=patients)).reindex(columns=["site"])
    return Cohort(
        name=manifest["dataset"].iloc[0],
        table=pd.concat(blocks, axis=1),
        stage=stage,
        target=target,
        units=reader.units,
        groups=site.assign(patient=people(rows, patients)),
        provenance={
            "files": {r.path: r.sha256 for r in rows if r.role not in SCAN_ROLES},
            "license": ", ".join(sorted({r.license for r in rows} - {""})),
            "notes": tuple(reader.notes),
            "ajcc_edition": edition,
            "leaky": allow_leaky,
        },
    )


class _Reader:
    """Reads row after row, and keeps the parts of each block."""

    def __init__(self, root: Path, edition: int, *, allow_leaky: bool) -> None:
        self.root, self.edition, self.allow_leaky = root, edition, allow_leaky
        self.parts: dict[
            tuple[str, str], list[pd.DataFrame]
        ] = {}  # (modality, what): tables one below another
        self.stage = pd.Series(dtype="str")
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
            self.stage = pd.concat([self.stage, _labels(path, self.edition)])
            if self.stage.index.has_duplicates:
                patient = self.stage.index[self.stage.index.duplicated()][0]
                raise DataError("labelled twice", patient=patient, file=path)
        elif row.role == "seeds":
            self._add(row.modality, "seeds", _seeds(path, row.patient_id or None))
        elif row.role == "features":
            self._add(row.modality, "features", self._features(row, path))

    def _features(self, row, path: Path) -> pd.DataFrame:
        patient = row.patient_id or None
        if row.modality == "rna":
            if not row.unit:
                hint = "fill in the manifest's unit cell: counts, tpm, fpkm, log or zscore"
                raise ManifestError("the RNA table has no unit", file=path, column="unit", hint=hint)
            if self.units.setdefault("rna", row.unit) != row.unit:
                raise ManifestError("RNA in two units", file=path, expected=self.units["rna"], got=row.unit)
            return read_rna(path, patient, patients=list(self.stage.index), unit=row.unit)
        if row.modality == "ehr":
            table = read_ehr_table(path, patient, allow_leaky=self.allow_leaky)
            if table.left_out:
                self.notes.append(
                    f"{row.path}: tell the stage or come after it, left out: {', '.join(table.left_out)}"
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
        """Each modality's parts, side by side; tables of one part joined one below another."""
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
        """Every patient of a table; those of scans must be among them, if there are tables."""
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
                pd.Series([*self.stage.index, *(p for index in tables for p in index), *named], dtype="str")
            )
        )
        strangers = scans.difference(known)
        if len(known) and len(strangers):
            hint = "add the patient to the labels (the stage may stay empty), or correct the id"
            raise ManifestError(
                "a scan's patient is in no table", patient=", ".join(strangers[:5]), hint=hint
            )
        return (known if len(known) else scans.unique()).rename("patient_id")


def _labels(path: Path, edition: int) -> pd.Series:
    """Stage group of each patient of a table of labels."""
    table = read_table(path)
    ids = id_column(table)
    if ids is None:
        raise DataError(
            "no column of patient ids", file=path, expected="patient_id", got=", ".join(table.columns[:5])
        )
    table = by_patient(table, ids, path)
    columns = stage_columns(table)
    if not columns:
        raise DataError(
            "no stage", file=path, expected=f"a column {ACCEPTED}", got=", ".join(table.columns[:5])
        )
    cells = table[columns].apply(clean_cells)
    return cells.apply(lambda row: _stage(row, edition, path), axis=1).astype("str")


def _stage(row: pd.Series, edition: int, path: Path) -> str | None:
    if row.isna().any():
        return None
    if len(row) == 3:
        try:
            return stage_group(*row, edition=edition)
        except DataError as error:
            error.patient, error.file = row.name, path
            raise
    stage = normalise_stage(row.iloc[0])
    if stage is None:
        where = {"patient": row.name, "file": path, "column": row.index[0]}
        raise DataError("not a stage group", **where, expected="0, IA, ..., IV", got=repr(row.iloc[0]))
    return stage


def _seeds(path: Path, patient: str | None) -> pd.DataFrame:
    table = read_features(path, patient).rename(columns=lambda c: SEED_HEADERS.get(header_key(c), c))
    absent = [c for c in SEED if c not in table]
    if absent:
        raise DataError(
            "not seed points", file=path, column=", ".join(absent), expected=f"{', '.join(SEED)} in LPS mm"
        )
    return table[list(SEED)].apply(lambda c: to_numbers(c, c.name, path))
