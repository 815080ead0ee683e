"""Conversion of stored PET values to SUVbw, the standardised uptake value by body weight, in g/mL.

Follows the vendor-neutral pseudo-code of QIBA's FDG-PET/CT profile ("SUV calculation", happy path and
vendors' variants), with DICOM PS3.3 C.8.9.1 for the terms of each element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.header import Header
from mmfusion.imaging.dicom.nuclides import named_nuclide
from mmfusion.imaging.dicom.tags import GE_SCAN_TIME, PHILIPS_BQML, PHILIPS_SUV

_DAY = 86400.0
_WEIGHT_KG = (0.5, 500)
_DOSE_BQ = (1e5, 2e11)  # 0.1 MBq to 200 GBq: 370 (MBq) lies below
_HALF_LIFE_S = (60, 1e6)  # 82Rb has 76 s, 89Zr 282,000 s
_MOST_HALF_LIVES = 10  # between injection and scan: less than a thousandth is left
_SAME_TIME = 60.0  # s
_SAME_HALF_LIFE = 0.1  # relative difference of two statements of one half-life


def suv_factors(slices: Sequence[Header]) -> list[float]:
    """Return, for each slice, the factor that turns its rescaled values into SUVbw.

    Units BQML needs the weight, the dose, and the time to which the decay was corrected: `DecayCorrection`
    START (start of the scan) or ADMIN (injection); NONE is refused. CNTS is read through private elements of
    Philips: the SUV factor (7053,1000), or else the activity factor (7053,1009). GML is SUVbw already, unless
    SUVType says otherwise.

    The scan starts at SeriesDate and SeriesTime. If these are later than an acquisition (the series was made
    afterwards), it starts at GE's private scan time (0009,100d); else at the time from which
    FrameReferenceTime counts, if all slices agree on it; else at the first acquisition. The injection is
    RadiopharmaceuticalStartDateTime. If that is absent, or does not fit the date of the scan (as after
    de-identification), it is RadiopharmaceuticalStartTime, or the time of day of
    RadiopharmaceuticalStartDateTime, within the 24 hours before the scan. A tracer of which something is
    left after a day (half-life of 2.4 hours or more: 64Cu, 89Zr, 124I) may have been injected on any day
    before; its date is needed.

    An Enhanced PET states the moment to which the decay was corrected (DecayCorrectionDateTime).

    Raises
    ------
    ScanError
        If weight, dose, half-life or time is absent or implausible; if the half-life is not that of the
        nuclide that the header names; if attenuation or decay was not corrected; if the units are of another
        kind; or if the SUV is not normalised by body weight.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mmfusion.imaging.dicom.archive import Member
    >>> member = Member("slice.dcm", 0, lambda start, size: b"", Path("slice.dcm"))
    >>> values = {"Units": "GML", "CorrectedImage": ["DECY", "ATTN"]}
    >>> suv_factors([Header(member, values, "", None, None)])  # GML is SUVbw already
    [1.0]
    """
    first = slices[0]
    for header in slices:
        for tag in ("Units", "DecayCorrection"):
            if header.text(tag) != first.text(tag):
                problem = "a slice unlike the others"
                raise header.error(problem, tag, expected=first.text(tag), got=header.text(tag) or "nothing")
    _check_attenuation(first)
    units = first.text("Units").upper()
    if units == "GML":
        kind = first.text("SUVType").upper() or "BW"
        if kind != "BW":
            hint = "export the series in Bq/mL"
            raise first.error("SUV that is not by body weight", "SUVType", expected="BW", got=kind, hint=hint)
        return [1.0] * len(slices)
    if units == "BQML":
        return [_per_becquerel(slices)] * len(slices)
    if units == "CNTS":
        return _per_count(slices)
    expected, hint = "BQML, GML, or CNTS from Philips", "export the series in Bq/mL"
    problem, got = "PET units that do not give an SUV", units or "nothing"
    raise first.error(problem, "Units", expected=expected, got=got, hint=hint)


def _check_attenuation(header: Header) -> None:
    corrected = header.text("CorrectedImage").upper().split("\\")
    method = header.text("AttenuationCorrectionMethod").upper()
    if "ATTN" not in corrected and (any(corrected) or method in ("", "NONE")):
        hint = "choose the attenuation-corrected series; without correction an SUV means nothing"
        got = ", ".join(filter(None, corrected)) or "no corrections"
        raise header.error(
            "PET without attenuation correction", "CorrectedImage", expected="ATTN", got=got, hint=hint
        )


def _per_count(slices: Sequence[Header]) -> list[float]:
    """Return the factors of Philips: the one to SUV, or the one to Bq/mL if that is 0 or absent."""
    factors = [header.number(PHILIPS_SUV) or 0.0 for header in slices]
    if all(factor > 0 for factor in factors):
        return factors
    factors = [header.number(PHILIPS_BQML) or 0.0 for header in slices]
    if all(factor > 0 for factor in factors):
        return [factor * _per_becquerel(slices) for factor in factors]
    expected, hint = (
        "Philips's (7053,1000) or (7053,1009)",
        "export the series in Bq/mL, or with its private elements",
    )
    raise slices[0].error(
        "counts that do not give an SUV", "Units", expected=expected, got="neither", hint=hint
    )


def _per_becquerel(slices: Sequence[Header]) -> float:
    """Return grams per becquerel: weight over the dose left at the time to which decay was corrected."""
    header = slices[0]
    weight = _within(header, "PatientWeight", _WEIGHT_KG, "kg")
    dose = _within(_tracer(header), "RadionuclideTotalDose", _DOSE_BQ, "Bq")
    correction = header.text("DecayCorrection").upper()
    if correction == "ADMIN":
        return weight * 1000 / dose
    moment = _stamp(header, "DecayCorrectionDateTime") if correction == "MOMENT" else None
    if correction != "START" and moment is None:
        expected, hint = "START or ADMIN", "export the series corrected for decay"
        problem = "PET without a known decay correction"
        raise header.error(
            problem, "DecayCorrection", expected=expected, got=correction or "nothing", hint=hint
        )
    half_life = _within(_tracer(header), "RadionuclideHalfLife", _HALF_LIFE_S, "s")
    _check_nuclide(_tracer(header), half_life)
    waited = _uptake_seconds(slices, half_life, moment or _scan_start(slices, half_life))
    if waited > _MOST_HALF_LIVES * half_life:
        got = f"{waited / 60:.0f} min after injection at a half-life of {half_life / 60:.3g} min"
        hint = "check RadiopharmaceuticalStartTime and RadionuclideHalfLife"
        raise ScanError("a PET of activity that has decayed", file=header.name, got=got, hint=hint)
    return weight * 1000 / (dose * 2 ** (-waited / half_life))


def _tracer(header: Header) -> Header:
    """Return the RadiopharmaceuticalInformationSequence of the file as a header."""
    tag = "RadiopharmaceuticalInformationSequence"
    item = header.value(tag)
    if not isinstance(item, dict) or not item:
        hint = "export the series with its radiopharmaceutical information"
        raise header.error("SUV cannot be computed: no information on the dose", tag, hint=hint)
    return Header(header.member, item, header.syntax, None, None)


def _check_nuclide(tracer: Header, half_life: float) -> None:
    """Raise an error if the header names a nuclide whose half-life is another one."""
    code = tracer.value("RadionuclideCodeSequence")
    texts = [str(code.get("CodeMeaning", "")) if isinstance(code, dict) else ""]
    texts.append(tracer.text("Radiopharmaceutical"))
    nuclide = next(filter(None, map(named_nuclide, texts)), None)
    if nuclide and abs(half_life / nuclide[1] - 1) > _SAME_HALF_LIFE:
        problem = "SUV cannot be computed: the half-life is not that of the nuclide"
        expected, hint = f"{nuclide[1]:g} s of {nuclide[0]}", "correct the half-life or the nuclide"
        raise tracer.error(
            problem, "RadionuclideHalfLife", expected=expected, got=f"{half_life:g} s", hint=hint
        )


def _within(header: Header, tag: str, limits: tuple[float, float], unit: str) -> float:
    value = header.number(tag)
    if value is None or not limits[0] <= value <= limits[1]:
        got = "nothing" if value is None else f"{value:g}"
        expected = f"{limits[0]:g} to {limits[1]:g} {unit}"
        hint = "put it right in the headers, from the scan's protocol"
        raise header.error("SUV cannot be computed", tag, expected=expected, got=got, hint=hint)
    return value


def _uptake_seconds(slices: Sequence[Header], half_life: float, scan: datetime) -> float:
    """Return the time from injection to the moment `scan` to which the decay was corrected, in seconds."""
    tracer = _tracer(slices[0])
    stamp = _stamp(tracer, "RadiopharmaceuticalStartDateTime")
    if stamp is not None and 0 <= (scan - stamp).total_seconds() <= min(
        _MOST_HALF_LIVES * half_life, 14 * _DAY
    ):
        return (scan - stamp).total_seconds()
    of_day = _seconds(tracer, "RadiopharmaceuticalStartTime")
    if of_day is None and stamp is not None:
        of_day = (stamp - stamp.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    if of_day is None:
        problem, tag = "SUV cannot be computed: no time of injection", "RadiopharmaceuticalStartDateTime"
        hint = "put RadiopharmaceuticalStartTime into the headers, from the scan's protocol"
        raise tracer.error(problem, tag, hint=hint)
    if _MOST_HALF_LIVES * half_life >= _DAY:
        problem = "SUV cannot be computed: the day of injection is not known"
        day = f" and the day {stamp:%Y-%m-%d}" if stamp else ""
        got = f"a time of day{day}, at a half-life of {half_life / 3600:.3g} h"
        hint = "put RadiopharmaceuticalStartDateTime into the headers, with the day, from the scan's protocol"
        tag, expected = "RadiopharmaceuticalStartDateTime", f"a date and time before {scan:%Y-%m-%d %H:%M}"
        raise tracer.error(problem, tag, expected=expected, got=got, hint=hint)
    midnight = scan.replace(hour=0, minute=0, second=0, microsecond=0)
    return ((scan - midnight).total_seconds() - of_day) % _DAY


def _scan_start(slices: Sequence[Header], half_life: float) -> datetime:
    first = slices[0]
    acquired = [_moment(header, "Acquisition") for header in slices]
    known = [moment for moment in acquired if moment is not None]
    series = _moment(first, "Series")
    if series is not None and (not known or series <= min(known)):
        return series
    private = _stamp(first, GE_SCAN_TIME)
    if private is not None and (not known or abs((min(known) - private).total_seconds()) < _DAY):
        return private
    counted = [_counted_from(h, moment, half_life) for h, moment in zip(slices, acquired)]
    if counted and None not in counted and (max(counted) - min(counted)).total_seconds() < _SAME_TIME:
        return min(counted)
    if known:
        return min(known)
    problem = "SUV cannot be computed: no time of the scan"
    hint = "put SeriesDate and SeriesTime into the headers, from the scan's protocol"
    raise first.error(problem, "SeriesTime", expected="when it started", hint=hint)


def _counted_from(header: Header, acquired: datetime | None, half_life: float) -> datetime | None:
    """Return the time from which FrameReferenceTime counts. It is when a frame's activity had its mean."""
    reference, duration = (
        header.number(tag) or 0.0 for tag in ("FrameReferenceTime", "ActualFrameDuration")
    )  # ms
    if acquired is None or not (0 < reference < 1e3 * _DAY and 0 < duration < 1e3 * _DAY):
        return None
    decay = math.log(2) / half_life * duration / 1e3  # in the frame
    mean = duration / 1e3 / decay * math.log(decay / -math.expm1(-decay))
    return acquired + timedelta(seconds=mean - reference / 1e3)


