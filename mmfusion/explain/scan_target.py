"""The number that a map of a scan explains: the severity, or the probability of a class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mmfusion.errors import DataError
from mmfusion.explain.conditional import (
    FittedModel,
    OneStream,
    as_inputs,
    evaluation_mode,
    find_stream,
    rows_with,
)
from mmfusion.streams import CUBE, StreamInputs

SEVERITY, PREDICTED = "severity", "predicted"
BATCH = 16  # patients that are explained together


class WithSeverity(nn.Module):
    """Class probabilities of a function, and the severity as one more output.

    The severity is the expected number of the class, 0 to K - 1, because classes are in order of severity.

    Parameters
    ----------
    function : nn.Module
        Function that returns class probabilities, shape (b, K).

    Examples
    --------
    >>> WithSeverity(nn.Identity())(torch.tensor([[0.5, 0.25, 0.25]])).tolist()
    [[0.5, 0.25, 0.25, 0.75]]
    """

    def __init__(self, function: nn.Module) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor, *rows: torch.Tensor) -> torch.Tensor:
        """Return the probabilities and the severity, shape (b, K + 1)."""
        proba = self.function(x, *rows)
        severity = proba @ torch.arange(proba.shape[1], dtype=proba.dtype)
        return torch.cat([proba, severity[:, None]], dim=1)


@dataclass(frozen=True)
class ScanTarget:
    """Patients with a scan, and the output of `WithSeverity` that is explained for each.

    Parameters
    ----------
    inputs : StreamInputs
        Inputs of the n patients who have a scan.
    stream : str
        Name of the scan stream.
    outputs : Tensor of int, shape (n,)
        Number of the output of `WithSeverity`.
    names : tuple of str, length n
        Names of these outputs: a class, or "severity".

    Examples
    --------
    >>> import numpy as np
    >>> inputs = StreamInputs({"ct": np.zeros((1, 1, 2, 2, 2))}, np.array([[True]]), ["P1"])
    >>> ScanTarget(inputs, "ct", torch.tensor([3]), ("severity",)).crops.shape
    torch.Size([1, 1, 2, 2, 2])
    """

    inputs: StreamInputs
    stream: str
    outputs: torch.Tensor
    names: tuple[str, ...]

    @property
    def crops(self) -> torch.Tensor:
        """The scans, shape (n, 1, S, S, S)."""
        return torch.as_tensor(self.inputs.arrays[self.stream])

    @property
    def patients(self) -> tuple[str, ...]:
        """Ids of the patients."""
        return tuple(map(str, self.inputs.index))

    def batches(self) -> tuple[torch.Tensor, ...]:
        """Return the row numbers in batches."""
        return torch.arange(len(self.outputs)).split(BATCH)


def scan_target(model: FittedModel, X: object, class_: str | None, stream: str | None) -> ScanTarget:
    """Return the patients who have a scan, and the output of the model that is explained.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        Patients to explain. Patients without a scan are left out.
    class_ : str, optional
        A class, "predicted" (the most probable class of each patient), or "severity". Default: "severity".
    stream : str, optional
        Name of the scan stream. Default: the first.

    Raises
    ------
    DataError
        If the model reads no scans, no patient has a scan, or the class is unknown.
    """
    position, spec = find_stream(model, CUBE, "scan", stream)
    inputs = as_inputs(model, X)
    some = inputs.rows(rows_with(inputs, position, "a scan"))
    names, wanted = [*map(str, model.classes_), SEVERITY], SEVERITY if class_ is None else class_
    if wanted not in names and wanted != PREDICTED:
        expected = ", ".join([*names, PREDICTED])
        raise DataError(f"the model has no class {class_!r}", parameter="class_", expected=expected)
    if wanted in names:
        outputs = torch.full((len(some.index),), names.index(wanted))
    else:
        outputs = _predicted(model, some, spec.name)
    return ScanTarget(some, spec.name, outputs, tuple(names[k] for k in outputs))


def _predicted(model: FittedModel, inputs: StreamInputs, stream: str) -> torch.Tensor:
    crops = torch.as_tensor(inputs.arrays[stream])
    with evaluation_mode(model) as members, torch.no_grad():
        function = OneStream(members, stream, inputs)
        batches = torch.arange(len(crops)).split(BATCH)
        return torch.cat([function(crops[rows], rows).argmax(dim=1) for rows in batches])
