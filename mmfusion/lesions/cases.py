"""Training cases of a segmenter: patients with scans and labels, and the inner split that holds some out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mmfusion.data.scans import scan_of
from mmfusion.errors import DataError, warn
from mmfusion.imaging.boxes import Box, lesion_boxes
from mmfusion.lesions.scans import Prepared, ScanReader
from mmfusion.lesions.tables import check_ids, labels_of, listed, persons_of
from mmfusion.modalities import SEED

_FEWEST = 4  # patients; with fewer, none is held out


class LabelWarning(UserWarning):
    """Warning that patients are left out of a fit, or that two patients have the same scan.

    Examples
    --------
    >>> issubclass(LabelWarning, UserWarning)
    True
    """


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

    Examples
    --------
    >>> scans = Prepared(np.zeros((1, 2, 2, 2), np.float16), np.eye(4))
    >>> Case("P1", "P1", 0, scans, np.ones((2, 2, 2), np.uint8), "hash").has_lesion
    True
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
        Person of each row. Default: each row is one person. Patients with the same scan are one person.
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
    check_ids(X)
    persons = persons_of(X, groups)
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
            warn(f"{len(missing)} of {len(X)} patients have no {what} and are left out: {listed(missing)}",
                 LabelWarning, stacklevel=4)  # fmt: skip
    if not cases:
        expected = f"scans of {', '.join(reader.modalities)} and a mask"
        hint = 'X has only patients with a label; masks are the labels of cohort.with_target("lesion")'
        raise DataError(
            "no patient to learn from",
            expected=expected,
            got=f"{len(X)} rows",
            hint=None if len(X) else hint,
        )
    if "mask" in tasks and not any(case.has_lesion for case in cases):
        n = sum(case.mask is not None for case in cases)
        raise DataError("every mask is empty", expected="a lesion in at least one patient",
                        got=f"{n} empty masks", hint="check that mask_part selects the lesion")  # fmt: skip
    return _one_person_per_scan(cases)


def inner_split(cases: Sequence[Case], share: float, seed: int) -> tuple[list[Case], list[Case]]:
    """Split training patients into those that a network learns from and those that are held out.

    The patients of a person stay together, and the share is about the same among persons with and without a
    lesion. Nobody is held out if the share is 0, or if there are fewer than four persons, or fewer than two
    with a lesion.

    Parameters
    ----------
    cases : sequence of Case
        Training patients.
    share : float in [0, 1)
        Share of the persons that are held out.
    seed : int
        Seed of the split.

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
                        expected="a point inside the scan, LPS mm", got=point)  # fmt: skip
    return tuple(voxel)


def _one_person_per_scan(cases: list[Case]) -> list[Case]:
    """Return the cases with one person for all patients who have the same scan, whatever their ids are."""
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
        warn(f"two ids have the same scan, and stay together in inner splits: {listed(same)}",
             LabelWarning, stacklevel=5)  # fmt: skip
    return [replace(case, person=person[case.patient]) for case in cases]
