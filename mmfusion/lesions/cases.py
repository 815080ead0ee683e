"""Training cases of a segmenter: patients with scans and a mask, and the inner patients that are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
import pandas as pd

from mmfusion.data.scans import scan_of
from mmfusion.errors import DataError, warn
from mmfusion.imaging import Volume
from mmfusion.imaging.boxes import Box, lesion_boxes
from mmfusion.lesions.labels import given
from mmfusion.lesions.scans import Prepared, ScanReader
from mmfusion.modalities import SEED

_FEWEST = 4  # patients; with fewer, none is held out
_NAMED = 5  # patients that a warning names


class LabelWarning(UserWarning):
    """Warning that patients are left out of a fit because they lack a mask or a scan."""


@dataclass(frozen=True, eq=False)
class Case:
    """One patient of the training set.

    Parameters
    ----------
    patient : str
        Patient id.
    person : str
        Id of the person; several patients can be one person.
    row : int
        Position of the patient among the rows given to `fit`.
    scans : Prepared
        Scans on the grid of the network.
    mask : ndarray of uint8, shape (z, y, x), or None
        Mask on the same grid; None if it is not known.
    content : str
        Hash of the voxels of the first scan.
    centre : (z, y, x), optional
        A point in the lesion, voxels, if there is no mask.
    labelled : bool
        False if the patient has neither a mask nor expression.
    """

    patient: str
    person: str
    row: int
    scans: Prepared
    mask: np.ndarray | None
    content: str
    centre: tuple[float, ...] | None = None
    labelled: bool = True

    @property
    def has_lesion(self) -> bool:
        """True if there is a mask with a lesion."""
        return self.mask is not None and bool(self.mask.any())

    @property
    def boxes(self) -> list[Box] | None:
        """Boxes of the lesions, in voxels; None if there is no mask."""
        return None if self.mask is None else lesion_boxes(self.mask)


def table_of(X: object) -> pd.DataFrame:
    """Return X if it is a table with two levels of columns.

    Raises
    ------
    DataError
        If it is not, or if a column occurs twice.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_tuples([("ct", "volume")])
    >>> table_of(pd.DataFrame([["P1.nii.gz"]], columns=columns)).shape
    (1, 1)
    """
    if not isinstance(X, pd.DataFrame) or X.columns.nlevels != 2:
        got = type(X).__name__ if not isinstance(X, pd.DataFrame) else "one level of columns"
        raise DataError("not a table of patients", expected="a DataFrame such as Cohort.X", got=got)
    if X.columns.has_duplicates:
        twice = X.columns[X.columns.duplicated()].unique()
        raise DataError("two columns of one name", column=_some([" ".join(map(str, c)) for c in twice]))
    return X


def labels_of(X: pd.DataFrame, y: object, modality: str) -> list[object]:
    """Return the mask of each patient: of `y`, or of the column `mask` of the scan; None if it is missing.

    Raises
    ------
    DataError
        If `y` has another length or other patients than X, if a mask is neither a path nor a Volume, or if
        there is no column of masks.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_tuples([("ct", "volume"), ("ct", "mask")])
    >>> X = pd.DataFrame([["a.nii.gz", "b.nii.gz"], ["c.nii.gz", None]], index=["P1", "P2"], columns=columns)
    >>> labels_of(X, None, "ct")
    ['b.nii.gz', None]
    """
    if y is None:
        if (modality, "mask") not in X:
            raise DataError("no masks to learn from", column=f"{modality} mask", hint="give them as y")
        y = X[modality, "mask"]
    if isinstance(y, (str, PathLike, Volume, Mapping, pd.DataFrame)):
        raise DataError("not a list of masks", column="y", expected="one path or Volume a patient",
                        got=type(y).__name__)  # fmt: skip
    y = y if isinstance(y, pd.Series) else list(y)
    if isinstance(y, pd.Series) and not y.index.equals(X.index):
        raise DataError("the masks are of other patients than the scans", expected=f"{len(X)} rows with the "
                        "index of X", got=f"{len(y)} rows", hint="y.reindex(X.index)")  # fmt: skip
    if len(y) != len(X):
        raise DataError("another number of masks than of scans", expected=len(X), got=len(y))
    return [one if given(one, patient, "mask") else None for one, patient in zip(y, X.index, strict=True)]


def training_cases(
    X: pd.DataFrame,
    y: object,
    reader: ScanReader,
    groups: Sequence[object] | None = None,
    *,
    expression: pd.DataFrame | None = None,
    tasks: Sequence[str] = ("mask",),
    unlabelled: bool = False,
) -> list[Case]:
    """Read the scans and masks of the training patients.

    Patients without a label, or without one of the scans, are left out with a warning that counts them.

    Parameters
    ----------
    X : DataFrame
        Rows of `Cohort.X`.
    y : sequence of path, Volume or missing, optional
        Masks; default the column `mask`.
    reader : ScanReader
        Reader with the grid of the network.
    groups : sequence, optional
        Person of each row; default each row is a person. Patients with the same scan are one person too.
    expression : DataFrame, shape (n, P), optional
        Expression of the patients of X, which is a label too.
    tasks : sequence of {"mask", "expression"}
        What is learned. Without "mask", no patient needs one.
    unlabelled : bool
        Keep patients without any label.

    Raises
    ------
    DataError
        If a patient has two rows or no id, `groups` does not fit, no patient can be used, or no mask has a
        lesion although masks are learned.
    ScanError
        If a scan or mask cannot be read.

    Warns
    -----
    LabelWarning
        If patients are left out, or if two patients have the same scan.
    """
    wanted = "mask" in tasks or y is not None or (reader.modalities[0], "mask") in X
    labels = labels_of(X, y, reader.modalities[0]) if wanted else [None] * len(X)
    _check_once(X)
    persons = _persons(X, groups)
    known = np.zeros(len(X), bool) if expression is None else expression.notna().any(axis=1).to_numpy()
    no_label = " and no ".join(tasks)
    no_scan = " or no ".join(f"scan of {modality}" for modality in reader.modalities)
    cases, lacks = [], {no_label: [], no_scan: []}
    for k, (patient, row) in enumerate(X.iterrows()):
        labelled = bool(known[k]) or (labels[k] is not None and "mask" in tasks)
        usable = labelled or unlabelled
        if not usable or reader.lacking(row):
            lacks[no_scan if usable else no_label].append(patient)
            continue
        scans = reader.prepare(row)
        mask = None if labels[k] is None else reader.mask(row, labels[k], scans)
        centre = _seed(row, reader.modalities[0], scans) if mask is None else None
        case = Case(str(patient), persons[k], k, scans, mask, reader.content(row), centre, labelled)
        cases.append(case)
    for what, missing in lacks.items():
        if missing:
            warn(f"{len(missing)} of {len(X)} patients have no {what} and are left out: {_some(missing)}",
                 LabelWarning, stacklevel=5)  # fmt: skip
    if not cases:
        expected = f"scans of {', '.join(reader.modalities)} and a mask"
        raise DataError("no patient to learn from", expected=expected, got=f"{len(X)} rows")
    if "mask" in tasks and not any(case.has_lesion for case in cases):
        n = sum(case.mask is not None for case in cases)
        raise DataError("every mask is empty", expected="a lesion in at least one patient",
                        got=f"{n} masks", hint="does mask_part select the region?")  # fmt: skip
    return _one_person_per_scan(cases)


def inner_split(cases: Sequence[Case], share: float, seed: int) -> tuple[list[Case], list[Case]]:
    """Split training patients into those that a network learns from and those that are held out.

    The patients of a person stay together, and the share is about the same among persons with and without a
    lesion. With fewer than four persons, or a share of 0, nobody is held out.

    Returns
    -------
    learned, held_out : list of Case

    Examples
    --------
    >>> scans = Prepared(np.zeros((1, 2, 2, 2), np.float16), np.eye(4))
    >>> cases = [Case(p, p, k, scans, np.ones((2, 2, 2), np.uint8), p) for k, p in enumerate("abcde")]
    >>> learned, held_out = inner_split(cases, 0.2, seed=0)
    >>> len(learned), len(held_out)
    (4, 1)
    """
    lesion: dict[str, bool] = {}
    for case in cases:
        lesion[case.person] = lesion.get(case.person, False) or case.has_lesion
    if not share or len(lesion) < _FEWEST or sum(lesion.values()) < 2:
        return list(cases), []
    rng, out = np.random.default_rng(seed), set()
    for has in (True, False):
        persons = sorted(person for person, one in lesion.items() if one is has)
        n = max(round(share * len(persons)), int(has))
        out |= {persons[k] for k in rng.permutation(len(persons))[: min(n, len(persons) - int(has))]}
    return [c for c in cases if c.person not in out], [c for c in cases if c.person in out]


def _seed(row: pd.Series, modality: str, scans: Prepared) -> tuple[float, ...] | None:
    """Return the seed of a patient as a voxel (z, y, x); None if there is none.

    Raises
    ------
    DataError
        If it lies outside the scan.
    """
    *_, point = scan_of(row[modality].rename(row.name))
    if point is None:
        return None
    voxel = (np.linalg.inv(scans.affine) @ [*point, 1.0])[2::-1]
    if (voxel < -0.5).any() or (voxel > np.array(scans.image.shape[1:]) - 0.5).any():
        raise DataError("the seed lies outside the scan", patient=row.name, column=", ".join(SEED),
                        expected="LPS, mm", got=point)  # fmt: skip
    return tuple(voxel)


def _persons(X: pd.DataFrame, groups: Sequence[object] | None) -> list[str]:
    persons = list(X.index if groups is None else groups)
    if len(persons) != len(X):
        raise DataError("another number of groups than of patients", column="groups", expected=len(X),
                        got=len(persons))  # fmt: skip
    if unknown := [patient for patient, one in zip(X.index, persons, strict=True) if pd.isna(one)]:
        raise DataError("patients without a group", column="groups", expected="the person of each row",
                        got=f"none of {_some(unknown)}")  # fmt: skip
    return [str(one) for one in persons]


def _check_once(X: pd.DataFrame) -> None:
    if X.index.hasnans:
        raise DataError("a row without a patient id", expected="an id in the index", got=f"{len(X)} rows")
    if X.index.has_duplicates:
        twice = X.index[X.index.duplicated()].unique()
        raise DataError("two rows of one patient", patient=_some(list(twice)), hint="keep one row a patient")


def _one_person_per_scan(cases: list[Case]) -> list[Case]:
    """Return the cases; patients with the same scan are one person, whatever their ids are."""
    person = {case.patient: case.person for case in cases}
    first: dict[str, str] = {}
    same = []
    for case in cases:
        other = first.setdefault(case.content, case.patient)
        if person[other] != person[case.patient]:
            same.append(f"{other} and {case.patient}")
            old, new = person[case.patient], person[other]
            person = {p: new if one == old else one for p, one in person.items()}
    if same:
        warn(f"the same scan under two ids, kept together in inner splits: {_some(same)}",
             LabelWarning, stacklevel=6)  # fmt: skip
    return [replace(case, person=person[case.patient]) for case in cases]


def _some(names: Sequence[object]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(str, names[:_NAMED])) + more
