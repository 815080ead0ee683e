"""The generative model keeps its promises: the optimum, the posterior, the null."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from mmfusion.errors import DataError
from mmfusion.synthetic import clinical, lesions, model, optimum
from mmfusion.synthetic.genes import gene_programme

N = 8000
PROGRAMME = gene_programme(100, 20)
STANDARD_ERROR = 0.007  # of a macro-AUC over N patients; the largest of the subsets, over 12 seeds


def _auc(stage, probabilities):
    return roc_auc_score(stage, probabilities, multi_class="ovr", average="macro")


@pytest.fixture(scope="module")
def drawn():
    return model.draw(N, 11, "planted", PROGRAMME)


@pytest.fixture(scope="module")
def belief(drawn):
    return optimum.beliefs(drawn.lesions, PROGRAMME.score(drawn.genes), drawn.record, PROGRAMME)


def test_balance(drawn):
    shares = np.bincount(drawn.stage, minlength=3) / N
    assert shares == pytest.approx(model.BALANCE, abs=0.02)


def test_default_optimum_is_where_fusion_pays():
    auc = {s: optimum.expected_macro_auc(p) for s, p in optimum.best_readings("planted", 500, 20).items()}
    assert all(0.65 <= auc[(m,)] <= 0.80 for m in model.MODALITIES)
    assert 0.85 <= auc[model.MODALITIES] <= 0.93
    for pair in [s for s in auc if len(s) == 2]:
        assert max(auc[(m,)] for m in pair) + 0.05 < auc[pair] < auc[model.MODALITIES] - 0.05


@pytest.mark.parametrize("subset", optimum.subsets(model.MODALITIES), ids="+".join)
def test_posterior_of_emitted_data_reaches_the_table(subset, drawn, belief):
    promised = optimum.expected_macro_auc(optimum.best_readings("planted", 100, 20)[subset])
    got = _auc(drawn.stage, optimum.class_probabilities(belief, subset, "planted"))
    assert got == pytest.approx(promised, abs=2 * STANDARD_ERROR)


def test_posterior_is_calibrated(drawn, belief):
    p = optimum.class_probabilities(belief, model.MODALITIES, "planted")
    assert p.sum(axis=1) == pytest.approx(1)
    for k in range(3):
        for lower in np.arange(0, 1, 0.2):
            rows = (p[:, k] >= lower) & (p[:, k] < lower + 0.2)
            if rows.sum() > 50:  # II is never certain
                error = np.sqrt(0.25 / rows.sum())
                assert (drawn.stage[rows] == k).mean() == pytest.approx(p[rows, k].mean(), abs=4 * error)


def test_the_width_of_a_posterior_is_its_error(drawn, belief):
    for k, modality in enumerate(model.MODALITIES):
        mean = belief[modality] @ model.GRID
        variance = belief[modality] @ model.GRID**2 - mean**2
        standardised = (drawn.latents[:, k] - mean) / np.sqrt(variance)
        assert standardised.mean() == pytest.approx(0, abs=0.06)
        assert standardised.std() == pytest.approx(1, abs=0.04)


def test_an_additive_reader_loses_a_little_and_mostly_for_want_of_the_interaction(drawn, belief):
    means = np.column_stack([belief[m] @ model.GRID for m in model.MODALITIES])
    product = np.column_stack([means, means[:, 0] * means[:, 1]])
    train, held_out = slice(0, N // 2), slice(N // 2, N)
    stage = drawn.stage[held_out]
    additive, interacting = (
        LogisticRegression().fit(x[train], drawn.stage[train]).predict_proba(x[held_out])
        for x in (means, product)
    )
    best = optimum.class_probabilities(belief, model.MODALITIES, "planted")[held_out]
    assert 0 < _auc(stage, best) - _auc(stage, additive) < 0.01
    lost, regained = (log_loss(stage, additive) - log_loss(stage, p) for p in (best, interacting))
    assert 0.005 < lost < 0.02
    assert lost / 2 < regained < lost  # no model is better than the posterior


def test_null_is_chance_everywhere():
    assert {optimum.expected_macro_auc(p) for p in optimum.best_readings("null", 500, 20).values()} == {0.5}


def test_null_changes_the_stage_alone(drawn):
    null = model.draw(N, 11, "null", PROGRAMME)
    assert null.genes.equals(drawn.genes)
    assert null.lesions.equals(drawn.lesions)
    assert null.record.equals(drawn.record)
    p = optimum.class_probabilities(
        optimum.beliefs(null.lesions, PROGRAMME.score(null.genes), null.record, PROGRAMME),
        model.MODALITIES,
        "planted",
    )
    assert _auc(null.stage, p) == pytest.approx(0.5, abs=2 * STANDARD_ERROR)


def test_missing_cells_say_nothing_of_the_stage(drawn):
    for column in ("age", "histology", "pack_years"):
        counts = np.array(
            [np.bincount(drawn.stage[drawn.record[column].isna() == gone]) for gone in (True, False)]
        )
        assert chi2_contingency(counts).pvalue > 0.001


def test_smoking_statuses_come_as_often_as_their_likelihood_says():
    risk = np.full(40_000, 1.2)
    record = clinical.sample(risk, np.random.default_rng(0))
    at_risk = clinical._log_probabilities(clinical.SMOKING, np.array([1.2]))[0]
    shares = record["smoking_status"].dropna().value_counts(normalize=True)
    assert [shares[s] for s in clinical.SMOKING] == pytest.approx(np.exp(at_risk), abs=0.01)


def test_expected_macro_auc_is_that_of_labels_drawn_from_the_probabilities():
    rng = np.random.default_rng(2)
    p = rng.dirichlet([1, 1, 1], 40_000)
    stage = (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    assert optimum.expected_macro_auc(p) == pytest.approx(_auc(stage, p), abs=0.005)


def test_lesion_appearance_is_bounded_and_grows_with_the_burden():
    frame = lesions.sample(np.linspace(-3, 3, 2000), np.random.default_rng(0))
    for name, (_, low, high, *_) in lesions.APPEARANCE.items():
        assert frame[name].between(low, high).all()
        assert np.corrcoef(np.arange(2000), frame[name])[0, 1] > 0.15


def test_unknown_signal_is_refused():
    with pytest.raises(DataError, match="planted or null"):
        model.check_law("strong")


@pytest.fixture(scope="module")
def nominal():
    return model.draw(N, 11, "planted", PROGRAMME, "nominal")


def test_the_second_family_changes_the_stage_alone(drawn, nominal):
    assert nominal.genes.equals(drawn.genes) and nominal.record.equals(drawn.record)
    assert nominal.lesions.equals(drawn.lesions) and (nominal.stage != drawn.stage).mean() > 0.2
    assert np.bincount(nominal.stage, minlength=3) / N == pytest.approx(model.BALANCE, abs=0.02)
    null = (model.draw(200, 11, "null", PROGRAMME, family).stage for family in model.FAMILIES)
    np.testing.assert_array_equal(*null)


@pytest.mark.parametrize("subset", optimum.subsets(model.MODALITIES), ids="+".join)
def test_the_second_familys_posterior_reaches_its_table(subset, nominal, belief):
    promised = optimum.expected_macro_auc(optimum.best_readings("planted", 100, 20, family="nominal")[subset])
    got = optimum.class_probabilities(belief, subset, "planted", "nominal")
    assert _auc(nominal.stage, got) == pytest.approx(promised, abs=2 * STANDARD_ERROR)
    assert got.mean(axis=0) == pytest.approx(np.bincount(nominal.stage) / N, abs=0.02)


def test_no_single_score_orders_the_second_familys_stages(nominal, belief):
    """The best possible model names the middle stage; a model of one ordered score cannot."""
    best = optimum.class_probabilities(belief, model.MODALITIES, "planted", "nominal")
    middle = nominal.stage == 1
    assert (best.argmax(axis=1) == 1)[middle].mean() > 0.65
    means = np.column_stack([belief[m] @ model.GRID for m in model.MODALITIES])
    score = LogisticRegression().fit(means[~middle], nominal.stage[~middle]).decision_function(means)
    assert _auc(nominal.stage, best) > 0.91
    assert roc_auc_score(middle, -np.abs(score - np.median(score))) < roc_auc_score(middle, best[:, 1]) - 0.1


def test_unknown_family_is_refused():
    with pytest.raises(DataError, match="ordered or nominal"):
        model.check_law("planted", "linear")
