"""Genotype and expression: the stated optimum is what the true law reaches, in simulation."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

from mmfusion.synthetic.chest import appearance, genetics

ALL = tuple(appearance.TYPES)
EVERY_SIZE = (appearance.LOW, appearance.HIGH)


def _simulated(n, seed, types=ALL, strength=1.0, genes=genetics.PANEL):
    rng = np.random.default_rng(seed)
    lesions = appearance.draw(rng.random((n, appearance.N_DRAWS)), types)
    chance = np.column_stack([rng.random(n), rng.standard_normal((n, len(genes)))])
    return lesions, genetics.sample(lesions, chance, genes, strength)


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("types", [ALL, ("solid", "spiculated", "ground-glass")])
def test_the_true_law_reaches_the_optimum(types, strength):
    lesions, drawn = _simulated(20_000, 7, types, strength)
    best = genetics.simulate(types, EVERY_SIZE, strength=strength)
    auc = roc_auc_score(drawn["egfr"] == "mutant", genetics.egfr_probability(lesions, strength))
    assert auc == pytest.approx(best.egfr_auc, abs=0.01)
    mean = genetics.expected_expression(lesions, strength=strength)
    for gene, r in best.expression_r.items():
        assert np.corrcoef(mean[gene], drawn[f"expression_{gene}"])[0, 1] == pytest.approx(r, abs=0.02)


def test_no_model_exceeds_the_optimum():
    lesions, drawn = _simulated(20_000, 8)
    traits, half = appearance.traits(lesions), slice(10_000)
    rest = slice(10_000, None)
    best = genetics.simulate(ALL, EVERY_SIZE)
    mutant = drawn["egfr"] == "mutant"
    model = LogisticRegression().fit(traits[half], mutant[half])
    auc = roc_auc_score(mutant[rest], model.predict_proba(traits[rest])[:, 1])
    assert best.egfr_auc - 0.02 < auc < best.egfr_auc + 0.01
    y = drawn["expression_MKI67"].to_numpy()
    found = LinearRegression().fit(traits[half], y[half]).predict(traits[rest])
    assert np.corrcoef(found, y[rest])[0, 1] == pytest.approx(best.expression_r["MKI67"], abs=0.02)


def test_all_types_give_the_correlations_of_the_table():
    best = genetics.simulate(ALL, EVERY_SIZE, tuple(genetics.GENES))
    for gene, law in genetics.GENES.items():
        assert best.expression_r[gene] == pytest.approx(law.r, abs=0.015)


def test_without_strength_nothing_can_be_learned():
    best = genetics.simulate(ALL, EVERY_SIZE, strength=0.0)
    assert best.egfr_auc == 0.5
    assert set(best.expression_r.values()) == {0.0}


def test_expression_has_the_mean_and_spread_of_the_table():
    _, drawn = _simulated(20_000, 9)
    for gene in genetics.PANEL:
        values, law = drawn[f"expression_{gene}"], genetics.GENES[gene]
        assert values.mean() == pytest.approx(law.mean, abs=0.05)
        assert values.std() == pytest.approx(law.sd, rel=0.05)
    assert (drawn["egfr"] == "mutant").mean() == pytest.approx(0.38, abs=0.1)
