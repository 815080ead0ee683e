"""NSCLC-Radiomics, "LUNG1": 422 patients with CT and health records.

Source: TCIA; Aerts et al. 2014, doi:10.1038/ncomms5006.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.sources import Folder, register_source
from mmfusion.data.tables.files import by_patient, read_table
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.readers import read_ehr_table
from mmfusion.data.targets.stage import normalise_stage
from mmfusion.modalities import SEED

RADIOMICS = ("firstorder", "shape", "GLCM", "GLRLM")


@register_source("lung1", "nsclc_radiomics")
def lung1(root: str | Path, *, wavelet: bool = False, allow_leaky: bool = False) -> Cohort:
    """Read the published clinical table and the radiomics of the primary tumour.

    Files that are absent are listed in the notes.

    Parameters
    ----------
    root : path
        Folder with the official clinical CSV and any of the `lung1_*.csv` tables and seeds.
    wavelet : bool
        Add the 16 features of the HLH wavelet band.
    allow_leaky : bool
        Keep T, N and M among the inputs. This is a leak; use it only to show the effect of a leak.

    Returns
    -------
    Cohort
        The stage is clinical, as recorded (I, II, IIIA, IIIB). The block "ct" has 74 radiomics features and
        seeds (LPS mm).

    Raises
    ------
    DataError
        If the clinical table is absent or a file cannot be read.
    """
    folder = Folder(root, "LUNG1")
    file = folder.find("NSCLC-Radiomics-Lung1.clinical*.csv", "clinical table", required=True)
    ehr = read_ehr_table(file, allow_leaky=allow_leaky, notes=TableNotes(folder.notes))
    patients = ehr.features.index
    ct = _radiomics(folder, [*RADIOMICS, *(["HLH_GLRLM"] if wavelet else [])])
    seeds = folder.find("fmcib_seeds.csv", "tumour seed points")
    if seeds is not None:
        points = by_patient(read_table(seeds, numbers=True), "PatientID", seeds)[
            ["coordX", "coordY", "coordZ"]
        ]
        ct.append(points.set_axis(SEED, axis=1))
    blocks = {
        "ehr": ehr.features,
        "ct": pd.concat([b.reindex(patients).astype("float64") for b in ct], axis=1) if ct else None,
    }
    if allow_leaky:
        folder.note("LEAKY: T, N and M are among the inputs")
    stage = by_patient(read_table(file), "PatientID", file)["Overall.Stage"]
    return Cohort(
        name="lung1",
        table=pd.concat({m: b for m, b in blocks.items() if b is not None}, axis=1),
        outcomes=pd.DataFrame({"stage": stage.map(_stage).astype("str")}),
        target="stage4_lung1",
        groups=pd.DataFrame({"site": "MAASTRO"}, index=patients),
        provenance=folder.provenance(
            license="CC BY-NC 3.0 (TCIA)", stage_kind="clinical", leaky=allow_leaky, left_out=ehr.left_out
        ),
    )


def _stage(text: str) -> str | None:
    return None if text in {"NA", ""} else normalise_stage(text) or text


def _radiomics(folder: Folder, names: list[str]) -> list[pd.DataFrame]:
    tables = []
    for name in names:
        file = folder.find(f"lung1_{name}.csv", f"{name} radiomics")
        if file is not None:
            table = by_patient(read_table(file, numbers=True), "PatientID", file)
            # the column without a header is a saved row number
            table = table.drop(columns=[c for c in table if c in {"", "Unnamed: 0"}])
            tables.append(
                table.rename(
                    columns=lambda c, name=name: f"{name.removeprefix('HLH_').lower()}_{c.replace(' ', '_')}"
                )
            )
    return tables
