"""EGFR status of NSCLC-Radiogenomics: health records of 172 patients, and radiomics of 117 of them.

Source: the official clinical table (TCIA; Bakr et al. 2018, doi:10.1038/sdata.2018.202), and a table of
radiomics of the lung with the nodule, which was made with PyRadiomics from the CT of the same patients
(J. Morgado, GitHub; CC BY 3.0 as the scans).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.sources import Folder, register_source
from mmfusion.data.sources.radiogenomics import clinical_outcomes, rna_block
from mmfusion.data.tables.cells import clean_cells
from mmfusion.data.tables.files import by_patient, read_table
from mmfusion.data.tables.mutations import mutation_status
from mmfusion.data.tables.notes import TableNotes, listed
from mmfusion.data.tables.readers import read_ehr_table
from mmfusion.errors import DataError

RADIOMICS = "*R01_radiomics_egfr*.csv*"
_STATUS, _BESIDE = "EGFR mutation status", ("Gender", "Smoking status")
_CODES = {"0": "wildtype", "1": "mutant"}
_GRADE = "Histopathological Grade"


@register_source("r01_egfr")
def r01_egfr(root: str | Path | None = None, *, site: bool = False, grade: bool = False) -> Cohort:
    """Read the official clinical table and the table of radiomics; RNA is read too if its file is there.

    Parameters
    ----------
    root : path
        Folder with `NSCLCR01Radiogenomic_DATA_LABELS_*.csv` and `*R01_radiomics_egfr*.csv`, or one up to
        three levels above them.
    site : bool
        Add the hospital to the health records, as ("ehr", "site"). It is a shortcut to the label: 36 % of the
        tested patients of Stanford are mutants, and 11 % of those of the Veterans' hospital.
    grade : bool
        Add the histopathological grade, as ("ehr", "grade"). It is known only after surgery.

    Returns
    -------
    Cohort
        The target is "egfr". Labels are the official ones, for 172 patients: 129 wild type, 43 mutant. The
        block "ct" has 1316 radiomics features of 117 of these patients (94 wild type, 23 mutant);
        `cohort.complete(["ct"])` selects them. The notes name patients whose status differs between the two
        tables. RNA is expression by z-score (target "expression").

    Raises
    ------
    DataError
        If one of the two tables is absent or cannot be read.
    """
    folder = Folder(root, "r01_egfr")
    file = folder.find("NSCLCR01Radiogenomic_DATA_LABELS_*.csv", "official clinical table", required=True)
    ehr = read_ehr_table(file, notes=TableNotes(folder.notes))
    clinical = by_patient(read_table(file), "Case ID", file)
    outcomes, patients = clinical_outcomes(clinical), ehr.features.index
    radiomics, recorded = _radiomics(folder, patients)
    _compare(folder, recorded, outcomes["egfr"])
    records = _with_extras(folder, ehr.features, clinical, ehr.meta, site=site, grade=grade)
    blocks = {"ehr": records, "ct": radiomics, "rna": rna_block(folder, patients), "meta": ehr.meta}
    return Cohort(
        name="r01_egfr",
        table=pd.concat({m: b.reindex(patients) for m, b in blocks.items() if b.shape[1]}, axis=1),
        outcomes=outcomes,
        target="egfr",
        units={"rna": "zscore"} if blocks["rna"].shape[1] else {},
        groups=ehr.meta,
        provenance=folder.provenance(
            license="CC BY 3.0 (TCIA), GEO GSE103584",
            ajcc_edition=7,
            stage_kind="pathological",
            leaky=False,
            left_out=ehr.left_out,
        ),
    )


def _radiomics(folder: Folder, patients: pd.Index) -> tuple[pd.DataFrame, pd.Series]:
    """Return the radiomics of the patients, and the EGFR status that their table gives."""
    file = folder.find(RADIOMICS, "table of radiomics", required=True)
    table = by_patient(read_table(file, numbers=True), "Case ID", file)
    if _STATUS not in table:
        got = ", ".join(map(str, table.columns[:3]))
        raise DataError("no EGFR status in the table of radiomics", file=file, column=_STATUS, got=got)
    if others := [p for p in table.index if p not in patients]:
        folder.note(f"{len(others)} patients with radiomics are not in the clinical table, and are left "
                    f"out: {listed(others)}")  # fmt: skip
    table = table.loc[table.index.isin(patients)]
    features = table.drop(columns=[c for c in (_STATUS, *_BESIDE) if c in table])
    if texts := [c for c in features if not pd.api.types.is_numeric_dtype(features[c])]:
        raise DataError("a feature is not a number", file=file, column=listed(texts))
    folder.note(f"radiomics of {len(table)} patients are of the lung with the nodule, as distributed; the "
                "settings of their extraction are not recorded")  # fmt: skip
    values = features.to_numpy(dtype=np.float64)  # one array, which pandas handles faster than 1316 columns
    return pd.DataFrame(values, features.index, features.columns), _statuses(table[_STATUS], file)


def _statuses(cells: pd.Series, file: object) -> pd.Series:
    """Return the recorded status as "wildtype" or "mutant"."""
    texts = cells.astype("str").str.removesuffix(".0").str.strip()
    found = texts.map(lambda text: _CODES.get(text) or mutation_status(text))
    if (bad := found.isna()).any():
        raise DataError("not a mutation status", patient=found.index[bad][0], file=file, column=_STATUS,
                        expected="0, 1, Wildtype or Mutant", got=repr(texts[bad].iloc[0]))  # fmt: skip
    return found


def _compare(folder: Folder, recorded: pd.Series, official: pd.Series) -> None:
    """Count and name the patients whose status differs between the two tables, or is in one of them only."""
    cells = official.reindex(recorded.index)
    cells = cells.map(mutation_status, na_action="ignore")
    unknown = cells.index[cells.isna()]
    if len(unknown):
        folder.note(f"{len(unknown)} patients with radiomics have no official EGFR status, and no label: "
                    f"{listed(unknown)}")  # fmt: skip
    differs = cells.notna() & (cells != recorded)
    if differs.any():
        named = [f"{p} ({recorded[p]}, officially {cells[p]})" for p in cells.index[differs]]
        of = f"{len(named)} of {len(cells)} patients"
        folder.note(f"the EGFR status in the table of radiomics differs from the official one for {of}; the "
                    f"official one is used: {listed(named)}")  # fmt: skip


def _with_extras(
    folder: Folder,
    records: pd.DataFrame,
    clinical: pd.DataFrame,
    meta: pd.DataFrame,
    *,
    site: bool,
    grade: bool,
) -> pd.DataFrame:
    """Return health records with the columns that are inputs only on request."""
    added: dict[str, Sequence[object]] = {}
    if site:
        added["site"] = meta["site"]
        folder.note("the hospital is among the health records; the share of mutants may differ by hospital")
    if grade:
        added["grade"] = clean_cells(clinical[_GRADE])
        folder.note("the grade is among the health records, although it is known only after surgery")
    return records.assign(**added)
