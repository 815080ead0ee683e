"""The training loop is skorch's; here are the data set it reads and the callbacks it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler
from skorch.helper import predefined_split
from torch import nn
from tqdm.auto import tqdm

from mmfusion.compute import one_thread
from mmfusion.errors import DataError


class StreamDataset(torch.utils.data.Dataset):
    """Rows of every stream, as tensors, read a whole batch at a time.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        One array per stream, first axis patients.
    present : ndarray of bool, shape (n, m)
        Which patient has which stream.
    y : ndarray of int, shape (n,)
        Class codes.
    augment : callable, optional
        `augment(x, generator) -> x`, applied to batches of the volume streams.
    volumes : sequence of str
        Names of the volume streams.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        present: np.ndarray,
        y: np.ndarray,
        augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
        volumes: Sequence[str] = (),
    ) -> None:
        self.arrays = {name: torch.as_tensor(array) for name, array in arrays.items()}
        self.present, self.y = torch.as_tensor(present), torch.as_tensor(y)
        self.augment, self.volumes = augment, tuple(volumes)

    def __len__(self) -> int:
        return len(self.y)

    def __getitems__(self, rows: list[int]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        index = torch.as_tensor(rows)
        batch = {name: array[index] for name, array in self.arrays.items()}
        if self.augment:
            generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
            for name in self.volumes:
                batch[name] = self.augment(batch[name], generator)
        return {"present": self.present[index], **batch}, self.y[index]

    def __getitem__(self, row: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        batch, y = self.__getitems__([row])
        return {name: value[0] for name, value in batch.items()}, y[0]


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seeded torch, one thread; the caller's random state is as it was afterwards."""
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _as_is(batch: object) -> object:
    return batch


class FiniteLoss(Callback):
    """Stop with a clear error when the loss is not a number, instead of training on."""

    def on_batch_end(self, net: NeuralNet, training: bool = False, loss=None, **kwargs) -> None:  # noqa: FBT001, FBT002
        """Check the batch's loss."""
        if training and loss is not None and not torch.isfinite(loss).all():
            raise DataError(
                f"the training loss became {loss.item()} in epoch {len(net.history)}",
                hint="lower lr, or look for extreme values among the inputs with `mmfusion validate`",
            )


class EpochBar(Callback):
    """A progress bar over epochs, with the loss."""

    def on_train_begin(self, net: NeuralNet, **kwargs) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc="epochs", leave=False)

    def on_epoch_end(self, net: NeuralNet, **kwargs) -> None:
        """Advance it."""
        row = net.history[-1]
        self.bar_.set_postfix({k: f"{row[k]:.3f}" for k in ("train_loss", "valid_loss") if k in row})
        self.bar_.update()

    def on_train_end(self, net: NeuralNet, **kwargs) -> None:
        """Close it."""
        self.bar_.close()

    def __getstate__(self) -> dict:
        return {}


def _schedule(name: str, max_epochs: int, watched: str) -> list[tuple[str, Callback]]:
    if name == "cosine":
        return [("schedule", LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=max_epochs))]
    if name == "plateau":
        plateau = LRScheduler(torch.optim.lr_scheduler.ReduceLROnPlateau, monitor=watched, patience=5)
        return [("schedule", plateau)]
    if name == "constant":
        return []
    raise DataError("unknown learning-rate schedule", got=name, expected="cosine, plateau or constant")


def train(
    module: nn.Module,
    criterion: nn.Module,
    train_set: StreamDataset,
    valid_set: StreamDataset | None,
    *,
    lr: float,
    weight_decay: float,
    batch_size: int,
    max_epochs: int,
    patience: int,
    schedule: str,
    device: str,
    progress: bool,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train `module` in place with AdamW; with a `valid_set`, stop early on it and keep the best epoch's weights.

    Returns
    -------
    module : nn.Module
        In evaluation mode, on the CPU.
    history : list of dict
        Per epoch: `epoch`, `train_loss`, `lr`, and `valid_loss` where there is a `valid_set`.

    Raises
    ------
    DataError
        If the loss is not finite, or the schedule is unknown.
    KeyboardInterrupt
        If the user interrupts: training never ends early in silence.
    """
    stopper = (
        EarlyStopping(patience=patience, load_best=True, sink=_silent) if valid_set is not None else None
    )
    watched = "train_loss" if stopper is None else "valid_loss"
    net = NeuralNet(
        module,
        criterion=criterion,
        optimizer=torch.optim.AdamW,
        lr=lr,
        optimizer__weight_decay=weight_decay,
        max_epochs=max_epochs,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=_as_is,
        iterator_valid__collate_fn=_as_is,
        iterator_valid__batch_size=256,
        train_split=None if valid_set is None else predefined_split(valid_set),
        callbacks=[
            ("finite", FiniteLoss()),
            ("clip", GradientNormClipping(1.0)),
            *_schedule(schedule, max_epochs, watched),
            *([("stop", stopper)] if stopper else []),
            *([("bar", EpochBar())] if progress else []),
        ],
        callbacks__print_log=None,
        device=device,
        verbose=0,
        warm_start=False,
    )
    net.fit(train_set, y=None)
    # skorch treats Ctrl-C like an early stop; only the stopper may end training early
    if len(net.history) < max_epochs and (stopper is None or stopper.misses_ < patience):
        raise KeyboardInterrupt
    kept = {"epoch": "epoch", "train_loss": "train_loss", "valid_loss": "valid_loss", "event_lr": "lr"}
    history = [{name: float(row[key]) for key, name in kept.items() if key in row} for row in net.history]
    return net.module_.to("cpu").eval(), history


def _silent(_: str) -> None:
    """Sink for the messages of skorch."""
