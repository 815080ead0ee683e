"""Encoder of genes: a token per gene set, from the genes of the set alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from einops import einsum
from torch import nn

from mmfusion.data.gene_sets import gene_sets
from mmfusion.data.tables.notes import listed
from mmfusion.errors import DataError, warn
from mmfusion.nn.encoders.base import Encoder
from mmfusion.registry import ENCODERS
from mmfusion.streams import GENES, StreamSpec

OTHER = "other"  # name of the token of the genes in no set


@ENCODERS.register(
    "gene_sets", modality="rna", paper="Chen et al. 2021, ICCV (MCAT); Elmarakeby et al. 2021, Nature (P-NET)"
)
class GeneSetTokens(Encoder):
    """One small perceptron per gene set, on the genes of the set alone; one token per set.

    The token of a set can be named, so that the attention of a fusion to it has a meaning, such as hypoxia.
    Genes in no set go into a last token, "other". The genes of each set are those that the preprocessing
    chose: `n_genes=None` keeps all genes that vary.

    Parameters
    ----------
    spec : StreamSpec
        Stream of G genes, shape (G,), with the names of the genes.
    d, dropout
        Width of the tokens; dropout rate of the genes and of the hidden layers.
    sets : mapping of str to sequence of str, or str, optional
        Gene sets: name -> genes, or names of the package's signatures, separated by commas. Default: all
        signatures of the package. Read the sets of a file first, with
        `mmfusion.data.gene_sets.gene_sets(path)`: a saved model then has the sets, and needs no file.
    hidden : int
        Width of the hidden layer of each set.

    Attributes
    ----------
    sets : tuple of str, length t
        Names of the tokens.

    Raises
    ------
    DataError
        If the stream has no names of genes, no set has a gene of the stream, or `sets` is a file.

    Notes
    -----
    Input (b, G) float32, z-scores; output (b, t, d). A set without a gene of the stream has no token, and is
    named in a warning. Which genes a set has is saved with the weights.

    Examples
    --------
    >>> spec = StreamSpec("rna", "rna", (3,), ("KRAS", "IL6", "ACTB"))
    >>> encoder = GeneSetTokens(spec, d=8, sets={"oncogenes": ["KRAS"], "cytokines": ["IL6"]})
    >>> encoder.sets, encoder(torch.zeros(5, 3)).shape
    (('oncogenes', 'cytokines', 'other'), torch.Size([5, 3, 8]))
    """

    reads = GENES

    def __init__(
        self,
        spec: StreamSpec,
        d: int = 32,
        dropout: float = 0.3,
        *,
        sets: Mapping[str, Iterable[str]] | str | None = None,
        hidden: int = 16,
    ) -> None:
        super().__init__(spec, d, dropout)
        member = membership(spec.feature_names, _resolved(sets))
        self.sets = tuple(member)
        self.n_tokens = len(self.sets)
        mask = torch.as_tensor(np.stack(list(member.values())).astype(np.float32))
        self.register_buffer("member", mask)
        fan_in = mask.sum(1)[:, None, None]
        self.weight = nn.Parameter(torch.randn(self.n_tokens, hidden, spec.shape[0]) * fan_in**-0.5)
        self.norm = nn.LayerNorm(hidden)
        self.drop = nn.Dropout(dropout)
        self.project = nn.Parameter(torch.randn(self.n_tokens, hidden, d) * hidden**-0.5)
        self.position = nn.Parameter(torch.randn(self.n_tokens, d) * 0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the token of each set, shape (b, t, d)."""
        of_genes = self.weight * self.member[:, None]
        inner = einsum(self.drop(x), of_genes, "b g, t h g -> b t h")
        inner = self.drop(self.norm(inner).relu())
        return einsum(inner, self.project, "b t h, t h d -> b t d") + self.position


def membership(genes: Sequence[str], sets: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Return the genes of each token: name -> bool, shape (G,); genes in no set come last, as "other".

    Parameters
    ----------
    genes : sequence of str, length G
        Genes of a stream.
    sets : mapping of str to sequence of str
        Gene sets.

    Raises
    ------
    DataError
        If there are no names of genes, no set has one of the genes, or a set is called "other".

    Examples
    --------
    >>> found = membership(["KRAS", "ACTB"], {"oncogenes": ["KRAS", "MYC"]})
    >>> {name: row.tolist() for name, row in found.items()}
    {'oncogenes': [True, False], 'other': [False, True]}
    """
    if OTHER in sets:
        raise DataError(f"a gene set cannot be called {OTHER!r}", parameter="sets", hint="rename it")
    if not len(genes):
        raise DataError("the stream has no names of genes", parameter="sets", expected="feature_names")
    found = {name: np.isin(genes, list(members)) for name, members in sets.items()}
    absent = [name for name, row in found.items() if not row.any()]
    found = {name: row for name, row in found.items() if row.any()}
    if not found:
        expected, got = f"genes such as {listed(genes, 3)}", listed(absent)
        hint = "use gene symbols, or keep more genes with n_genes"
        raise DataError(
            "no set has a gene of the stream", parameter="sets", expected=expected, got=got, hint=hint
        )
    if absent:
        warn(f"gene sets without a gene among the inputs have no token: {listed(absent)}", stacklevel=4)
    others = ~np.any(list(found.values()), axis=0)
    return found | ({OTHER: others} if others.any() else {})


def _resolved(sets: Mapping[str, Iterable[str]] | str | None) -> dict[str, list[str]]:
    """Return the gene sets of the parameter `sets`; a file is refused, as a saved model would need it."""
    if isinstance(sets, str) and "." in sets:
        hint = "give the sets themselves: mmfusion.data.gene_sets.gene_sets(path)"
        raise DataError("an encoder does not read files", parameter="sets", got=sets, hint=hint)
    return gene_sets(sets)
