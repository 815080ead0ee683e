from dataclasses import replace

import pandas as pd
import pytest

from mmfusion.data.cohort import presence
from mmfusion.errors import DataError, LeakageError, MMFusionError
from mmfusion.evaluation import presence_groups
from mmfusion.staging.report import study
from mmfusion.synthetic import phantom
from tests.cohorts import tiny_cohort


@pytest.fixture(scope="module")
def synthetic():
    return phantom(60, modalities=("rna", "ehr"))[0]


def test_sizes_go_by_cohort_unless_given(synthetic):
    assert study.make_plan(synthetic) == study.Plan(3, 2, 3)
    assert study.make_plan(tiny_cohort()) == study.Plan(5, 3, 6)
    assert study.make_plan(tiny_cohort(), outer=2, trials=1) == study.Plan(2, 3, 1)


def test_subset_keeps_the_shares_of_classes(synthetic):
    some = study.subset(synthetic, 30, seed=1)
    assert len(some) == 30 and some.X.index.isin(synthetic.X.index).all()
    both = (synthetic.y.value_counts(normalize=True), some.y.value_counts(normalize=True))
    assert (both[0] - both[1]).abs().max() < 0.05
    assert study.subset(synthetic, 30, seed=1).X.index.equals(some.X.index)
    assert study.subset(synthetic, 0) is synthetic and study.subset(synthetic, 60) is synthetic


def test_a_real_cohort_is_studied_twice_where_modalities_are_missing(monkeypatch):
    cohort = tiny_cohort()
    monkeypatch.setattr(study, "load_cohort", lambda *_, **__: cohort)
    headline, everybody, _ = study.load_study("tiny")
    assert presence(headline.X).to_numpy().all() and len(headline) < len(everybody) == len(cohort)
    headline, everybody, _ = study.load_study("tiny", modalities=["ehr"])
    assert everybody is None and headline.modalities == ["ehr"] and len(headline) == len(cohort)


def test_a_synthetic_cohort_is_studied_once(monkeypatch, synthetic):
    monkeypatch.setattr(study, "load_cohort", lambda *_, **__: synthetic)
    headline, everybody, left_out = study.load_study("demo", n_patients=20)
    assert len(headline) == 20 and everybody is None and left_out == ""


def test_who_is_left_out_is_said(monkeypatch):
    cohort = tiny_cohort()
    stage = cohort.outcomes["stage"].astype(object).copy()
    stage.iloc[:4] = ["IV", "Stage IV", "0", None]
    table = cohort.table.copy()
    table.iloc[5] = None
    cohort = replace(cohort, outcomes=cohort.outcomes.assign(stage=stage), table=table)
    monkeypatch.setattr(study, "load_cohort", lambda *_, **__: cohort)
    _, everybody, left_out = study.load_study("tiny")
    assert (
        left_out
        == "Left out by the target: 0 1, IV 2; without a stage: 1; with a stage, but nothing to read: 1."
    )
    assert len(everybody) == len(cohort.table) - 5


def test_other_fusions_are_those_that_are_named():
    model = study.make_model("demo", "gmu")
    assert study.other_fusions(model, []) == [] and study.other_fusions(model, ["late"]) == ["late"]
    assert study.make_model("paper_multimodal", "preset").settings.network.fusion_options


def test_an_external_cohort_must_be_of_other_patients(monkeypatch):
    cohort = tiny_cohort()
    monkeypatch.setattr(study, "load_cohort", lambda *_, **__: cohort)
    with pytest.raises(DataError, match=r"P000.*shares patients"):
        study.load_external("other.csv", "", cohort)


def test_inputs_are_named_and_none_gives_the_stage_away():
    cohort = tiny_cohort()
    ct, ehr, rna = study.inputs_read(cohort, many=10, shown=2)
    assert ct == "ct, 2 features: sphericity, margin" and ehr.endswith("age, sex, pack_years")
    assert rna == "rna, 24 features: GENE0, GENE1, ... (22 more)"
    leaky = cohort.table.copy()
    leaky["ehr", "T stage"] = "T1"
    with pytest.raises(LeakageError):
        study.inputs_read(replace(cohort, table=leaky))
    genes = cohort.table.rename(columns={"GENE0": "NODAL", "GENE1": "T"}, level=1)
    assert "NODAL, T" in study.inputs_read(replace(cohort, table=genes), many=10, shown=2)[2]


def test_a_preset_under_another_fusion_loses_the_options_of_its_own():
    model = study.make_model("paper_multimodal", max_epochs=0, n_genes=7)
    assert model.settings.network.fusion_options and model.n_genes == 7 and model.max_epochs == 60
    assert study.other_fusions(model, ["all"]) == []
    model = study.make_model("paper_multimodal", "concat")
    assert model.fusion == "concat" and not model.settings.network.fusion_options
    assert study.other_fusions(model, ["gmu", "concat"]) == ["gmu"]
    assert "late" in study.other_fusions(model, ["all"])


def test_the_papers_baseline_needs_ct_features_and_records(synthetic):
    assert study.paper_baseline(synthetic) is None
    assert study.paper_baseline(tiny_cohort()).fusion == "mlp"


def test_presence_groups():
    cohort = tiny_cohort()
    groups = presence_groups(cohort)
    assert groups.index.equals(cohort.X.index) and set(groups) <= {"ct+ehr+rna", "ct+ehr", "ehr+rna", "ehr"}


def test_scans_that_few_have_are_left_out_and_noted():
    cohort = tiny_cohort()
    table = cohort.table.copy()
    table["ct", "volume"] = pd.Series({"P000": "a.nii.gz"}, dtype="str").reindex(table.index)
    few = study.without_rare_scans(replace(cohort, table=table))
    assert "volume" not in few.table["ct"] and "sphericity" in few.table["ct"]
    assert few.provenance["notes"] == ["only 1 of 60 patients have a ct scan: scans are not used"]
    table["ct", "volume"] = "a.nii.gz"
    assert "volume" in study.without_rare_scans(replace(cohort, table=table)).table["ct"]


def test_an_unknown_fusion_is_named_before_a_fit():
    with pytest.raises(MMFusionError, match="no fusion called 'nosuch'"):
        study.make_model("demo", "nosuch")
