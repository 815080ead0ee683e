"""Enrichment of gene sets against the tested genes."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

from mmfusion.errors import DataError, MMFusionError
from mmfusion.explain import enrichment

pytest.importorskip("gseapy")
NAMES = [f"G{i}" for i in range(100)]
TABLE = pd.DataFrame({"mean_abs_shap": np.linspace(1, 0.01, 100), "q": np.r_[[0.05] * 10, [0.9] * 90]}, NAMES)
SETS = {
    "leading": [*NAMES[:6], "UNKNOWN"],
    "mixed": [*NAMES[8:10], *NAMES[50:58]],
    "absent": NAMES[60:70],
    "small": NAMES[:2],
    "elsewhere": ["X", "Y"],
}


def test_over_representation_against_the_tested_genes():
    table = enrichment(TABLE, SETS)
    assert list(table.index) == ["leading", "mixed", "absent"] and table.attrs["not_tested"] == 2
    assert table["n"].tolist() == [6, 10, 10] and table["found"].tolist() == [6, 2, 0]
    expected = [hypergeom.sf(k - 1, 100, n, 10) for k, n in ((6, 6), (2, 10))] + [1.0]
    np.testing.assert_allclose(table["p"], expected, rtol=1e-6)
    np.testing.assert_allclose(table["q"], np.minimum(np.array(expected) * [3, 1.5, 1], 1))
    np.testing.assert_allclose(table["expected"], [0.6, 1, 1])
    assert table.loc["leading", "genes"] == "G0 G1 G2 G3 G4 G5" and table.loc["absent", "genes"] == ""


def test_a_larger_background_makes_sets_look_enriched():
    wide = enrichment(TABLE, SETS, background=[*NAMES, *(f"H{i}" for i in range(900))])
    assert (wide["p"] < enrichment(TABLE, SETS)["p"])[["leading", "mixed"]].all()
    with pytest.raises(DataError, match="not in the background") as raised:
        enrichment(TABLE, SETS, background=NAMES[1:])
    assert raised.value.got == "without G0"


def test_the_whole_ranking():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    table = enrichment(TABLE, SETS, method="prerank", n_permutations=200)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert table.index[0] == "leading" and table.loc["leading", "nes"] > 1.5
    assert table["p"].between(1 / 201, 1).all() and table.loc["leading", "q"] < 0.1
    assert table.loc["absent", "es"] < 0 and table.loc["absent", "p"] == 1  # not at the top
    pd.testing.assert_frame_equal(table, enrichment(TABLE, SETS, method="prerank", n_permutations=200))


def test_first_genes_without_q():
    unknown = TABLE.assign(q=np.nan)
    assert enrichment(unknown, SETS, n_top=10).equals(enrichment(TABLE, SETS))
    with pytest.raises(DataError, match="no q") as raised:
        enrichment(unknown, SETS)
    assert "n_top=20" in raised.value.hint


def test_real_sets(shared_data):
    file = shared_data / "gene_sets" / "h.all.v7.0.symbols.gmt"
    members = next(
        line.split("\t")[2:] for line in file.read_text().splitlines() if line.startswith("HALLMARK_HYPOXIA")
    )
    names = [*(g.strip() for g in members), *NAMES]
    table = pd.DataFrame({"mean_abs_shap": np.linspace(1, 0, len(names)), "q": np.nan}, names)
    assert enrichment(table, file, n_top=50).index[0] == "HALLMARK_HYPOXIA"


def test_sets_that_name_genes_in_another_way(tmp_path):
    (tmp_path / "sets.gmt").write_text("A\tx\tENSG00000146648\tENSG00000141510\n")
    with pytest.raises(DataError, match="no gene set has enough of the tested genes") as raised:
        enrichment(TABLE, tmp_path / "sets.gmt")
    assert "G0, G1, G2" in raised.value.expected and "ENSG00000146648" in raised.value.got
    assert raised.value.file == tmp_path / "sets.gmt"


@pytest.mark.parametrize(
    ("table", "options", "match"),
    [
        (TABLE.assign(q=0.9), {}, "not estimable: too few or too many leading genes"),
        (TABLE, {"n_top": 100}, "not estimable: too few or too many leading genes"),
        (TABLE[:5], {"n_top": 3}, "too few genes were tested"),
        (TABLE.drop(columns="q"), {}, "not a table of genes"),
        (pd.concat([TABLE, TABLE[:1]]), {}, "a gene occurs twice"),
        (TABLE, {"method": "gsea"}, "unknown method"),
        (TABLE, {"fdr": 0}, "a false discovery rate"),
        (TABLE, {"min_size": 0}, "not a size of a set"),
        (TABLE, {"n_top": -3}, "parameter n_top: out of range"),
        (TABLE, {"n_top": 3.5}, "parameter n_top: out of range"),
        (TABLE, {"method": "prerank", "n_permutations": 0}, "parameter n_permutations: out of range"),
        (TABLE.assign(mean_abs_shap=np.nan), {"n_top": 5}, "a gene has no importance"),
        (TABLE.assign(mean_abs_shap=0.0), {"n_top": 5}, "not estimable: all genes have the same importance"),
    ],
)
def test_bad_input(table, options, match):
    with pytest.raises(DataError, match=match):
        enrichment(table, SETS, **options)


@pytest.mark.parametrize("sets", [[["G0", "G1"]], {}])
def test_sets_of_another_type_are_refused(sets):
    with pytest.raises(DataError, match=r"parameter sets: not gene sets.*got (list|no set)"):
        enrichment(TABLE, sets)


def test_a_file_of_sets_is_gmt_or_a_table(tmp_path):
    gmt, table = tmp_path / "sets.gmt", tmp_path / "sets.csv"
    gmt.write_text("\n".join("\t".join([name, "", *genes]) for name, genes in SETS.items()))
    pd.DataFrame({name: pd.Series(genes) for name, genes in SETS.items()}).to_csv(table, index=False)
    for file in (gmt, str(gmt), table):
        pd.testing.assert_frame_equal(enrichment(TABLE, file), enrichment(TABLE, SETS))


def test_without_gseapy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gseapy", None)
    with pytest.raises(MMFusionError, match="gseapy is not installed") as raised:
        enrichment(TABLE, SETS)
    assert raised.value.hint == "pip install 'mmfusion[enrichment]'"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sets": {"a": None}}, r"sets\['a'\]: not the genes of a set .*got None"),
        ({"sets": {"a": "G1"}}, r"sets\['a'\]: not the genes of a set .*got 'G1'"),
        ({"sets": {}}, "parameter sets: not gene sets .*got no set"),
        ({"sets": {"all": NAMES}}, "no gene set has enough"),
        ({"sets": {"all": NAMES}, "method": "prerank"}, "no gene set has enough"),
        ({"fdr": "0.1"}, "parameter fdr: not a number"),
        ({"min_size": 2.5}, "parameter min_size: out of range"),
        ({"max_size": None}, "parameter max_size: out of range"),
        ({"random_state": "a"}, "parameter random_state: out of range"),
        ({"genes": TABLE.assign(mean_abs_shap="high")}, "column mean_abs_shap: not numbers"),
        ({"genes": TABLE.assign(q="low")}, "column q: not numbers"),
        ({"genes": TABLE.assign(q=[np.nan, *TABLE["q"][1:]])}, "column q: no q of G0, so the leading"),
    ],
)
def test_what_cannot_be_tested_is_said(options, says):
    with pytest.raises(DataError, match=says):
        enrichment(**{"genes": TABLE, "sets": SETS} | options)


def test_a_set_without_ranked_genes_is_not_tested_by_the_whole_ranking():
    others = [f"H{i}" for i in range(10)]
    sets = {"leading": NAMES[:6], "others": others}
    table = enrichment(TABLE, sets, method="prerank", n_permutations=20, background=[*NAMES, *others])
    assert list(table.index) == ["leading"] and table.attrs["not_tested"] == 1
