"""Genes: graph attention over the gene graph, beside a linear reader of genes."""

from __future__ import annotations

import torch
from einops import einsum, repeat
from torch import nn

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
    """Two GATv2 layers over the gene graph, pooled into tokens by learned queries, plus a linear reader of genes.

    A node is a gene: its z-score and a learned embedding. The weights of graph attention are shared by all genes,
    and tell them apart by a few numbers of embedding only: with some hundred patients that is learned late, and
    less well than by ridge regression. The linear reader (one weight a gene and channel, as the wide part of Cheng
    et al. 2016, "Wide & Deep") learns from the first epoch what single genes say, so that the graph has to find
    only what they don't. It starts at zero, and sees genes through dropout of its own, which acts as a ridge
    penalty (Wager et al. 2013, NeurIPS).

    Parameters
    ----------
    spec : StreamSpec
        Of shape (G,), G genes, with the graph's edges; without, every gene is mapped alone (DeepSets).
    d, dropout
        Width of tokens; dropout between the layers of attention.
    tokens : int
        Tokens a patient, t: one for each learned query.
    embedding, width, heads : int
        Width of a gene's embedding and of a head; attention heads.
    gene_dropout : float
        Dropout of genes before the linear reader.

    Notes
    -----
    Input (b, G) float32, z-scores; output (b, t, d). Numbering genes differently changes nothing but the order of
    per-gene parameters.
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
        gene_dropout: float = 0.5,
    ) -> None:
        super().__init__(spec, d, dropout)
        genes = spec.shape[0]
        self.n_tokens = tokens
        self.embedding = nn.Parameter(torch.randn(genes, embedding) * embedding**-0.5)
        graph = (spec.edge_index, spec.edge_weight, genes)
        self.layer1 = graph_attention(*graph, 1 + embedding, width, heads)
        self.layer2 = graph_attention(*graph, heads * width, width, heads)
        features = 1 + embedding + 2 * heads * width  # all that is known of a gene after two layers
        self.queries = nn.Linear(features, tokens, bias=False)
        self.project = nn.Linear(3 * features, d)
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Sequential(nn.Dropout(gene_dropout), nn.Linear(genes, d))
        nn.init.zeros_(self.linear[1].weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens, shape (b, t, d)."""
        node = torch.cat([x[:, :, None], self.embedding.expand(len(x), -1, -1)], dim=2)
        first = self.drop(nn.functional.elu(self.layer1(node)))
        known = torch.cat([node, first, nn.functional.elu(self.layer2(first))], dim=2)
        pooled = einsum(self.queries(known).softmax(1), known, "b g t, b g f -> b t f")
        whole = repeat(torch.cat([known.mean(1), known.amax(1)], dim=1), "b f -> b t f", t=self.n_tokens)
        return self.project(torch.cat([pooled, whole], dim=2)) + self.linear(x)[:, None]
