"""Checkpoints: the state of a fit on disk after each epoch, from which an interrupted fit continues.

A checkpoint is one safetensors file. Its tensors are the weights, the state of the optimiser and the random
states. Its header contains all other values as JSON. No code of the file is executed when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from skorch import NeuralNet
from skorch.callbacks import Callback

from mmfusion.errors import DataError
from mmfusion.nn.training.datasets import checksum_tensors
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.nn.training.random import random_states, set_random_states
from mmfusion.storage.atomic import saved

FILE = "checkpoint.safetensors"
_AGAIN = "delete the folder to start anew, or give each fit a folder of its own"


class Checkpoint(Callback):
    """Callback that writes the state of the fit after each epoch, and restores it when training begins.

    Parameters
    ----------
    folder : path
        Folder of the file; it is created if it does not exist.
    plan : TrainingPlan
        Plan of the fit. A fit continues only from a checkpoint with the same plan, initial weights and rows.
    device : str
        torch device of the fit.
    sets : sequence of Dataset or None
        Training set and validation set. If they have a method `fingerprint`, its result must be the same as
        in the checkpoint.
    """

    def __init__(self, folder: str | Path, plan: TrainingPlan, device: str, sets: Sequence[object]) -> None:
        self.folder, self.plan, self.device, self.sets = folder, plan, device, sets

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Restore the state of the checkpoint, if there is one."""
        self.identity_ = {
            "plan": self.plan.to_dict(),
            "first weights": checksum_tensors([tensor.cpu() for tensor in net.module_.state_dict().values()]),
            "rows": [None if data is None else len(data) for data in self.sets],
            "data": [data.fingerprint() if hasattr(data, "fingerprint") else None for data in self.sets],
        }
        path = Path(self.folder) / FILE
        if path.is_file():
            self._restore(net, path)

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Write the state atomically."""
        tensors: dict[str, torch.Tensor] = {}
        body = {
            "identity": self.identity_,
            "history": [{**row, "batches": []} for row in net.history],
            "module": net.module_.state_dict(),
            "criterion": net.criterion_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "scaler": net.scaler_.state_dict(),
            "random": random_states(self.device),
            "callbacks": {name: one.checkpoint_state() for name, one in _stateful(net)},
        }
        text = json.dumps(_put_aside(body, tensors))
        with saved(Path(self.folder) / FILE) as draft:
            save_file(tensors, draft, metadata={"state": text})

    def _restore(self, net: NeuralNet, path: Path) -> None:
        try:
            with safe_open(path, framework="pt") as file:
                text = (file.metadata() or {})["state"]
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            body = _put_back(json.loads(text), tensors)
        except (SafetensorError, LookupError, ValueError, OSError) as error:
            raise DataError("the checkpoint cannot be read", file=path, got=error, hint=_AGAIN) from error
        now = json.loads(json.dumps(self.identity_))
        if other := [name for name, value in now.items() if body["identity"].get(name) != value]:
            problem = f"the checkpoint is of another fit: it differs in {', '.join(other)}"
            raise DataError(problem, file=path, hint=_AGAIN)
        net.history.extend(body["history"])
        net.module_.load_state_dict(body["module"])
        net.criterion_.load_state_dict(body["criterion"])
        net.optimizer_.load_state_dict(body["optimizer"])
        net.scaler_.load_state_dict(body["scaler"])
        for name, one in _stateful(net):
            one.restore_state(body["callbacks"][name])
        set_random_states(body["random"], self.device)


def _stateful(net: NeuralNet) -> list[tuple[str, Callback]]:
    return [(name, one) for name, one in net.callbacks_ if hasattr(one, "checkpoint_state")]


def _put_aside(value: object, tensors: dict[str, torch.Tensor]) -> object:
    """Return JSON values and move the tensors to a dict; keys of mappings keep their type."""
    if isinstance(value, torch.Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _put_aside(one, tensors)] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        return [_put_aside(one, tensors) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _put_back(value: object, tensors: Mapping[str, torch.Tensor]) -> object:
    if isinstance(value, list):
        return [_put_back(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    return {key: _put_back(one, tensors) for key, one in value["dict"]}
