"""Callbacks of the training loop: checks, metrics, early stopping, freezing, a progress bar.

Any skorch callback can be passed to `fit_network`. A callback whose state must survive an interruption has
two more methods: `checkpoint_state()`, which returns plain values and tensors, and `restore_state(state)`.
A callback may also have `before_backward(net, factor)`. It is called for each training batch while the
graph of the loss exists. `factor` is the number by which the loop multiplies the loss. What the callback adds
to the gradients stays there.
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
    """Callback that stops the training with a clear error if the loss is not a finite number."""

    def on_batch_end(
        self,
        net: NeuralNet,
        training: bool = False,  # noqa: FBT001, FBT002 - skorch's signature
        loss: torch.Tensor | None = None,
        **kwargs: object,
    ) -> None:
        """Check the loss of the batch."""
        if training and loss is not None and not torch.isfinite(loss).all():
            raise DataError(
                f"the training loss became {loss.item()} in epoch {len(net.history)}",
                hint="lower lr, or look for extreme values among the inputs with `mmfusion validate`",
            )


class EpochBar(Callback):
    """Callback that shows a progress bar over epochs, with the loss."""

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Open the progress bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc="epochs", leave=False)

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Advance the progress bar by one epoch and show the losses."""
        row = net.history[-1]
        self.bar_.set_postfix({k: f"{row[k]:.3f}" for k in ("train_loss", "valid_loss") if k in row})
        self.bar_.update(len(net.history) - self.bar_.n)

    def on_train_end(self, net: NeuralNet, **kwargs) -> None:
        """Close the progress bar."""
        self.bar_.close()

    def __getstate__(self) -> dict:
        return {}


class ValidMetric(Callback):
    """Callback that records a metric of the validation rows; `TrainingPlan.monitor` can name it.

    Parameters
    ----------
    name : str
        Name of the metric in the history.
    metric : callable
        `metric(predicted, labels) -> float`. It gets the output of the network and the labels of all
        validation rows, on the CPU. These are tensors, or dicts of tensors if the network or the data set
        returns dicts.

    Examples
    --------
    >>> ValidMetric("mae", lambda predicted, labels: (predicted - labels).abs().mean().item()).name
    'mae'
    """

    def __init__(self, name: str, metric: Callable[[object, object], float]) -> None:
        self.name, self.metric = name, metric

    def on_epoch_begin(self, net: NeuralNet, **kwargs) -> None:
        """Delete the predictions of the previous epoch."""
        self.batches_: list[tuple[object, object]] = []

    def on_batch_end(
        self,
        net: NeuralNet,
        batch: object = None,
        training: bool = False,  # noqa: FBT001, FBT002 - skorch's signature
        y_pred: object = None,
        **kwargs: object,
    ) -> None:
        """Keep the predictions of the batch."""
        if not training:
            self.batches_.append((_on_cpu(y_pred), _on_cpu(batch[1])))

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Compute the metric and record it in the history."""
        if self.batches_:
            predicted, labels = (_joined(values) for values in zip(*self.batches_, strict=True))
            net.history.record(self.name, float(self.metric(predicted, labels)))


class BestEpoch(EarlyStopping):
    """Callback that stops after `patience` epochs without improvement and restores the best weights.

    Examples
    --------
    >>> stop = BestEpoch(monitor="valid_loss", patience=10, load_best=True)
    >>> stop.patience, stop.lower_is_better
    (10, True)
    """

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Compare the epoch with the best epoch so far."""
        watched(net, self.monitor)
        super().on_epoch_end(net, **kwargs)

    def checkpoint_state(self) -> dict[str, object]:
        """Return the state that a resumed fit needs."""
        names = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")
        return {name: getattr(self, name) for name in names}

    def restore_state(self, state: dict[str, object]) -> None:
        """Restore the state that `checkpoint_state` returned."""
        vars(self).update(state)


class Freeze(Callback):
    """Callback that does not train parts of the network during the first epochs; see `TrainingPlan.freeze`.

    Parameters
    ----------
    epochs : mapping of str to int or None
        Part of the network -> number of epochs; None means all epochs.

    Examples
    --------
    >>> Freeze({"encoders.ct": 5, "encoders.rna": None}).epochs["encoders.ct"]
    5
    """

    def __init__(self, epochs: Mapping[str, int | None]) -> None:
        self.epochs = epochs

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Find the parameters of the parts."""
        own = dict(net.module_.named_parameters())
        self.names_ = {
            part: {name for name in matching(list(own), part) if own[name].requires_grad}
            for part in self.epochs
        }

    def on_epoch_begin(self, net: NeuralNet, **kwargs) -> None:
        """Freeze the parts that are not trained in this epoch, and release the others."""
        frozen = [part for part, n in self.epochs.items() if n is None or len(net.history) <= n]
        self._set(net, frozen)

    def on_train_end(self, net: NeuralNet, **kwargs) -> None:
        """Release all parameters that were trainable before the fit."""
        self._set(net, [])

    def _set(self, net: NeuralNet, frozen: list[str]) -> None:
        names = set().union(*(self.names_[part] for part in frozen))
        every = set().union(*self.names_.values())
        for name, parameter in net.module_.named_parameters():
            if name in every:
                parameter.requires_grad_(name not in names)
        net.frozen_ = [module for part in frozen for module in parts(net.module_, part)]


def watched(net: NeuralNet, monitor: str) -> float:
    """Return the value of a metric in the last epoch.

    Raises
    ------
    DataError
        If the metric was not recorded. The error lists the recorded metrics.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> net = SimpleNamespace(history=[{"epoch": 1, "valid_loss": 0.7}])
    >>> watched(net, "valid_loss")
    0.7
    """
    row = net.history[-1]
    if monitor not in row:
        known = ", ".join(k for k, v in row.items() if isinstance(v, float) and k != "dur")
        hint = "add ValidMetric(name, metric) to the callbacks, or choose another metric"
        raise DataError(
            "the metric of `monitor` is not recorded",
            parameter="monitor",
            expected=known,
            got=monitor,
            hint=hint,
        )
    return row[monitor]


def _on_cpu(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _on_cpu(one) for name, one in value.items()}
    return value.detach().cpu()


def _joined(values: tuple[object, ...]) -> object:
    if isinstance(values[0], Mapping):
        return {name: torch.cat([one[name] for one in values]) for name in values[0]}
    return torch.cat(values)
