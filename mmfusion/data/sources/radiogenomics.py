"""NSCLC-Radiogenomics: 211 patients with CT, AIM annotations, RNA-seq and health records.

Source: TCIA; Bakr et al. 2018, doi:10.1038/sdata.2018.202.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.sources import Folder, register_source
from mmfusion.data.tables.aim import feature_name, read_aim_folder
from mmfusion.data.tables.cells import clean_cells
from mmfusion.data.tables.files import by_patient, read_table
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.readers import read_ehr_table, read_rna
from mmfusion.data.targets.ajcc import stage_group
from mmfusion.data.targets.stage import TNM
from mmfusion.errors import DataError
from mmfusion.modalities import SEED

SPREAD = ("nodules_in_non_lesion_lobe_same_lung", "nodules_in_contralateral_lung")
# the fields that the template requires for each nodule; the other fields depend on these
CORE = (
    "axial_location",
    "nodule_attenuation",
    "nodule_margins_primary_pattern",
    "nodule_margins_secondary_pattern",
    "nodule_shape",
    "nodule_calcification",
    "nodule_periphery",
    "satellite_nodules_in_primary_lesion_lobe",
    *SPREAD,
    "centrilobular_nodules_diffuse",
    "emphysema",
    "fibrosis",
    "anatomic_location",
    "lung_nodule",
)
_TNM = ["Pathological T stage", "Pathological N stage", "Pathological M stage"]
_STATUS = {"EGFR mutation status": "egfr", "KRAS mutation status": "kras"}


@register_source("radiogenomics", "nsclc_radiogenomics")
def radiogenomics(
    root: str | Path,
    *,
    rna: Literal["zscore", "fpkm140"] = "zscore",
    aim: Literal["core", "all"] = "core",
    aim_spread: bool = False,
    allow_leaky: bool = False,
) -> Cohort:
    """Read the published files; except for the clinical table, each file is optional.

    Files that are absent are listed in the notes.

    Parameters
    ----------
    root : path
        Folder with the official clinical CSV and any of: AIM XML, RNA tables, seeds, CT as DICOM folders or
        ZIPs.
    rna : {"zscore", "fpkm140"}
        The 1000 most variable genes, z-scored over all 130 patients as published, or the raw FPKM of 140
        genes.
    aim : {"core", "all"}
        The 15 AIM fields that every nodule has, or all 28 fields.
    aim_spread : bool
        Include the fields about nodules in another lobe and in the other lung. They are nearly the same as T4
        and M1a.
    allow_leaky : bool
        Keep T, N and M among the inputs. This is a leak; use it only to show the effect of a leak.

    Returns
    -------
    Cohort
        Outcomes are the pathological stage (AJCC 7th edition) with `t`, `n` and `m`, and the mutation status
        of EGFR (known for 172 patients: 129 wild type, 43 mutant) and of KRAS. The RNA block gives the target
        `expression`. The block "ct" has AIM categories, seeds (LPS mm) and scans.

    Raises
    ------
    DataError
        If the clinical table is absent or a file cannot be read.
    """
    folder = Folder(root, "NSCLC-Radiogenomics")
    file = folder.find("NSCLCR01Radiogenomic_DATA_LABELS_*.csv", "clinical table", required=True)
    ehr = read_ehr_table(file, allow_leaky=allow_leaky, notes=TableNotes(folder.notes))
    patients = ehr.features.index
    blocks = {"ehr": ehr.features, "meta": ehr.meta, "ct": _ct(folder, patients, aim, spread=aim_spread)}
    blocks["rna"] = rna_block(folder, patients, rna)
    table = pd.concat({m: b.reindex(patients) for m, b in blocks.items() if b.shape[1]}, axis=1)
    if allow_leaky:
        folder.note("LEAKY: T, N and M are among the inputs")
    folder.note("the stage is pathological, from pT, pN and pM of the resected tumour by AJCC 7th edition")
    return Cohort(
        name="radiogenomics",
        table=table,
        outcomes=clinical_outcomes(by_patient(read_table(file), "Case ID", file)),
        target="stage3_ajcc7",
        units={"rna": "zscore" if rna == "zscore" else "fpkm"} if "rna" in table else {},
        groups=ehr.meta,
        provenance=folder.provenance(
            license="CC BY 3.0 (TCIA), GEO GSE103584",
            ajcc_edition=7,
            stage_kind="pathological",
            leaky=allow_leaky,
            left_out=ehr.left_out,
        ),
    )


def clinical_outcomes(clinical: pd.DataFrame) -> pd.DataFrame:
    """Return stage, T, N, M and the status of EGFR and KRAS; missing if unknown or not collected.

    Parameters
    ----------
    clinical : DataFrame of str, shape (n_patients, n_columns)
        The official clinical table, by patient.

    Raises
    ------
    DataError
        If T, N and M make no stage. The error names the patient.
    """
    status = clinical[list(_STATUS)].apply(clean_cells).rename(columns=_STATUS)
    tnm = clinical[_TNM].apply(clean_cells).set_axis(list(TNM), axis=1)
    return pd.concat([_stage(clinical).rename("stage"), tnm, status], axis=1)


def _stage(clinical: pd.DataFrame) -> pd.Series:
    def group(row: pd.Series) -> str | None:
        if row.str.lower().eq("not collected").any():
            return None
        try:
            return stage_group(*row, edition=7)
        except DataError as error:
            error.patient = row.name
            raise

    return clinical[_TNM].apply(group, axis=1).astype("str")


def rna_block(folder: Folder, patients: pd.Index, which: str = "zscore") -> pd.DataFrame:
    """Return the RNA table, "zscore" or "fpkm140"; empty, with a note, if its file is absent."""
    if which == "fpkm140":
        file = folder.find("rna_fpkm_140genes.tsv", "FPKM of 140 genes")
        return pd.DataFrame() if file is None else read_rna(file, unit="fpkm", notes=TableNotes(folder.notes))
    if which != "zscore":
        raise DataError("no such RNA table", parameter="rna", expected="zscore or fpkm140", got=which)
    file = folder.find("rna_log10fpkm_zscore_top1000.csv", "RNA z-scores")
    if file is None:
        return pd.DataFrame()
    folder.note(
        "RNA z-scores, and the choice of 1000 genes by variance, use all 130 patients, before any split"
    )
    folder.note(
        "values of some genes are 10^7 to 10^9 FPKM, probably as decimal points were lost: clip or rank them"
    )
    return read_rna(file, patients=patients, notes=TableNotes(folder.notes))


def _ct(folder: Folder, patients: pd.Index, which: str, *, spread: bool) -> pd.DataFrame:
    if which not in {"core", "all"}:
        raise DataError("no such choice of AIM fields", parameter="aim", expected="core or all", got=which)
    blocks = [_aim(folder, which, spread=spread), _seeds(folder), _scans(folder, patients)]
    return pd.concat(
        [b.reindex(patients) for b in blocks if b.shape[1]] or [pd.DataFrame(index=patients)], axis=1
    )


def _aim(folder: Folder, which: str, *, spread: bool) -> pd.DataFrame:
    places = [p for p in (folder.root / "aim", folder.root) if any(p.glob("*.xml"))]
    if not places:
        folder.note("AIM annotations (aim/*.xml) not found: left out")
        return pd.DataFrame()
    table = read_aim_folder(places[0]).rename(columns=feature_name)
    table = table[[c for c in table if which == "all" or c in CORE]]
    if spread:
        folder.note(
            "AIM nodules in another lobe and in the other lung are inputs: close to T4 and M1a by definition"
        )
        return table
    folder.note(
        "AIM nodules in another lobe and in the other lung left out: close to T4 and M1a by definition"
    )
    return table.drop(columns=[c for c in SPREAD if c in table])


def _seeds(folder: Folder) -> pd.DataFrame:
    file = folder.find("fmcib_seeds.csv", "tumour seed points")
    if file is None:
        return pd.DataFrame()
    table = by_patient(read_table(file, numbers=True), "Case ID", file)
    return table[["coordX", "coordY", "coordZ"]].set_axis(SEED, axis=1).astype("float64")


def _scans(folder: Folder, patients: pd.Index) -> pd.DataFrame:
    """Return folders and ZIPs named as a patient, up to three levels deep; the highest level counts."""
    found: dict[str, str] = {}
    for depth in range(4):
        for path in sorted(folder.root.glob("*/" * depth + "[RA]*-*")):
            name = path.name.removesuffix(".zip")
            if name in patients and name not in found and (path.is_dir() or path.suffix == ".zip"):
                found[name] = str(path)
    if not found:
        folder.note("CT (ct/<patient>.zip, or DICOM folders) not found: left out")
        return pd.DataFrame()
    return pd.DataFrame({"volume": pd.Series(found, dtype="str")})
