"""TCGA-LUAD: RNA-seq z-scores, curated stages and health records.

Source of the stages: Liu et al. 2018, doi:10.1016/j.cell.2018.02.052.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.sources import Folder, register_source
from mmfusion.data.tables.ehr import canonical_ehr
from mmfusion.data.tables.files import by_patient, read_table
from mmfusion.data.targets.stage import normalise_stage
from mmfusion.errors import DataError

_SMOKING = {"1": "never", "2": "current", "3": "former", "4": "former", "5": "former"}  # codes of TCGA
_EHR = {
    "age_at_initial_pathologic_diagnosis": "age",
    "gender": "sex",
    "race": "ethnicity",
    "tobacco_smoking_history": "smoking_status",
    "number_pack_years_smoked": "pack_years",
}


@register_source("tcga_luad", "tcga")
def tcga_luad(root: str | Path, *, clip: float | None = 10.0) -> Cohort:
    """Read the RNA table (one row per slide), the curated clinical table and the matrix of UCSC Xena.

    Parameters
    ----------
    root : path
        Folder with `tcga_luad_*.csv[.zip]` and `tcga_cdr_luad.csv`; `LUAD_clinicalMatrix.tsv` adds smoking.
    clip : float or None
        Limit of the absolute z-scores, which are up to 7,378 in the file; None: z-scores are not clipped.

    Returns
    -------
    Cohort
        The stage is the curated pathological stage, by the AJCC 6th or 7th edition. Patients are those with
        a health record or RNA.

    Raises
    ------
    DataError
        If the RNA table or the curated table is absent, or the slides of one case have different RNA.
    """
    folder = Folder(root, "TCGA-LUAD")
    rna = _rna(folder, clip)
    file = folder.find("tcga_cdr_luad.csv", "curated clinical table", required=True)
    curated = by_patient(read_table(file), "bcr_patient_barcode", file)
    matrix = folder.find("LUAD_clinicalMatrix.tsv", "clinical matrix")
    record = curated if matrix is None else curated.join(_smoking(matrix))
    ehr = canonical_ehr(record[[c for c in _EHR if c in record]].rename(columns=_EHR), file=file).features
    patients = ehr.index.union(rna.index)
    site = pd.DataFrame({"site": patients.str[5:7]}, index=patients)  # the barcode's tissue source site
    folder.note("stages follow the AJCC edition in force at diagnosis, 6th or 7th")
    stage = curated["ajcc_pathologic_tumor_stage"].map(normalise_stage).astype("str")
    return Cohort(
        name="tcga_luad",
        table=pd.concat({"rna": rna.reindex(patients), "ehr": ehr.reindex(patients), "meta": site}, axis=1),
        outcomes=pd.DataFrame({"stage": stage.reindex(patients)}),
        target="late_vs_early",
        units={"rna": "zscore"},
        groups=site,
        provenance=folder.provenance(
            license="TCGA open access", ajcc_edition="6 and 7", stage_kind="pathological"
        ),
    )


def _rna(folder: Folder, clip: float | None) -> pd.DataFrame:
    file = folder.find("tcga_luad_*.csv*", "RNA table", required=True)
    table = read_table(file, numbers=True)
    genes = [c for c in table if c.endswith("_rnaseq")]
    if not genes or not {"case_id", "slide_id"} <= set(table):
        raise DataError("not the RNA table", file=file, expected="case_id, slide_id and *_rnaseq columns")
    tumour = (
        table["slide_id"].str.extract(r"^TCGA-\w\w-\w{4}-(\d\d)")[0].str.startswith("0").fillna(value=False)
    )
    rows = table.loc[tumour.astype(bool), ["case_id", *genes]].drop_duplicates()
    if rows["case_id"].duplicated().any():
        case = rows["case_id"][rows["case_id"].duplicated()].iloc[0]
        raise DataError(
            "slides of one case differ in RNA", patient=case, file=file, hint="keep one row per case"
        )
    rna = (
        rows.set_index("case_id")
        .rename_axis("patient_id")
        .rename(columns=lambda c: c.removesuffix("_rnaseq"))
        .astype("float64")
    )
    if clip is not None:
        beyond = int((rna.abs() > clip).sum().sum())
        folder.note(
            f"{beyond} of {rna.size} RNA z-scores beyond ±{clip:g} clipped; "
            f"the largest is {rna.abs().max().max():.0f}"
        )
    folder.note("RNA z-scores as distributed, computed over all patients before any split")
    return rna if clip is None else rna.clip(-clip, clip)


def _smoking(file: Path) -> pd.DataFrame:
    """Return the smoking history of each patient, from the record of the primary tumour."""
    table = read_table(file)
    table = table[table["sample_type"] == "Primary Tumor"].drop_duplicates("_PATIENT")
    table = by_patient(table, "_PATIENT", file)[["tobacco_smoking_history", "number_pack_years_smoked"]]
    code = table["tobacco_smoking_history"].str.removesuffix(".0")
    return table.assign(tobacco_smoking_history=code.map(_SMOKING))
