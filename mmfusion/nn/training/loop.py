"""The training loop, based on skorch, for all networks of the library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from skorch.callbacks import Callback, GradientNormClipping
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import Dataset

from mmfusion.errors import DataError
from mmfusion.nn.training.callbacks import BestEpoch, EpochBar, FiniteLoss, Freeze
from mmfusion.nn.training.checkpoint import Checkpoint
from mmfusion.nn.training.devices import check_device
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.nn.training.schedule import Schedule
from mmfusion.nn.training.steps import TrainingNet

_INTERNAL = ("dur", "train_batch_count", "valid_batch_count", "train_loss_best", "valid_loss_best")


def fit_network(
    module: nn.Module,
    criterion: nn.Module,
    train_set: Dataset,
    valid_set: Dataset | None,
    plan: TrainingPlan,
    *,
    device: str = "cpu",
    callbacks: Sequence[Callback | tuple[str, Callback]] = (),
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train `module` in place, as the plan specifies.

    Random numbers come from the global generators of torch. For a reproducible result, call this function
    inside `reproducible(seed, device)`.

    Parameters
    ----------
    module : nn.Module
        Network. If the inputs of a batch are a dict, they are passed by name, else as one argument.
    criterion : nn.Module
        `criterion(output, labels)` returns the loss as a scalar, the mean over the rows of a batch.
    train_set, valid_set : Dataset
        Data sets that return `(inputs, labels)` of a whole batch (`__getitems__`); see `StreamDataset` and
        `PatchDataset`. `valid_set` may be None.
    plan : TrainingPlan
        Optimiser, schedule, number of epochs, early stopping.
    device : str
        torch device.
    callbacks : sequence of skorch Callback, or pairs of name and Callback
        They are called in this order, before the schedule and early stopping, which can watch the metrics
        that they record.
    progress : bool
        Show a progress bar on stderr.
    checkpoint : path, optional
        Folder in which the state of the fit is written atomically after each epoch. If it contains a state,
        the fit continues from it and gives bitwise the same weights as without the interruption.

    Returns
    -------
    module : nn.Module
        The network in evaluation mode, on the CPU. With early stopping it has the weights of the best epoch.
    history : list of dict
        One dict per epoch: `epoch`, `train_loss`, `lr`, `valid_loss` if there is a `valid_set`, and the
        values that callbacks recorded.

    Raises
    ------
    DataError
        If the loss is not finite, if a key of `lr_groups` or `freeze` matches no parameter, if `monitor` is
        not recorded, if the plan balances rows, which is the work of an estimator, if the device cannot be
        used, or if the checkpoint belongs to another fit.
    KeyboardInterrupt
        If the user interrupts.
    """
    check_device(device)
    if plan.balance is not None:
        raise DataError(
            "this network cannot balance its training rows", parameter="balance", got=plan.balance
        )
    stopper = _stopper(plan, valid_set)
    monitor = plan.monitor if valid_set is not None or plan.monitor != "valid_loss" else "train_loss"
    rows = plan.rows_per_batch(len(train_set))
    resume = Checkpoint(checkpoint, plan, device, (train_set, valid_set)) if checkpoint is not None else None
    net = TrainingNet(
        module,
        criterion=criterion,
        plan=plan,
        optimizer=_OPTIMIZERS[plan.optimizer],
        lr=plan.lr,
        optimizer__weight_decay=plan.weight_decay,
        **_optimizer_options(plan),
        max_epochs=plan.max_epochs,
        batch_size=rows,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=_as_is,
        iterator_valid__collate_fn=_as_is,
        iterator_valid__batch_size=getattr(valid_set, "valid_batch_size", rows),
        train_split=None if valid_set is None else predefined_split(valid_set),
        callbacks=[
            ("finite", FiniteLoss()),
            *([("freeze", Freeze(plan.freeze))] if plan.freeze else []),
            *([("clip", GradientNormClipping(plan.clip_norm))] if plan.clip_norm else []),
            *callbacks,
            ("schedule", Schedule(plan, monitor)),
            *([("stop", stopper)] if stopper else []),
            *([("bar", EpochBar())] if progress else []),
            *([("checkpoint", resume)] if resume else []),
        ],
        callbacks__print_log=None,
        device=device,
        verbose=0,
        warm_start=False,
    )
    net.fit(train_set, y=None)
    # skorch treats Ctrl-C like an early stop; only the stopper may end training early
    if len(net.history) < plan.max_epochs and (stopper is None or stopper.misses_ < plan.patience):
        raise KeyboardInterrupt
    return net.module_.to("cpu").eval(), [_row(row) for row in net.history]


_OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def _optimizer_options(plan: TrainingPlan) -> dict[str, object]:
    if plan.optimizer == "sgd":
        return {"optimizer__momentum": plan.momentum, "optimizer__nesterov": plan.momentum > 0}
    return {}


def _stopper(plan: TrainingPlan, valid_set: Dataset | None) -> BestEpoch | None:
    if plan.patience is None or (valid_set is None and plan.monitor == "valid_loss"):
        return None
    return BestEpoch(
        monitor=plan.monitor,
        lower_is_better=plan.direction == "min",
        patience=plan.patience,
        load_best=True,
        sink=_silent,
    )


def _row(row: dict[str, object]) -> dict[str, float]:
    first = {name: row[name] for name in ("epoch", "train_loss", "valid_loss", "lr") if name in row}
    others = {k: v for k, v in row.items() if k not in (*first, *_INTERNAL) and isinstance(v, int | float)}
    return {name: float(value) for name, value in (first | others).items()}


def _as_is(batch: object) -> object:
    return batch


def _silent(_: str) -> None:
    """Ignore a message of skorch."""
