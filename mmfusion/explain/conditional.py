"""A fitted model as a function of one stream, or of which streams are present, the rest held.

Works on any model with `module_` (called as `module_(present, **streams)`; softmax of what it returns is the
distribution over classes), `transformer_` (with `transform` and `specs_`), `classes_` and `background_`. Where the
module, or each of its `members`, has `encode` and `fuse`, the streams that are held are encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import nn

from mmfusion.compute import one_thread
from mmfusion.errors import DataError
from mmfusion.streams import ShapePattern, StreamInputs, StreamSpec

_BATCH = 64  # rows at a time: a crop is 32^3 floats and its maps many times that


class FittedModel(Protocol):
    """What can be explained."""

    module_: nn.Module
    transformer_: object
    classes_: np.ndarray
    background_: StreamInputs


def as_inputs(model: FittedModel, X: object) -> StreamInputs:
    """Stream inputs of `X`: rows of a cohort, or inputs already."""
    return X if isinstance(X, StreamInputs) else model.transformer_.transform(X)


def find_stream(
    model: FittedModel, pattern: ShapePattern, what: str, name: str | None = None
) -> tuple[int, StreamSpec]:
    """Return the position and the spec of the first stream that fits a shape, or of the one called `name`.

    `what` it is, in words, is for the message.

    Raises
    ------
    DataError
        If the model reads no such stream.
    """
    for i, spec in enumerate(model.transformer_.specs_):
        if spec.fits(pattern) and name in (None, spec.name):
            return i, spec
    have = ", ".join(f"{s.name} {s.shape}" for s in model.transformer_.specs_)
    raise DataError(f"the model reads no {what}", column=name, expected=f"shape {pattern}", got=have)


def rows_with(inputs: StreamInputs, stream: int, what: str) -> np.ndarray:
    """Positions of the patients who have the stream; raises `DataError` if nobody has."""
    rows = np.flatnonzero(inputs.present[:, stream])
    if not len(rows):
        raise DataError(f"no patient to explain has {what}", expected="at least one")
    return rows


@contextmanager
def quiet_model(model: FittedModel) -> Iterator[list[nn.Module]]:
    """Networks of the model in evaluation mode, one thread; modes and random state afterwards as they were."""
    modes = [(m, m.training) for m in model.module_.modules()]
    state = np.random.get_state()  # noqa: NPY002 - shap seeds the global generator
    model.module_.eval()
    try:
        with (
            one_thread(),
            torch.random.fork_rng(devices=[]),
            torch.inference_mode(mode=False),
            torch.enable_grad(),
        ):
            yield list(getattr(model.module_, "members", [model.module_]))
    finally:
        np.random.set_state(state)  # noqa: NPY002
        for module, training in modes:
            module.training = training


class OneStream(nn.Module):
    """Class probabilities as a function of one stream; the other streams of each row are held.

    Parameters
    ----------
    members : sequence of nn.Module
        Networks whose probabilities are averaged.
    stream : str
        The stream that varies.
    inputs : StreamInputs
        Rows whose other streams are held.
    mean_of : StreamInputs, optional
        Hold every row's other streams at the mean vectors of these rows instead, all present.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        stream: str,
        inputs: StreamInputs,
        mean_of: StreamInputs | None = None,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(members)
        self.stream, self.single = stream, mean_of is not None
        source = inputs if mean_of is None else mean_of
        self.held = [_encode(m, source) if hasattr(m, "fuse") else _tensors(source)[1] for m in members]
        self.present = torch.as_tensor(np.asarray(source.present))
        if self.single:
            self.held = [{k: v.mean(0, keepdim=True) for k, v in held.items()} for held in self.held]
            self.present = torch.ones(1, self.present.shape[1], dtype=torch.bool)

    def forward(self, x: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Probabilities, shape (b, K), where `rows` says whose other streams go with each of the b values of `x`."""
        rows = torch.zeros(len(x), dtype=torch.long) if rows is None or self.single else rows
        present = self.present[rows]
        out = []
        for network, held in zip(self.networks, self.held, strict=True):
            others = {k: v[rows] for k, v in held.items() if k != self.stream}
            if hasattr(network, "fuse"):
                tokens = {**others, self.stream: network.encoders[self.stream](x)}
                out.append(network.fuse({k: tokens[k] for k in network.encoders}, present).softmax(-1))
            else:
                out.append(network(present, **others, **{self.stream: x}).softmax(-1))
        return torch.stack(out).mean(0)


def presence_function(
    members: Sequence[nn.Module], inputs: StreamInputs
) -> Callable[[np.ndarray], np.ndarray]:
    """Probabilities (n, K) of the rows as a function of who is said to have which stream, bool (n, m)."""
    tokens = [_encode(m, inputs) if hasattr(m, "fuse") else None for m in members]
    _, streams = _tensors(inputs)

    def proba(present: np.ndarray, rows: np.ndarray) -> np.ndarray:
        out = []
        with torch.no_grad():
            for start in range(0, len(rows), _BATCH):
                some = torch.as_tensor(rows[start : start + _BATCH])
                mask = torch.as_tensor(present[rows[start : start + _BATCH]])
                parts = [
                    m.fuse({k: v[some] for k, v in t.items()}, mask)
                    if t is not None
                    else m(mask, **{k: v[some] for k, v in streams.items()})
                    for m, t in zip(members, tokens, strict=True)
                ]
                out.append(torch.stack([p.softmax(-1) for p in parts]).mean(0))
        return torch.cat(out).double().numpy()

    return proba


def _tensors(inputs: StreamInputs) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    return torch.as_tensor(np.asarray(inputs.present)), {
        k: torch.as_tensor(v) for k, v in inputs.arrays.items()
    }


def _encode(network: nn.Module, inputs: StreamInputs) -> dict[str, torch.Tensor]:
    present, streams = _tensors(inputs)
    parts = []
    with torch.no_grad():
        for start in range(0, len(present), _BATCH):
            some = slice(start, start + _BATCH)
            parts.append(network.encode(present[some], **{k: v[some] for k, v in streams.items()}))
    return {k: torch.cat([p[k] for p in parts]) for k in parts[0]}
