"""TrainingPlan: all settings of the training of a network, as one frozen object."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mmfusion.errors import DataError
from mmfusion.nn.params import FrozenParams

OPTIMIZERS = ("adamw", "adam", "sgd")
BALANCES = ("reweight", "oversample")
SCHEDULES = ("constant", "cosine", "plateau", "poly")
PRECISIONS = ("32", "bf16", "16")


@dataclass(frozen=True)
class TrainingPlan(FrozenParams):
    """Settings of the training of a network: optimiser, schedule, length, precision, early stopping.

    A plan cannot be changed; `replace` returns a new one. It can be a parameter of a scikit-learn estimator,
    whose `get_params` then lists `training__lr` and so on.

    Parameters
    ----------
    optimizer : {"adamw", "adam", "sgd"}
        AdamW (Loshchilov & Hutter 2019, ICLR), Adam, or stochastic gradient descent with Nesterov momentum.
    lr : float > 0
        Learning rate.
    weight_decay : float >= 0
        Weight decay of the optimiser.
    momentum : float in [0, 1)
        Momentum of "sgd"; the other optimisers ignore it.
    lr_groups : mapping of str to float > 0
        Factors of the learning rate for some parameters, such as `{"backbone": 0.1}`. A key is the name of a
        part of the network, or a pattern with `*` or `?` for the full names of parameters. The first key that
        matches a parameter is used.
    schedule : {"cosine", "constant", "plateau", "poly"}
        Change of the learning rate after each epoch. "cosine": from `lr` to `min_lr` along half a cosine.
        "constant": no change. "plateau": divided by 10 after 5 epochs without a better `monitor`. "poly": `lr
        * (1 - epoch / max_epochs) ** 0.9`.
    min_lr : float >= 0
        Lowest learning rate of "cosine" and "plateau".
    warmup_epochs : int >= 0
        Number of epochs in which the learning rate rises to `lr`, in equal steps after each batch. The
        schedule follows.
    max_epochs : int >= 1
        Number of passes through the training set.
    batch_size : int >= 1, optional
        Number of rows per batch. Default: a tenth of the training rows, but at least 8 and at most 32, so
        that small cohorts get as many steps as large ones.
    clip_norm : float > 0, optional
        Largest norm of the gradient of all parameters together; None means no limit.
    accumulate : int >= 1
        Number of batches whose mean gradient makes one step of the optimiser.
    precision : {"32", "bf16", "16"}
        Number format of the forward pass. "16" scales the loss (`torch.amp.GradScaler`). Weights and losses
        always have 32 bits.
    patience : int >= 1, optional
        Early stopping: stop after this number of epochs without a better `monitor`, and return the weights of
        the best epoch. It needs validation rows, unless `monitor` is computed without them. None: do not stop
        early.
    monitor : str
        Metric that early stopping and "plateau" use: "valid_loss", "train_loss", or the name of a metric that
        a callback records.
    direction : {"min", "max"}
        "min" if a low `monitor` is good, "max" if a high one is.
    freeze : mapping of str to int or None
        Parts that are not trained in the first epochs, such as `{"encoder": 5}`; None means all epochs. Keys
        as in `lr_groups`. A frozen part runs in evaluation mode: its running statistics do not change, and
        its dropout is off.
    validation_fraction : float in [0, 1)
        Share of the rows of `fit` that are used for early stopping. The estimator reads it and splits the
        rows.
    augment : bool
        Change training scans at random (flips, shifts, noise, ...). Read by the estimator.
    loss : str, optional
        Name of the loss. The estimator reads it and makes the loss; None means the default of the estimator.
    loss_options : mapping
        Options of the loss.
    balance : {"reweight", "oversample"}, optional
        Let all groups of training rows count the same. "reweight": by weights in the loss. "oversample": rows
        of the smaller groups are repeated. None: each row counts the same, apart from the class weights of
        the loss. Read by `StageClassifier`; an error for other networks.
    balance_by : str
        The groups for `balance`: "class", or a column such as "ehr.sex" or "meta.site".

    Raises
    ------
    DataError
        If a value is out of range; the error names the parameter.

    Examples
    --------
    >>> plan = TrainingPlan(lr=3e-4, freeze={"encoder": 5})
    >>> plan.replace(max_epochs=60).max_epochs
    60
    >>> plan.rows_per_batch(200)
    20
    """

    optimizer: str = "adamw"
    lr: float = 2e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    lr_groups: Mapping[str, float] = field(default_factory=dict)
    schedule: str = "cosine"
    min_lr: float = 0.0
    warmup_epochs: int = 0
    max_epochs: int = 14
    batch_size: int | None = None
    clip_norm: float | None = 1.0
    accumulate: int = 1
    precision: str = "32"
    patience: int | None = 12
    monitor: str = "valid_loss"
    direction: str = "min"
    freeze: Mapping[str, int | None] = field(default_factory=dict)
    validation_fraction: float = 0.0
    augment: bool = True
    loss: str | None = None
    loss_options: Mapping[str, object] = field(default_factory=dict)
    balance: str | None = None
    balance_by: str = "class"

    def __post_init__(self) -> None:
        for name, (check, expected) in _RULES.items():
            value = _plain(getattr(self, name))
            if not check(value):
                raise DataError(
                    "a training plan cannot have this", parameter=name, expected=expected, got=value
                )
            object.__setattr__(self, name, value)
        lowest = self.lr * min([1.0, *self.lr_groups.values()])
        if self.min_lr > lowest:
            raise DataError(
                "the lowest learning rate is above the first one",
                parameter="min_lr",
                expected=f"at most {lowest:g}",
                got=self.min_lr,
            )
        if self.warmup_epochs >= self.max_epochs:
            raise DataError(
                "the warm-up takes all epochs",
                parameter="warmup_epochs",
                expected=f"fewer than max_epochs = {self.max_epochs}",
                got=self.warmup_epochs,
            )

    def rows_per_batch(self, n_rows: int) -> int:
        """Return `batch_size`, or the default for a training set of `n_rows` rows."""
        return self.batch_size or int(np.clip(n_rows // 10, 8, 32))


def _plain(value: object) -> object:
    """Return a numpy scalar as a Python scalar, and a mapping as a copy."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _number(low: float, *, above: bool = False, below: float = math.inf) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (value > low if above else value >= low) and value < below

    return check


