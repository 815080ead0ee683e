"""Tables of labels: stage, T, N and M, mutation status, expression of a panel."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmfusion.data.tables.cells import clean_cells, note_errors, to_numbers
from mmfusion.data.tables.ehr_headers import known_column
from mmfusion.data.tables.files import by_patient, id_column, read_table
from mmfusion.data.tables.notes import TableNotes, leave_out, listed, note
from mmfusion.data.tables.stage_headers import (
    ACCEPTED,
    named_edition,
    stage_columns,
    stage_group_columns,
    tnm_columns,
)
from mmfusion.data.targets.ajcc import EDITIONS, NEW_IN_8, possible_groups, split_tnm, stage_group
from mmfusion.data.targets.expression import PREFIX
from mmfusion.data.targets.stage import TNM, normalise_stage
from mmfusion.errors import DataError

MOLECULAR = ("egfr", "kras")


def read_outcomes(
    path: Path,
    edition: int = 7,
    *,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    """Read the outcomes of each patient from a table of labels.

    Parameters
    ----------
    path : path
        A table with patient ids and at least one of: a stage or T, N and M; a status of EGFR or KRAS ("EGFR
        mutation status"); `expression_<gene>`. Other columns are not read.
    edition : {7, 8, 9}
        AJCC edition, unless a header names another ("Stage (8th ed.)"). If the table has no stage, its T, N
        and M are turned into a stage by this edition.
    sheet : str, optional
        Sheet of an Excel workbook.
    ids : str, optional
        Header of the column of patient ids, if it is not one of the usual headers.
    notes : TableNotes, optional
        Account that the reader fills; without one, it warns.

    Returns
    -------
    DataFrame, shape (n_patients, n_outcomes)
        Index patient_id. Columns: those of `stage`, `t`, `n`, `m`, `egfr`, `kras`, `expression_<gene>` that
        the table has. A value is missing if the cell is empty or says that the value is unknown.

    Raises
    ------
    DataError
        If the table has no outcome, two columns are the same outcome, headers name different editions, or a
        stage, T, N, M or number cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "labels.csv"
    ...     pd.DataFrame({"patient_id": ["p1", "p2"], "pStage": ["IA", "IIIB"]}).to_csv(file, index=False)
    ...     read_outcomes(file)["stage"].to_dict()
    {'p1': 'IA', 'p2': 'IIIB'}
    """
    table = read_table(path, sheet=sheet, ids=ids, notes=notes)
    ids = id_column(table)
    if ids is None:
        raise DataError(
            "no column of patient ids", file=path, expected="patient_id", got=", ".join(table.columns[:5])
        )
    table = by_patient(table, ids, path, notes)
    note_errors(table, path, notes)
    stage, tnm = stage_columns(table, edition), tnm_columns(table)
    edition = _edition([*stage, *tnm], path, notes) or edition
    outcomes: dict[str, pd.Series] = {}
    if stage:
        outcomes["stage"] = _stages(table[stage].apply(clean_cells), edition, path, notes)
    outcomes |= dict(zip(TNM, (clean_cells(table[c]) for c in tnm), strict=False))
    statuses = _statuses(table, path)
    outcomes |= {name: clean_cells(table[column]) for name, column in statuses.items()}
    expression = [c for c in table if str(c).startswith(PREFIX)]
    outcomes |= {str(c): to_numbers(clean_cells(table[c]), c, path) for c in expression}
    if not outcomes:
        raise DataError(
            "no stage, and no other outcome",
            file=path,
            expected=f"a column {ACCEPTED}; or EGFR status, KRAS status",
            got=", ".join(table.columns[:5]),
        )
    used = {*stage, *tnm, *statuses.values(), *expression}
    leave_out(notes, [c for c in table if c not in used], "not an outcome")
    leave_out(notes, [c for c in stage_group_columns(table) if c not in used], "another stage is read")
    return pd.DataFrame(outcomes, index=table.index)


def _edition(columns: list[str], path: Path, notes: TableNotes | None) -> int | None:
    """Return the AJCC edition that the headers name, and keep it in the account."""
    named = {c: e for c in columns if (e := named_edition(c)) is not None}
    if len(set(named.values())) > 1:
        raise DataError(
            "headers name several AJCC editions",
            file=path,
            column=", ".join(named),
            expected="stage, T, N and M of one edition",
            hint="keep the columns of one edition",
        )
    edition = next(iter(named.values()), None)
    if edition is not None and edition not in EDITIONS:
        column = next(iter(named))
        raise DataError("no such AJCC edition", file=path, column=column, expected="7, 8 or 9", got=edition)
    if notes is not None:
        notes.edition = edition
    return edition


def _stages(cells: pd.DataFrame, edition: int, path: Path, notes: TableNotes | None) -> pd.Series:
    """Return the stage of each patient; note those for whose T, N and M AJCC lists no group."""
    lost: list[str] = []

    def stage(row: pd.Series) -> str | None:
        if row.isna().any():
            return None
        group = None if len(row) == 3 else normalise_stage(row.iloc[0])
        tnm = tuple(row) if len(row) == 3 else split_tnm(row.iloc[0])
        if group is None and tnm is None:
            raise DataError(
                "not a stage group",
                patient=row.name,
                file=path,
                column=row.index[0],
                expected="0, IA, ..., IV, also as 3A or Stage IIIA, or T, N and M as T2aN0M0",
                got=repr(row.iloc[0]),
                hint="leave the cell empty where the stage is unknown",
            )
        return group or _of_tnm(tnm, row.name)

    def _of_tnm(tnm: tuple[str, ...], patient: str) -> str | None:
        try:
            if not possible_groups(*map(str, tnm), edition, edition):
                lost.append(f"{' '.join(map(str, tnm))} of {patient}")
                return None
            return stage_group(*tnm, edition=edition)
        except DataError as error:
            error.patient, error.file = patient, path
            raise

    stages = cells.apply(stage, axis=1).astype("str")
    if edition == 7 and (newer := sorted(NEW_IN_8 & set(stages.dropna()))):
        text = f"the stages {listed(newer)} exist since AJCC 8, but the labels are taken as AJCC 7"
        note(notes, f"{text}: if they are of AJCC 8, write Stage (8th ed.) in the header", path)
    if lost:
        note(notes, f"AJCC {edition} lists no stage group, so there is no label: {listed(lost)}", path)
    return stages


def _statuses(table: pd.DataFrame, path: Path) -> dict[str, object]:
    """Return the columns of mutation statuses; the targets check their spelling."""
    found: dict[str, object] = {}
    for column in table.columns:
        name = (known_column(column) or ("",))[0]
        if name in MOLECULAR:
            if name in found:
                got = f"{found[name]} and {column}"
                raise DataError(f"two columns of {name}", file=path, column=column, got=got, hint="keep one")
            found[name] = column
    return found
