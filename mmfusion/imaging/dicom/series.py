"""Find the series of a folder or ZIP, and account for every file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError, gathered
from mmfusion.imaging.account import Account, by_reason
from mmfusion.imaging.affine import spacing_of
from mmfusion.imaging.dicom.archive import Member
from mmfusion.imaging.dicom.copies import without_copies
from mmfusion.imaging.dicom.ends import missing_at_ends
from mmfusion.imaging.dicom.frames import frames_of, has_frames
from mmfusion.imaging.dicom.geometry import series_affine
from mmfusion.imaging.dicom.header import Header, unreadable
from mmfusion.imaging.dicom.headers import read_header
from mmfusion.imaging.dicom.passes import check_one_pass, of_pass
from mmfusion.imaging.dicom.pixels import check_pixels, surplus_pixels
from mmfusion.imaging.dicom.recognise import HEAD, is_archive, is_no_slice
from mmfusion.imaging.dicom.tags import BY_CLASS
from mmfusion.modalities import BY_DICOM

NEITHER, NO_SLICES = "neither CT nor PET", "no image of slices"


@dataclass(frozen=True, eq=False)
class Series:
    """The slices of one series.

    Parameters
    ----------
    uid, modality, description : str
        SeriesInstanceUID, Modality, SeriesDescription.
    number : float
        SeriesNumber; infinite if it is absent or not a number.
    problem : str
        Why it cannot be read as CT or PET; "" if it can.
    slices : list of Header
        In any order; one for each frame of a file that has many.
    passes : tuple of (str, str)
        Element and value of the passes that were chosen; see `mmfusion.imaging.dicom.passes`.

    Examples
    --------
    >>> Series("1.2.3", "CT", "LUNG 1.0", 2.0, "", slices=[]).description
    'LUNG 1.0'
    """

    uid: str
    modality: str
    description: str
    number: float
    problem: str
    slices: list[Header] = field(repr=False)
    passes: tuple[tuple[str, str], ...] = ()

    def of_passes(self, passes: Sequence[tuple[str, str]]) -> Series:
        """Return the series with only the slices of the passes that were chosen."""
        if not passes:
            return self
        slices = [header for header in self.slices if all(of_pass(header, *one) for one in passes)]
        return replace(self, slices=slices, passes=(*self.passes, *passes))

    def placed(self, path: Path) -> tuple[list[Header], np.ndarray]:
        """Return the slices by position, without copies, and the affine; see `series_affine`."""
        for header in self.slices:
            check_pixels(header)
        slices = without_copies(self.slices)
        _check_one_patient(slices, path)
        check_one_pass(slices, path, taken=[tag for tag, value in self.passes if value == "*"])
        return series_affine(slices, path)

    def spacing(self, path: Path) -> tuple[float, float, float] | None:
        """Return the spacing (z, y, x) in mm; None if the slices cannot be stacked."""
        try:
            with gathered():
                return spacing_of(self.placed(path)[1])
        except ScanError:
            return None

    def line(self, path: Path) -> str:
        """Return one line of text that describes the series, for messages."""
        spacing = self.spacing(path)
        mm = " x ".join(f"{v:.3g}" for v in spacing) + " mm" if spacing else "cannot be stacked"
        return f"{self.uid}  {self.modality}  {self.description!r}  {len(self.slices)} slices, {mm}"

    def names(self) -> list[str]:
        """Return the names of its files."""
        return list(dict.fromkeys(header.member.name for header in self.slices))


@dataclass(frozen=True, eq=False)
class Found:
    """All series among files, and the files that are not used.

    Parameters
    ----------
    series : list of Series
        In order of SeriesNumber.
    given : int
        Number of files.
    others : list of (str, str, bool)
        Name of each file that is in no series, the reason, and whether it may be a slice.
    """

    series: list[Series]
    given: int
    others: list[tuple[str, str, bool]]

    def account(self, chosen: Series, slices: Sequence[Header], *, sound: bool = True) -> Account:
        """Return the account of a scan that consists of `slices`, which are of the series `chosen`.

        If it is not `sound`, because it cannot be read, there are no remarks.
        """
        used = {header.member.name for header in slices}
        left = [*self.others]
        for one in self.series:
            same = one.uid == chosen.uid
            what = one.problem or ("another pass, or a copy" if same else "another series")
            odd = same and one.problem in (
                NEITHER,
                NO_SLICES,
            )  # with a position it should be one of the slices
            placed = {h.member.name for h in one.slices if odd and h.values.get("ImagePositionPatient")}
            left += [
                (name, f"{one.modality}, {what}", name in placed) for name in one.names() if name not in used
            ]
        alike = [header for one in self.series if one.uid == chosen.uid for header in one.slices]
        remarks = (*missing_at_ends(slices, alike), *surplus_pixels(slices)) if sound else ()
        return Account(self.given, len(used), by_reason(left), remarks)


def look_through(found: Sequence[Member]) -> Found:
    """Find all series among files. No file is passed over without a reason.

    A series that is not an image of CT or PET has a `problem`. Localizers are separated from the series whose
    UID they share. A file with many frames gives one slice for each frame.

    Raises
    ------
    ScanError
        If a file is damaged.
    """
    groups: dict[tuple[str, str, str], list[Header]] = {}
    others = []
    for member in found:
        header = read_header(member)
        if header is None:
            others.append((member.name, *_reason(member)))
            continue
        key = header.text("SeriesInstanceUID"), header.text("Modality"), _problem(header)
        if header.length is None and not key[2] and not has_frames(header):  # pixels are the last element
            raise unreadable(header.name, "no pixels")
        framed = has_frames(header) and not key[2]
        groups.setdefault(key, []).extend(frames_of(header) if framed else [header])
    series = [Series(*key[:2], *_named(slices[0]), key[2], slices) for key, slices in groups.items()]
    return Found(sorted(series, key=lambda s: (s.number, s.uid)), len(found), others)


def _check_one_patient(slices: Sequence[Header], path: Path) -> None:
    """Raise an error if the slices name several patients; slices without a PatientID are not compared."""
    names = sorted({header.text("PatientID").strip() for header in slices} - {""})
    if len(names) > 1:
        hint = "give the slices of one patient; if they are of one, make the ids equal"
        raise ScanError(
            "slices of several patients in one series",
            file=path,
            column="PatientID",
            expected="one id",
            got=", ".join(names[:5]),
            hint=hint,
        )


def find_series(found: Sequence[Member]) -> list[Series]:
    """Return the series of `look_through`."""
    return look_through(found).series


def _reason(member: Member) -> tuple[str, bool]:
    """Return why a file is not a slice, and whether it may be one all the same."""
    head = member.read(0, HEAD)
    if is_no_slice(member.name, head):
        return "not DICOM", False
    if is_archive(member.name, head):
        return "packed: unpack it", True
    if head[128:132] == b"DICM":
        return "not an image", False
    return "empty" if not head else "cannot be understood as DICOM", True


def _named(header: Header) -> tuple[str, float]:
    number = header.text("SeriesNumber")
    return header.text("SeriesDescription"), float(number) if re.fullmatch(r"\d{1,9}", number) else np.inf


def _problem(header: Header) -> str:
    modality, kind = header.text("Modality"), header.text("SOPClassUID")
    if modality not in BY_DICOM:
        return NEITHER
    if kind and BY_CLASS.get(kind, ("", False))[0] != modality:
        return NO_SLICES
    if "LOCALIZER" in header.text("ImageType").upper():
        return "localizer"
    if "REPROJECTION" in header.text("SeriesType").upper():
        return "projection"
    return ""