def _whole(low: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and value >= low


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


def _mapping(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, dict) and all(isinstance(k, str) and k and check(v) for k, v in value.items())
    )


def _one_of(names: tuple[str, ...]) -> tuple[Callable[[object], bool], str]:
    return (lambda value: isinstance(value, str) and value in names), ", ".join(names)


_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "optimizer": _one_of(OPTIMIZERS),
    "lr": (_number(0, above=True), "a number above 0"),
    "weight_decay": (_number(0), "a number, 0 or above"),
    "momentum": (_number(0, below=1), "a number in [0, 1)"),
    "lr_groups": (_mapping(_number(0, above=True)), "a mapping of names to numbers above 0"),
    "schedule": _one_of(SCHEDULES),
    "min_lr": (_number(0), "a number, 0 or above"),
    "warmup_epochs": (_whole(0), "a whole number, 0 or above"),
    "max_epochs": (_whole(1), "a whole number, 1 or above"),
    "batch_size": (_or_none(_whole(1)), "a whole number, 1 or above, or None"),
    "clip_norm": (_or_none(_number(0, above=True)), "a number above 0, or None"),
    "accumulate": (_whole(1), "a whole number, 1 or above"),
    "precision": _one_of(PRECISIONS),
    "patience": (_or_none(_whole(1)), "a whole number, 1 or above, or None"),
    "monitor": (lambda value: isinstance(value, str) and bool(value), "the name of a metric"),
    "direction": _one_of(("min", "max")),
    "freeze": (_mapping(_or_none(_whole(1))), "a mapping of names to numbers of epochs, or None for all"),
    "validation_fraction": (_number(0, below=1), "a number in [0, 1)"),
    "augment": (lambda value: isinstance(value, bool), "True or False"),
    "loss": (_or_none(lambda value: isinstance(value, str)), "the name of a loss, or None"),
    "loss_options": (_mapping(lambda _: True), "a mapping of names to values"),
    "balance": (
        lambda value: value is None or (isinstance(value, str) and value in BALANCES),
        f"{', '.join(BALANCES)}, or None",
    ),
    "balance_by": (lambda value: isinstance(value, str) and bool(value), "class, or the name of a column"),
}
