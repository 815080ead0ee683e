"""Read the rows of a manifest into tables of patients, with an account of what was not used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import RNA_UNITS
from mmfusion.data.keys import IdTable, Spelling
from mmfusion.data.manifest import resolve
from mmfusion.data.manifest_schema import SCAN_ROLES, UNUSED, parameters_of
from mmfusion.data.tables.labels import read_outcomes
from mmfusion.data.tables.notes import TableNotes, listed
from mmfusion.data.tables.readers import read_ehr_table, read_features, read_rna
from mmfusion.data.tables.seeds import read_seeds
from mmfusion.data.targets.expression import PREFIX
from mmfusion.errors import DataError, ManifestError, MMFusionError
from mmfusion.modalities import META

EXPRESSION_UNITS = {"log": "the logarithm that was recorded", "zscore": "the z-scores that were recorded"}
LISTED = "the manifest"  # in messages, the source of ids that are cells of the manifest


class RowReader:
    """Reader of a manifest's rows, which collects the tables of each block.

    Parameters
    ----------
    root : path
        Folder from which the paths start.
    edition : int
        AJCC edition of the labels, unless their headers name another.
    stated : bool
        True if the edition is given by the user or the manifest; a header that names another is an error.
    allow_leaky : bool
        Keep T, N and M of the EHR table.
    problems : list, optional
        If given, errors of single files are added here instead of raised.
    """

    def __init__(
        self,
        root: Path,
        edition: int,
        *,
        stated: bool = False,
        allow_leaky: bool = False,
        problems: list[MMFusionError] | None = None,
    ) -> None:
        self.root, self.edition, self.allow_leaky, self.problems = root, edition, allow_leaky, problems
        self.stated = stated
        # (modality, "features", "seeds" or a role of scans) -> source of the ids, table
        self.parts: dict[tuple[str, str], list[tuple[str, pd.DataFrame]]] = {}
        self.labels: list[tuple[str, pd.DataFrame]] = []
        self.files: dict[str, dict[str, list[str]]] = {}  # modality -> file -> columns
        self.facts: dict[str, str] = {}
        self.units: dict[str, str] = {}
        self.told: dict[str, list[str]] = {}  # note -> files
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.not_used: dict[str, list[str]] = {}  # reason -> files that the manifest lists as unused
        self.unused: dict[str, dict[str, str]] = {}  # file -> column that no reader used -> reason
        self.sites: dict[str, str] = {}

    def read_all(self, rows: Iterable) -> None:
        """Read all rows, tables before scans and labels before other tables."""
        order = {"labels": 0, **dict.fromkeys(SCAN_ROLES, 2)}
        for row in sorted(rows, key=lambda r: order.get(r.role, 1)):
            try:
                self._read(row)
            except MMFusionError as error:
                self.fail(error)
        for file, columns in self.unused.items():
            reasons: dict[str, list[str]] = {}
            for column, why in columns.items():
                reasons.setdefault(why, []).append(column)
            for why, names in reasons.items():
                self._tell(file, f"columns not used ({why}): {listed(names, 12)}")
        self.notes += [f"{listed(files, 3)}: {text}" for text, files in self.told.items()]

    def _tell(self, file: str, text: str) -> None:
        """Add a note about a file; files with the same note share a line."""
        files = self.told.setdefault(text, [])
        files += [] if file in files else [file]

    def fail(self, error: MMFusionError) -> None:
        """Raise an error, or add it to the problems if they are collected."""
        if self.problems is None:
            raise error
        self.problems.append(error)

    def _read(self, row) -> None:
        path = resolve(row.path, self.root)
        if row.site and row.patient_id and self.sites.setdefault(row.patient_id, row.site) != row.site:
            got = f"{self.sites[row.patient_id]} and {row.site}"
            raise ManifestError("two sites for one patient", patient=row.patient_id, column="site", got=got)
        if row.role in SCAN_ROLES:
            cells = {row.role: str(path)} | ({f"{row.role}_part": row.part} if row.part else {})
            self._add(row, row.role, pd.DataFrame(cells, index=[row.patient_id]))
        elif row.role == UNUSED:
            why = parameters_of(row.parameters).get("why", "no reason is given")
            if self.problems is None:
                self.not_used.setdefault(why, []).append(row.path)
            else:
                hint = "if that is right, delete its row in the manifest"
                self.problems.append(ManifestError(f"not used: {why}", file=row.path, hint=hint))
        else:
            self._read_table(row, path)

    def _read_table(self, row, path: Path) -> None:
        notes = TableNotes()
        more = {"sheet": row.part or None, "notes": notes}
        if row.modality != "rna" and (ids := parameters_of(row.parameters).get("id_column")) is not None:
            more["ids"] = ids
        try:
            if row.role == "labels":
                self._labels(row, path, more)
            elif row.role == "seeds":
                self._add(row, "seeds", read_seeds(path, row.modality, row.patient_id or None, **more))
            elif row.role == "features":
                self._add(row, "features", self._features(row, path, more))
        finally:
            self._note(row, notes)

    def _note(self, row, notes: TableNotes) -> None:
        """Keep the account of one reader; a column is unused if no reader of its file used it."""
        for text in notes.texts:
            self._tell(row.path, text)
        before = self.unused.get(row.path)
        now = notes.unused if before is None else {c: w for c, w in before.items() if c in notes.unused}
        self.unused[row.path] = dict(now)

    def _labels(self, row, path: Path, more: dict) -> None:
        labels = read_outcomes(path, self.edition, **more)
        named = more["notes"].edition
        if named not in (None, self.edition):
            if self.stated:
                expected = f"AJCC {self.edition}, as given"
                hint = "correct the edition that is given, or the header"
                raise DataError(
                    "the header names another edition", file=path, expected=expected, got=named, hint=hint
                )
            self.edition = named
        self.stated = self.stated or named is not None
        for _, before in self.labels:  # a patient may be in two tables if these have different outcomes
            twice = before.index.intersection(labels.index)
            if len(twice) and set(before) & set(labels):
                raise DataError("labelled twice", patient=twice[0], file=path)
        self.labels.append((LISTED if row.patient_id else row.path, labels))
        if row.unit and any(c.startswith(PREFIX) for c in labels):
            self.facts["expression_unit"] = EXPRESSION_UNITS.get(row.unit, row.unit)

    def outcomes(self, patients: pd.Index) -> pd.DataFrame:
        """Return the outcomes of all tables of labels; without a table, an empty column `stage`."""
        tables = [labels for _, labels in self.labels]
        columns = list(dict.fromkeys(c for labels in tables for c in labels))
        if not columns:
            return pd.DataFrame({"stage": pd.Series(index=patients, dtype="str")})
        joined = {c: pd.concat([labels[c] for labels in tables if c in labels]) for c in columns}
        return pd.DataFrame({c: values.reindex(patients) for c, values in joined.items()})

    def labelled(self) -> list[str]:
        """Return the patients of the tables of labels, with or without a label."""
        return list(dict.fromkeys(p for _, labels in self.labels for p in labels.index))

    def _features(self, row, path: Path, more: dict) -> pd.DataFrame:
        patient = row.patient_id or None
        if row.modality == "rna":
            if not row.unit:
                units = ", ".join(RNA_UNITS)
                hint = f"say in which unit it is ({units}): in the manifest's column unit, or init --rna-unit"
                self.fail(ManifestError("the RNA table has no unit", file=path, column="unit", hint=hint))
            elif self.units.setdefault("rna", row.unit) != row.unit:
                raise ManifestError("RNA in two units", file=path, expected=self.units["rna"], got=row.unit)
            table = read_rna(path, patient, patients=self.labelled(), unit=row.unit or None, **more)
        elif row.modality == "ehr":
            ehr = read_ehr_table(path, patient, allow_leaky=self.allow_leaky, **more)
            if ehr.left_out:
                more["notes"].unused = {
                    c: w for c, w in more["notes"].unused.items() if c not in ehr.left_out
                }
                why = "columns left out, as they reveal the stage or follow the diagnosis"
                self._tell(row.path, f"{why}: {', '.join(ehr.left_out)}")
            if not ehr.meta.empty:
                self._add(row._replace(modality=META), "features", ehr.meta)
            table = ehr.features
        else:
            if row.unit:
                self.units[row.modality] = row.unit
            table = read_features(path, patient, **more)
        self.files.setdefault(row.modality, {})[row.path] = list(table.columns)
        return table

    def _add(self, row, what: str, frame: pd.DataFrame) -> None:
        source = LISTED if row.patient_id else row.path
        self.parts.setdefault((row.modality, what), []).append((source, frame))

    def ids(self) -> Iterator[IdTable]:
        """Yield the ids of each table, as the table spells them."""
        tables = [("labels", source, frame) for source, frame in self.labels]
        for (modality, what), frames in self.parts.items():
            kind = modality if what == "features" else f"{modality} {what}"
            tables += [(kind, source, frame) for source, frame in frames]
        for kind, source, frame in tables:
            yield IdTable(kind, source, tuple(map(str, frame.index)))

    def respell(self, spelling: Spelling) -> None:
        """Use one spelling for each patient, and remove the rows of samples that are left out."""

        def changed(frame: pd.DataFrame) -> pd.DataFrame:
            kept = frame[~frame.index.isin(spelling.dropped)] if spelling.dropped else frame
            return kept.rename(index=spelling.names)

        self.labels = [(source, changed(frame)) for source, frame in self.labels]
        self.parts = {
            key: [(source, changed(frame)) for source, frame in frames] for key, frames in self.parts.items()
        }
        self.sites = {spelling.of(patient): site for patient, site in self.sites.items()}
