"""Radiologists' descriptions of a nodule, from AIM 4 XML."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mmfusion.errors import DataError, ScanError
from mmfusion.imaging.structures.aim import elements, name_of, open_aim, value_of

_LABELLED = ("ImagingPhysicalEntity", "ImagingObservationEntity", "ImagingObservationCharacteristic")


def read_aim(path: str | Path) -> tuple[str, dict[str, str]]:
    """What one AIM 4 file says.

    Parameters
    ----------
    path : path
        An `ImageAnnotationCollection`.

    Returns
    -------
    str
        The patient's id.
    dict of str
        Label ("Nodule Shape") -> value ("complex"); several values in alphabetical order, joined by "|".

    Raises
    ------
    DataError
        If it is no AIM file or names no patient.

    References
    ----------
    Channin et al., "The caBIG Annotation and Image Markup project", J. Digit. Imaging 23 (2010).
    """
    path = Path(path)
    try:
        root = open_aim(path)
    except ScanError as error:  # here it is a table's source
        raise DataError(error.problem, file=path, expected=error.expected, got=error.got) from error
    ids = [
        i.get("value")
        for person in elements(root, "person")
        for i in elements(person, "id")
        if i.get("value")
    ]
    if name_of(root) != "ImageAnnotationCollection" or not ids:
        problem, expected = "not an AIM annotation of a patient", "ImageAnnotationCollection"
        raise DataError(problem, file=path, expected=expected, got=name_of(root))
    values: dict[str, set[str]] = {}
    for element in elements(root, *_LABELLED):
        label = value_of(element, "label")
        for code in (c for c in element if name_of(c) == "typeCode"):
            # some exports put the text in a displayName element, others in the codeSystem attribute
            text = value_of(code, "displayName") or code.get("codeSystem")
            if label and text:
                values.setdefault(label.strip(), set()).add(text.strip())
    return ids[0].strip(), {label: "|".join(sorted(found)) for label, found in values.items()}


def read_aim_folder(folder: str | Path) -> pd.DataFrame:
    """Every AIM file of a folder: a row per patient, a column per label, missing where a label is not used.

    Raises
    ------
    DataError
        If two files describe one patient.
    """
    rows: dict[str, dict[str, str]] = {}
    for file in sorted(Path(folder).glob("*.xml")):
        patient, values = read_aim(file)
        if patient in rows:
            raise DataError("two annotations of one patient", patient=patient, file=file, hint="keep one")
        rows[patient] = values
    return pd.DataFrame.from_dict(rows, orient="index", dtype="str").rename_axis("patient_id")


def feature_name(label: str) -> str:
    """A label as a column name: "Nodules in ... (gretater than 4mm ...)" -> "nodules_in_..."."""
    return re.sub(r"\W+", "_", re.sub(r"\(.*?\)", "", label).strip().lower()).strip("_")
