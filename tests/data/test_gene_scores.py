"""Scores of gene sets by ranks: of one patient alone, in any unit that keeps the order of the genes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.data.gene_scores import coverage, least_genes, rank_profiles, singscore
from mmfusion.errors import DataError

GENES = [f"G{k}" for k in range(30)]
SETS = {"first": GENES[:8], "spread": GENES[::4]}


def profiles(n=6, seed=0):
    rng = np.random.default_rng(seed)
    ids = [f"P{i}" for i in range(n)]
    return pd.DataFrame(rng.gamma(2, 3, size=(n, len(GENES))), ids, GENES)


def test_the_formula_of_foroutan():
    # 10 genes, the set has those of ranks 10, 8 and 3: mean 7, low (1+2+3)/3 = 2, high (8+9+10)/3 = 9
    genes = list("ABCDEFGHIJ")
    table = pd.DataFrame([np.arange(1.0, 11.0)], ["P1"], genes)
    assert singscore(table, {"set": ["J", "H", "C"]}).loc["P1", "set"] == pytest.approx(5 / 7 - 0.5)


def test_the_ends_of_the_range():
    table = pd.DataFrame([np.arange(30.0), np.arange(30.0)[::-1]], ["up", "down"], GENES)
    scores = singscore(table, {"last": GENES[-8:]})["last"]
    assert scores.tolist() == [0.5, -0.5]


INCREASING = {
    "log": np.log1p,
    "cube": lambda x: x**3,
    "scale": lambda x: 1e-3 * x + 7,
    "sqrt": np.sqrt,
    "negative": lambda x: -1 / (1 + x),
}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), name=st.sampled_from(sorted(INCREASING)))
def test_an_increasing_transform_of_a_patient_changes_nothing(seed, name):
    table = profiles(3, seed)
    changed = table.copy()
    changed.iloc[1] = INCREASING[name](table.iloc[1].to_numpy())
    pd.testing.assert_frame_equal(singscore(changed, SETS), singscore(table, SETS))


def test_no_other_patient_matters():
    table = profiles()
    whole = singscore(table, SETS)
    for patient in table.index:
        pd.testing.assert_frame_equal(singscore(table.loc[[patient]], SETS), whole.loc[[patient]])
    shuffled = singscore(table.iloc[::-1][GENES[::-1]], SETS)
    pd.testing.assert_frame_equal(shuffled.loc[table.index], whole)


def test_random_profiles_have_scores_near_0():
    scores = singscore(profiles(400), SETS)
    assert scores.mean().abs().max() < 0.03 and scores.abs().max().max() <= 0.5


def test_ties_get_their_mean_rank():
    table = pd.DataFrame([[0.0, 0.0, 0.0, 5.0]], ["P1"], ["A", "B", "C", "D"])
    assert rank_profiles(table).tolist() == [[2.0, 2.0, 2.0, 4.0]]
    constant = pd.DataFrame(np.zeros((1, 30)), ["P1"], GENES)
    assert singscore(constant, SETS).loc["P1"].tolist() == [0.0, 0.0]


def test_missing_cells_are_not_ranked():
    table = profiles(2)
    table.iloc[1, 20:] = np.nan
    part = table.iloc[[1], :20]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert singscore(table, SETS).loc["P1", "first"] == singscore(part, SETS).loc["P1", "first"]
    table.iloc[1, :5] = np.nan  # 3 of the first 8 are left
    assert np.isnan(singscore(table, SETS).loc["P1", "first"])
    assert np.isfinite(singscore(table, SETS).loc["P0", "first"])


def test_a_patient_without_rna_has_no_score():
    table = profiles(2)
    table.iloc[1] = np.nan
    assert singscore(table, SETS).loc["P1"].isna().all()


def test_too_few_genes_of_a_set():
    sets = {"few": [*GENES[:4], "X1", "X2"], "small share": [*GENES[:6], *(f"X{k}" for k in range(30))]}
    found = coverage(GENES, sets)
    assert not found["estimable"].any() and found["found"].tolist() == [4, 6]
    assert singscore(profiles(), sets).isna().all(axis=None)
    assert singscore(profiles(), sets, 0.1)["small share"].notna().all()
    assert [least_genes(k) for k in (1, 2, 5, 16, 17, 100)] == [1, 2, 5, 5, 6, 30]


def test_a_set_of_all_genes_has_no_rank_among_others():
    assert not coverage(GENES, {"all": GENES}).loc["all", "estimable"]
    assert singscore(profiles(), {"all": GENES})["all"].isna().all()


def test_bad_tables():
    with pytest.raises(DataError, match="column G3: not a column of numbers"):
        rank_profiles(profiles().assign(G3="high"))
    with pytest.raises(DataError, match="patient P2, column G5: a value is infinite"):
        table = profiles()
        table.loc["P2", "G5"] = np.inf
        rank_profiles(table)
    with pytest.raises(DataError, match="column G0: a gene has two columns"):
        rank_profiles(pd.concat([profiles(), profiles()[["G0"]]], axis=1))
    with pytest.raises(DataError, match="min_share"):
        singscore(profiles(), SETS, 1.5)


def test_inputs_are_not_changed():
    table = profiles()
    before = table.copy()
    singscore(table, SETS)
    pd.testing.assert_frame_equal(table, before)


def test_the_order_of_patients_is_that_of_ssgsea():
    """GSEApy's ssGSEA (Barbie 2009) is another rank-based score; both order the patients alike."""
    gseapy = pytest.importorskip("gseapy")
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        rng.normal(size=(24, 200)), [f"P{i}" for i in range(24)], [f"G{k}" for k in range(200)]
    )
    members = list(table.columns[:25])
    table[members] += np.linspace(-1, 1, 24)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of GSEApy
        found = gseapy.ssgsea(table.T, {"set": members}, min_size=5, outdir=None, threads=1, seed=0).res2d
    other = found.set_index("Name")["NES"].astype(float).loc[table.index]
    mine = singscore(table, {"set": members})["set"]
    assert mine.corr(other, method="spearman") > 0.95
