"""Callbacks of the training loop: checks, metrics, early stopping, freezing, a progress bar.

Any skorch callback can be passed to `fit_network`. One whose state must survive an interruption has two methods more:
`checkpoint_state()`, which returns plain values and tensors, and `restore_state(state)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from tqdm.auto import tqdm

from mmfusion.errors import DataError
from mmfusion.nn.training.names import matching, parts


class FiniteLoss(Callback):
    """Stops with a clear error when the loss is not a number, instead of training on."""

    def on_batch_end(self, net: NeuralNet, training: bool = False, loss=None, **kwargs) -> None:  # noqa: FBT001, FBT002
        """Check the batch's loss."""
        if training and loss is not None and not torch.isfinite(loss).all():
            raise DataError(
                f"the training loss became {loss.item()} in epoch {len(net.history)}",
                hint="lower lr, or look for extreme values among the inputs with `mmfusion validate`",
            )


class EpochBar(Callback):
    """Shows a progress bar over epochs, with the loss."""

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc="epochs", leave=False)

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Advance it."""
        row = net.history[-1]
        self.bar_.set_postfix({k: f"{row[k]:.3f}" for k in ("train_loss", "valid_loss") if k in row})
        self.bar_.update(len(net.history) - self.bar_.n)

    def on_train_end(self, net: NeuralNet, **kwargs) -> None:
        """Close it."""
        self.bar_.close()

    def __getstate__(self) -> dict:
        return {}


class ValidMetric(Callback):
    """Records a metric of the validation rows, which `TrainingPlan.monitor` can name.

    Parameters
    ----------
    name : str
        Name in the history.
    metric : callable
        `metric(predicted, labels) -> float`, given the network's output and the labels of all validation rows, on the
        CPU: tensors, or dicts of tensors where the network or the data set gives those.
    """

    def __init__(self, name: str, metric: Callable[[object, object], float]) -> None:
        self.name, self.metric = name, metric

    def on_epoch_begin(self, net: NeuralNet, **kwargs) -> None:
        """Start with no rows."""
        self.batches_: list[tuple[object, object]] = []

    def on_batch_end(self, net: NeuralNet, batch=None, training: bool = False, y_pred=None, **kwargs) -> None:  # noqa: FBT001, FBT002
        """Keep the batch's predictions."""
        if not training:
            self.batches_.append((_on_cpu(y_pred), _on_cpu(batch[1])))

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Record the metric."""
        if self.batches_:
            predicted, labels = (_joined(values) for values in zip(*self.batches_, strict=True))
            net.history.record(self.name, float(self.metric(predicted, labels)))


class BestEpoch(EarlyStopping):
    """Stops after `patience` epochs without a better value of `monitor`, and keeps the best epoch's weights."""

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Compare the epoch with the best so far."""
        watched(net, self.monitor)
        super().on_epoch_end(net, **kwargs)

    def checkpoint_state(self) -> dict[str, object]:
        """Return what a resumed fit needs."""
        names = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")
        return {name: getattr(self, name) for name in names}

    def restore_state(self, state: dict[str, object]) -> None:
        """Put back what `checkpoint_state` returned."""
        vars(self).update(state)


class Freeze(Callback):
    """Keeps parts of the network as they are during the first epochs; see `TrainingPlan.freeze`.

    Parameters
    ----------
    epochs : mapping of str to int or None
        Number of epochs by part; None for all.
    """

    def __init__(self, epochs: Mapping[str, int | None]) -> None:
        self.epochs = epochs

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Find the parameters."""
        own = dict(net.module_.named_parameters())
        self.names_ = {
            part: {name for name in matching(list(own), part) if own[name].requires_grad}
            for part in self.epochs
        }

    def on_epoch_begin(self, net: NeuralNet, **kwargs) -> None:
        """Freeze what this epoch does not train, and no more than that."""
        cold = [part for part, n in self.epochs.items() if n is None or len(net.history) <= n]
        self._set(net, cold)

    def on_train_end(self, net: NeuralNet, **kwargs) -> None:
        """Leave every parameter trainable that was so before."""
        self._set(net, [])

    def _set(self, net: NeuralNet, cold: list[str]) -> None:
        frozen = set().union(*(self.names_[part] for part in cold))
        every = set().union(*self.names_.values())
        for name, parameter in net.module_.named_parameters():
            if name in every:
                parameter.requires_grad_(name not in frozen)
        net.frozen_ = [module for part in cold for module in parts(net.module_, part)]


def watched(net: NeuralNet, monitor: str) -> float:
    """Return the last epoch's value of a metric.

    Raises
    ------
    DataError
        If no callback recorded it.
    """
    row = net.history[-1]
    if monitor not in row:
        known = ", ".join(k for k, v in row.items() if isinstance(v, float) and k != "dur")
        raise DataError("the metric to watch is not recorded", column="monitor", expected=known, got=monitor,
                        hint="add ValidMetric(name, metric) to the callbacks, or watch another")  # fmt: skip
    return row[monitor]


def _on_cpu(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _on_cpu(one) for name, one in value.items()}
    return value.detach().cpu()


def _joined(values: tuple[object, ...]) -> object:
    if isinstance(values[0], Mapping):
        return {name: torch.cat([one[name] for one in values]) for name in values[0]}
    return torch.cat(values)
