"""Balance of several tasks in one loss: fixed weights, learned uncertainty, or weights from the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training.labels import JointLoss
from mmfusion.nn.training.task_gradients import GradientSurgery, TaskCallback

LIMIT = 5.0  # largest absolute value of log(sigma^2) of a task


class UncertaintyLoss(JointLoss):
    """Sum of losses with learned weights: sum over tasks t of f_t exp(-s_t) L_t + s_t / 2.

    s_t = log(sigma_t^2) is a parameter of the loss that starts at 0 and is limited to [-5, 5]. The factor f_t
    is 1/2 for regression and 1 for other tasks. In a batch without labels of a task, its whole term is left
    out, so that s_t does not change.

    Parameters
    ----------
    losses : mapping of str to nn.Module
        As for `JointLoss`.
    regression : sequence of str
        Names of the regression tasks.

    Raises
    ------
    DataError
        If a name in `regression` is not in `losses`.

    References
    ----------
    Kendall, Gal & Cipolla 2018, "Multi-task learning using uncertainty to weigh losses", CVPR, equation 10.

    Examples
    --------
    >>> loss = UncertaintyLoss({"a": nn.MSELoss(), "b": nn.MSELoss()}, regression=["b"])
    >>> ones = {"a": torch.ones(2), "b": torch.ones(2)}
    >>> loss(ones, {"a": torch.zeros(2), "b": torch.zeros(2)}).item()  # 1 + 1/2
    1.5
    """

    def __init__(self, losses: Mapping[str, nn.Module], regression: Sequence[str] = ()) -> None:
        super().__init__(losses, dict.fromkeys(regression, 0.5))
        self.log_variance = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in losses})

    def terms(
        self, outputs: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the sum by name."""
        found = {}
        for name, term in super().terms(outputs, labels).items():
            s = self.log_variance[name].clamp(-LIMIT, LIMIT)
            found[name] = torch.exp(-s) * term + s / 2
        return found

    def scales(self) -> dict[str, float]:
        """Return exp(s_t / 2) of each task, as `sigma_<task>`."""
        limited = {name: s.detach().clamp(-LIMIT, LIMIT) for name, s in self.log_variance.items()}
        return {f"sigma_{name}": float(torch.exp(s / 2)) for name, s in limited.items()}


