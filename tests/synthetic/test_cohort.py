"""The cohort: what it holds, who lacks what, its optimum, and no way round to the label."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from sklearn.metrics import roc_auc_score

from mmfusion.data.cohort import presence
from mmfusion.errors import DataError
from mmfusion.synthetic import clinical, phantom, posterior

TABLES = {"modalities": ("rna", "ehr"), "n_genes": 60, "n_planted": 6}


def test_blocks_and_columns(small):
    cohort, optimum = small
    assert set(cohort.modalities) == {"ct", "rna", "ehr"}
    assert list(cohort.table["ehr"].columns) == list(clinical.COLUMNS)
    assert set(cohort.table["ct"].columns) == {"volume", "mask", "seed_x", "seed_y", "seed_z"}
    assert set(cohort.table["meta"].columns) == {"site", "scanner"}
    assert cohort.table["rna"].shape == (60, 60)
    assert cohort.units == {"rna": "tpm"}
    assert list(optimum.index) == [
        "ct",
        "rna",
        "ehr",
        "ct+rna",
        "ct+ehr",
        "rna+ehr",
        "ct+rna+ehr",
        "observed",
    ]
    assert cohort.y.cat.categories.tolist() == ["I", "II", "III"]
    assert len(cohort.provenance["planted_genes"]) == 6
    json.dumps(cohort.provenance)


def test_records_have_the_types_of_real_ones():
    cohort, _ = phantom(300, missing=0.0, **TABLES)
    ehr = cohort.table["ehr"]
    text = {"sex", "ethnicity", "smoking_status", "ground_glass", "histology", "egfr", "kras", "alk"}
    assert {c for c in ehr if not pd.api.types.is_numeric_dtype(ehr[c])} == text
    assert ehr["age"].dropna().between(20, 110).all()
    assert (ehr.filter(like="lobe_").sum(axis=1) == 1).all()
    assert ehr["years_since_quit"].notna().mean() < 0.7
    gone = ehr.drop(columns=["years_since_quit", *clinical.COMPLETE]).isna().to_numpy().mean()
    assert gone == pytest.approx(clinical.CELL_MISSING, abs=0.02)


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.5, 1.0])
def test_missing_proportions(missing):
    cohort, _ = phantom(2000, missing=missing, **TABLES)
    has = presence(cohort.table)
    assert (~has.all(axis=1)).mean() == pytest.approx(missing, abs=0.035)
    assert has.any(axis=1).all()
    assert cohort.table["rna"].isna().all(axis=1).equals(~has["rna"])


def test_missing_of_three(small):
    cohort, _ = small
    has = presence(cohort.table).sum(axis=1)
    assert has.between(1, 3).all()
    assert (has < 3).mean() == pytest.approx(0.2, abs=0.15)


def test_observed_optimum_lies_between():
    _, complete = phantom(500, missing=0.0, **TABLES)
    _, half = phantom(500, missing=0.5, **TABLES)
    _, all_ = phantom(500, missing=1.0, **TABLES)
    observed = [o.loc["observed", "macro_auc"] for o in (complete, half, all_)]
    assert observed[0] == pytest.approx(complete.loc["rna+ehr", "macro_auc"])
    assert observed[0] > observed[1] > observed[2] > 0.6


def test_posterior_reaches_the_observed_optimum():
    cohort, optimum = phantom(6000, seed=9, missing=0.5, **TABLES)
    best = posterior(cohort)
    assert best.sum(axis=1).to_numpy() == pytest.approx(1)
    got = roc_auc_score(cohort.y, best, multi_class="ovr")
    assert got == pytest.approx(optimum.loc["observed", "macro_auc"], abs=0.016)
    has = presence(cohort.table)
    rna_only = posterior(cohort, modalities=["rna"])[has["rna"]]
    got = roc_auc_score(cohort.y[has["rna"]], rna_only, multi_class="ovr")
    assert got == pytest.approx(optimum.loc["rna", "macro_auc"], abs=0.02)


def test_posterior_follows_a_selection(small):
    cohort, _ = small
    some = cohort.select(patients=list(cohort.table.index[5:9]), modalities=["ehr"])
    assert posterior(some).equals(posterior(cohort, modalities=["ehr"]).loc[some.X.index])


def test_other_targets():
    cohort, optimum = phantom(4000, missing=0.0, target="late_vs_early", **TABLES)
    best = posterior(cohort)
    assert list(best.columns) == ["I-II", "III-IV"]
    got = roc_auc_score(cohort.y == "III-IV", best["III-IV"])
    assert got == pytest.approx(optimum.loc["rna+ehr", "macro_auc"], abs=0.02)


def test_null():
    planted, _ = phantom(300, **TABLES)
    null, optimum = phantom(300, signal="null", **TABLES)
    assert (optimum["macro_auc"] == 0.5).all()
    assert null.table.equals(planted.table)
    assert not null.y.equals(planted.y)


def test_seeds():
    one, again, other = (phantom(50, seed=s, **TABLES)[0] for s in (4, 4, 5))
    assert one.table.equals(again.table)
    assert one.y.equals(again.y)
    assert one.table.index.intersection(other.table.index).empty  # an external cohort shares no patient
    assert not np.array_equal(one.table["rna"].to_numpy(), other.table["rna"].to_numpy())
    assert one.provenance["planted_genes"] == other.provenance["planted_genes"]  # but nature stays as it is


def test_no_way_round_to_the_label():
    cohort, _ = phantom(6000, seed=2, missing=0.5, **TABLES)
    has = presence(cohort.table)
    order = pd.Series(np.arange(6000) * 5 // 6000, index=cohort.table.index)
    for name, other in {
        "site": cohort.groups["site"],
        "rna": has["rna"],
        "ehr": has["ehr"],
        "order": order,
    }.items():
        assert chi2_contingency(pd.crosstab(other, cohort.y)).pvalue > 0.001, name
    assert (
        cohort.provenance["gene_network"]
        == phantom(50, signal="null", **TABLES)[0].provenance["gene_network"]
    )


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not change
    phantom(20, **TABLES)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_without_ct_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    phantom(20, **TABLES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"signal": "loud"}, "planted or null"),
        ({"n": 0}, "n >= 1"),
        ({"missing": 1.5}, "0 to 1"),
        ({"modalities": ("ct", "mri")}, "ct, rna, ehr"),
        ({"modalities": "rna"}, "ct, rna, ehr"),
        ({"sites": 9}, "1 to 4"),
        ({"target": "stage4_lung1"}, "stage3_ajcc7"),
        ({"target": "grade"}, "grade"),
    ],
)
def test_bad_arguments(wrong, says):
    with pytest.raises(DataError, match=says):
        phantom(**{**TABLES, **wrong})


def test_posterior_of_another_cohort_is_refused(small):
    from dataclasses import replace

    with pytest.raises(DataError, match="only for a phantom"):
        posterior(replace(small[0], provenance={}))


def test_no_torch():
    code = "import sys, mmfusion.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
