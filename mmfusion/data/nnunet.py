"""Write a cohort in the folders that nnU-Net trains on (version 2 of its raw data format)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.scans import open_scan
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError, TableWarning, warn
from mmfusion.imaging import Volume, write_nifti
from mmfusion.modalities import MODALITIES, scan_modality
from mmfusion.storage.atomic import atomic_folder, writing

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*$")
_MOST = 5  # patients that a message names


def write_nnunet(
    cohort: Cohort,
    root: str | Path,
    *,
    number: int,
    name: str = "Lesions",
    modalities: Sequence[str] = ("ct",),
    test: Sequence[str] = (),
    splits: Splits | None = None,
) -> Path:
    """Write scans and masks as nnU-Net reads them, so that a user can train it on the same patients.

    The files are `imagesTr/<patient>_0000.nii.gz` (one number for each modality), `labelsTr/<patient>.nii.gz`
    with 0 and 1, `imagesTs` and `labelsTs` for the test patients, and `dataset.json`, which also states the
    person of each patient. All images of a patient are on the grid of the first modality, whose mask is the
    label. `load_cohort("nnunet", folder)` reads the folder again.

    Parameters
    ----------
    cohort : Cohort
        Cohort with scans and masks.
    root : path
        Folder `nnUNet_raw`; the data set is a new folder in it.
    number : int
        Number of the data set, 1 to 999.
    name : str
        Name of the data set: letters, digits, ".", "_" and "-".
    modalities : sequence of str
        Modalities of scans; each is a channel, in this order.
    test : sequence of str
        Ids of the patients who are held out of nnU-Net's training.
    splits : Splits, optional
        Folds of the training patients. They are written as `splits_final.json`: copy it to the folder of the
        data set in `nnUNet_preprocessed` before training. nnU-Net itself splits the cases at random, and
        would separate the scans of one person.

    Returns
    -------
    Path
        The folder `Dataset<number>_<name>`.

    Raises
    ------
    DataError
        If the number or the name is not allowed, the folder exists, a patient is unknown or has an id that is
        no file name, a person is in training and test, or nobody has the scans and a mask.
    ScanError
        If a scan or mask cannot be read. The error names the patient.

    Warns
    -----
    TableWarning
        If patients are left out, because a scan or the mask is missing.
    """
    _check(cohort, number, name, modalities, test)
    folder = Path(root) / f"Dataset{number:03d}_{name}"
    complete, left_out = _complete(cohort, modalities)
    training = [patient for patient in complete if patient not in set(test)]
    if not training:
        raise DataError(
            "nobody to train on", file=cohort.name, expected=f"a mask and {', '.join(modalities)}"
        )
    if left_out:
        names = ", ".join(left_out[:_MOST]) + (", ..." if len(left_out) > _MOST else "")
        warn(f"{len(left_out)} patients without a scan or a mask are left out: {names}", TableWarning)
    with writing(folder):
        if folder.exists():
            raise DataError("the data set exists", file=folder, hint="give another number or name")
        folder.parent.mkdir(parents=True, exist_ok=True)
    with writing(folder), atomic_folder(folder) as draft:
        for patient in complete:
            _write_patient(cohort, patient, modalities, draft, "Ts" if patient in set(test) else "Tr")
        persons = cohort.groups["patient"].reindex(complete).astype(str)
        listing = {
            "channel_names": {str(k): MODALITIES[m].title for k, m in enumerate(modalities)},
            "labels": {"background": 0, "lesion": 1},
            "numTraining": len(training),
            "file_ending": ".nii.gz",
            "name": name,
            "licence": str(cohort.provenance.get("license", "")),
            "persons": persons.to_dict(),
        }
        (draft / "dataset.json").write_text(json.dumps(listing, indent=1), encoding="utf-8")
        if splits is not None:
            text = json.dumps(_folds(splits, training), indent=1)
            (draft / "splits_final.json").write_text(text, encoding="utf-8")
    return folder


def _check(cohort: Cohort, number: int, name: str, modalities: Sequence[str], test: Sequence[str]) -> None:
    if not (1 <= number <= 999 and _NAME.match(name)):
        expected = "a number from 1 to 999, and a name of letters, digits, '.', '_' and '-'"
        raise DataError("not a name of a data set", expected=expected, got=f"{number}, {name!r}")
    if not modalities:
        raise DataError("no modality", expected="one or more")
    for modality in modalities:
        scan_modality(modality)
    ids = cohort.table.index
    unknown = pd.Index(test).difference(ids)
    if len(unknown):
        raise DataError("unknown patient", patient=", ".join(map(str, unknown[:_MOST])), file=cohort.name)
    odd = [patient for patient in ids if not _NAME.match(str(patient))]
    if odd:
        expected = "letters, digits, '.', '_' and '-'"
        raise DataError("an id that is no file name", patient=odd[0], file=cohort.name, expected=expected)
    person = cohort.groups["patient"]
    both = set(person[ids.isin(test)]) & set(person[~ids.isin(test)])
    if both:
        raise DataError("one person in training and test", patient=", ".join(sorted(map(str, both))[:_MOST]))


def _complete(cohort: Cohort, modalities: Sequence[str]) -> tuple[list[str], list[str]]:
    wanted = [(m, "volume") for m in modalities] + [(modalities[0], "mask")]
    cells = cohort.table.reindex(columns=pd.MultiIndex.from_tuples(wanted))
    has = cells.notna().all(axis=1)
    return list(map(str, has.index[has])), list(map(str, has.index[~has]))


def _write_patient(cohort: Cohort, patient: str, modalities: Sequence[str], draft: Path, part: str) -> None:
    first = open_scan(cohort, patient, modalities[0])
    images, labels = draft / f"images{part}", draft / f"labels{part}"
    images.mkdir(exist_ok=True)
    labels.mkdir(exist_ok=True)
    for k, modality in enumerate(modalities):
        volume = first.volume if k == 0 else open_scan(cohort, patient, modality, marked=False).volume
        there: Volume = volume if volume.same_grid(first.volume) else volume.like(first.volume)
        write_nifti(there, images / f"{patient}_{k:04d}.nii.gz")
    write_nifti(first.lesion, labels / f"{patient}.nii.gz")


def _folds(splits: Splits, training: Sequence[str]) -> list[dict[str, list[str]]]:
    folds = splits.split(pd.Index(training))
    return [
        {"train": [training[i] for i in train], "val": [training[i] for i in held_out]}
        for train, held_out in folds
    ]
