"""A fitted model as a function of one stream, or of the presence of streams, with the other inputs fixed.

It works for any model with `module_`, `transformer_` (with `transform` and `specs_`), `classes_` and
`background_`. The module is called as `module_(present, **streams)` and returns logits of the classes. If the
module, or each of its `members`, has `encode` and `fuse`, fixed streams are encoded only once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from mmfusion.compute import one_thread
from mmfusion.errors import DataError
from mmfusion.exclusive import exclusive
from mmfusion.streams import ShapePattern, StreamInputs, StreamSpec

_BATCH = 64  # rows per batch; a crop has 32^3 floats, and its feature maps have many more


class FittedModel(Protocol):
    """Model that can be explained: attributes that the functions of this package need."""

    module_: nn.Module
    transformer_: object
    classes_: np.ndarray
    background_: StreamInputs


def check_model(model: object) -> None:
    """Raise an error if this is no fitted model with networks."""
    if not all(hasattr(model, name) for name in ("module_", "transformer_", "classes_")):
        raise DataError(
            "not a fitted model that can be explained",
            parameter="model",
            expected="a fitted StageClassifier",
            got=type(model).__name__,
        )


def as_inputs(model: FittedModel, X: object) -> StreamInputs:
    """Return the stream inputs of `X`, which are rows of a cohort or stream inputs; at least one row."""
    check_model(model)
    inputs = X if isinstance(X, StreamInputs) else model.transformer_.transform(X)
    if not len(inputs.present):
        raise DataError("no patient to explain", parameter="X", expected="at least one row", got="none")
    return inputs


def labels_of(patients: Sequence[object], y: Sequence[object]) -> np.ndarray:
    """Return the labels of patients as an array, shape (n,).

    Raises
    ------
    DataError
        If there is not one label for each patient, or the index of `y` has other patients or another order.

    Examples
    --------
    >>> labels_of(["p1", "p2"], ["I", "II"]).tolist()
    ['I', 'II']
    """
    if np.ndim(y) != 1 or len(y) != len(patients):
        got = len(y) if np.ndim(y) == 1 else f"shape {np.shape(y)}"
        problem = "not one label for each explained patient"
        raise DataError(problem, parameter="y", expected=len(patients), got=got)
    if isinstance(y, pd.Series) and list(map(str, y.index)) != list(map(str, patients)):
        raise DataError("X and y are not about the same patients", parameter="y", hint="use the same index")
    return np.asarray(y)


def find_stream(
    model: FittedModel, pattern: ShapePattern, what: str, name: str | None = None
) -> tuple[int, StreamSpec]:
    """Return the position and the spec of the first stream that fits a shape, or of the stream `name`.

    `what` is a description of the stream for the error message.

    Raises
    ------
    DataError
        If the model reads no such stream.
    """
    check_model(model)
    for i, spec in enumerate(model.transformer_.specs_):
        if spec.fits(pattern) and name in (None, spec.name):
            return i, spec
    have = ", ".join(f"{s.name} {s.shape}" for s in model.transformer_.specs_)
    problem = f"the model reads no {what}" + (f" called {name!r}" if name is not None else "")
    raise DataError(problem, expected=f"shape {pattern}", got=have)


def rows_with(inputs: StreamInputs, stream: int, what: str) -> np.ndarray:
    """Return the row numbers of the patients who have a stream.

    Parameters
    ----------
    inputs : StreamInputs
        Inputs of n patients.
    stream : int
        Position of the stream.
    what : str
        Name of the stream in the message.

    Raises
    ------
    DataError
        If no patient has the stream.
    """
    rows = np.flatnonzero(inputs.present[:, stream])
    if not len(rows):
        raise DataError(f"no patient to explain has {what}", expected="at least one")
    return rows


@contextmanager
def evaluation_mode(model: FittedModel) -> Iterator[list[nn.Module]]:
    """Give copies of the model's networks in evaluation mode, on one thread.

    Copies, because captum attaches functions to layers while other threads may predict with the model. One
    thread at a time explains, because shap seeds the random generator of numpy. The random states are
    restored at the end.
    """
    with exclusive():
        module = copy.deepcopy(model.module_).eval()
        state = np.random.get_state()  # noqa: NPY002
        try:
            with (
                one_thread(),
                torch.random.fork_rng(devices=[]),
                torch.inference_mode(mode=False),
                torch.enable_grad(),
            ):
                yield list(getattr(module, "members", [module]))
        finally:
            np.random.set_state(state)  # noqa: NPY002


class OneStream(nn.Module):
    """Class probabilities as a function of one stream, with the other streams of each row fixed.

    Parameters
    ----------
    members : sequence of nn.Module
        Networks whose probabilities are averaged.
    stream : str
        Name of the stream that varies.
    inputs : StreamInputs
        Rows whose other streams are fixed.
    mean_of : StreamInputs, optional
        If given, the other streams of every row are the mean vectors of these rows, and all are present.
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
        """Return the class probabilities, shape (b, K).

        Parameters
        ----------
        x : Tensor, shape (b, ...)
            Values of the stream that varies.
        rows : Tensor of int, shape (b,), optional
            Row number of the other streams for each value of `x`. Default: row 0.
        """
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
    """Return a function that gives class probabilities for a table of presence.

    Parameters
    ----------
    members : sequence of nn.Module
        Networks whose probabilities are averaged.
    inputs : StreamInputs
        Inputs of n patients with m streams.

    Returns
    -------
    callable
        `proba(present, rows)`: `present` is bool of shape (n, m) and is True for the streams that the
        networks may use; `rows` are the r row numbers to predict. It returns probabilities of shape (r, K).
    """
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
