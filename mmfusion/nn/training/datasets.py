"""Data set of arrays: rows of all streams with their labels, read in whole batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from mmfusion.storage.hashing import checksum

Labels = torch.Tensor | dict[str, torch.Tensor]


class StreamDataset(torch.utils.data.Dataset):
    """Data set with the rows of all streams and their labels as tensors, read in whole batches.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Stream -> array; the first axis is n patients.
    present : ndarray of bool, shape (n, m)
        True if a patient (row) has a stream (column).
    y : ndarray, or mapping of str to ndarray, first axis n patients
        Labels: class codes, vectors or masks. Some may be missing (see `mmfusion.nn.training.labels`).
    augment : callable, optional
        `augment(x, generator) -> x`, applied to batches of the streams in `volumes`.
    volumes : sequence of str
        Names of the streams of scans.

    Examples
    --------
    >>> data = StreamDataset({"ehr": np.zeros((3, 2, 4))}, np.ones((3, 1), bool), np.array([0, 1, 0]))
    >>> inputs, labels = data.__getitems__([0, 2])
    >>> inputs["ehr"].shape, labels.tolist()
    (torch.Size([2, 2, 4]), [0, 0])
    """

    valid_batch_size = 256  # large, because the rows are in memory already

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        present: np.ndarray,
        y: np.ndarray | Mapping[str, np.ndarray],
        augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
        volumes: Sequence[str] = (),
    ) -> None:
        self.arrays = {name: torch.as_tensor(array) for name, array in arrays.items()}
        self.present, self.y = torch.as_tensor(present), as_labels(y)
        self.augment, self.volumes = augment, tuple(volumes)

    def __len__(self) -> int:
        return len(self.present)

    def __getitems__(self, rows: list[int]) -> tuple[dict[str, torch.Tensor], Labels]:
        index = torch.as_tensor(rows)
        batch = {name: array[index] for name, array in self.arrays.items()}
        if self.augment:
            generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
            for name in self.volumes:
                batch[name] = self.augment(batch[name], generator)
        return {"present": self.present[index], **batch}, labels_of(self.y, index)

    def __getitem__(self, row: int) -> tuple[dict[str, torch.Tensor], Labels]:
        batch, y = self.__getitems__([row])
        return {name: value[0] for name, value in batch.items()}, labels_of(y, 0)

    def fingerprint(self) -> str:
        """Return a checksum of all rows and labels."""
        labels = self.y if isinstance(self.y, dict) else {"": self.y}
        return checksum_tensors([*self.arrays.values(), self.present, *labels.values()])


def as_labels(y: np.ndarray | Mapping[str, np.ndarray]) -> Labels:
    """Return labels as tensors; float labels become float32.

    Examples
    --------
    >>> as_labels(np.array([0.5, np.nan]))
    tensor([0.5000,    nan])
    """
    if isinstance(y, Mapping):
        return {name: as_labels(one) for name, one in y.items()}
    y = torch.as_tensor(np.require(y, requirements="W") if isinstance(y, np.ndarray) else y)
    return y.float() if y.is_floating_point() else y


def labels_of(y: Labels, index: torch.Tensor | int) -> Labels:
    """Return the labels of some rows.

    Examples
    --------
    >>> labels_of({"stage": torch.tensor([0, 1, 2])}, torch.tensor([0, 2]))
    {'stage': tensor([0, 2])}
    """
    return {name: one[index] for name, one in y.items()} if isinstance(y, dict) else y[index]


def checksum_tensors(tensors: Sequence[torch.Tensor | np.ndarray]) -> str:
    """Return the checksum of tensors or arrays, with their shapes and dtypes.

    Examples
    --------
    >>> a, b = torch.zeros(2, 3), torch.zeros(3, 2)
    >>> checksum_tensors([a]) == checksum_tensors([a.numpy()]), checksum_tensors([a]) == checksum_tensors([b])
    (True, False)
    """
    parts = []
    for one in tensors:
        array = np.ascontiguousarray(one)
        parts += [f"{array.shape} {array.dtype}".encode(), array.reshape(-1).view(np.uint8).data]
    return checksum(*parts).hex()
