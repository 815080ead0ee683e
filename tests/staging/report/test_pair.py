"""The two cohorts of an external validation, and what its report says."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.export import write_cohort
from mmfusion.data.manifest import rehash
from mmfusion.errors import DataError
from mmfusion.evaluation import transfer_table
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.staging.report.pair import (
    _check_inputs,
    _editions,
    _same_modalities,
    check_enough,
    load_pair,
)
from mmfusion.staging.report.study import Plan
from tests.cohorts import tiny_cohort


def prefixed(cohort, prefix="Q"):
    """The cohort of other persons with the same data."""
    names = {p: f"{prefix}{p}" for p in cohort.table.index}
    groups = cohort.groups.rename(index=names).drop(columns="patient")
    table, outcomes = (frame.rename(index=names) for frame in (cohort.table, cohort.outcomes))
    return replace(cohort, table=table, outcomes=outcomes, groups=groups)


@pytest.fixture
def manifest(tmp_path):
    return write_cohort(tiny_cohort(40), tmp_path / "mine")


def test_another_manifest_and_another_site(manifest, tmp_path):
    other = write_cohort(
        prefixed(tiny_cohort(30, seed=2)).select(modalities=["rna", "ehr"]), tmp_path / "other"
    )
    pair = load_pair(str(manifest), external=str(other))
    assert set(pair.train.modalities) == set(pair.external.modalities) == {"rna", "ehr"}
    assert any("Not used: ct of tiny (the other cohort lacks it" in note for note in pair.notes)
    assert (len(pair.train), len(pair.external)) == (40, 30)
    by_site = load_pair(str(manifest), modalities=["ehr"], site="A")
    assert by_site.external.name.endswith(" A") and by_site.train.modalities == ["ehr"]
    assert set(by_site.train.groups["site"]) == {"B"}


def test_an_unusable_choice_of_cohorts(manifest):
    with pytest.raises(DataError, match=r"two external cohorts .*external or split_by_site"):
        load_pair(str(manifest), external="demo", site="A")
    with pytest.raises(DataError, match=r"no external cohort -> give external="):
        load_pair(str(manifest))
    with pytest.raises(DataError, match="the external cohort shares patients"):
        load_pair(str(manifest), external=str(manifest))
    with pytest.raises(DataError, match="no such site"):
        load_pair(str(manifest), site="Boston")
    with pytest.raises(DataError, match=r"unknown modality .*got pet"):
        load_pair(str(manifest), modalities=["pet"], site="A")
    rna, ehr = (tiny_cohort().select(modalities=[m]) for m in ("rna", "ehr"))
    with pytest.raises(DataError, match="the two cohorts have no modality in common"):
        _same_modalities(rna, ehr, [])


def test_a_stage_that_is_no_stage_is_named(manifest, tmp_path):
    other = write_cohort(prefixed(tiny_cohort(30, seed=2)), tmp_path / "other")
    labels = other.parent / "labels.csv"
    labels.write_text(labels.read_text().replace(",II", ",banana", 1))
    rehash(other)
    with pytest.raises(DataError, match="banana"):
        load_pair(str(manifest), external=str(other))


def test_too_few_patients_for_the_folds():
    cohort = tiny_cohort(60)
    check_enough(cohort, Plan(3, 2, 1))
    rare = cohort.y.index[cohort.y == "III"][3:]
    small = cohort.select(patients=list(cohort.table.index.difference(rare)))
    with pytest.raises(DataError, match=r"class III has too few patients for 3 outer and 2 .*got 3 patients"):
        check_enough(small, Plan(3, 2, 1))
    with pytest.raises(DataError, match=r"parameter outer.*got 1"):
        check_enough(cohort, Plan(1, 2, 1))


def test_other_editions_are_said():
    one = tiny_cohort().with_target("late_vs_early")
    seven, eight = (replace(one, provenance={"ajcc_edition": e}) for e in (7, 8))
    assert "other AJCC editions: 7 in tiny, 8 in tiny" in _editions(seven, eight)[0]
    assert _editions(seven, seven) == [] and _editions(one, eight) == []


def test_tcga_to_a_table_like_it(shared_data, tmp_path):
    """Held-out cases as a user's CSV files: the rules of transfer find all genes and columns again."""
    cohort = mf.load_cohort("tcga_luad", root=shared_data / "tcga").complete()
    rng = np.random.default_rng(0)
    mine = rng.permutation(cohort.X.index)[:120]
    held_out = prefixed(cohort.select(patients=sorted(mine)), "user-")
    file = write_cohort(held_out, tmp_path / "user")
    other = mf.load_cohort(file)
    assert other.target == "late_vs_early" and len(other) == 120
    assert set(other.groups["site"]) == set(held_out.groups["site"])  # codes such as 05 are names
    rest = cohort.select(patients=sorted(set(cohort.X.index) - set(mine)))
    transformer = CohortTransformer(n_genes=200, graph="none").fit(rest.X)
    found = transfer_table(transformer, other)
    assert (found["absent"] == "none").all() and (found["patients"] == 120).all()
    inputs = transformer.transform(other.X)
    same = transformer.transform(cohort.select(patients=sorted(mine)).X)
    for name, array in inputs.arrays.items():
        np.testing.assert_allclose(array, same.arrays[name], atol=1e-5)
    fewer = pd.Index(transformer.transformers_["rna"].genes_[:12])
    lacking = replace(other, table=other.table.drop(columns=[("rna", g) for g in fewer]))
    assert transfer_table(transformer, lacking).loc["rna", "absent"].startswith("12 of 200: ")


def test_inputs_that_cannot_be_compared_are_refused_before_a_fit():
    train, other = tiny_cohort(), prefixed(tiny_cohort(40, seed=2))
    _check_inputs(train, other)
    ensembl = [(m, f"ENSG{f[4:]}" if m == "rna" else f) for m, f in other.table.columns]
    table = other.table.set_axis(pd.MultiIndex.from_tuples(ensembl), axis=1)
    with pytest.raises(DataError, match=r"column rna: no column of the training .*GENE0.*got ENSG0"):
        _check_inputs(train, replace(other, table=table))
    with pytest.raises(DataError, match=r"column rna: the cohorts have two units \(expected log; got tpm\)"):
        _check_inputs(train, replace(other, units={"rna": "tpm"}))


def test_labels_that_cannot_be_compared_are_refused_before_a_fit(manifest, tmp_path):
    one = prefixed(tiny_cohort(60, seed=2))
    one = one.select(patients=list(one.y.index[one.y == "II"]))
    with pytest.raises(DataError, match=r"discrimination cannot be estimated .*got II"):
        load_pair(str(manifest), external=str(write_cohort(one, tmp_path / "other")))
