"""Genes: graph attention over the gene graph, beside a linear reader of genes."""

from __future__ import annotations

import torch
from einops import einsum
from torch import nn

from mmfusion.nn.encoders.base import Encoder
from mmfusion.nn.layers.gatv2 import graph_attention
from mmfusion.preprocessing.base import StreamSpec
from mmfusion.registry import ENCODERS


@ENCODERS.register("gene_gat", modality="rna", paper="Brody et al. 2022, ICLR (GATv2); Xu et al. 2018, ICML (jumping knowledge)")
class GeneGAT(Encoder):
    """Two GATv2 layers over the gene graph, pooled into tokens by learned queries, plus a linear reader of genes.

    Notes
    -----
    Input (b, G) float32, z-scores; output (b, tokens, d).
    """

    kind = "genes"

    def __init__(
        self, spec: StreamSpec, d: int = 32, dropout: float = 0.3, *, tokens: int = 8, embedding: int = 8, width: int = 16, heads: int = 2
    ) -> None:
        super().__init__(spec, d, dropout)
        g = spec.n_features
        self.n_tokens = tokens
        self.embedding = nn.Parameter(torch.randn(g, embedding) * 0.1)
        graph = (spec.edge_index, spec.edge_weight, g)
        self.conv1 = graph_attention(*graph, 1 + embedding, width, heads)
        self.conv2 = graph_attention(*graph, heads * width, width, heads)
        jk = 1 + embedding + 2 * heads * width
        self.queries = nn.Linear(jk, tokens, bias=False)
        self.project = nn.Linear(3 * jk, d)
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Sequential(nn.Dropout(dropout), nn.Linear(g, d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens, shape (b, t, d)."""
        node = torch.cat([x[:, :, None], self.embedding.expand(len(x), -1, -1)], dim=2)
        h1 = self.drop(nn.functional.elu(self.conv1(node)))
        h = torch.cat([node, h1, nn.functional.elu(self.conv2(h1))], dim=2)
        pooled = einsum(self.queries(h).softmax(1), h, "b g t, b g f -> b t f")
        whole = torch.cat([h.mean(1), h.amax(1)], dim=1)
        graph = self.project(torch.cat([pooled, whole[:, None].expand(-1, self.n_tokens, -1)], dim=2))
        return graph + self.linear(x)[:, None]
