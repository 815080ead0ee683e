"""A written cohort has tables, scans and a valid manifest, and loads as the same cohort."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.cohort import Cohort, presence
from mmfusion.data.export import write_cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import check_hashes, read_manifest
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError
from mmfusion.imaging import list_series
from mmfusion.synthetic import phantom
from tests.imaging.dicoms import phantom_hu, write_series, zipped
from tests.imaging.structure_sets import rtstruct, scan, square


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return phantom(
        12, seed=3, missing=0.5, n_genes=60, n_planted=6, root=tmp_path_factory.mktemp("phantom") / "files"
    )


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    return write_cohort(small[0], tmp_path_factory.mktemp("user") / "study")


def cohort_of(patients, **blocks):
    index = pd.Index(patients, name="patient_id")
    table = pd.concat({m: pd.DataFrame(cells, index=index) for m, cells in blocks.items()}, axis=1)
    return Cohort("study", table, pd.DataFrame({"stage": "IA"}, index=index), "stage3_ajcc7")


def test_manifest_holds(small, written):
    cohort, _ = small
    manifest = read_manifest(written)
    check_hashes(manifest, written.parent)
    has = presence(cohort.table)
    assert 0 < has["ct"].sum() < len(has)
    assert (manifest["role"] == "volume").sum() == (manifest["role"] == "mask").sum() == has["ct"].sum()
    tables = manifest[manifest["patient_id"] == ""].set_index("path")
    assert set(tables.index) == {"ct_seeds.csv", "rna.csv", "ehr.csv", "meta.csv", "labels.csv"}
    assert tables.loc["rna.csv", "unit"] == "tpm"
    assert (manifest["sha256"].str.len() == 64).all()
    assert (manifest["derived_from"] == "").all()  # of a patient, never of a file
    listed = {written.parent / p for p in manifest["path"]} | {written}
    assert listed == {p for p in written.parent.rglob("*") if p.is_file()}  # those who lack a scan left none


def test_reads_back_as_the_cohort_it_was(small, written):
    cohort, _ = small
    got = load_cohort(written, target="stage3_ajcc7")
    assert got.y.equals(cohort.y)
    assert got.units == cohort.units
    assert got.groups["site"].tolist() == cohort.groups["site"].tolist()
    assert got.groups["patient"].tolist() == cohort.groups["patient"].tolist()
    for modality, block in cohort.table.T.groupby(level=0, sort=False):
        block = block.T.droplevel(0, axis=1)
        read = got.table[modality][block.columns]
        if modality == "ct":
            assert read["volume"].isna().equals(block["volume"].isna())
            block, read = (f.drop(columns=["volume", "mask"]) for f in (block, read))
        pd.testing.assert_frame_equal(read, block.astype(read.dtypes), check_names=False)


def test_a_used_folder_is_refused(small, written):
    with pytest.raises(DataError, match="not empty"):
        write_cohort(small[0], written.parent)


def test_a_lost_scan_is_named_and_nothing_is_left(tmp_path):
    cohort = cohort_of(["P-1"], ct={"volume": [str(tmp_path / "gone.nii.gz")]})
    with pytest.raises(DataError, match=r"P-1.*gone.nii.gz"):
        write_cohort(cohort, tmp_path / "study")
    assert list(tmp_path.iterdir()) == []


def test_series_and_regions_are_kept(tmp_path):
    """A DICOM folder and a ZIP, each with several series, and a structure set with several regions."""
    folder, volume = scan(tmp_path / "P-1")
    write_series(folder, phantom_hu((3, 16, 20)), series="other", description="other")
    box = [square(-20, -30, 0, -15, z) for z in (103, 106)]
    rtstruct(folder / "r.dcm", {"lung": box, "GTV": box[:1]}, series=volume.series_uid)
    archive = zipped(folder, tmp_path / "P.2.zip")
    cells = {
        "volume": [str(folder), str(archive)],
        "volume_part": [volume.series_uid, list_series(archive).set_index("description").loc["other", "uid"]],
        "mask": [str(folder / "r.dcm"), np.nan],
        "mask_part": ["GTV", np.nan],
    }
    manifest = write_cohort(cohort_of(["P-1", "P-2"], ct=cells), tmp_path / "study")
    cohort = load_cohort(manifest)
    assert cohort.table["ct"]["volume_part"].tolist() == cells["volume_part"]
    names = [Path(p).relative_to(tmp_path / "study").as_posix() for p in cohort.table["ct"]["volume"]]
    assert names == ["ct/P-1/volume", "ct/P-2/volume.zip"]
    first, second = (open_scan(cohort, patient) for patient in ("P-1", "P-2"))
    assert np.array_equal(first.volume.array, volume.array)
    assert np.flatnonzero(first.lesion.array.any(axis=(1, 2))).tolist() == [1]  # the GTV's slice
    assert second.volume.shape == (3, 16, 20) and second.lesion is None


def test_rows_of_one_person_stay_together(tmp_path):
    (tmp_path / "s.nii").write_bytes(b"scan")
    names = ["a", "a-again", "b", "c1", "c2", "d"]
    scans = [np.nan, str(tmp_path / "s.nii"), np.nan, np.nan, np.nan, np.nan]
    cohort = cohort_of(names, ehr={"age": [60.0, 60, 61, 62, 63, 64]}, ct={"volume": scans})
    groups = pd.DataFrame({"patient": ["a", "a", "b", "C", "C", np.nan], "site": ["x"] * 5 + [np.nan]}, names)
    manifest = write_cohort(replace(cohort, groups=groups), tmp_path / "study")
    got = load_cohort(manifest)
    assert got.groups["patient"].to_dict() == {
        "a": "a",
        "a-again": "a",
        "b": "b",
        "c1": "c1",
        "c2": "c1",
        "d": "d",
    }
    assert got.groups["site"].to_dict() | {"d": None} == {n: "x" for n in names[:-1]} | {"d": None}
    assert pd.isna(got.groups["site"]["d"]) and got.outcomes["stage"].notna().all()
    rows = read_manifest(manifest).set_index("path")
    assert rows.loc["ct/a-again/volume.nii", ["derived_from", "site"]].tolist() == ["a", "x"]


def test_a_scan_in_two_files_is_refused(tmp_path):
    (tmp_path / "ct.mhd").write_text("ElementDataFile = ct.raw")
    with pytest.raises(DataError, match=r"P-1.*ct.mhd.*two files.*write_nifti"):
        write_cohort(cohort_of(["P-1"], ct={"volume": [str(tmp_path / "ct.mhd")]}), tmp_path / "study")


def test_it_has_its_place_in_the_library():
    assert mf.data.write_cohort is write_cohort


def test_outcomes_are_read_back(tmp_path):
    index = pd.Index(["a", "b", "c"], name="patient_id")
    rna = {"EGFR": [1.0, 2.0, None], "TP53": [3.0, 4.0, None]}
    blocks = {"rna": rna, "ehr": {"age": [60.0, 61.0, 62.0]}}
    table = pd.concat({m: pd.DataFrame(cells, index=index) for m, cells in blocks.items()}, axis=1)
    outcomes = pd.DataFrame(
        {
            "stage": ["IB", "IIIA", None],
            "t": ["T2a", "T1a", "TX"],
            "n": ["N0", "N2", None],
            "m": ["M0", "M0", None],
            "egfr": ["Mutant", None, "WT"],
        },
        index=index,
    )
    cohort = Cohort("study", table, outcomes, "stage3_ajcc7", units={"rna": "tpm"}).with_target("expression")
    got = load_cohort(write_cohort(cohort, tmp_path / "whole"), target="expression")
    pd.testing.assert_frame_equal(got.y, cohort.y)
    kept = list(outcomes)
    pd.testing.assert_frame_equal(got.outcomes[kept], outcomes[kept], check_dtype=False)
    assert got.with_target("egfr").y.astype(str).to_dict() == {"a": "mutant", "c": "wildtype"}
    without = cohort.select(modalities=["ehr"])  # the panel is all that is left of the RNA
    got = load_cohort(write_cohort(without, tmp_path / "panel"), target="expression")
    pd.testing.assert_frame_equal(got.y, cohort.y)
    assert got.provenance["expression_unit"] == "the logarithm that was recorded"


@pytest.mark.parametrize("edition", [7, 8, 9, "8 and 9", "7 and 8 and 9", "6 and 7"])
def test_the_ajcc_edition_is_read_back(tmp_path, edition):
    index = pd.Index(["a", "b", "c"], name="patient_id")
    table = pd.concat({"ehr": pd.DataFrame({"age": [60.0, 61.0, 62.0]}, index=index)}, axis=1)
    outcomes = pd.DataFrame(
        {"stage": ["IIB", "IIIA", "IB"], "t": ["T3", "T3", "T2a"], "n": ["N0", "N1", "N0"], "m": "M0"},
        index=index,
    )
    cohort = Cohort("study", table, outcomes, "stage2", provenance={"ajcc_edition": edition})
    manifest = write_cohort(cohort, tmp_path / "files")
    assert load_cohort(manifest).target == "stage2"  # the target is stated too
    for target in cohort.targets:
        got = load_cohort(manifest, target=target)
        assert got.y.equals(cohort.with_target(target).y), target
        assert got.targets == cohort.targets and got.provenance["ajcc_edition"] == edition
    assert load_cohort(manifest, edition=7).provenance["ajcc_edition"] == 7  # what the caller says counts


def test_a_cohort_without_outcomes(tmp_path):
    bare = cohort_of(["a", "b"], ehr={"age": [60.0, 61.0]})
    bare = Cohort("study", bare.table, pd.DataFrame({"egfr": ["wt", "wt"]}, index=bare.table.index), "egfr")
    got = load_cohort(write_cohort(bare, tmp_path / "egfr"))
    assert got.target == "egfr" and list(got.outcomes) == ["egfr"]
