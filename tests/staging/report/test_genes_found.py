"""What the report on explanations says, on tables with a known answer."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import LeakageError
from mmfusion.explain import gene_edges
from mmfusion.staging.report import genes_found
from tests.explain.models import linear_model, rows

NAMES = [f"G{i}" for i in range(40)]


def table(q, n_null=20):
    found = pd.DataFrame({"mean_abs_shap": np.linspace(1, 0.1, 40), "q": q}, NAMES)
    found.attrs.update(n_patients=12, n_null=n_null)
    return found


def test_the_result_in_words():
    q = np.r_[[0.05] * 3, [0.5] * 37]
    text = genes_found.findings(table(q), planted={"G0", "G1", "G30", "ABSENT"}, auc=0.55)
    assert text[0] == "3 of 40 genes have q < 0.1: candidate associations"
    assert any("20 models fitted to permuted labels" in line for line in text)
    assert any("tested 3 of the 4 planted genes. 2 of them have q < 0.1, and 2 are" in line for line in text)
    assert any("0.55" in line and "says little" in line for line in text)
    assert text[-1] == genes_found.WORDS and "candidate association" in text[-1]
    none = genes_found.findings(table(0.5, n_null=4))
    assert none[0] == "0 of 40 genes have q < 0.1: no candidate association"
    assert any("no q can be below 0.20" in line for line in none)
    assert "none can be called found" in genes_found.findings(table(np.nan, n_null=0))[0]


def test_the_numbers_are_json():
    numbers = genes_found.summary(table(np.r_[[0.05] * 3, [0.5] * 37]), {"G0", "G39"})
    assert json.loads(json.dumps(numbers))["planted_found"] == 1
    assert numbers["found"] == ["G0", "G1", "G2"] and numbers["planted_tested"] == 2


def test_gene_sets_or_the_reason():
    pytest.importorskip("gseapy")
    sets = {"first": NAMES[:6], "last": NAMES[-6:]}
    found, text = genes_found.enriched(table(np.r_[[0.05] * 6, [0.5] * 34]), sets)
    assert found.index[0] == "first" and text.startswith("2 sets were tested among the genes with q < 0.1")
    found, text = genes_found.enriched(table(0.5), sets, n_top=10)
    assert found.index[0] == "first" and "that rank first (10)" in text
    found, text = genes_found.enriched(table(0.5), {"other": ["X"] * 6})
    assert found is None and text.startswith("Not estimable: no gene set has enough")


def test_a_model_without_attention_is_a_sentence():
    found, text = genes_found.estimable(gene_edges, linear_model(), rows(2, scan=False))
    assert found is None and text.startswith("Not estimable: the gene encoder has no graph attention")


def test_nobody_is_in_both_parts():
    cohort, _ = mf.phantom(30, modalities=("rna",), missing=0.0, n_genes=20, n_planted=4)
    known, others = genes_found.split(cohort, 8, seed=1)
    assert len(others) == 8 and len(known) == 22 and not set(known.X.index) & set(others.X.index)
    model = mf.StageClassifier(max_epochs=1, n_members=1).fit(known.X, known.y)
    assert genes_found.split(others, 8, model)[0] is None
    with pytest.raises(LeakageError, match=r"the model was fitted on .* give a cohort of other patients"):
        genes_found.split(cohort, 30, model)


def test_without_gseapy_the_report_goes_on_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "gseapy", None)
    found, text = genes_found.enriched(table(np.full(40, 0.5)), {"set": ["G0", "G1", "G2"]})
    assert found is None and text == (
        "Not tested: gseapy is not installed -> pip install 'mmfusion[enrichment]'"
    )
