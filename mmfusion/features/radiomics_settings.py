"""Settings of radiomics: the voxel size, the grey levels, the families of features, the merging of slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

from mmfusion.errors import DataError, did_you_mean
from mmfusion.features.lesion_grid import ORDERS
from mmfusion.modalities import scan_modality

FAMILIES = (
    "morphology",
    "local_intensity",
    "statistics",
    "intensity_histogram",
    "intensity_volume_histogram",
    "glcm",
    "glrlm",
    "glszm",
    "gldzm",
    "ngtdm",
    "ngldm",
)
AGGREGATIONS = (
    "2d_average",
    "2d_slice_merge",
    "2.5d_direction_merge",
    "2.5d_volume_merge",
    "3d_average",
    "3d_volume_merge",
)
_BY_MODALITY = {
    "ct": {"spacing": 1.0, "intensity_range": (-1000.0, 400.0), "bin_width": 25.0},
    "pet": {"spacing": 2.0, "intensity_range": (0.0, None), "bin_width": 0.3125},
}


@dataclass(frozen=True, kw_only=True)
class RadiomicsSettings:
    """Settings with which radiomics are computed; `for_modality` returns the defaults of CT and PET.

    The names of the fields are those of `mmfusion features --radiomics -p NAME=VALUE`, where `none` stands
    for None, and commas separate several values.

    Parameters
    ----------
    spacing : float, optional
        Voxel size in mm to which scan and mask are resampled: 1 for CT, 2 for PET. None: the voxels of the
        scan.
    interpolation : {"linear", "cubic"}
        Interpolation of the scan; that of the mask is linear.
    intensity_range : (low, high), optional
        Voxels with other values count for the shape only, in HU or SUVbw. None for one end: no limit there.
        CT: -1000 to 400 HU, as in configurations C and E of the IBSI. PET: from 0 SUV.
    outlier_sd : float, optional
        Voxels farther from the mean of the lesion than so many standard deviations count for the shape only.
    bin_width : float, optional
        Width of a grey level in HU or SUVbw, counted from the lower end of `intensity_range`. CT: 25 HU, as
        in configurations A and C of the IBSI. PET: 0.3125 SUV, which is 64 levels from 0 to 20 SUV (Orlhac et
        al. 2015). If both `bin_width` and `bins` are None, the values of the scan are the grey levels, whole
        numbers from 1; then no check is made whether they can be HU or SUV.
    bins : int, optional
        Number of grey levels from the lowest to the highest value of the lesion, instead of `bin_width`.
    ivh_bin_width : float, optional
        Bin width of the intensity-volume histogram. None: whole HU for CT, 0.1 SUV for PET.
    families : sequence of str
        Families of features; default all of `FAMILIES`.
    aggregation : sequence of str
        How textures are merged over slices and directions; several of `AGGREGATIONS`. Default: one matrix of
        the volume.

    Raises
    ------
    DataError
        If a setting is out of range.

    References
    ----------
    Zwanenburg et al. 2020, The Image Biomarker Standardization Initiative, Radiology 295, 328-338; reference
    manual, arXiv 1612.07003. Orlhac et al. 2015, 18F-FDG PET-derived textural indices reflect tissue-specific
    uptake pattern in non-small cell lung cancer, PLoS ONE 10, e0145063.

    Examples
    --------
    >>> RadiomicsSettings.for_modality("pet").bin_width
    0.3125
    >>> RadiomicsSettings.for_modality("ct", {"spacing": "none", "families": "glcm,statistics"}).families
    ('glcm', 'statistics')
    """

    spacing: float | None = 1.0
    interpolation: str = "linear"
    intensity_range: tuple[float | None, float | None] | None = (-1000.0, 400.0)
    outlier_sd: float | None = None
    bin_width: float | None = 25.0
    bins: int | None = None
    ivh_bin_width: float | None = None
    families: tuple[str, ...] = FAMILIES
    aggregation: tuple[str, ...] = ("3d_volume_merge",)

    def __post_init__(self) -> None:
        for name in ("families", "aggregation"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        _one_of("interpolation", (self.interpolation,), tuple(ORDERS))
        _one_of("families", self.families, FAMILIES)
        _one_of("aggregation", self.aggregation, AGGREGATIONS)
        for name in ("spacing", "outlier_sd", "bin_width", "ivh_bin_width"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and 0 < value < math.inf):
                expected = "a number above 0"
                raise DataError("setting out of range", parameter=name, expected=expected, got=value)
        if self.bins is not None and not (isinstance(self.bins, int) and self.bins >= 2):
            raise DataError("setting out of range", parameter="bins", expected="2 or more", got=self.bins)
        if self.bins is not None and self.bin_width is not None:
            got = f"bins {self.bins}, bin_width {self.bin_width:g}"
            raise DataError("two kinds of grey levels", expected="one of bins, bin_width", got=got,
                            hint="set the other to none")  # fmt: skip
        if self.intensity_range is not None:
            object.__setattr__(self, "intensity_range", _checked_range(self.intensity_range))

    @property
    def given_levels(self) -> bool:
        """True if the values of the scan are the grey levels."""
        return self.bins is None and self.bin_width is None

    @classmethod
    def for_modality(cls, modality: str, changes: Mapping[str, object] | None = None) -> Self:
        """Return the default settings of a modality, with changes; values may be text.

        Parameters
        ----------
        modality : {"ct", "pet"}
            Modality of the scans.
        changes : mapping of str to object, optional
            Settings that replace the defaults. With `bins`, the default of `bin_width` is left out; if the
            scan holds grey levels, that of `intensity_range`.

        Raises
        ------
        DataError
            If there is no such setting, or a value cannot be read.
        """
        scan_modality(modality)
        changes = dict(changes or {})
        names = [f.name for f in fields(cls)]
        if unknown := [name for name in changes if name not in names]:
            hint = did_you_mean(unknown[0], names)
            raise DataError("no such setting", parameter=unknown[0], expected=", ".join(names), hint=hint)
        read = {k: _PARSERS[k](k, v) if isinstance(v, str) else v for k, v in changes.items()}
        if read.get("bins") is not None:
            read = {"bin_width": None} | read
        settings = replace(cls(**_BY_MODALITY[modality]), **read)
        if settings.given_levels and "intensity_range" not in read:
            return replace(settings, intensity_range=None)
        return settings


def _one_of(name: str, values: tuple[object, ...], known: tuple[str, ...]) -> None:
    wrong = [v for v in values if v not in known]
    if wrong or not values:
        got = wrong[0] if wrong else ""
        raise DataError("unknown setting", parameter=name, expected=", ".join(known), got=got,
                        hint=did_you_mean(got, known))  # fmt: skip


def _checked_range(ends: object) -> tuple[float | None, float | None]:
    expected = "two numbers, the lower first; None for no limit"
    try:
        low, high = ends
        low, high = (None if v is None else float(v) for v in (low, high))
    except (TypeError, ValueError) as error:
        raise DataError("not a range", parameter="intensity_range", expected=expected, got=ends) from error
    finite = [v for v in (low, high) if v is not None]
    if not all(map(math.isfinite, finite)) or (len(finite) == 2 and low >= high):
        raise DataError("not a range", parameter="intensity_range", expected=expected, got=ends)
    return low, high


def _number(name: str, text: str, kind: Callable[[str], object] = float) -> object:
    if text.strip().lower() == "none":
        return None
    try:
        return kind(text)
    except ValueError as error:
        expected = "a number, or none"
        raise DataError("not a number", parameter=name, expected=expected, got=repr(text)) from error


def _whole(name: str, text: str) -> object:
    return _number(name, text, int)


def _range(name: str, text: str) -> object:
    return None if text.strip().lower() == "none" else tuple(_number(name, part) for part in text.split(","))


def _words(_: str, text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


_PARSERS: dict[str, Callable[[str, str], object]] = {
    **dict.fromkeys(("spacing", "outlier_sd", "bin_width", "ivh_bin_width"), _number),
    "bins": _whole,
    "intensity_range": _range,
    "interpolation": lambda _, text: text.strip(),
    "families": _words,
    "aggregation": _words,
}
