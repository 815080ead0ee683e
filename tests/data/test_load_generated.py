"""A manifest whose cohort is generated."""

import json
from inspect import signature
from pathlib import Path

import pandas as pd
import pytest

import mmfusion.synthetic
from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import read_manifest, write_manifest
from mmfusion.errors import DataError, ManifestError
from mmfusion.synthetic.cohort import VERSION

GENERATED = [{"role": "generator", "path": ".cache/demo", "generator": "mmfusion.synthetic:phantom"}]


@pytest.fixture
def generator(monkeypatch, tmp_path):
    """The real writer behind a generator that counts its calls."""
    calls = []

    def phantom(n=3, seed=0):
        calls.append((n, seed))
        ids = pd.Index([f"g{i}" for i in range(n)], name="patient_id")
        table = pd.concat({"ehr": pd.DataFrame({"age": 60.0 + seed}, index=ids)}, axis=1)
        outcomes = pd.DataFrame({"stage": ["IA"] * (n - 1) + ["IIB"]}, index=ids)
        provenance = {"version": 1, "planted_genes": ["TP53"], "license": "CC0"}
        cohort = Cohort("fake", table, outcomes, "stage2", provenance=provenance)
        return cohort, pd.DataFrame({"macro_auc": {"ehr": 0.7}})

    monkeypatch.setattr(mmfusion.synthetic, "phantom", phantom)
    return calls


def generated(tmp_path, **parameters):
    rows = [
        {"dataset": "demo", "patient_id": "", "modality": "", **r, "parameters": json.dumps(parameters)}
        for r in GENERATED
    ]
    return write_manifest(pd.DataFrame(rows), tmp_path / "data_manifest.csv")


def test_a_generated_cohort_is_made_once(tmp_path, generator):
    path = generated(tmp_path, n=4, seed=2, version=1)
    cohort = load_cohort(path)
    assert cohort.target == "stage2"
    assert cohort.table["ehr", "age"].tolist() == [62.0] * 4
    assert cohort.provenance["planted_genes"] == ["TP53"]
    assert cohort.provenance["optimum"] == {"ehr": 0.7}
    assert load_cohort(path, target="stage3_ajcc7").target == "stage3_ajcc7"
    assert generator == [(4, 2)]
    load_cohort(path, seed=3)
    assert generator == [(4, 2), (4, 3)]
    assert not [p for p in (tmp_path / ".cache" / "demo").iterdir() if p.name.startswith(".")]


def test_the_demo_by_name(tmp_path, generator, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    assert len(load_cohort("demo", n=5)) == len(load_cohort("phantom", n=5)) == 5
    assert generator == [(5, 0)]
    assert (tmp_path / "demo").is_dir()


def test_a_cache_that_cannot_be_written_is_one_error(tmp_path, generator, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        DataError, match=r"file .*file/demo: a generated cohort cannot be written.*MMFUSION_CACHE"
    ):
        load_cohort("demo", n=5)


def test_a_cohort_of_an_older_generator_is_not_found(tmp_path, generator, monkeypatch):
    path = generated(tmp_path, n=4)
    load_cohort(path)
    monkeypatch.setattr(mmfusion.synthetic, "VERSION", VERSION + 1)
    load_cohort(path)
    assert generator == [(4, 0)] * 2


def test_a_generator_that_cannot_run(tmp_path, generator):
    with pytest.raises(ManifestError, match="another version") as raised:
        load_cohort(generated(tmp_path, version=99))
    assert raised.value.got == 99
    with pytest.raises(ManifestError, match="does not take these parameters"):
        load_cohort(generated(tmp_path, colour="red"))
    assert not (tmp_path / ".cache").exists() or not list((tmp_path / ".cache" / "demo").iterdir())


def test_the_committed_manifest_describes_the_demo():
    manifest = read_manifest(Path(__file__).parents[2] / "data_manifest.csv")
    assert manifest["role"].tolist() == ["generator"]
    parameters = json.loads(manifest["parameters"][0])
    assert parameters.pop("version") == VERSION
    assert {"n", "seed"} <= set(parameters) <= set(signature(mmfusion.synthetic.phantom).parameters)


def test_a_phantom_survives_its_files(tmp_path, monkeypatch):
    """The cohort that is read back is bit-identical to the generated one."""
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    options = {"n": 12, "n_genes": 60, "missing": 0.5, "modalities": ["rna", "ehr"]}
    made, optimum = mmfusion.synthetic.phantom(**options)
    read = load_cohort("demo", tmp_path / "demo", **options)
    assert set(read.table.columns) == set(made.table.columns)
    for column in made.table:
        pd.testing.assert_series_equal(
            read.table[column].loc[made.table.index], made.table[column], check_dtype=False, check_exact=True
        )
    pd.testing.assert_series_equal(
        read.outcomes["stage"].loc[made.outcomes["stage"].index],
        made.outcomes["stage"],
        check_names=False,
        check_dtype=False,
    )
    assert read.provenance["optimum"] == optimum["macro_auc"].to_dict()
    assert read.units == made.units
