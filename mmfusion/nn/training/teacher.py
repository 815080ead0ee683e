"""Mean teacher: a moving average of the network, whose predictions the network is trained to match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import nn

from mmfusion.errors import DataError


class ConsistencyLoss(nn.Module):
    """Sum of a loss and the mean squared difference between the outputs of a network and of its mean teacher.

    The difference needs no labels. `MeanTeacher` sets the outputs of the teacher and the share of the weight
    for each training batch. Without them, as in validation, the loss is `base`.

    Parameters
    ----------
    base : nn.Module
        `base(outputs, labels)` is the loss over the labels. It must allow batches without any label.
    logits : sequence of str
        Outputs that are compared after a sigmoid.
    values : sequence of str
        Outputs that are compared as they are.
    weight : float
        Weight of the difference.

    References
    ----------
    Tarvainen & Valpola 2017, "Mean teachers are better role models", NeurIPS.

    Examples
    --------
    >>> from mmfusion.nn.training import JointLoss
    >>> loss = ConsistencyLoss(JointLoss({"expression": nn.MSELoss()}), logits=())
    >>> loss.teacher, loss.share = {"expression": torch.zeros(1, 2)}, 0.5
    >>> loss({"expression": torch.full((1, 2), 2.0)}, {"expression": torch.full((1, 2), float("nan"))}).item()
    2.0
    """

    def __init__(
        self,
        base: nn.Module,
        *,
        logits: Sequence[str] = ("mask",),
        values: Sequence[str] = ("expression",),
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.base, self.weight = base, weight
        self.maps = dict.fromkeys(logits, torch.sigmoid) | dict.fromkeys(values, torch.clone)
        self.teacher: Mapping[str, torch.Tensor] | None = None
        self.share = 0.0

    def forward(self, outputs: Mapping[str, torch.Tensor], labels: object) -> torch.Tensor:
        """Return the loss, a scalar."""
        loss = self.base(outputs, labels)
        if self.teacher is None:
            return loss
        for name, change in self.maps.items():
            if name in outputs:
                difference = change(outputs[name]) - change(self.teacher[name])
                loss = loss + self.weight * self.share * difference.square().mean()
        return loss


class MeanTeacher(Callback):
    """Callback that keeps the mean teacher of a fit with a `ConsistencyLoss`.

    The teacher's weights are the exponential moving average of those of the network. It predicts each
    training batch in evaluation mode, with noise on the scans. The weight of the consistency rises linearly
    from 0 to its full value.

    Parameters
    ----------
    decay : float in [0, 1)
        Decay of the average in each step. In the first steps it is lower, 1 - 1 / (step + 1), so that the
        random weights of the start soon have no effect.
    ramp : float in [0, 1]
        Share of the training in which the weight of the consistency rises.
    noise : float >= 0
        Standard deviation of the noise that is added to the teacher's inputs, if they have at least two axes
        in space.

    Attributes
    ----------
    teacher_ : nn.Module
        The teacher.

    Raises
    ------
    DataError
        If the loss of the fit is not a `ConsistencyLoss`.

    Examples
    --------
    >>> MeanTeacher().decay
    0.99
    """

    def __init__(self, decay: float = 0.99, ramp: float = 0.4, noise: float = 0.05) -> None:
        self.decay, self.ramp, self.noise = decay, ramp, noise

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Copy the network."""
        if not isinstance(net.criterion_, ConsistencyLoss):
            got = type(net.criterion_).__name__
            raise DataError("a mean teacher needs its loss", expected="ConsistencyLoss", got=got)
        self.teacher_ = deepcopy(net.module_).eval().requires_grad_(requires_grad=False)
        self.step_ = 0

    def on_epoch_begin(self, net: NeuralNet, **kwargs) -> None:
        """Count the batches of the epoch."""
        self.batch_ = 0

    def on_batch_begin(
        self,
        net: NeuralNet,
        batch: object = None,
        training: bool = False,  # noqa: FBT001, FBT002 - skorch's signature
        **kwargs: object,
    ) -> None:
        """Give the loss the outputs of the teacher for a training batch."""
        net.criterion_.teacher = None
        if not training:
            return
        done = (len(net.history) - 1 + self.batch_ / net.batches_) / net.max_epochs
        net.criterion_.share = min(done / self.ramp, 1.0) if self.ramp else 1.0
        self.batch_ += 1
        inputs = to_tensor(unpack_data(batch)[0], net.device)
        named = inputs if isinstance(inputs, Mapping) else {}
        given = () if named else (self._noisy(inputs),)
        with torch.no_grad():
            outputs = self.teacher_(*given, **{name: self._noisy(x) for name, x in named.items()})
        net.criterion_.teacher = outputs

    def _noisy(self, x: torch.Tensor) -> torch.Tensor:
        image = x.is_floating_point() and x.ndim >= 4
        return x + self.noise * torch.randn_like(x) if image and self.noise else x

    def on_batch_end(
        self,
        net: NeuralNet,
        training: bool = False,  # noqa: FBT001, FBT002 - skorch's signature
        **kwargs: object,
    ) -> None:
        """Update the average after each step of the optimiser."""
        net.criterion_.teacher = None
        if not training or net.waiting_:  # further batches of this step follow
            return
        self.step_ += 1
        keep = min(1 - 1 / (self.step_ + 1), self.decay)
        with torch.no_grad():
            own = net.module_.state_dict()
            for name, value in self.teacher_.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(own[name], 1 - keep)
                else:
                    value.copy_(own[name])

    def checkpoint_state(self) -> dict[str, object]:
        """Return the state that a resumed fit needs."""
        return {"step": self.step_, "weights": self.teacher_.state_dict()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Restore the state that `checkpoint_state` returned."""
        self.step_ = state["step"]
        self.teacher_.load_state_dict(state["weights"])
