"""The phantom of radiomics keeps its promises: the best AUC and correlation, the null, the seeds."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.synthetic import radiomics_optimum, radiomics_phantom
from mmfusion.synthetic.radiomics import LEVELS, PANEL

N = 20_000
SIGNALS = ("planted", "null")


@pytest.fixture(scope="module")
def cohorts():
    """Many patients, so that linear models come close to the optimum."""
    return {signal: radiomics_phantom(N, 5, signal, n_features=100) for signal in SIGNALS}


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_best_auc_of_the_radiomics(cohorts, signal):
    """For two normal distributions with the same covariance, the linear discriminant is the best rule."""
    cohort = cohorts[signal]
    x, y, half = cohort.X["ct"].to_numpy(), (cohort.y == "mutant").to_numpy(), N // 2
    score = LinearDiscriminantAnalysis().fit(x[:half], y[:half]).decision_function(x[half:])
    assert roc_auc_score(y[half:], score) == pytest.approx(radiomics_optimum(cohort), abs=0.015)


@pytest.mark.parametrize("columns", [["sex", "smoking_status"], ["histology"], list(LEVELS)])
def test_the_best_auc_of_the_records(cohorts, columns):
    """The columns are independent given the genotype, so that their log likelihood ratios add up."""
    cohort = cohorts["planted"]
    ratio = sum(
        cohort.X["ehr", c].map({k: np.log(m / w) for k, (w, m) in LEVELS[c].items()}) for c in columns
    )
    found = roc_auc_score(cohort.y == "mutant", ratio)
    assert found == pytest.approx(radiomics_optimum(cohort, columns), abs=0.012)
    assert radiomics_optimum(cohorts["null"], columns) == 0.5


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_best_correlation_of_each_gene(cohorts, signal):
    cohort = cohorts[signal].with_target("expression")
    x, half = cohort.X["ct"].to_numpy(), N // 2
    fitted = LinearRegression().fit(x[:half], cohort.y[:half])
    for k, gene in enumerate(PANEL):
        r = np.corrcoef(fitted.predict(x[half:])[:, k], cohort.y[gene][half:])[0, 1]
        assert r == pytest.approx(cohort.provenance["optimum"]["expression_r"][gene], abs=0.03)


def test_a_few_components_have_most_of_the_variance():
    """As in real radiomics: ten components have four fifths of the variance of 120 patients."""
    x = radiomics_phantom(120).X["ct"]
    share = np.linalg.svd((x - x.mean()) / x.std(), compute_uv=False) ** 2
    share = share.cumsum() / share.sum()
    assert 0.7 < share[9] < 0.9 and share[59] > 0.95


def test_shares_seeds_and_names():
    cohort = mf.load_cohort("radiomics_phantom", n=50, seed=2, mutants=0.3)
    assert cohort.y.value_counts().to_dict() == {"wildtype": 35, "mutant": 15}
    again, other = radiomics_phantom(50, 2, mutants=0.3), radiomics_phantom(50, 3)
    assert cohort.table.equals(again.table)
    assert not set(cohort.table.index) & set(other.table.index)
    assert not np.allclose(cohort.X["ct"].to_numpy(), other.X["ct"].to_numpy())
    null = radiomics_phantom(50, 2, "null", mutants=0.3)
    assert null.outcomes["egfr"].equals(cohort.outcomes["egfr"])
    assert cohort.targets == ["egfr", "expression"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n": 0}, "parameter n: out of range"),
        ({"n": True}, "parameter n: out of range"),
        ({"seed": -1}, "parameter seed"),
        ({"n_features": 20}, "parameter n_features"),
        ({"mutants": 1.5}, "parameter mutants: out of range"),
        ({"auc": 0.3}, "parameter auc: out of range"),
        ({"signal": "some"}, r"no such signal \(expected planted or null"),
    ],
)
def test_arguments_out_of_range(options, match):
    with pytest.raises(DataError, match=match):
        radiomics_phantom(**options)
    with pytest.raises(DataError, match=r"does not take this.*colour"):
        mf.load_cohort("radiomics_phantom", colour="blue")
