"""Export of a fitted network to ONNX, so that it runs without this library."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.imaging.isolation import undisturbed
from mmfusion.storage.atomic import saved
from mmfusion.streams import StreamSpec

_LOGGERS = ("torch.onnx", "torch.onnx._internal.exporter._registration", "onnxscript")
_TOLERANCE = 1e-5  # largest difference between the probabilities of the network and of its export


def write_onnx(
    module: nn.Module,
    specs: Sequence[StreamSpec],
    path: str | Path,
    *,
    classes: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a network as an ONNX file, and check that it gives the same probabilities.

    The inputs of the file are `present`, bool (b, m), and each stream by name, float32 (b, ...). Its output
    is `probabilities`, float32 (b, K). Any number of patients b is allowed.

    Parameters
    ----------
    module : nn.Module
        Network, called as `module(present, **streams)`. It returns logits; their softmax gives probabilities.
    specs : sequence of StreamSpec
        The streams, in the order of the columns of `present`.
    path : path
        The file to write.
    classes : sequence of str, optional
        Names of the K classes, stored in the metadata of the file.
    metadata : mapping of str to str, optional
        Further entries of the metadata.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    MMFusionError
        If the packages of the extra `onnx` are absent, the file cannot be written, or the probabilities
        differ by more than 1e-5 for any pattern of missing streams.

    References
    ----------
    ONNX, the Open Neural Network Exchange, opset 20.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MMFusionError("ONNX export is not installed", hint="pip install 'mmfusion[onnx]'") from error
    names = [spec.name for spec in specs]
    network = _Positional(copy.deepcopy(module), names).eval()  # a copy: others may predict with it now
    example = _example(specs)
    with saved(path, MMFusionError) as draft:
        facts = {"streams": ",".join(names), "classes": ",".join(classes), **(metadata or {})}
        _export(network, example, names, facts, draft)
        run = onnxruntime.InferenceSession(str(draft), providers=["CPUExecutionProvider"])
        _check_equal(network, run, example)
    return Path(path)


class _Positional(nn.Module):
    """Network with positional arguments that returns probabilities."""

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module, self.names = module, tuple(names)

    def forward(self, present: torch.Tensor, *arrays: torch.Tensor) -> torch.Tensor:
        return self.module(present, **dict(zip(self.names, arrays, strict=True))).softmax(-1)


def _export(
    network: nn.Module,
    example: tuple[torch.Tensor, ...],
    names: Sequence[str],
    facts: Mapping[str, str],
    path: Path,
) -> None:
    batch = torch.export.Dim("b", min=1)
    with undisturbed(*_LOGGERS), torch.no_grad():
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            opset_version=20,
            dynamic_shapes=({0: batch}, tuple({0: batch} for _ in names)),
            input_names=["present", *names],
            output_names=["probabilities"],
            verbose=False,
        )
        program.model.metadata_props.update(facts)
        program.save(path)


def _example(specs: Sequence[StreamSpec]) -> tuple[torch.Tensor, ...]:
    """Return the presence table with one row per pattern of present streams, and random values."""
    patterns = [row for row in product((False, True), repeat=len(specs)) if any(row)]
    # two rows at least, because the export would fix the size of an axis of size 1
    present = torch.tensor(patterns * (2 if len(patterns) == 1 else 1))
    generator = torch.Generator().manual_seed(0)
    return present, *(torch.rand(len(present), *spec.shape, generator=generator) for spec in specs)


def _check_equal(network: nn.Module, run: object, example: tuple[torch.Tensor, ...]) -> None:
    with torch.no_grad():
        expected = network(*example).numpy()
    feed = {entry.name: value.numpy() for entry, value in zip(run.get_inputs(), example, strict=True)}
    worst = float(np.abs(run.run(None, feed)[0] - expected).max())
    if not worst <= _TOLERANCE:
        raise MMFusionError(
            "the exported network gives different probabilities", expected=f"within {_TOLERANCE}", got=worst
        )
