"""Schedules of the learning rate: a warm-up by batches, then a schedule of torch by epochs."""

from __future__ import annotations

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.optim import Optimizer, lr_scheduler

from mmfusion.nn.training.callbacks import watched
from mmfusion.nn.training.plan import TrainingPlan

PLATEAU_EPOCHS, POLY_POWER = 5, 0.9


class Schedule(Callback):
    """Callback that sets the learning rate of every group of parameters and records it.

    The history has it as `lr`, and as `lr_<group>` for named groups.

    Parameters
    ----------
    plan : TrainingPlan
        Plan with the schedule, the warm-up and the number of epochs.
    monitor : str
        Metric that "plateau" uses.

    Examples
    --------
    >>> import torch
    >>> from types import SimpleNamespace
    >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    >>> net = SimpleNamespace(optimizer_=optimizer, batches_=4, history=[{"epoch": 1}])
    >>> schedule = Schedule(TrainingPlan(warmup_epochs=1), "valid_loss")
    >>> schedule.on_train_begin(net)
    >>> schedule.on_batch_begin(net, training=True)
    >>> optimizer.param_groups[0]["lr"]  # after the first of four batches of the warm-up
    0.025
    """

    def __init__(self, plan: TrainingPlan, monitor: str) -> None:
        self.plan, self.monitor = plan, monitor

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Create the scheduler."""
        self.scheduler_ = _scheduler(self.plan, net.optimizer_)
        self.base_ = [group["lr"] for group in net.optimizer_.param_groups]
        self.batch_ = 0

    def on_batch_begin(
        self,
        net: NeuralNet,
        training: bool = False,  # noqa: FBT001, FBT002 - skorch's signature
        **kwargs: object,
    ) -> None:
        """Raise the learning rate during the warm-up."""
        if not training or len(net.history) > self.plan.warmup_epochs:
            return
        self.batch_ += 1
        share = self.batch_ / (self.plan.warmup_epochs * net.batches_)
        for group, lr in zip(net.optimizer_.param_groups, self.base_, strict=True):
            group["lr"] = lr * min(share, 1.0)

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Record the learning rates of this epoch, and set the learning rates of the next epoch."""
        for group in net.optimizer_.param_groups:
            net.history.record(f"lr_{group['name']}" if "name" in group else "lr", float(group["lr"]))
        if self.scheduler_ is None or len(net.history) <= self.plan.warmup_epochs:
            return
        if self.plan.schedule == "plateau":
            self.scheduler_.step(watched(net, self.monitor))
        else:
            self.scheduler_.step()

    def checkpoint_state(self) -> dict[str, object]:
        """Return the state that a resumed fit needs."""
        return {"batch": self.batch_, "scheduler": self.scheduler_ and self.scheduler_.state_dict()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Restore the state that `checkpoint_state` returned; the optimiser restores the learning rates."""
        self.batch_ = state["batch"]
        if self.scheduler_ is not None:
            self.scheduler_.load_state_dict(state["scheduler"])


def _scheduler(plan: TrainingPlan, optimizer: Optimizer) -> lr_scheduler.LRScheduler | None:
    epochs = plan.max_epochs - plan.warmup_epochs
    if plan.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs, eta_min=plan.min_lr)
    if plan.schedule == "poly":
        return lr_scheduler.PolynomialLR(optimizer, total_iters=epochs, power=POLY_POWER)
    if plan.schedule == "plateau":
        return lr_scheduler.ReduceLROnPlateau(
            optimizer, mode=plan.direction, patience=PLATEAU_EPOCHS, min_lr=plan.min_lr
        )
    return None
