"""Tokens of gene sets: each depends on the genes of its set alone, and a saved model keeps the sets."""

from pathlib import Path

import numpy as np
import pytest
import torch

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.nn.encoders.gene_sets import GeneSetTokens, membership
from mmfusion.streams import StreamSpec
from tests.cohorts import tiny_cohort
from tests.nn.streams import build, draw

GENES = tuple(f"GENE{k}" for k in range(24))
SETS = {"first": GENES[:5], "overlap": GENES[3:9], "single": GENES[20:21]}
SPEC = StreamSpec("rna", "rna", (24,), GENES)


def encoder(**options):
    return build(lambda: GeneSetTokens(SPEC, 8, 0.0, **{"sets": SETS, **options})).eval()


def test_a_token_depends_on_the_genes_of_its_set_alone():
    net = encoder(hidden=6)
    assert net.sets == ("first", "overlap", "single", "other") and net.n_tokens == 4
    x = draw(SPEC, 2).requires_grad_()
    for token, name in enumerate(net.sets[:3]):
        x.grad = None
        net(x)[:, token].square().sum().backward()
        used = {GENES[g] for g in torch.nonzero(x.grad.abs().sum(0)).ravel().tolist()}
        assert used <= set(SETS[name]) and (len(SETS[name]) == 1 or used == set(SETS[name]))
    x.grad = None
    net(x)[:, 3].square().sum().backward()
    assert not x.grad[:, :9].any() and not x.grad[:, 20].any() and x.grad[:, 9:20].any(0).all()


def test_the_order_of_the_genes_is_irrelevant():
    one, order = encoder(), np.random.default_rng(0).permutation(24)
    two = GeneSetTokens(
        StreamSpec("rna", "rna", (24,), tuple(GENES[k] for k in order)), 8, 0.0, sets=SETS
    ).eval()
    state = {k: v[..., order] if k in ("weight", "member") else v for k, v in one.state_dict().items()}
    assert torch.equal(two.member, state["member"])
    two.load_state_dict(state)
    x = draw(SPEC, 3)
    torch.testing.assert_close(two(x[:, order]), one(x))


def test_sets_without_a_gene_are_named():
    with pytest.warns(UserWarning, match="have no token: absent"):
        net = GeneSetTokens(SPEC, 8, 0.0, sets={**SETS, "absent": ["EGFR"]})
    assert "absent" not in net.sets
    assert list(membership(GENES, {"all": GENES})) == ["all"]  # nothing is left for other


@pytest.mark.parametrize(
    ("spec", "sets", "match"),
    [
        (SPEC, {"none": ["EGFR"]}, "no set has a gene"),
        (StreamSpec("rna", "rna", (24,)), SETS, "no names of genes"),
        (SPEC, {"other": ["GENE1"]}, "cannot be called 'other'"),
        (SPEC, "hallmark.gmt", "does not read files"),
        (SPEC, "hypoxya", "did you mean hypoxia"),
    ],
)
def test_what_cannot_be_used(spec, sets, match):
    with pytest.raises(DataError, match=match):
        GeneSetTokens(spec, 8, 0.0, sets=sets)


def test_a_saved_classifier_keeps_the_sets(tmp_path: Path):
    cohort = tiny_cohort(40, missing=0.2)
    model = mf.StageClassifier(
        encoders={"rna": "gene_sets"}, max_epochs=2, n_members=1, n_genes=None,
        network={"encoder_options": {"gene_sets": {"sets": SETS, "hidden": 4}}},
        preprocessing={"graph": "none"},
    )  # fmt: skip
    model.fit(cohort.X, cohort.y).save(tmp_path / "model")
    loaded = mf.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_proba(cohort.X), model.predict_proba(cohort.X))
    net = loaded.module_.members[0].encoders["rna"]
    assert net.sets == ("first", "overlap", "single", "other")
    without = cohort.select(modalities=["ehr", "ct"])
    assert np.isfinite(model.predict_proba(without.X)).all()  # nobody has RNA
