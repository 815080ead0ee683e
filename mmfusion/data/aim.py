"""Radiologists' descriptions of a nodule, from AIM 4 XML."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from mmfusion.errors import DataError

_LABELLED = ("ImagingPhysicalEntity", "ImagingObservationEntity", "ImagingObservationCharacteristic")


def read_aim(path: str | Path) -> tuple[str, dict[str, str]]:
    """What one AIM 4 file says.

    Parameters
    ----------
    path : path
        An `ImageAnnotationCollection`; as published, a file may hold bytes that are not UTF-8 in free text.

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
        root = ElementTree.fromstring(path.read_bytes().decode("utf-8", errors="replace"))
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"not an AIM file ({error})", file=path, expected="AIM 4 XML") from error
    patient = next((i.get("value") for p in _named(root, "person") for i in _named(p, "id") if i.get("value")), None)
    if _name(root) != "ImageAnnotationCollection" or not patient:
        raise DataError(
            "not an AIM annotation of a patient", file=path, expected="ImageAnnotationCollection", got=_name(root)
        )
    values: dict[str, set[str]] = {}
    for element in root.iter():
        if _name(element) in _LABELLED:
            label = next((c.get("value") for c in element if _name(c) == "label"), None)
            for code in (c for c in element if _name(c) == "typeCode"):
                # some exports put the text in a displayName element, others in the codeSystem attribute
                text = next((d.get("value") for d in code if _name(d) == "displayName"), code.get("codeSystem"))
                if label and text:
                    values.setdefault(label.strip(), set()).add(text.strip())
    return patient.strip(), {label: "|".join(sorted(found)) for label, found in values.items()}


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


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _named(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [e for e in element.iter() if _name(e) == name]
