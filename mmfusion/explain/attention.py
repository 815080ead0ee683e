"""Attention weights of a fitted model: over the edges of the gene graph, and over modalities.

Attention is not an explanation by itself. A weight says how much of a neighbour's features enters a sum. It
does not say how much the prediction depends on it, because other weights can give the same prediction (Jain
and Wallace 2019). Compare it with SHAP values and with the Shapley values of modalities, which measure the
change of the prediction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import nn

from mmfusion.errors import DataError, check_whole
from mmfusion.explain.conditional import FittedModel, as_inputs, evaluation_mode, find_stream, rows_with
from mmfusion.nn.fusion.crossmodal import CrossModal
from mmfusion.nn.layers.attention import Attention
from mmfusion.nn.layers.gatv2 import RegularGATv2, UnionGATv2
from mmfusion.streams import GENES, StreamInputs

OWN = "own token"  # the summary token, which also attends to itself
_BATCH = 32


def gene_edges(model: FittedModel, X: object, *, n: int | None = None) -> pd.DataFrame:
    """Return the mean attention weight of each edge of the gene graph, for encoders such as `gene_gat`.

    The weights that a gene gives to its neighbours add up to 1. They are averaged over the attention heads,
    the graph layers, the networks of the model, and patients. Attention is not an explanation by itself (Jain
    and Wallace 2019): an edge with a large weight need not change the prediction. The edges themselves are
    not learned from the labels.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        Patients. Those without genes are left out.
    n : int, optional
        Return only the first n edges. Default: all.

    Returns
    -------
    DataFrame
        One row per edge, largest `ratio` first. Columns:

        - `source`, `target`: the gene that sends, and the gene that attends
        - `weight`: mean attention weight, 0 to 1
        - `sd`: standard deviation of the weight over patients
        - `ratio`: weight times the number of neighbours of `target`; 1 if it attends evenly to all

    Raises
    ------
    DataError
        If the model reads no genes, no patient has them, its gene encoder has no graph attention, or the
        gene graph has no edges between genes.

    References
    ----------
    Jain and Wallace 2019, "Attention is not explanation", NAACL; Brody et al. 2022, ICLR (GATv2).
    """
    if n is not None:
        check_whole("n", n)
    position, spec = find_stream(model, GENES, "genes")
    inputs = as_inputs(model, X)
    x = torch.as_tensor(inputs.arrays[spec.name][rows_with(inputs, position, "genes")])
    with evaluation_mode(model) as members, torch.no_grad():
        encoders = [dict(getattr(m, "encoders", {}).items()).get(spec.name, m) for m in members]
        if not any(isinstance(part, (RegularGATv2, UnionGATv2)) for e in encoders for part in e.modules()):
            raise DataError("the gene encoder has no graph attention", expected="an encoder such as gene_gat")
        found = [layer for encoder in encoders for layer in _edge_weights(encoder, x)]
    edges = found[0][0]
    weight = np.mean([values for _, values in found], axis=0)  # (patients, E)
    if (edges[0] == edges[1]).all():
        raise DataError("the gene graph has no edges between genes", expected="a model with a gene graph")
    names = np.array(spec.feature_names)
    table = pd.DataFrame(
        {
            "source": names[edges[0]],
            "target": names[edges[1]],
            "weight": weight.mean(axis=0),
            "sd": weight.std(axis=0),
            "ratio": weight.mean(axis=0) * np.bincount(edges[1])[edges[1]],
        }
    )
    order = ["ratio", "source", "target"]
    return table.sort_values(order, ascending=[False, True, True], ignore_index=True)[:n]


def modality_attention(model: FittedModel, X: object) -> pd.DataFrame:
    """Return how much the summary token of the fusion "crossmodal" attends to each stream, per patient.

    The weights of all tokens of a stream are added, and averaged over heads, blocks and networks. They depend
    on the number of tokens: with even attention, a stream with eight tokens has eight times the weight of a
    stream with one. Attention is not an explanation by itself (Jain and Wallace 2019), and the fusion also
    reads the mean of each stream's tokens without attention. `modality_shapley` measures how much a modality
    changes the prediction.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`. Its fusion is "crossmodal".
    X : DataFrame or StreamInputs
        n patients.

    Returns
    -------
    DataFrame, shape (n, m + 1)
        Index patient_id. One column per stream, and the column "own token": the summary token attends to
        itself too. Rows add up to 1. A stream that a patient lacks has weight 0. `attrs["even"]` is a dict
        with the weight of each column, for a patient with all streams, if all tokens had the same weight.

    Raises
    ------
    DataError
        If the fusion has no attention over modalities, or there is no patient.

    References
    ----------
    Jain and Wallace 2019, "Attention is not explanation", NAACL; Tsai et al. 2019, ACL.
    """
    inputs = as_inputs(model, X)
    with evaluation_mode(model) as members, torch.no_grad():
        fusions = [getattr(member, "fusion", None) for member in members]
        if not all(isinstance(fusion, CrossModal) for fusion in fusions):
            raise DataError(
                "the fusion has no attention over modalities",
                parameter="fusion",
                expected="crossmodal",
                got=type(fusions[0]).__name__,
            )
        found = [_summary_weights(member, inputs) for member in members]
    columns, owner = [OWN, *fusions[0].names], fusions[0].owner.numpy()
    per_token = np.mean(found, axis=0)
    weights = np.stack([per_token[:, owner == i].sum(axis=1) for i in range(len(columns))], axis=1)
    table = pd.DataFrame(weights, pd.Index(map(str, inputs.index), name="patient_id"), columns)
    table.attrs["even"] = dict(zip(columns, (np.bincount(owner) / len(owner)).tolist(), strict=True))
    return table


def _edge_weights(encoder: nn.Module, x: torch.Tensor) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the edges (2, E) and their weights (patients, E) of each graph layer of an encoder."""
    layers: dict[nn.Module, list[np.ndarray]] = {}
    for rows in x.split(_BATCH):
        with _inputs_of(encoder, (RegularGATv2, UnionGATv2)) as seen:
            encoder(rows)
        for layer, (nodes,) in seen:
            layers.setdefault(layer, []).append(layer.weights(nodes).mean(2).double().numpy())
    yield from ((layer.edges.numpy(), np.concatenate(parts)) for layer, parts in layers.items())


def _summary_weights(member: nn.Module, inputs: StreamInputs) -> np.ndarray:
    """Return the weights of the summary token, shape (n, tokens), averaged over heads and blocks."""
    parts = []
    for rows in np.array_split(np.arange(len(inputs.index)), -(-len(inputs.index) // _BATCH)):
        some = inputs.rows(rows)
        streams = {name: torch.as_tensor(values) for name, values in some.arrays.items()}
        with _inputs_of(member.fusion, (Attention,)) as seen:
            member(torch.as_tensor(np.asarray(some.present)), **streams)
        blocks = [layer.weights(*given)[:, :, 0].mean(1) for layer, given in seen]
        parts.append(torch.stack(blocks).mean(0).double().numpy())
    return np.concatenate(parts)


@contextmanager
def _inputs_of(
    network: nn.Module, kinds: Sequence[type[nn.Module]]
) -> Iterator[list[tuple[nn.Module, tuple]]]:
    """Record the arguments of all layers of some classes inside the block, in the order in which they run."""
    seen: list[tuple[nn.Module, tuple]] = []

    def keep(layer: nn.Module, given: tuple) -> None:
        seen.append((layer, given))

    hooks = [m.register_forward_pre_hook(keep) for m in network.modules() if isinstance(m, tuple(kinds))]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
