"""The known cohorts, from real files: counts as published, and no input that reveals the stage."""

import re
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.cohort import presence
from mmfusion.data.load import load_cohort
from mmfusion.data.tables.readers import read_ehr, read_rna
from mmfusion.errors import DataError, LeakageError, TableWarning
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.modalities import META, RESERVED

PLACES = {"radiogenomics": "nsclc_radiogenomics", "lung1": "lung1", "tcga_luad": "tcga"}
FORBIDDEN = re.compile(
    r"stage|grade|invasion|recurr|treat|chemo|radiation|surviv|death|dead|alive|date|surgery|vital|censor|^[cp]?[tnm]$",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def cohorts(shared_data):
    return {name: load_cohort(name, shared_data / place) for name, place in PLACES.items()}


def counts(y):
    return {str(k): int(n) for k, n in y.value_counts(sort=False).items()}


@pytest.mark.parametrize("name", PLACES)
def test_nothing_tells_the_stage(cohorts, name):
    table = cohorts[name].table
    inputs = [(m, c) for m, c in table.columns if m not in {META, "rna"}]  # DATE1 and the like are genes
    assert not [c for c in inputs if FORBIDDEN.search(c[1])]
    assert "Recurrence" not in table.get("rna", pd.DataFrame())


@pytest.mark.parametrize("name", PLACES)
def test_provenance(cohorts, name):
    provenance = cohorts[name].provenance
    assert provenance["license"]
    assert all(re.fullmatch("[0-9a-f]{64}", h) for h in provenance["files"].values())
    assert provenance["leaky"] is False if "leaky" in provenance else name == "tcga_luad"


def test_radiogenomics_counts(cohorts):
    cohort = cohorts["radiogenomics"]
    assert len(cohort.table) == 211
    assert cohort.outcomes["stage"].notna().sum() == 162
    assert cohort.outcomes["stage"][cohort.outcomes["stage"].notna()].value_counts().to_dict() == {
        "0": 6, "IA": 58, "IB": 35, "IIA": 16, "IIB": 18, "IIIA": 23, "IIIB": 1, "IV": 5,
    }  # fmt: skip
    assert counts(cohort.y) == {"I": 93, "II": 34, "III": 24}
    assert counts(cohort.with_target("stage4_ajcc7").y) == {"I": 93, "II": 34, "III": 24, "IV": 5}
    assert cohort.outcomes["stage"][cohort.outcomes["stage"].index.str.startswith("AMC")].isna().all()
    assert counts(cohort.complete().y) == {"I": 72, "II": 23, "III": 16}


def test_radiogenomics_molecular_status(cohorts, shared_data):
    """EGFR: 129 wild type and 43 mutant of 172; the 144 of the table of seeds have 94 and 23."""
    cohort = cohorts["radiogenomics"]
    egfr, kras = cohort.with_target("egfr"), cohort.with_target("kras")
    assert counts(egfr.y) == {"wildtype": 129, "mutant": 43} and len(egfr) == 172
    assert counts(kras.y) == {"wildtype": 133, "mutant": 38}
    assert egfr.withheld == kras.withheld == [("ehr", "egfr"), ("ehr", "kras"), ("ehr", "alk")]
    assert "EGFR" in egfr.X["rna"] and egfr.modalities == ["ct", "ehr", "rna"]
    seeds = pd.read_csv(shared_data / PLACES["radiogenomics"] / "fmcib_seeds.csv", index_col=0).index
    assert counts(egfr.y[egfr.y.index.isin(seeds)]) == {"wildtype": 94, "mutant": 23}
    assert_no_leak(egfr.X, egfr.y)
    leaky = egfr.X.copy()
    leaky["ehr", "copy"] = egfr.y.astype(str)
    with pytest.raises(LeakageError, match="ehr: copy"):
        assert_no_leak(leaky, egfr.y)


def test_radiogenomics_expression(cohorts):
    cohort = cohorts["radiogenomics"].with_target("expression")
    assert list(cohort.y) == ["EGFR", "ROS1", "MET"] and len(cohort) == 130
    rna = cohorts["radiogenomics"].table["rna"]
    np.testing.assert_array_equal(cohort.y["EGFR"], rna.loc[cohort.y.index, "EGFR"])
    assert cohort.modalities == ["ct", "ehr"]
    assert "the z-scores that the table has" in cohort.notes[-2]
    assert cohort.notes[-1].startswith("13 of the panel's 16 genes are not in this cohort: KRAS, ALK, ERBB2,")
    assert_no_leak(cohort.X, cohort.y)
    with pytest.raises(DataError, match="none of the panel's genes"):
        cohorts["lung1"].with_target("expression")


def test_radiogenomics_of_another_edition(cohorts):
    """Stages of the 8th and 9th editions from T, N and M of the 7th: no label if the class is not clear."""
    cohort = cohorts["radiogenomics"]
    table = pd.crosstab(cohort.outcomes["t"], cohort.outcomes["n"])
    assert table.loc["T1a"].sum() + table.loc["T1b", "N0"] + table.loc["T2b", "N0"] > 0
    for target, expected in {
        "stage3_ajcc8": {"I": 58, "II": 16, "III": 23},
        "stage4_ajcc8": {"I": 58, "II": 16, "III": 23, "IV": 5},
        "stage4_ajcc9": {"I": 58, "II": 16, "III": 14, "IV": 5},
    }.items():
        assert counts(cohort.with_target(target).y) == expected
    assert (
        "T, N and M of 54 of 162 patients fit more than one class"
        in cohort.with_target("stage3_ajcc8").notes[-1]
    )
    for name in ("lung1", "tcga_luad"):
        with pytest.raises(DataError, match="no T, N and M"):
            cohorts[name].with_target("stage3_ajcc8")


def test_radiogenomics_with_everything(cohorts):
    cohort = cohorts["radiogenomics"]
    staged = cohort.outcomes["stage"].notna()
    has = presence(cohort.table.drop(columns=("ct", "volume")))
    assert (has["rna"] & has["ehr"] & staged).sum() == 130
    everything = has.all(axis=1) & staged
    assert everything.sum() == 120
    assert cohort.outcomes["stage"][everything].str.rstrip("AB").value_counts().to_dict() == {
        "I": 72,
        "II": 23,
        "III": 16,
        "IV": 4,
        "0": 5,
    }
    assert cohort.units == {"rna": "zscore"}
    assert any("all 130 patients" in note for note in cohort.provenance["notes"])
    assert cohort.provenance["ajcc_edition"] == 7
    assert cohort.provenance["stage_kind"] == "pathological"


def test_radiogenomics_records(cohorts):
    table = cohorts["radiogenomics"].table
    first = table.loc["R01-001"]
    assert first["ehr", "age"] == 79
    assert first["ehr", "weight"] == pytest.approx(66.22, abs=0.01)  # 146 lbs
    assert first["ehr", "years_since_quit"] == 23  # 1967 to 1990
    assert first["meta", "site"] == "Stanford"
    assert pd.isna(first["ehr", "egfr"])
    assert table["ehr"].shape[1] == 19
    assert table["ehr"]["age"].notna().all()
    np.testing.assert_allclose(
        first["ct"][["seed_x", "seed_y", "seed_z"]].astype(float), [-95.694, -144.985, -66.121], atol=1e-3
    )
    assert first["ct", "volume"].endswith("R01-001.zip")
    assert table["ct"]["volume"].notna().sum() == 1
    assert table["ct"]["seed_x"].notna().sum() == 144


def test_radiogenomics_annotations(cohorts, shared_data):
    features = [c for c in cohorts["radiogenomics"].table["ct"] if c not in RESERVED]
    assert len(features) == 13
    more = load_cohort("radiogenomics", shared_data / PLACES["radiogenomics"], aim="all", aim_spread=True)
    assert len([c for c in more.table["ct"] if c not in RESERVED]) == 28
    assert {c for c in more.table["ct"] if "contralateral" in c or "non_lesion" in c} == {
        "nodules_in_contralateral_lung",
        "nodules_in_non_lesion_lobe_same_lung",
    }
    assert any("T4 and M1a" in n and "inputs" in n for n in more.provenance["notes"])


def test_radiogenomics_raw_expression(shared_data):
    cohort = load_cohort(
        "radiogenomics", shared_data / PLACES["radiogenomics"], rna="fpkm140", target="stage2"
    )
    assert cohort.units == {"rna": "fpkm"}
    assert cohort.table["rna"].shape[1] == 140
    assert cohort.table["rna"].notna().any(axis=1).sum() == 130
    assert counts(cohort.y) == {"I": 93, "II-IV": 63}


def test_one_patient_from_the_official_files(cohorts, shared_data):
    """Prediction reads the published files in the same way as the readers of cohorts."""
    root, table = shared_data / PLACES["radiogenomics"], cohorts["radiogenomics"].table
    ehr = read_ehr(next(root.glob("NSCLCR01*.csv")), patient="R01-023")
    with pytest.warns(TableWarning, match="3-Mar as MARCHF3"):
        rna = read_rna(root / "rna_log10fpkm_zscore_top1000.csv", patient="R01-023")
    pd.testing.assert_frame_equal(ehr, table.loc[["R01-023"], "ehr"], check_names=False)
    pd.testing.assert_frame_equal(rna, table.loc[["R01-023"], "rna"], check_names=False)
    other = read_ehr(next((shared_data / "lung1").glob("NSCLC-Radiomics*.csv")), patient="LUNG1-001")
    pd.testing.assert_frame_equal(other, cohorts["lung1"].table.loc[["LUNG1-001"], "ehr"], check_names=False)


def test_leaky_is_stamped(shared_data):
    cohort = load_cohort("radiogenomics", shared_data / PLACES["radiogenomics"], allow_leaky=True)
    assert {("ehr", f"{x}_stage") for x in "tnm"} <= set(cohort.table.columns)
    assert cohort.provenance["leaky"] is True
    assert any(note.startswith("LEAKY") for note in cohort.provenance["notes"])


def test_lung1(cohorts):
    cohort = cohorts["lung1"]
    assert len(cohort.table) == 422
    assert counts(cohort.y) == {"I": 93, "II": 40, "IIIA": 112, "IIIB": 176}
    features = cohort.table["ct"].drop(columns=["seed_x", "seed_y", "seed_z"])
    assert features.shape[1] == 74
    assert features.notna().all(axis=1).sum() == 416
    assert len(cohort.complete()) == 415
    assert cohort.table["ehr"]["age"].isna().sum() == 22
    assert set(cohort.table["ehr"]) == {"age", "sex", "histology"}
    assert set(cohort.table["ehr"]["histology"].dropna()) == {
        "adenocarcinoma",
        "squamous cell",
        "large cell",
        "nos",
    }
    assert cohort.table.loc["LUNG1-001", ("ct", "shape_Sphericity")] == pytest.approx(0.43666, abs=1e-5)


def test_lung1_wavelets(shared_data):
    table = load_cohort("lung1", shared_data / "lung1", wavelet=True).table["ct"]
    assert table.drop(columns=["seed_x", "seed_y", "seed_z"]).shape[1] == 90


def test_tcga_luad(cohorts):
    cohort = cohorts["tcga_luad"]
    usable = cohort.complete()
    assert counts(usable.with_target("stage4_ajcc7").y) == {"I": 247, "II": 112, "III": 63, "IV": 24}
    assert len(usable) == 446
    assert cohort.table["rna"].shape[1] == 2812
    assert cohort.table["rna"].notna().any(axis=1).sum() == 453
    assert cohort.table["rna"].abs().max().max() == 10
    assert any("1771 of 1273836" in note and "7378" in note for note in cohort.provenance["notes"])
    assert set(cohort.table["ehr"]) == {"age", "sex", "ethnicity", "smoking_status", "pack_years"}
    assert set(cohort.table["ehr"]["smoking_status"].dropna()) == {"never", "former", "current"}
    assert cohort.table.loc["TCGA-05-4249", ("meta", "site")] == "05"


def test_tcga_luad_unclipped(shared_data):
    assert load_cohort("tcga_luad", shared_data / "tcga", clip=None).table["rna"].max().max() > 7000


def test_clinical_table_alone(shared_data, tmp_path):
    """Each modality is optional; absent ones are left out, with a note."""
    source = next((shared_data / PLACES["radiogenomics"]).glob("NSCLCR01*.csv"))
    (tmp_path / "download").mkdir()
    shutil.copy(source, tmp_path / "download")
    cohort = load_cohort("radiogenomics", tmp_path)
    assert cohort.modalities == ["ehr"]
    assert sum("not found" in note for note in cohort.provenance["notes"]) == 4
    assert len(cohort) == 151


def test_official_folders_of_scans(shared_data, tmp_path):
    shutil.copy(next((shared_data / PLACES["radiogenomics"]).glob("NSCLCR01*.csv")), tmp_path)
    (tmp_path / "manifest-1" / "NSCLC Radiogenomics" / "R01-001" / "study" / "series").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "R01-002.zip", "w"):
        pass
    volume = load_cohort("radiogenomics", tmp_path).table["ct"]["volume"].dropna()
    assert volume.to_dict() == {
        "R01-001": str(tmp_path / "manifest-1" / "NSCLC Radiogenomics" / "R01-001"),
        "R01-002": str(tmp_path / "R01-002.zip"),
    }


