"""The table of modalities: unit, window, and the names in DICOM and in file names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmfusion.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Modality:
    """One kind of data that a patient may have.

    Parameters
    ----------
    name : str
        Name of the block in a cohort's table, of the cell in a manifest, and of the stream.
    title : str
        Name in figures and texts.
    kind : {"scan", "genes", "table"}
        Form of the data: scans, expression of genes, or a table of other features.
    unit : str
        Scans only: unit of the values, "HU" or "SUVbw" (g/mL, by body weight); "" for other kinds.
    window : (low, high), optional
        Scans only: the values that become 0 and 1 in the input of a network, in `unit`.
    shown : (low, high), optional
        Scans only: the values that figures show as black and white, in `unit`.
    outside : float
        Scans only: the value outside the field of view, in `unit`.
    body : float
        Scans only: values above this threshold are the patient's body, not air, in `unit`.
    dicom : str
        Scans only: the DICOM attribute Modality, "CT" or "PT".
    sop_class : str
        Scans only: SOP class UID of the slices.
    words : tuple of str
        Scans only: words in lower case that name the modality in the name of a file.

    Examples
    --------
    >>> MODALITIES["ct"].unit, MODALITIES["ct"].window, MODALITIES["ehr"].is_scan
    ('HU', (-1000.0, 400.0), False)
    """

    name: str
    title: str
    kind: str
    unit: str = ""
    window: tuple[float, float] | None = None
    shown: tuple[float, float] | None = None
    outside: float = 0.0
    body: float = 0.0
    dicom: str = ""
    sop_class: str = ""
    words: tuple[str, ...] = ()

    @property
    def is_scan(self) -> bool:
        """True if the data are scans."""
        return self.kind == "scan"

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of its streams: the modality itself and, for scans, a table of features."""
        return (self.name, f"{self.name}_table") if self.is_scan else (self.name,)

    def named_in(self, text: str) -> bool:
        """Return True if the name of a file has a word for this modality.

        Examples
        --------
        >>> MODALITIES["pet"].named_in("R01-001_PET.nii.gz"), MODALITIES["pet"].named_in("petra.nii.gz")
        (True, False)
        """
        words = "|".join(map(re.escape, self.words))
        return bool(words) and bool(re.search(rf"(?<![a-z])({words})(?![a-z])", text.lower()))


_TABLE = (
    Modality(
        name="ct",
        title="CT",
        kind="scan",
        unit="HU",
        window=(-1000.0, 400.0),  # from air to vessels with contrast agent
        shown=(-1350.0, 150.0),  # the lung window
        outside=-1000.0,
        body=-300.0,
        dicom="CT",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        words=("ct",),
    ),
    Modality(
        name="pet",
        title="PET",
        kind="scan",
        unit="SUVbw",
        # as in the MONAI baseline of the autoPET challenge (Gatidis et al. 2022, Scientific Data 9, 601;
        # github.com/lab-midas/autoPET); a higher uptake, which is not rare in non-small cell lung cancer, is
        # cut off (see mmfusion.preprocessing.uptake)
        window=(0.0, 15.0),
        shown=(0.0, 7.0),
        body=0.3,
        dicom="PT",
        sop_class="1.2.840.10008.5.1.4.1.1.128",
        words=("pet", "pt", "suv"),
    ),
    Modality(name="rna", title="RNA-seq", kind="genes"),
    Modality(name="ehr", title="health record", kind="table"),
)
MODALITIES: dict[str, Modality] = {m.name: m for m in _TABLE}  # in the order of streams
IMAGING = tuple(m.name for m in _TABLE if m.is_scan)
STREAMS = tuple(stream for m in _TABLE for stream in m.streams)
BY_UNIT: dict[str, Modality] = {m.unit: m for m in _TABLE if m.is_scan}
BY_DICOM: dict[str, Modality] = {m.dicom: m for m in _TABLE if m.is_scan}

META = "meta"  # the block of a cohort's table that is never read as features: site, scanner, dates
SEED = ("seed_x", "seed_y", "seed_z")  # columns of a point in the tumour, LPS mm
# columns of a block of scans that are never features: files, their series and regions, the seed
RESERVED = ("volume", "volume_part", "mask", "mask_part", *SEED)


def get_modality(name: str) -> Modality:
    """Return the modality of this name.

    Raises
    ------
    DataError
        If there is no such modality.

    Examples
    --------
    >>> get_modality("pet").unit
    'SUVbw'
    """
    if name not in MODALITIES:
        known, hint = ", ".join(MODALITIES), did_you_mean(name, MODALITIES)
        raise DataError("no such modality", expected=known, got=repr(name), hint=hint)
    return MODALITIES[name]


def scan_modality(name: str) -> Modality:
    """Return the modality of this name, if it is one of scans.

    Raises
    ------
    DataError
        If there is no such modality, or it is not one of scans.

    Examples
    --------
    >>> scan_modality("ct").window
    (-1000.0, 400.0)
    """
    if not get_modality(name).is_scan:
        raise DataError("not a modality of scans", expected=" or ".join(IMAGING), got=repr(name))
    return MODALITIES[name]


def modality_of_name(text: str) -> Modality:
    """Return the modality of scans that the name of a file has a word for; CT if it has none.

    Examples
    --------
    >>> modality_of_name("R01-001_pet.nii.gz").name, modality_of_name("R01-001.nii.gz").name
    ('pet', 'ct')
    """
    found = [MODALITIES[name] for name in IMAGING[::-1] if MODALITIES[name].named_in(text)]
    return found[0] if found else MODALITIES[IMAGING[0]]
