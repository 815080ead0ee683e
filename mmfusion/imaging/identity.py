"""Id of the patient that the DICOM files of a scan state."""

from __future__ import annotations

from pathlib import Path

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.archive import members
from mmfusion.imaging.dicom.choose import SeriesRules, choose_series
from mmfusion.imaging.dicom.paths import may_be_dicom
from mmfusion.imaging.dicom.series import find_series

_NOBODY = ("", "0", "anon", "anonymous", "anonymized", "anonymised", "none", "patient", "unknown")


def patient_of(path: str | Path, series: SeriesRules = None, *, unit: str | None = None) -> str | None:
    """Return the PatientID of the DICOM series that `mmfusion.imaging.read` would read.

    Parameters
    ----------
    path : path
        A scan. Other formats than DICOM do not state the patient.
    series, unit
        As in `mmfusion.imaging.read`.

    Returns
    -------
    str or None
        None if the scan is not DICOM, states no patient or only a word such as "anonymous", or cannot be read
        (`read` then says why).

    Raises
    ------
    ScanError
        If the slices state several patients.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scan = Path(folder) / "ct.nii.gz"
    ...     _ = scan.write_bytes(b"")
    ...     patient_of(scan) is None
    True
    """
    path = Path(path)
    if not path.exists() or not may_be_dicom(path):
        return None
    try:
        with members(path) as found:
            chosen = choose_series(find_series(found), series, path, unit)
            stated = {header.text("PatientID") for header in chosen.slices}
    except ScanError:  # `read` says why
        return None
    ids = sorted(name for name in stated if name.casefold() not in _NOBODY)
    if len(ids) > 1:
        hint = "put the files of each patient into a folder of their own"
        got = ", ".join(ids[:5])
        raise ScanError("slices of several patients", file=path, column="PatientID", got=got, hint=hint)
    return ids[0] if ids else None
