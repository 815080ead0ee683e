"""Radiologists' descriptions of a nodule, read from AIM 4 XML files."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mmfusion.errors import DataError, ScanError
from mmfusion.imaging.structures.aim import open_aim, value_of
from mmfusion.imaging.structures.xml_file import elements, name_of

_LABELLED = ("ImagingPhysicalEntity", "ImagingObservationEntity", "ImagingObservationCharacteristic")


def read_aim(path: str | Path) -> tuple[str, dict[str, str]]:
    """Read the patient's id and the described features from one AIM 4 file.

    Parameters
    ----------
    path : path
        An XML file whose root element is `ImageAnnotationCollection`.

    Returns
    -------
    str
        The patient's id.
    dict of str
        Label ("Nodule Shape") -> value ("complex"). Several values of one label are sorted and joined by "|".

    Raises
    ------
    DataError
        If the file is not an AIM file, or if it names no patient.

    References
    ----------
    Channin et al., "The caBIG Annotation and Image Markup project", J. Digit. Imaging 23 (2010).
    """
    path = Path(path)
    try:
        root = open_aim(path)
    except ScanError as error:  # the file is a source of a table, so the error is about data
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
    """Read every AIM file of a folder into one table.

    Parameters
    ----------
    folder : path
        Folder with AIM 4 files (`*.xml`), one per patient.

    Returns
    -------
    DataFrame of str, shape (n_patients, n_labels)
        Index patient_id. A cell is missing where the patient's file does not use the label.

    Raises
    ------
    DataError
        If two files describe the same patient, or if a file cannot be read.
    """
    rows: dict[str, dict[str, str]] = {}
    for file in sorted(Path(folder).glob("*.xml")):
        patient, values = read_aim(file)
        if patient in rows:
            problem = "two annotations of one patient"
            raise DataError(problem, patient=patient, file=file, hint="keep one of the files")
        rows[patient] = values
    return pd.DataFrame.from_dict(rows, orient="index", dtype="str").rename_axis("patient_id")


def feature_name(label: str) -> str:
    """Turn an AIM label into a column name: lower case, underscores, without text in round brackets.

    >>> feature_name("Nodules in Contralateral Lung (gretater than 4mm noncalcified)")
    'nodules_in_contralateral_lung'
    """
    return re.sub(r"\W+", "_", re.sub(r"\(.*?\)", "", label).strip().lower()).strip("_")