def _moment(header: Header, what: str) -> datetime | None:
    seconds = _seconds(header, f"{what}Time")
    date = header.text(f"{what}Date").replace(".", "")[:8]
    if seconds is None or not date:
        return None
    return _date(header, f"{what}Date", date) + timedelta(seconds=seconds)


def _stamp(header: Header, tag: str | int) -> datetime | None:
    """Return a date and time (DT) without its time zone, which the other times of a scan lack as well."""
    text = header.text(tag).split("+")[0].split("-")[0]
    return (
        _date(header, tag, text[:8]) + timedelta(seconds=_clock(header, tag, text[8:]))
        if len(text) >= 10
        else None
    )


def _seconds(header: Header, tag: str) -> float | None:
    text = header.text(tag)
    return _clock(header, tag, text) if text else None


def _date(header: Header, tag: str | int, text: str) -> datetime:
    try:
        date = datetime.strptime(text, "%Y%m%d")
        return date if 1900 <= date.year < 2200 else _no_time(header, tag, text)
    except ValueError:
        return _no_time(header, tag, text)


def _clock(header: Header, tag: str | int, text: str) -> float:
    """Return the seconds since midnight of HHMMSS.FFFFFF, of its beginning, or of the old form HH:MM:SS."""
    digits = text.replace(":", "")
    whole, _, fraction = digits.partition(".")
    if not digits.replace(".", "", 1).isdecimal() or len(whole) not in (2, 4, 6):
        _no_time(header, tag, text)
    hours, minutes, seconds = (int(whole[k : k + 2] or 0) for k in (0, 2, 4))
    if hours > 23 or minutes > 59 or seconds > 60:
        _no_time(header, tag, text)
    return hours * 3600 + minutes * 60 + seconds + float(f"0.{fraction or 0}")


def _no_time(header: Header, tag: str | int, text: str) -> datetime:
    raise header.error("not a date or time", tag, expected="YYYYMMDD, HHMMSS", got=text)