@pytest.mark.parametrize("name", PLACES)
def test_absent_files_give_an_error(name, tmp_path):
    with pytest.raises(DataError, match="give root="):
        load_cohort(name)
    with pytest.raises(DataError, match="no such folder"):
        load_cohort(name, tmp_path / "nowhere")
    with pytest.raises(DataError, match="not found") as raised:
        load_cohort(name, tmp_path)
    assert raised.value.hint


def test_two_versions_of_a_file(shared_data, tmp_path):
    source = next((shared_data / "lung1").glob("NSCLC-Radiomics*.csv"))
    text = source.read_text()
    for version in "12":
        (tmp_path / f"NSCLC-Radiomics-Lung1.clinical-version{version}.csv").write_text(
            text + "\n" * int(version)
        )
    with pytest.raises(DataError, match="several files"):
        load_cohort("lung1", tmp_path)


def test_a_bad_stage_names_the_patient(shared_data, tmp_path):
    source = next((shared_data / PLACES["radiogenomics"]).glob("NSCLCR01*.csv"))
    (tmp_path / source.name).write_text(source.read_text().replace("T1a,N0,M0", "T1c,N0,M0", 1))
    with pytest.raises(DataError, match="not a T category") as raised:
        load_cohort("radiogenomics", tmp_path)
    assert raised.value.patient.startswith("R01-")


def test_unknown_options(shared_data):
    root = shared_data / PLACES["radiogenomics"]
    with pytest.raises(DataError, match="no such RNA table"):
        load_cohort("radiogenomics", root, rna="counts")
    with pytest.raises(DataError, match="AIM"):
        load_cohort("radiogenomics", root, aim="some")