class TaskLog(TaskCallback):
    """Callback that records each task of a `JointLoss`: its mean loss, and its weight or sigma.

    The history has for each epoch `loss_<task>`, the mean over the training batches with labels of the task,
    without any weight; and `weight_<task>`, or for an `UncertaintyLoss` `sigma_<task>`.

    Examples
    --------
    >>> callbacks = [("tasks", TaskLog())]  # for fit_network(..., JointLoss(...), callbacks=callbacks)
    """

    def on_epoch_begin(self, net: NeuralNet, **kwargs) -> None:
        """Delete the losses of the previous epoch."""
        self.losses_: dict[str, list[torch.Tensor]] = {name: [] for name in self.loss_.losses}

    def before_backward(self, net: NeuralNet, factor: float) -> None:
        """Keep the losses of the batch."""
        with torch.no_grad():
            for name, value in self.loss_.unweighted(*self.seen_).items():
                self.losses_[name].append(value)

    def means(self) -> dict[str, float]:
        """Return the mean loss of each task that has labels in the epoch."""
        return {name: float(torch.stack(values).mean()) for name, values in self.losses_.items() if values}

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Record the losses, and the weights or sigmas."""
        for name, value in self.means().items():
            net.history.record(f"loss_{name}", value)
        for name, value in self.loss_.scales().items():
            net.history.record(name, value)


class DynamicWeights(TaskLog):
    """Callback that sets the weights of a `JointLoss` by dynamic weight averaging (DWA).

    With K tasks, w_t = K exp(r_t / T) / sum_j exp(r_j / T), and r_t is the mean loss of the last epoch
    divided by that of the epoch before: a task whose loss falls slowly gets more weight. In the first two
    epochs, and for a task without labels in one of the epochs, r_t is 1. The weight of a task is w_t times
    the weight that it had in the loss before the fit. The history has the losses and weights, as with
    `TaskLog`.

    Parameters
    ----------
    temperature : float > 0
        T; large values make the weights equal.

    References
    ----------
    Liu, Johns & Davison 2019, "End-to-end multi-task learning with attention", CVPR, equation 7.

    Examples
    --------
    >>> weights = DynamicWeights().weights({"a": 1.0, "b": 4.0}, {"a": 2.0, "b": 4.0})
    >>> {name: round(weight, 4) for name, weight in weights.items()}  # r is 0.5 and 1
    {'a': 0.8756, 'b': 1.1244}
    """

    def __init__(self, temperature: float = 2.0) -> None:
        self.temperature = temperature

    def weights(self, last: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
        """Return the weight of each task for its mean losses in the last epoch and in the epoch before."""
        ratios = [last[name] / before[name] if before[name] else 1.0 for name in last]
        shares = (torch.tensor(ratios, dtype=torch.float64) / self.temperature).softmax(0) * len(ratios)
        return dict(zip(last, shares.tolist(), strict=True))

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Find the loss, and keep its weights."""
        super().on_train_begin(net, **kwargs)
        self.base_ = dict(self.loss_.weights)
        self.epochs_: list[dict[str, float]] = []

    def on_epoch_begin(self, net: NeuralNet, **kwargs) -> None:
        """Set the weights of this epoch."""
        super().on_epoch_begin(net, **kwargs)
        if len(self.epochs_) == 2:
            new = self.weights(
                *(dict.fromkeys(self.loss_.losses, 1.0) | epoch for epoch in self._comparable())
            )
            self.loss_.weights = {name: self.base_.get(name, 1.0) * weight for name, weight in new.items()}

    def _comparable(self) -> list[dict[str, float]]:
        """Return the losses of the last epoch and of the epoch before, of the tasks that are in both."""
        before, last = self.epochs_
        return [{name: epoch[name] for name in last if name in before} for epoch in (last, before)]

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Record losses and weights, and keep the mean losses of the epoch."""
        super().on_epoch_end(net, **kwargs)
        self.epochs_ = [*self.epochs_[-1:], self.means()]

    def on_train_end(self, net: NeuralNet, **kwargs) -> None:
        """Restore the weights that the loss had before the fit."""
        self.loss_.weights = self.base_
        super().on_train_end(net, **kwargs)

    def checkpoint_state(self) -> dict[str, object]:
        """Return the state that a resumed fit needs."""
        return {"epochs": self.epochs_}

    def restore_state(self, state: dict[str, object]) -> None:
        """Restore the state that `checkpoint_state` returned."""
        self.epochs_ = state["epochs"]


def balanced(
    name: str,
    losses: Mapping[str, nn.Module],
    *,
    weights: Mapping[str, float] | None = None,
    regression: Sequence[str] = (),
) -> tuple[JointLoss, list[tuple[str, Callback]]]:
    """Return the loss and the callbacks for `fit_network` that balance several tasks, and log them.

    Parameters
    ----------
    name : {"fixed", "uncertainty", "dwa", "pcgrad"}
        "fixed": a `JointLoss`. "uncertainty": an `UncertaintyLoss`. "dwa": `DynamicWeights`. "pcgrad":
        `GradientSurgery`. The history has the entries of `TaskLog` for each.
    losses : mapping of str to nn.Module
        Name of an output and its labels -> loss.
    weights : mapping of str to float, optional
        Name -> weight of the loss; none for "uncertainty", which learns the weights.
    regression : sequence of str
        Names of the regression tasks, for "uncertainty".

    Raises
    ------
    DataError
        If there is no such name, or weights are given to "uncertainty".

    Examples
    --------
    >>> criterion, callbacks = balanced("pcgrad", {"mask": nn.MSELoss(), "expression": nn.MSELoss()})
    >>> type(criterion).__name__, [name for name, _ in callbacks]
    ('JointLoss', ['tasks', 'surgery'])
    """
    if name == "uncertainty":
        if weights:
            raise DataError(
                "uncertainty learns its weights", parameter="weights", expected="none", got=weights
            )
        return UncertaintyLoss(losses, regression), [("tasks", TaskLog())]
    if name not in _CALLBACKS:
        raise DataError("no such balance of tasks", expected=", ".join(BALANCES), got=name)
    return JointLoss(losses, weights), [(key, make()) for key, make in _CALLBACKS[name].items()]


_CALLBACKS: dict[str, dict[str, type[Callback]]] = {
    "fixed": {"tasks": TaskLog},
    "dwa": {"dwa": DynamicWeights},
    "pcgrad": {"tasks": TaskLog, "surgery": GradientSurgery},
}
BALANCES = ("uncertainty", *_CALLBACKS)
