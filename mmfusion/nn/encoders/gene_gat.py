"""Encoder of genes: graph attention over the gene graph, plus a linear layer on all genes."""

from __future__ import annotations

import torch
from einops import einsum, repeat
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.encoders.base import Encoder
from mmfusion.nn.layers.gatv2 import graph_attention
from mmfusion.registry import ENCODERS
from mmfusion.streams import GENES, StreamSpec


@ENCODERS.register(
    "gene_gat",
    modality="rna",
    paper="Brody et al. 2022, ICLR (GATv2); Xu et al. 2018, ICML (jumping knowledge)",
)
class GeneGAT(Encoder):
    """GATv2 layers over the gene graph, pooled into tokens by learned queries, plus a linear layer.

    A node is a gene, with its z-score and a learned embedding as features. All genes share the weights of
    graph attention, so that only the few numbers of the embedding distinguish them. With some hundred
    patients this is learned late, and less well than by ridge regression. The linear layer has one weight per
    gene and channel, as the wide part of Cheng et al. 2016 ("Wide & Deep"). It learns the effects of single
    genes from the first epoch, so that the graph only has to learn the rest. Its weights start at zero. Its
    inputs have a dropout of their own, which acts as a ridge penalty (Wager et al. 2013, NeurIPS).

    Parameters
    ----------
    spec : StreamSpec
        Stream of G genes, shape (G,), with the edges of the gene graph. Without edges every gene is mapped
        alone (DeepSets).
    d, dropout
        Width of the tokens; dropout rate after the first attention layer.
    tokens : int
        Number of tokens per patient, t, one per learned query.
    embedding, width, heads : int
        Width of a gene's embedding; width of a head; number of attention heads.
    layers : {1, 2}
        Number of attention layers.
    gene_dropout : float
        Dropout rate of the genes before the linear layer.

    Notes
    -----
    Input (b, G) float32, z-scores; output (b, t, d). Another order of the genes changes only the order of the
    per-gene parameters.

    Examples
    --------
    >>> import numpy as np
    >>> ring = np.array([[0, 1, 2, 3], [1, 2, 3, 0]])  # each gene sends to the next gene
    >>> encoder = GeneGAT(StreamSpec("rna", "rna", (4,), edge_index=ring), d=8, tokens=2)
    >>> encoder(torch.zeros(5, 4)).shape
    torch.Size([5, 2, 8])
    """

    reads = GENES

    def __init__(
        self,
        spec: StreamSpec,
        d: int = 32,
        dropout: float = 0.3,
        *,
        tokens: int = 8,
        embedding: int = 8,
        width: int = 16,
        heads: int = 2,
        layers: int = 1,
        gene_dropout: float = 0.5,
    ) -> None:
        super().__init__(spec, d, dropout)
        if layers not in (1, 2):
            raise DataError(
                "a gene graph network cannot have this", parameter="layers", expected="1 or 2", got=layers
            )
        genes = spec.shape[0]
        self.n_tokens = tokens
        self.embedding = nn.Parameter(torch.randn(genes, embedding) * embedding**-0.5)
        graph = (spec.edge_index, spec.edge_weight, genes)
        self.layer1 = graph_attention(*graph, 1 + embedding, width, heads)
        self.layer2 = graph_attention(*graph, heads * width, width, heads) if layers == 2 else None
        features = 1 + embedding + layers * heads * width  # input and layers of a gene
        self.queries = nn.Linear(features, tokens, bias=False)
        self.project = nn.Linear(3 * features, d)
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Sequential(nn.Dropout(gene_dropout), nn.Linear(genes, d))
        nn.init.zeros_(self.linear[1].weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens of the genes, shape (b, t, d)."""
        node = torch.cat([x[:, :, None], self.embedding.expand(x.shape[0], -1, -1)], dim=2)
        first = self.drop(nn.functional.elu(self.layer1(node)))
        parts = [node, first] if self.layer2 is None else [node, first, nn.functional.elu(self.layer2(first))]
        known = torch.cat(parts, dim=2)
        pooled = einsum(self.queries(known).softmax(1), known, "b g t, b g f -> b t f")
        whole = repeat(torch.cat([known.mean(1), known.amax(1)], dim=1), "b f -> b t f", t=self.n_tokens)
        return self.project(torch.cat([pooled, whole], dim=2)) + self.linear(x)[:, None]
