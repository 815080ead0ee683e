"""FDG-PET-CT-Lesions (autoPET): 1014 whole-body PET/CT studies of 900 patients, with the lesions in the PET.

Source: TCIA, converted to NIfTI; Gatidis et al. 2022, doi:10.1038/s41597-022-01718-3.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.lesion_cohort import lesion_cohort
from mmfusion.data.sources import Folder, register_source
from mmfusion.data.tables.files import read_table
from mmfusion.errors import DataError

_FILES = {"CTres": ("ct", "volume"), "SUV": ("pet", "volume"), "SEG": ("ct", "mask")}
_STUDY = re.compile(r"-(\d{5})$")  # the last digits of StudyInstanceUID end the name of the folder
_DIAGNOSES = ("LUNG_CANCER", "LYMPHOMA", "MELANOMA", "NEGATIVE")


@register_source("autopet", "fdg_pet_ct_lesions")
def autopet(root: str | Path | None = None, *, diagnosis: str | None = None) -> Cohort:
    """Read the studies: `<patient>/<study>/CTres.nii.gz`, `SUV.nii.gz` and `SEG.nii.gz`, on the PET's grid.

    Parameters
    ----------
    root : path
        Folder with the folders of the patients, in it or below, and optionally the clinical table
        `Clinical Metadata FDG PET_CT Lesions.csv`.
    diagnosis : str, optional
        Keep the studies of this diagnosis: "LUNG_CANCER", "LYMPHOMA", "MELANOMA" or "NEGATIVE". It needs the
        clinical table.

    Returns
    -------
    Cohort
        Target "lesion". Row id: the patient and the last five digits of the study. The studies of a patient
        are one person. Age and sex are health records; the diagnosis is in `meta`.

    Raises
    ------
    DataError
        If no study is found, a study lacks a file, the diagnosis is unknown, or the clinical table
        contradicts itself.
    """
    folder = Folder(root, "FDG-PET-CT-Lesions")
    clinical = _clinical(folder)
    if diagnosis is not None and (diagnosis not in _DIAGNOSES or clinical is None):
        problem = "cannot choose the diagnosis"
        expected = f"one of {', '.join(_DIAGNOSES)}, and the clinical table"
        raise DataError(problem, parameter="diagnosis", expected=expected, got=diagnosis)
    rows, persons, left_out = {}, {}, 0
    # a study that lacks one of its files is found by the others
    for study in sorted({file.parent for name in _FILES for file in folder.root.rglob(f"{name}.nii.gz")}):
        patient = study.parent.name
        digits = _STUDY.search(study.name)
        row = f"{patient}_{digits[1] if digits else study.name}"
        if row in rows:
            raise DataError("two studies of one name", patient=row, file=study)
        facts = {} if clinical is None else _facts(clinical, patient, digits)
        if diagnosis is not None and facts.get(("meta", "diagnosis")) != diagnosis:
            left_out += 1
            continue
        cells = {}
        for name, column in _FILES.items():
            file = study / f"{name}.nii.gz"
            if not file.is_file():
                raise DataError("a study without a file", patient=patient, file=file)
            cells[column] = str(file)
        cells["pet", "mask"] = cells["ct", "mask"]
        rows[row], persons[row] = cells | facts, patient
    if clinical is not None and (
        unknown := sum(("meta", "diagnosis") not in cells for cells in rows.values())
    ):
        folder.note(f"{unknown} studies are not in the clinical table: no age, sex and diagnosis")
    if left_out:
        folder.note(f"{left_out} studies of another diagnosis than {diagnosis}, or of none, are left out")
    return lesion_cohort("autopet", rows, folder.provenance(license="TCIA, restricted"), persons=persons)


def _clinical(folder: Folder) -> pd.DataFrame | None:
    file = folder.find("Clinical*Metadata*FDG*PET*Lesions*.csv", "clinical table")
    if file is None:
        return None
    table = read_table(file)
    lacking = {"Subject ID", "Study UID", "diagnosis", "age", "sex"} - set(table)
    if lacking:
        raise DataError("not the clinical table", file=file, expected=", ".join(sorted(lacking)))
    study = ["Subject ID", "study"]  # its series have a row each
    table = table.assign(study=table["Study UID"].astype(str).str.strip().str[-5:])
    table = table.drop_duplicates([*study, "diagnosis", "age", "sex"])
    if (twice := table.duplicated(study)).any():
        patient = table.loc[twice, "Subject ID"].iloc[0]
        raise DataError("a study whose rows differ", patient=patient, file=file, column="diagnosis, age, sex",
                        expected="one value", hint="correct the table")  # fmt: skip
    return table


def _facts(
    clinical: pd.DataFrame, patient: str, digits: re.Match | None
) -> dict[tuple[str, str], str | float | None]:
    own = clinical[(clinical["Subject ID"] == patient) & (clinical["study"] == (digits[1] if digits else ""))]
    if own.empty:
        return {}
    row = own.iloc[0]
    years = re.match(r"0*(\d+)Y?$", str(row["age"]).strip())
    sex = {"M": "male", "F": "female"}.get(str(row["sex"]).strip().upper()[:1])
    return {
        ("ehr", "age"): float(years[1]) if years else None,
        ("ehr", "sex"): sex,
        ("meta", "diagnosis"): str(row["diagnosis"]),
    }
