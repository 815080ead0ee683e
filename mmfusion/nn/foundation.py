"""Network of the foundation model of Pai et al. 2024 (fmcib), and loading of its published weights."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path

import torch
from monai.networks.nets import resnet50
from torch import nn

from mmfusion.errors import COPY_AGAIN, WeightsUnavailable
from mmfusion.exclusive import exclusive

SIDE = 50  # side of the input cube in voxels of 1 mm
N_FEATURES = 4096
_HINT = f"{COPY_AGAIN}; the expected file is fmcib's model_weights.torch"
_WRAPPED = re.compile(r"^(module\.|model\.|trunk\.)+")
_HEADS = re.compile(r"^(module\.|model\.)*(heads?|fc)\.")


def foundation_trunk(widen_factor: int = 2) -> nn.Module:
    """Build a 3D ResNet-50 of double width, which maps crops (b, 1, 50, 50, 50) to features (b, 4096).

    The input is (HU + 1024) / 3072 at 1 mm per voxel. The network has 184.5 million parameters, with random
    values; see `pretrained_trunk` for the published weights.

    Parameters
    ----------
    widen_factor : int
        Factor of the width: 2 as published, 1 for tests. The last layer has 2048 times as many channels.

    References
    ----------
    Pai et al. 2024, Foundation model for cancer imaging biomarkers, Nature Machine Intelligence 6, 354-367.
    """
    return resnet50(
        pretrained=False,
        n_input_channels=1,
        widen_factor=widen_factor,
        conv1_t_stride=2,
        feed_forward=False,
        bias_downsample=True,
    )


def random_trunk(seed: int, widen_factor: int = 2) -> nn.Module:
    """Return the network with random weights in evaluation mode, a control without training.

    Parameters
    ----------
    seed : int
        Seed of the weights. The global random state is not changed.
    widen_factor : int
        As for `foundation_trunk`.
    """
    with exclusive(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        return foundation_trunk(widen_factor).eval()


def pretrained_trunk(path: str | Path, widen_factor: int = 2) -> nn.Module:
    """Return the network with weights from a file, in evaluation mode, on the CPU.

    The file is the published checkpoint (`trunk_state_dict`), a fine-tuned checkpoint (`state_dict`, of which
    the heads are left out), or a plain state dict. Only tensors are unpickled. Processes share the memory of
    the file if its format allows this.

    Parameters
    ----------
    path : path
        File with the weights.
    widen_factor : int
        As for `foundation_trunk`.

    Raises
    ------
    WeightsUnavailable
        If the file cannot be read, or if its weights are not exactly those of this network.
    """
    with torch.device("meta"):  # no memory and time for initial weights, which are replaced below
        trunk = foundation_trunk(widen_factor)
    state = _state_dict(Path(path))
    expected = trunk.state_dict()
    for name in expected:  # counters of batches are not in every file and have no effect here
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, torch.zeros((), dtype=torch.long))
    _check(state, expected, path)
    trunk.load_state_dict(state, assign=True)
    return trunk.eval()


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsUnavailable("weights that cannot be read", file=path, got=reason, hint=_HINT) from error
    for key in ("trunk_state_dict", "state_dict"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
            break
    if not isinstance(checkpoint, dict):
        raise WeightsUnavailable("not a state dict", file=path, got=type(checkpoint).__name__, hint=_HINT)
    return {
        _WRAPPED.sub("", str(name)): value.float()
        if torch.is_tensor(value) and value.is_floating_point()
        else value
        for name, value in checkpoint.items()
        if not _HEADS.match(str(name))
    }


def _check(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: str | Path) -> None:
    for problem, names in {
        "weights are missing": [n for n in expected if n not in state],
        "weights of another network": [n for n in state if n not in expected],
        "weights of another shape": [
            n for n, v in expected.items() if n in state and getattr(state[n], "shape", None) != v.shape
        ],
    }.items():
        if names:
            got = f"{len(names)}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
            raise WeightsUnavailable(
                problem, file=path, expected=f"{len(expected)} tensors", got=got, hint=_HINT
            )
