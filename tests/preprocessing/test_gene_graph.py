import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mmfusion.data.sources.radiogenomics import radiogenomics
from mmfusion.errors import DataError
from mmfusion.preprocessing.gene_graph import GeneGraph
from mmfusion.preprocessing.genes import GeneTransformer

GENES = [f"G{j}" for j in range(12)]


@pytest.fixture
def Z():
    return np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32)


def test_coexpression_is_the_nearest_by_spearman(Z):
    graph = GeneGraph(k=3).fit(Z, GENES)
    assert graph.edge_index_.dtype == np.int64 and graph.edge_weight_.dtype == np.float32
    source, destination = graph.edge_index_.reshape(2, 12, 3)
    np.testing.assert_array_equal(destination, np.repeat(np.arange(12)[:, None], 3, axis=1))
    rho = np.abs(spearmanr(Z).statistic)
    np.fill_diagonal(rho, -1)
    np.testing.assert_array_equal(source, np.argsort(-rho, axis=1)[:, :3])
    np.testing.assert_allclose(graph.edge_weight_.reshape(12, 3), -np.sort(-rho, axis=1)[:, :3], rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["coexpression", "random"]), st.integers(2, 9), st.integers(1, 12), st.integers(0, 99))
def test_in_degree_and_no_self_loops(kind, n_genes, k, seed):
    Z = np.random.default_rng(seed).integers(0, 3, size=(6, n_genes))  # ties, constant columns
    graph = GeneGraph(kind, k=k, random_state=seed).fit(Z, GENES[:n_genes])
    source, destination = graph.edge_index_
    assert (source != destination).all() and (np.diff(destination) >= 0).all()
    assert (np.bincount(destination, minlength=n_genes) == min(k, n_genes - 1)).all()
    assert len({*zip(source, destination)}) == len(source) and graph.isolated_ == ()
    assert ((graph.edge_weight_ > 0) & (graph.edge_weight_ <= 1)).all()


def test_monotone_changes_and_order_of_patients_do_not_matter(Z):
    one = GeneGraph(k=4).fit(Z, GENES)
    for other in (np.exp(Z), Z[::-1]):
        two = GeneGraph(k=4).fit(other, GENES)
        np.testing.assert_array_equal(one.edge_index_, two.edge_index_)
        np.testing.assert_array_equal(one.edge_weight_, two.edge_weight_)


def test_random_is_a_control_of_the_same_degree_and_weights(Z):
    real, control = GeneGraph(k=3).fit(Z, GENES), GeneGraph("random", k=3).fit(Z, GENES)
    np.testing.assert_array_equal(real.edge_weight_, control.edge_weight_)
    assert (real.edge_index_[0] != control.edge_index_[0]).mean() > 0.5
    again, other = (GeneGraph("random", k=3, random_state=s).fit(Z, GENES) for s in (0, 1))
    np.testing.assert_array_equal(control.edge_index_, again.edge_index_)
    assert (control.edge_index_ != other.edge_index_).any()


def test_none(Z):
    graph = GeneGraph("none").fit(Z, GENES)
    assert (
        graph.edge_index_.shape == (2, 0)
        and graph.edge_weight_.shape == (0,)
        and graph.isolated_ == tuple(GENES)
    )


EDGES = [("G0", "G1", 2.0), ("G1", "G0", 4.0), ("G2", "G2", 9.0), ("G3", "ELSE", 9.0), ("G4", "G0", 1.0)]


def test_prior_goes_both_ways_between_chosen_genes(Z, tmp_path):
    file = tmp_path / "edges.tsv"
    file.write_text("".join(f"{a}\t{b}\t{w}\n" for a, b, w in EDGES))
    for edges in (EDGES, pd.DataFrame(EDGES, columns=["a", "b", "weight"]), file, str(file)):
        graph = GeneGraph("prior", edges=edges).fit(Z, GENES)
        np.testing.assert_array_equal(graph.edge_index_, [[1, 4, 0, 0], [0, 0, 1, 4]])
        np.testing.assert_allclose(graph.edge_weight_, [1, 0.25, 1, 0.25])
        assert graph.isolated_ == ("G2", "G3", *GENES[5:])
    unweighted = GeneGraph("prior", edges=[e[:2] for e in EDGES]).fit(Z, GENES)
    np.testing.assert_array_equal(unweighted.edge_weight_, 1)


def test_list_is_not_kept_in_the_state(Z):
    graph = GeneGraph("prior", edges=pd.DataFrame(EDGES)).fit(Z, GENES)
    again = GeneGraph.from_state(graph.state())
    assert again.edges is None and again.kind == "prior"
    np.testing.assert_array_equal(graph.edge_index_, again.edge_index_)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"kind": "knn"}, "no such gene graph.*expected coexpression, prior, random, none"),
        ({"k": 0}, "too little for a co-expression graph"),
        ({"kind": "prior"}, "needs an edge list"),
        ({"kind": "prior", "edges": "absent.tsv"}, "absent.tsv: no such edge list"),
        ({"kind": "prior", "edges": [("A", "B")]}, "shares no gene"),
        ({"kind": "prior", "edges": ["G0", "G1"]}, "not an edge list"),
        ({"kind": "prior", "edges": [("G0", "G1", -1)]}, "without a positive weight"),
    ],
)
def test_bad_parameters(Z, params, match):
    with pytest.raises(DataError, match=match):
        GeneGraph(**params).fit(Z, GENES)


def test_too_few_patients_or_other_genes(Z):
    with pytest.raises(DataError, match="2 patients"):
        GeneGraph().fit(Z[:2], GENES)
    with pytest.raises(DataError, match="does not match the genes"):
        GeneGraph().fit(Z, GENES[:5])


@pytest.mark.parametrize(
    ("name", "weighted"), [("HumanNet90_Symbol.txt", True), ("CancerSubnetwork.txt", False)]
)
def test_real_networks(shared_data, name, weighted):
    rna = radiogenomics(shared_data / "nsclc_radiogenomics").X["rna"].dropna(how="all")
    fitted = GeneTransformer(n_genes=500).fit(rna)
    graph = GeneGraph("prior", edges=shared_data / "gene_networks" / name).fit(
        fitted.transform(rna), fitted.genes_
    )
    edges = set(zip(*graph.edge_index_.tolist()))
    assert len(edges) > 100 and edges == {(b, a) for a, b in edges}
    assert (len(set(graph.edge_weight_.tolist())) > 1) == weighted
    listed = {
        frozenset(line.split()[:2])
        for line in (shared_data / "gene_networks" / name).read_text().splitlines()
    }
    assert all(frozenset((fitted.genes_[a], fitted.genes_[b])) in listed for a, b in edges)
