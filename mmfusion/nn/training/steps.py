"""Training steps that skorch does not have: groups of parameters, accumulation, mixed precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from skorch import NeuralNet
from skorch.dataset import get_len, unpack_data
from skorch.utils import TeeGenerator
from torch import nn

from mmfusion.nn.training.names import matching
from mmfusion.nn.training.plan import TrainingPlan

_AUTOCAST = {"bf16": torch.bfloat16, "16": torch.float16}


class TrainingNet(NeuralNet):
    """skorch network that is trained by the steps of a `TrainingPlan` and can continue from a checkpoint.

    Parameters
    ----------
    *args, **kwargs
        Passed to `skorch.NeuralNet`.
    plan : TrainingPlan
        Plan with the groups of parameters, accumulation and precision.

    Attributes
    ----------
    batches_ : int
        Number of training batches per epoch.
    frozen_ : list of nn.Module
        Parts that stay in evaluation mode.
    scaler_ : torch.amp.GradScaler
        Scaler of the loss for the precision "16"; it does nothing for other precisions.

    Examples
    --------
    >>> sizes = {"module__in_features": 3, "module__out_features": 1}
    >>> net = TrainingNet(nn.Linear, nn.MSELoss, plan=TrainingPlan(precision="32"), **sizes)
    >>> net.initialize().scaler_.is_enabled()  # only the precision "16" scales the loss
    False
    """

    def __init__(self, *args: object, plan: TrainingPlan, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.plan = plan

    def initialize(self) -> TrainingNet:
        """Create all objects that a fit needs."""
        kind = torch.device(self.device).type
        self.scaler_ = torch.amp.GradScaler(kind, enabled=self.plan.precision == "16")
        self.frozen_: list[nn.Module] = []
        self.share_, self.waiting_, self.left_ = 0.0, 0, 0
        return super().initialize()

    def get_params_for_optimizer(
        self, prefix: str, named_parameters: Iterable[tuple[str, nn.Parameter]]
    ) -> tuple[tuple, dict[str, object]]:
        """Return the parameters in groups; parameters that no key of `lr_groups` matches form the last."""
        left = dict(named_parameters)
        names, groups = list(left), []
        args, kwargs = super().get_params_for_optimizer(prefix, left.items())
        if not self.plan.lr_groups:
            return args, kwargs
        for key, factor in self.plan.lr_groups.items():
            own = [left.pop(name) for name in matching(names, key) if name in left]
            groups.append({"params": own, "lr": self.plan.lr * factor, "name": key})
        return ([*groups, *([{"params": list(left.values())}] if left else [])],), kwargs

    def fit_loop(self, X: object, y: object = None, epochs: int | None = None, **kwargs: object) -> NeuralNet:
        """Train for the remaining epochs."""
        left = (self.max_epochs if epochs is None else epochs) - len(self.history)
        return super().fit_loop(X, y, epochs=left, **kwargs)

    def run_single_epoch(
        self,
        iterator: Iterable | None,
        training: bool,  # noqa: FBT001 - skorch's signature
        prefix: str,
        step_fn: Callable,
        **kwargs: object,
    ) -> None:
        """Count the batches, so that the last step of an epoch is known."""
        if training:
            self.batches_ = self.left_ = len(iterator)
        super().run_single_epoch(iterator, training, prefix, step_fn, **kwargs)

    def infer(self, x: object, **kwargs: object) -> object:
        """Run the network in the precision of the plan; the output has 32 bits."""
        dtype = _AUTOCAST.get(self.plan.precision)
        if dtype is None:
            return super().infer(x, **kwargs)
        with torch.autocast(torch.device(self.device).type, dtype=dtype):
            return _float32(super().infer(x, **kwargs))

    def train_step(self, batch: object, **kwargs: object) -> dict[str, object]:
        """Add the gradient of the batch; after the last batch of a group take a step of the optimiser."""
        self.module_.train()
        self.criterion_.train()
        for part in self.frozen_:
            part.eval()
        inputs, labels = unpack_data(batch)
        predicted = self.infer(inputs, **kwargs)
        loss = self.get_loss(predicted, labels, X=inputs, training=True)
        self._add_gradient(loss, get_len(inputs))
        if self.waiting_ == self.plan.accumulate or not self.left_:
            self._take_step(batch)
        return {"loss": loss, "y_pred": predicted}

    def _add_gradient(self, loss: torch.Tensor, n_rows: int) -> None:
        if not self.waiting_:
            self.optimizer_.zero_grad()
            self.share_ = 0.0
        share = n_rows / self.batch_size
        weighted = loss if self.plan.accumulate == 1 else loss * share
        if weighted.requires_grad:  # False if all parameters of the loss are frozen
            factor = self.scaler_.get_scale() * (1.0 if self.plan.accumulate == 1 else share)
            for _, callback in self.callbacks_:
                if hasattr(callback, "before_backward"):
                    callback.before_backward(self, factor)
            self.scaler_.scale(weighted).backward()
        self.share_ += share
        self.waiting_ += 1
        self.left_ -= 1

    def _take_step(self, batch: object) -> None:
        named = [(name, p) for name, p in self.get_all_learnable_params() if p.grad is not None]
        self.waiting_ = 0
        if not named:  # all parameters are frozen
            self.optimizer_.step()
            return
        self.scaler_.unscale_(self.optimizer_)
        if self.plan.accumulate > 1:  # the mean over all rows of the group
            for _, parameter in named:
                parameter.grad.div_(self.share_)
        self.notify(
            "on_grad_computed", named_parameters=TeeGenerator(iter(named)), batch=batch, training=True
        )
        self.scaler_.step(self.optimizer_)
        self.scaler_.update()


def _float32(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _float32(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_float32(one) for one in value)
    return value.float() if torch.is_floating_point(value) else value
