"""PCLT20K: 21,930 slices of PET and CT of 605 patients with lung cancer, as PNG images of 8 bits.

Source: Mei et al., CVPR 2025, arXiv 2503.17261; sent on request, for non-commercial research.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from PIL import Image

from mmfusion.data.sources import Folder
from mmfusion.errors import DataError, LeakageError

_PARTS = ("CT", "PET", "mask")


@dataclass(frozen=True)
class GreySlices:
    """Slices of PET and CT whose values are grey levels: neither HU nor SUV, and of unknown size in mm.

    They are no `Volume` and make no `Cohort`, so that nothing can take the PET for SUV or measure a lesion in
    mL. They serve to train a network for slices before it is fine-tuned on scans with units.

    Parameters
    ----------
    table : DataFrame
        Index: the slice, sorted by patient and number. Columns `patient`, `CT`, `PET`, `mask` (paths) and
        `split` ("train", "test", or missing).
    provenance : dict
        Source, licence and notes.

    Attributes
    ----------
    unit : str
        "u8": grey levels from 0 to 255.

    Examples
    --------
    >>> table = pd.DataFrame({"patient": ["0001", "0002"]}, index=["0001_7", "0002_3"])
    >>> slices = GreySlices(table, {})
    >>> slices.unit, slices.neighbours("0001_7", 3)
    ('u8', ['0001_7', '0001_7', '0001_7'])
    """

    unit: ClassVar[str] = "u8"
    table: pd.DataFrame
    provenance: dict[str, object]

    def neighbours(self, name: str, n: int) -> list[str]:
        """Return the names of `n` slices (odd) around a slice; the patient's first and last are repeated."""
        odd = isinstance(n, Integral) and n > 0 and n % 2 == 1
        if name not in self.table.index or not odd:
            raise DataError("no such slab", patient=name, expected="a slice, and an odd number", got=n)
        own = self.table.index[self.table["patient"] == self.table.at[name, "patient"]]
        k = own.get_loc(name)
        return [own[min(max(i, 0), len(own) - 1)] for i in range(k - n // 2, k + n // 2 + 1)]

    def slab(self, name: str, n: int = 1) -> np.ndarray:
        """Return a slice with its neighbours, as a network for slices takes it.

        Parameters
        ----------
        name : str
            Name of the slice in the middle.
        n : int
            Odd number of slices.

        Returns
        -------
        ndarray of uint8, shape (n, 2, rows, columns)
            Grey levels of the CT and the PET.

        Raises
        ------
        DataError
            If the slice is unknown, an image cannot be read, or the sizes differ.
        """
        names = self.neighbours(name, n)
        planes = [[read_grey(self.table.at[k, part]) for part in _PARTS[:2]] for k in names]
        shapes = {plane.shape for pair in planes for plane in pair}
        if len(shapes) > 1:
            raise DataError("slices of different sizes", patient=name, got=" and ".join(map(str, shapes)))
        return np.array(planes)

    def mask(self, name: str) -> np.ndarray:
        """Return the lesion of one slice: uint8 in {0, 1}, shape (rows, columns).

        Raises
        ------
        DataError
            If the slice is unknown, or the image is no mask or of another size than the CT.
        """
        if name not in self.table.index:
            raise DataError("no such slice", patient=name)
        file = self.table.at[name, "mask"]
        grey, shape = read_grey(file), read_grey(self.table.at[name, "CT"]).shape
        if grey.shape != shape:
            raise DataError("a mask of another size than its CT", patient=name, file=file, expected=shape,
                            got=grey.shape)  # fmt: skip
        inside = grey >= 128
        if grey.any() and not inside.any():  # such as 0 and 1: the lesion would be lost
            raise DataError("a mask with other grey levels", patient=name, file=file, expected="0 and 255",
                            got=f"0 to {grey.max()}")  # fmt: skip
        return inside.astype(np.uint8)


def read_pclt20k(root: str | Path) -> GreySlices:
    """List the slices: `<patient>/<name>_CT.png`, `_PET.png`, `_mask.png`, and `train.txt` and `test.txt`.

    Parameters
    ----------
    root : path
        Folder `PCLT20K`.

    Returns
    -------
    GreySlices

    Raises
    ------
    DataError
        If no slice is found, or a slice lacks one of its three images, or a list names an unknown slice.
    LeakageError
        If slices of one patient are in both lists.
    """
    folder = Folder(root, "PCLT20K")
    rows = {}
    slices = {
        (file.parent, file.name.removesuffix(f"_{part}.png"))
        for part in _PARTS
        for file in folder.root.glob(f"*/*_{part}.png")
    }
    for place, name in sorted(slices):
        paths = {part: place / f"{name}_{part}.png" for part in _PARTS}
        absent = [path for path in paths.values() if not path.is_file()]
        if absent:
            raise DataError("a slice without all of its images", patient=name, file=absent[0])
        if name in rows:
            raise DataError("two slices of one name", patient=name, file=place)
        rows[name] = {"patient": place.name, **{part: str(path) for part, path in paths.items()}}
    read = {path for row in rows.values() for path in (row[part] for part in _PARTS)}
    other = sum(str(file) not in read for file in folder.root.glob("*/*") if not file.name.startswith("."))
    if other:
        folder.note(f"{other} files in the folders of the patients are no images of slices: left out")
    if not rows:
        expected = "<patient>/<name>_CT.png, _PET.png and _mask.png"
        raise DataError("no slices found", file=folder.root, expected=expected)
    table = pd.DataFrame.from_dict(rows, orient="index").assign(split=None)
    lists = {split: _listed(folder, split, table) for split in ("train", "test")}
    for split, names in lists.items():
        table.loc[names, "split"] = split
    table = table.loc[sorted(table.index, key=lambda name: (rows[name]["patient"], _number(name), name))]
    _check_apart(table, lists)
    unlisted = int(table["split"].isna().sum())
    if unlisted:
        folder.note(f"{unlisted} slices are in neither list")
    folder.note("grey levels (u8): HU and SUV are lost, and the size of a pixel in mm is unknown")
    return GreySlices(table, folder.provenance(license="non-commercial research, on request"))


def read_grey(path: str | Path) -> np.ndarray:
    """Return an image of 8 bits as uint8, shape (rows, columns); colours must be equal.

    Raises
    ------
    DataError
        If the file is no image, or not one of grey levels of 8 bits.
    """
    try:
        # Pillow alone: the reader of skimage would try ITK, which can end the process when it is loaded
        with Image.open(path) as opened:
            image = np.asarray(opened)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError("not an image", file=path, expected="PNG", got=error) from error
    if image.ndim == 3 and image.shape[2] in (3, 4) and (image[..., :3] == image[..., :1]).all():
        image = image[..., 0]
    if image.ndim != 2 or image.dtype != np.uint8:
        got = f"{image.dtype}, shape {image.shape}"
        raise DataError("not an image of grey levels", file=path, expected="8 bits, one channel", got=got)
    return image


def _listed(folder: Folder, split: str, table: pd.DataFrame) -> list[str]:
    file = folder.find(f"{split}.txt", f"list of the {split} slices")
    if file is None:
        return []
    try:
        names = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError("not a list of slices", file=file, expected="text in UTF-8", got=error) from error
    unknown = [name for name in names if name not in table.index]
    if unknown:
        raise DataError("a listed slice is absent", patient=", ".join(unknown[:5]), file=file)
    return names


def _check_apart(table: pd.DataFrame, lists: dict[str, list[str]]) -> None:
    train, test = (set(table.loc[names, "patient"]) for names in lists.values())
    if both := sorted(train & test):
        names = ", ".join(both[:5])
        hint = "split the patients, not the slices"
        raise LeakageError("slices of one patient in train and test", patient=names, hint=hint)


def _number(name: str) -> int:
    digits = "".join(c if c.isdecimal() else " " for c in name).split()
    return int(digits[-1]) if digits else 0
