"""Learning rates: warm-up batch by batch, then torch's schedules epoch by epoch."""

from __future__ import annotations

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.optim import Optimizer, lr_scheduler

from mmfusion.nn.training.callbacks import watched
from mmfusion.nn.training.plan import TrainingPlan

PLATEAU_EPOCHS, POLY_POWER = 5, 0.9


class Schedule(Callback):
    """Sets the learning rate of every group of parameters, and records it as `lr` (`lr_<group>` for named groups).

    Parameters
    ----------
    plan : TrainingPlan
        Its schedule, warm-up and epochs.
    monitor : str
        What "plateau" watches.
    """

    def __init__(self, plan: TrainingPlan, monitor: str) -> None:
        self.plan, self.monitor = plan, monitor

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Make the scheduler."""
        self.scheduler_ = _scheduler(self.plan, net.optimizer_)
        self.base_ = [group["lr"] for group in net.optimizer_.param_groups]
        self.batch_ = 0

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs) -> None:  # noqa: FBT001, FBT002
        """Raise the learning rate during the warm-up."""
        if not training or len(net.history) > self.plan.warmup_epochs:
            return
        self.batch_ += 1
        share = self.batch_ / (self.plan.warmup_epochs * net.batches_)
        for group, lr in zip(net.optimizer_.param_groups, self.base_, strict=True):
            group["lr"] = lr * min(share, 1.0)

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Record the learning rates of this epoch, and set those of the next."""
        for group in net.optimizer_.param_groups:
            net.history.record(f"lr_{group['name']}" if "name" in group else "lr", float(group["lr"]))
        if self.scheduler_ is None or len(net.history) <= self.plan.warmup_epochs:
            return
        if self.plan.schedule == "plateau":
            self.scheduler_.step(watched(net, self.monitor))
        else:
            self.scheduler_.step()

    def checkpoint_state(self) -> dict[str, object]:
        """Return what a resumed fit needs."""
        return {"batch": self.batch_, "scheduler": self.scheduler_ and self.scheduler_.state_dict()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Put back what `checkpoint_state` returned; the optimiser restores the learning rates."""
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
