"""Graph over the chosen genes, built from the training rows: co-expression, prior, random, or no edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from mmfusion.errors import DataError
from mmfusion.preprocessing.base import Stateful

KINDS = ("coexpression", "prior", "random", "none")


class GeneGraph(Stateful):
    """Edges between genes, the same for every patient.

    Parameters
    ----------
    kind : {"coexpression", "prior", "random", "none"}
        `coexpression`: each gene receives edges from the `k` genes with the highest |Spearman correlation|.
        `prior`: the given edges, in both directions, between chosen genes; some genes may be isolated.
        `random`: a control; the co-expression graph with every source replaced by another random gene.
        In-degrees and weights stay the same. `none`: no edges.
    k : int, default 10
        Number of genes from which each gene receives edges, at most G - 1.
    edges : DataFrame, path or sequence of pairs, optional
        Edges of the kind `prior`: two columns of gene symbols, and optionally a third column of positive
        weights. A file has no header and is separated by tabs, commas or blanks.
    random_state : int
        Seed of the kind `random`.

    Attributes
    ----------
    edge_index_ : ndarray of int64, shape (2, E)
        Row 0 is the source, row 1 is the destination; sorted by destination. For co-expression and random, E
        = G k, so that the array can be reshaped to (2, G, k).
    edge_weight_ : ndarray of float32, shape (E,)
        |rho|, or the prior's weight divided by its largest weight; in (0, 1].
    isolated_ : tuple of str
        Genes without an edge.

    Examples
    --------
    >>> expression = np.array([[1.0, 2.0, 5.0], [2.0, 3.0, 1.0], [3.0, 4.0, 4.0]])
    >>> graph = GeneGraph(k=1).fit(expression, ["EGFR", "ERBB2", "TP53"])
    >>> graph.edge_index_.tolist()
    [[1, 0, 0], [0, 1, 2]]
    """

    _unsaved = ("edges",)

    def __init__(
        self, kind: str = "coexpression", *, k: int = 10, edges: object = None, random_state: int = 0
    ) -> None:
        self.kind = kind
        self.k = k
        self.edges = edges
        self.random_state = random_state

    def fit(self, Z: np.ndarray, genes: Sequence[str]) -> GeneGraph:
        """Build the graph.

        Parameters
        ----------
        Z : ndarray, shape (n, G)
            Expression of the training patients who have RNA-seq.
        genes : sequence of str, length G
            Symbols of the columns.

        Raises
        ------
        DataError
            If the kind is unknown, if k is below 1, if there are fewer than 3 patients or 2 genes for
            correlations, or if the edge list is absent, malformed, or shares no gene with `genes`.
        """
        if self.kind not in KINDS:
            raise DataError("no such gene graph", expected=", ".join(KINDS), got=self.kind)
        if Z.ndim != 2 or Z.shape[1] != len(genes):
            raise DataError("expression does not match the genes", expected=f"(n, {len(genes)})", got=Z.shape)
        if self.kind == "prior":
            index, weight = _prior(self.edges, list(genes))
        elif self.kind == "none":
            index, weight = np.zeros((2, 0)), np.zeros(0)
        else:
            index, weight = self._nearest(Z)
        self.edge_index_ = np.ascontiguousarray(index, dtype=np.int64)
        self.edge_weight_ = np.ascontiguousarray(weight, dtype=np.float32)
        connected = np.bincount(self.edge_index_.ravel(), minlength=len(genes)) > 0
        self.isolated_ = tuple(str(g) for g, c in zip(genes, connected) if not c)
        return self

    def _nearest(self, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, n_genes = Z.shape
        if self.k < 1 or n < 3 or n_genes < 2:
            raise DataError(
                "too little for a co-expression graph",
                expected="k of 1 or more, 3 patients, 2 genes",
                got=f"k={self.k}, {n} patients, {n_genes} genes",
                hint="choose graph='none'",
            )
        k = min(self.k, n_genes - 1)
        rho = _spearman(Z)
        np.fill_diagonal(rho, -1.0)  # no gene is its own neighbour
        source = np.argsort(-rho, axis=1, kind="stable")[:, :k]
        weight = np.take_along_axis(rho, source, axis=1)
        if self.kind == "random":
            rng = np.random.default_rng(self.random_state)
            others = np.argsort(rng.random((n_genes, n_genes - 1)), axis=1)[:, :k]
            source = others + (others >= np.arange(n_genes)[:, None])
        index = np.stack([source.ravel(), np.repeat(np.arange(n_genes), k)])
        return index, np.maximum(weight.ravel(), 1e-6)


def _spearman(Z: np.ndarray) -> np.ndarray:
    """Return |Spearman correlation| between columns, shape (G, G); 0 for a constant column."""
    ranks = rankdata(Z, axis=0)
    ranks -= ranks.mean(axis=0)
    norm = np.linalg.norm(ranks, axis=0)
    ranks = ranks / np.where(norm > 0, norm, 1.0)
    return np.round(np.abs(ranks.T @ ranks), 12)  # equal correlations stay equal in any order of summation


def _prior(edges: object, genes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    table = _edge_table(edges)
    code = {gene: i for i, gene in enumerate(genes)}
    a, b = table.iloc[:, 0].map(code), table.iloc[:, 1].map(code)
    if not (a.notna() | b.notna()).any():
        raise DataError(
            "the edge list shares no gene with the table",
            expected=", ".join(genes[:3]),
            got=", ".join(map(str, table.iloc[:3, 0])),
            hint="use the same gene symbols in both",
        )
    inside = (a.notna() & b.notna() & (a != b)).to_numpy()
    weight = (
        pd.to_numeric(table.iloc[:, 2], errors="coerce")
        if table.shape[1] > 2
        else pd.Series(1.0, table.index)
    )
    weight = weight[inside].to_numpy(dtype=np.float64)
    if not (weight > 0).all():
        raise DataError("an edge without a positive weight", column="weight", expected="numbers over 0")
    a, b = a[inside].to_numpy(dtype=np.int64), b[inside].to_numpy(dtype=np.int64)
    both = pd.DataFrame({"to": np.r_[b, a], "from": np.r_[a, b], "weight": np.r_[weight, weight]})
    both = both.groupby(["to", "from"], as_index=False)["weight"].max()  # sorted by destination
    scale = both["weight"].max() if len(both) else 1.0
    return both[["from", "to"]].to_numpy().T, both["weight"].to_numpy() / scale


def _edge_table(edges: object) -> pd.DataFrame:
    if edges is None:
        raise DataError(
            "a prior graph needs an edge list", expected="graph_edges: a file, DataFrame or pairs"
        )
    if isinstance(edges, str | Path):
        path = Path(edges)
        if not path.is_file():
            raise DataError("no such edge list", file=path, expected="a file with two gene symbols per line")
        with path.open() as lines:
            first = lines.readline()
        sep = next((s for s in "\t,;" if s in first), r"\s+")
        edges = pd.read_csv(path, sep=sep, header=None, dtype={0: str, 1: str}, comment="#")
    table = pd.DataFrame(edges) if not isinstance(edges, pd.DataFrame) else edges
    if table.shape[1] < 2 or table.empty:
        raise DataError(
            "not an edge list", expected="two columns of gene symbols", got=f"{table.shape[1]} columns"
        )
    return table
