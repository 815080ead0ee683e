"""The modalities in one table: what each is, its unit, its window, and how DICOM and file names say it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmfusion.errors import DataError


@dataclass(frozen=True)
class Modality:
    """One kind of data that a patient may have.

    Parameters
    ----------
    name : str
        Block of a cohort's frame, cell of a manifest, and name of its stream.
    title : str
        What people call it.
    kind : {"scan", "genes", "table"}
        Whether it is read from scans, as genes, or as a table.
    unit : str
        Of a scan's values: "HU" or "SUVbw" (g/mL, by body weight); "" for others.
    window : (low, high), optional
        Of a scan: the values that networks are given as 0 and 1.
    shown : (low, high), optional
        Of a scan: the values that figures show as the ends of the grey scale.
    outside : float
        Of a scan: the value outside the field of view.
    body : float
        Of a scan: values above it are patient rather than air.
    dicom : str
        Of a scan: DICOM's Modality.
    sop_class : str
        Of a scan: SOP class UID of its slices.
    words : tuple of str
        Of a scan: words in a file's name, in lower case, that tell it.
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
        """Whether it is read from scans."""
        return self.kind == "scan"

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams that it can give: itself, and the features of a scan."""
        return (self.name, f"{self.name}_table") if self.is_scan else (self.name,)

    def named_in(self, text: str) -> bool:
        """Whether a file's name says this modality.

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
        # as the MONAI baseline of the autoPET challenge scales PET (Gatidis et al. 2022, Scientific Data 9, 601;
        # github.com/lab-midas/autoPET): few lung tumours take up more
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

META = "meta"  # the block of a cohort's frame that is never read as features: site, scanner, dates
SEED = ("seed_x", "seed_y", "seed_z")  # columns of a point in the tumour, LPS mm
# columns of a block of scans that are never features: files, their series and regions, a point
RESERVED = ("volume", "volume_part", "mask", "mask_part", *SEED)


def get_modality(name: str) -> Modality:
    """Return the modality of this name.

    Raises
    ------
    DataError
        If there is none.

    Examples
    --------
    >>> get_modality("pet").unit
    'SUVbw'
    """
    if name not in MODALITIES:
        raise DataError("no such modality", expected=", ".join(MODALITIES), got=repr(name))
    return MODALITIES[name]


def scan_modality(name: str) -> Modality:
    """Return the modality of this name, which is read from scans.

    Raises
    ------
    DataError
        If there is none, or it is not read from scans.
    """
    if not get_modality(name).is_scan:
        raise DataError("not a modality of scans", expected=" or ".join(IMAGING), got=repr(name))
    return MODALITIES[name]


def modality_of_name(text: str) -> Modality:
    """Return the modality of scans that a file's name tells; without a word of one, CT.

    Examples
    --------
    >>> modality_of_name("R01-001_pet.nii.gz").name, modality_of_name("R01-001.nii.gz").name
    ('pet', 'ct')
    """
    found = [MODALITIES[name] for name in IMAGING[::-1] if MODALITIES[name].named_in(text)]
    return found[0] if found else MODALITIES[IMAGING[0]]
