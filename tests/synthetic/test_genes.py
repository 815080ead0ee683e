"""Genes: real symbols, planted ones that carry the programme, mates that do not."""

import re

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.synthetic.genes import GENE_SETS, MODULE_SIZE, gene_network, gene_programme

PROGRAMME = gene_programme()


@pytest.fixture(scope="module")
def sample():
    programme = np.random.default_rng(0).standard_normal(4000)
    return programme, PROGRAMME.sample(programme, np.random.default_rng(1))


def test_shape_and_symbols():
    assert len(PROGRAMME.symbols) == len(set(PROGRAMME.symbols)) == 500
    assert list(PROGRAMME.symbols) == sorted(PROGRAMME.symbols)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9-]*", s) for s in PROGRAMME.symbols)
    assert len(PROGRAMME.planted) == 20
    assert max(np.bincount(PROGRAMME.module)) <= MODULE_SIZE + 5


def test_named_sets_are_whole_and_not_planted():
    for name in GENE_SETS:
        members = PROGRAMME.gene_sets[name]
        assert len(members) == len(GENE_SETS[name].split())
        assert not set(members) & set(PROGRAMME.planted)
        assert len({PROGRAMME.module[PROGRAMME.symbols.index(s)] for s in members}) == 1


def test_only_planted_genes_carry_the_programme(sample):
    programme, tpm = sample
    log = np.log2(tpm + 1)
    r = log.apply(lambda gene: np.corrcoef(gene, programme)[0, 1])
    assert r[PROGRAMME.planted].between(0.68, 0.84).all()  # loadings .72 to .80, and their standard error
    assert r.drop(PROGRAMME.planted).abs().max() < 5 / np.sqrt(len(programme))


def test_planted_genes_do_not_stand_out_in_their_module(sample):
    _, tpm = sample
    r = np.corrcoef(np.log2(tpm + 1).T)
    planted = np.array([s in PROGRAMME.planted for s in PROGRAMME.symbols])
    mates = (PROGRAMME.module[:, None] == PROGRAMME.module) & ~planted[:, None] & planted
    assert r[mates].mean() > 0.25


def test_score_is_the_gaussian_posterior_mean(sample):
    programme, tpm = sample
    score = PROGRAMME.score(tpm)
    assert 0.97 < PROGRAMME.r2 < 0.99
    slope, intercept = np.polyfit(score, programme, 1)
    assert (slope, intercept) == pytest.approx((1, 0), abs=0.03)
    assert np.var(programme - score) == pytest.approx(1 - PROGRAMME.r2, rel=0.08)
    drawn = PROGRAMME.sample_score(programme, np.random.default_rng(5))
    assert (drawn.mean(), drawn.var()) == pytest.approx((score.mean(), score.var()), abs=0.05)
    assert np.cov(drawn, programme)[0, 1] == pytest.approx(np.cov(score, programme)[0, 1], abs=0.05)


def test_score_agrees_with_the_full_covariance(sample):
    """By brute force: P | x ~ N(l' S^-1 z, 1 - l' S^-1 l) with S the covariance of all genes."""
    _, tpm = sample
    z = (np.log2(tpm.to_numpy() + 1) - PROGRAMME.mean) / PROGRAMME.sd
    same = PROGRAMME.module[:, None] == PROGRAMME.module
    covariance = np.outer(PROGRAMME.loading, PROGRAMME.loading) + same * np.outer(
        PROGRAMME.module_loading, PROGRAMME.module_loading
    )
    covariance[np.diag_indices(500)] = 1.0
    weights = np.linalg.solve(covariance, PROGRAMME.loading)
    assert PROGRAMME.score(tpm) == pytest.approx(z @ weights, abs=1e-9)
    assert pytest.approx(PROGRAMME.loading @ weights) == PROGRAMME.r2


def test_tpm_is_plausible(sample):
    _, tpm = sample
    assert (tpm > 0).all(axis=None)
    assert 10 < tpm.median().median() < 200


def test_most_edges_join_genes_of_one_module():
    edges = gene_network(PROGRAMME)
    module = dict(zip(PROGRAMME.symbols, PROGRAMME.module))
    within = np.mean([module[a] == module[b] for a, b, _ in edges])
    assert 0.85 < within < 0.97
    assert len({(a, b) for a, b, _ in edges}) == len(edges) > 1000
    assert all(a < b and 0 < w <= 1 for a, b, w in edges)


@pytest.mark.parametrize(("n_genes", "n_planted"), [(20, 11), (20, 0), (5000, 20)])
def test_impossible_programmes_are_refused(n_genes, n_planted):
    with pytest.raises(DataError, match="number of genes out of range"):
        gene_programme(n_genes, n_planted)


@pytest.mark.parametrize(("n_genes", "n_planted"), [(10, 2), (60, 6), (200, 60), (2000, 20)])
def test_other_sizes(n_genes, n_planted):
    programme = gene_programme(n_genes, n_planted)
    assert (len(programme.symbols), len(programme.planted)) == (n_genes, n_planted)
    assert 0 < programme.r2 < 1
