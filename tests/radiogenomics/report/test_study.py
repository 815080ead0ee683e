"""The study of a genotype report: who is judged, which models, and what cannot be estimated."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.cohort import Cohort
from mmfusion.data.sources import register_source
from mmfusion.errors import DataError
from mmfusion.radiogenomics import CLINICAL_SETS, ClinicalClassifier
from mmfusion.radiogenomics.report import expression_study, reading, study, verdict
from mmfusion.synthetic import radiomics_phantom

SERIAL = {"where": "serial", "progress": False}
N = 80


def partly(**changes):
    """A phantom of which 20 patients have no radiomics, with scans beside the features."""
    cohort = radiomics_phantom(N, 2, n_features=100)
    table = cohort.table.copy()
    table["ct", "volume"] = [f"{p}.nii.gz" for p in table.index]
    table["ct", "seed_x"] = 1.0
    table.loc[table.index[:20], "ct"] = np.nan
    return Cohort("partly", table, cohort.outcomes, "egfr", groups=cohort.groups, **changes)


@pytest.fixture(scope="module", autouse=True)
def known_cohort():
    register_source("partly")(lambda root=None: partly())


def test_patients_with_features_and_everybody():
    found = study.load_study("partly")
    assert len(found.cohort) == 60 and len(found.everybody) == N and len(found.whole) == N
    assert found.everybody.modalities == ["ehr"] and found.cohort.modalities == ["ct", "ehr"]
    assert not {("ct", "volume"), ("ct", "seed_x")} & set(found.cohort.table.columns)
    assert found.left_out.startswith("20 patients with a label have no features")
    assert found.modalities == ("ct",)


def test_the_phantom_has_its_size_and_seed():
    found = study.load_study("radiomics_phantom", n_patients=40, seed=3)
    assert len(found.cohort) == 40 and found.everybody is None and found.left_out == ""
    assert found.cohort.table.index[0].startswith("RP03-")
    assert study.optimum(found.cohort)["auc"] == 0.85
    assert study.optimum(found.cohort)["expression_r"] == pytest.approx(0.566, abs=0.001)
    assert study.optimum(partly()) == {}


def scanned(root):
    """Eight patients with scans and masks, of whom six also have a table of features."""
    cohort = mf.lesion_phantom(8, 3, size=16, target="egfr", root=root, types=("solid",), diameters=(12, 20))
    table = pd.DataFrame({"a": range(6)}, cohort.X.index[:6], dtype=float)
    return cohort.with_features("ct", table)


def test_what_is_read(tmp_path):
    cohort = scanned(tmp_path)
    register_source("scanned")(lambda root=None: cohort)
    radiomics, deep, both = (study.load_study("scanned", features=f) for f in study.FEATURES)
    assert [len(one.cohort) for one in (radiomics, deep, both)] == [6, 8, 6]
    columns = [set(one.cohort.table["ct"].columns) for one in (radiomics, deep, both)]
    scans = {"volume", "mask", "seed_x", "seed_y", "seed_z"}
    assert columns[0] == {"a"} and scans <= columns[1] and "a" not in columns[1]
    assert columns[2] == scans | {"a"}
    assert deep.tables is None and set(both.tables.table["ct"].columns) == {"a"}
    assert radiomics.tables.table.equals(radiomics.cohort.table)
    extractors = [reading.deep_extractor(f, ["ct"], max_epochs=3) for f in study.FEATURES]
    assert extractors[0] is None and [list(e.table) for e in extractors[1:]] == [[], ["ct"]]


def test_deep_features_need_scans_with_masks():
    with pytest.raises(DataError, match=r"no patient has scans with masks .*cohort=lesion_phantom"):
        study.load_study("radiomics_phantom", n_patients=20, features="deep")
    with pytest.raises(DataError, match="no patient has features and scans with masks"):
        study.load_study("partly", features="both")
    with pytest.raises(DataError, match="parameter features"):
        study.load_study("radiomics_phantom", n_patients=20, features="depp")


def test_studies_that_cannot_be():
    with pytest.raises(DataError, match="not a target with two classes"):
        study.load_study("radiomics_phantom", target="expression")
    with pytest.raises(DataError, match="no patient has features"):
        study.load_study("radiomics_phantom", modalities=["pet"], n_patients=20)
    with pytest.raises(DataError, match="parameter n_patients"):
        study.load_study("radiomics_phantom", n_patients=-1)


def test_models_of_the_report():
    main, single = study.genotype_models(["none", "lda"], ["qda", "dt"], ["ct"], preset="demo", inner=2)
    assert list(single) == ["none + qda", "none + dt", "lda + qda", "lda + dt", "ridge"]
    assert main.preset == "demo" and main.inner == 2 and main.short_name == "chosen + chosen"


def test_clinical_models_that_the_cohort_allows():
    cohort = radiomics_phantom(N, 2, n_features=100)
    models, absent = study.clinical_models(cohort)
    assert not absent and study.REFERENCE in models and f"{study.REFERENCE}, forest" in models
    assert all(name.startswith(study.CLINICAL) for name in models)
    table = cohort.table.drop(columns=[("ehr", "grade")])
    models, absent = study.clinical_models(Cohort("less", table, cohort.outcomes, "egfr"))
    assert absent == ["clinical: all with grade is not estimable: the cohort lacks grade."]
    models, absent = study.clinical_models(cohort.select(modalities=["ct"]))
    assert not models and len(absent) == len(CLINICAL_SETS)
    assert list(study.clinical_inputs().index) == [one.title for one in CLINICAL_SETS.values()]


@pytest.fixture(scope="module")
def judged():
    """All mutants are adenocarcinomas, as in the published cohort."""
    cohort = radiomics_phantom(N, 2, n_features=100)
    table = cohort.table.copy()
    table.loc[cohort.y == "mutant", ("ehr", "histology")] = "adenocarcinoma"
    cohort = Cohort("one", table, cohort.outcomes, "egfr", groups=cohort.groups)
    models = {study.REFERENCE: ClinicalClassifier()}
    main, _ = study.genotype_models(["pca"], ["qda"], preset="demo", inner=2)
    return cohort, mf.nested_cv(main, cohort, name=study.MAIN, baselines=models, outer=3, **SERIAL)


def test_a_subgroup_of_one_class_is_not_estimable(judged):
    cohort, result = judged
    groups = study.subgroups(cohort)
    assert list(groups) == ["histology", "site"]
    found = study.within(result, groups["histology"], [result.main, study.REFERENCE])
    squamous = found[found["group"] == "squamous cell"]
    assert (squamous["positive"] == 0).all() and squamous["mean"].isna().all()
    assert found.drop_duplicates("group")["n"].sum() == N
    page = verdict.within_table(found)
    assert (page.loc["squamous cell", [result.main, study.REFERENCE]] == "not estimable").all()
    assert "[" in page.loc["adenocarcinoma", result.main]
    few = found.assign(said="few patients of a class (yes 7): uncertain")
    page = verdict.within_table(few)
    assert page.loc["adenocarcinoma", result.main].endswith("]; few patients of a class (yes 7): uncertain")
    assert page.loc["squamous cell", result.main] == "not estimable"
    unknown = groups["histology"].where(groups["histology"] != "squamous cell")
    assert study.subgroups(cohort.select(modalities=["ct"])).keys() == {"site"}
    with pytest.raises(DataError, match="a patient has no group"):
        study.within(result, unknown.dropna(), [result.main])


def test_expression_with_too_little_data():
    found = study.load_study("radiomics_phantom", n_patients=40)
    panel, reason = expression_study.expression_study(found)
    assert reason == "" and panel.target == "expression" and panel.modalities == ["ct", "ehr"]
    model, others = expression_study.expression_models(found, panel)
    assert model.modalities == ("ct",) and list(others) == ["mean", study.REFERENCE, "clinical: histology"]
    panel, reason = expression_study.expression_study(found, ["TTN"])
    assert panel is None and reason.startswith("Expression is not estimable: none of the panel's genes")
    panel, reason = expression_study.expression_study(study.load_study("radiomics_phantom", n_patients=20))
    assert panel is None and "only 20 patients" in reason


def test_sentences_about_the_result(judged):
    cohort, result = judged
    runs = pd.DataFrame({"seed": [0, 1], "mean": [0.4, 0.999], "lo": 0.3, "hi": 1.0})
    lines = verdict.verdict(result, runs, best_possible=0.85)
    auc = result.scores["macro_auc"]
    assert f"{auc.loc[study.MAIN, 'mean']:.3f}" in lines[0] and study.REFERENCE in lines[0]
    assert any("On 2 permutations of the labels" in line and "1 of them reaches" in line for line in lines)
    assert verdict.permuted_sentence(runs[:1], 0.7).endswith("the same model has an AUC of 0.400.")
    assert lines[-1].startswith("The best possible AUC of the features of this synthetic cohort is 0.850.")
    alone = mf.nested_cv(ClinicalClassifier(), cohort, name="m", baselines=False, outer=3, **SERIAL)
    assert verdict.reference_of(alone) is None
    assert "no health records to compare with" in verdict.verdict(alone)[0]
    data = study.Study(cohort, None, ("ct",), "", cohort)
    assert any("24 patients are mutant" in line for line in verdict.caveats(data, result))
    assert "3 outer folds." in "".join(verdict.protocol(data, result))


def test_the_published_cohort(shared_data):
    found = study.load_study("r01_egfr", str(shared_data))
    assert len(found.cohort) == 117 and len(found.everybody) == 172
    models, absent = study.clinical_models(found.cohort)
    assert not absent and len(models) == 6
    panel, reason = expression_study.expression_study(found)
    assert reason == "" and len(panel) == 94 and list(panel.y) == ["EGFR", "ROS1", "MET"]
    assert any("R01-012" in note for note in found.cohort.notes)
