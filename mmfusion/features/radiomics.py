"""`RadiomicsExtractor`: IBSI features of the lesion that a mask marks, in a CT or a PET."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.scans import scan_of
from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.features import lesion_grid as grids
from mmfusion.features.base import KIND, Extractor
from mmfusion.features.ibsi import ibsi_features, mirp_version
from mmfusion.features.lesion_grid import LesionGrid, lesion_grid
from mmfusion.features.lesion_source import check_lesion, lesion_source
from mmfusion.features.radiomics_settings import RadiomicsSettings
from mmfusion.imaging.files import existing, is_image, read, read_image
from mmfusion.imaging.volume import Volume
from mmfusion.modalities import scan_modality
from mmfusion.storage.cache import cached, fingerprint

_MARGIN_MM = 8.0  # local intensity looks 6.2 mm around each voxel of the lesion


class RadiomicsExtractor(Extractor):
    """Radiomics features of lesions, computed by mirp as the Image Biomarker Standardisation Initiative says.

    The names of the features are those of mirp, such as `morph_volume`, `stat_mean` or
    `cm_contrast_d1_3d_v_mrg_fbs_w25.0`: contrast of the grey level co-occurrence matrix at distance 1, in 3-D
    with one matrix for the volume, for grey levels of 25 HU.

    Parameters
    ----------
    modality : {"ct", "pet"}
        Scan whose features are computed. The mask is that of the same modality, or for PET without a mask of
        its own that of the CT, brought onto the grid of the PET.
    settings : RadiomicsSettings or mapping, optional
        All settings, or changes to those of the modality; see `RadiomicsSettings`.
    lesion : {"any", "mask", "click"}
        Lesions that are read. "mask": those of masks only. "click": those of one click on the seed of a CT
        (`mmfusion.segment_lesion`), also where there is a mask. "any": the mask of a patient who has one,
        otherwise a click. A mask that was drawn by hand can be much larger than that of a click.

    Raises
    ------
    MMFusionError
        If mirp is not installed (the extra `radiomics`).
    DataError
        If a setting is out of range.

    References
    ----------
    Zwanenburg et al. 2020, The Image Biomarker Standardization Initiative, Radiology 295, 328-338. Zwanenburg
    and Löck 2024, MIRP: a Python package for standardised radiomics, Journal of Open Source Software 9, 6413.

    Examples
    --------
    >>> RadiomicsExtractor("ct", {"spacing": 2.0}).settings.bin_width
    25.0
    """

    def __init__(
        self,
        modality: str = "ct",
        settings: RadiomicsSettings | Mapping[str, object] | None = None,
        *,
        lesion: str = "any",
    ) -> None:
        self.modality, self.unit, self.lesion = modality, scan_modality(modality).unit, check_lesion(lesion)
        changes = None if isinstance(settings, RadiomicsSettings) else settings
        self.settings = (
            settings
            if isinstance(settings, RadiomicsSettings)
            else RadiomicsSettings.for_modality(modality, changes)
        )
        self.version = mirp_version()

    @property
    def columns(self) -> Sequence[str]:
        """Names of the features, as mirp gives them."""
        names = cached(KIND, {"columns of": self._recipe}, lambda: np.array(self._named(), dtype=np.str_))
        return names.tolist()

    @property
    def provenance(self) -> Mapping[str, object]:
        """The version of mirp, and all settings."""
        return {
            "model": f"mirp {self.version}, IBSI",
            "modality": self.modality,
            "lesion": self.lesion,
            **self._recipe,
        }

    @property
    def _recipe(self) -> dict[str, object]:
        return {"mirp": self.version, "grid_version": grids.VERSION, "settings": asdict(self.settings)}

    def key(self, row: pd.Series) -> Mapping[str, object]:
        """Return everything that the features of a patient depend on; see `Extractor`.

        Raises
        ------
        ScanError
            If the patient has no mask and no seed, or a file does not exist.
        """
        path, series, _ = scan_of(row[self.modality].rename(row.name))
        scan = {"modality": self.modality, "scan": fingerprint(path), "series": series}
        return {**scan, **lesion_source(row, self.modality, self.lesion).key, **self._recipe}

    def remark(self, row: pd.Series) -> str | None:
        """Return a sentence for a lesion without a mask, which was segmented from its seed."""
        if self.lesion == "click":  # all are
            return None
        return lesion_source(row, self.modality, self.lesion).remark

    def compute_row(self, row: pd.Series) -> np.ndarray:
        """Return the features of a patient without the cache; see `Extractor`."""
        return self.compute(*self.read(row)).to_numpy()

    def compute(self, volume: Volume, mask: Volume) -> pd.Series:
        """Return the features of the lesion in a mask.

        Parameters
        ----------
        volume : Volume
            CT in HU, or PET in SUVbw.
        mask : Volume
            The lesion; a mask of another grid is brought onto that of the scan.

        Returns
        -------
        Series of float64
            Index: names of the features. NaN: the feature is not defined for this lesion, such as the texture
            of a single voxel.

        Raises
        ------
        ScanError
            If the scan has another unit or values that are not numbers; if the mask is empty, covers the
            whole scan, or lies outside it; if the scan has one value in the mask, or none in the range of
            intensities; if mirp cannot compute the features.

        Warns
        -----
        ScanWarning
            If the whole lesion has one grey level, so that its textures do not inform.
        """
        grid = self.grid(volume, mask, _MARGIN_MM)
        return self.features_of(grid)

    def features_of(self, grid: LesionGrid) -> pd.Series:
        """Return the features of a resampled lesion; see `compute`."""
        return ibsi_features(grid, self.unit, self.settings)

    def grid(self, volume: Volume, mask: Volume, margin_mm: float) -> LesionGrid:
        """Return the resampled box around a lesion, after checking that it has features; see `compute`."""
        volume.expect(self.unit, f"{self.modality} volume")
        if not np.isfinite(volume.array).all():
            raise ScanError("values that are not numbers", expected=f"finite {self.unit}")
        grid = lesion_grid(volume, mask, self.settings.spacing, self.settings.interpolation, margin_mm)
        _check_intensities(grid, self.settings, self.modality)
        return grid

    def read(self, row: pd.Series) -> tuple[Volume, Volume]:
        """Return the scan and the mask of a patient, on the grid of the scan.

        Raises
        ------
        ScanError
            If a file cannot be read, there is no mask and no seed, or the mask lies outside the scan.
        """
        lesion = lesion_source(row, self.modality, self.lesion)
        path, series, _ = scan_of(row[self.modality].rename(row.name))
        scan = self._levels(path) if self.settings.given_levels else read(path, series, unit=self.unit)
        return scan, lesion.on(scan)

    def _levels(self, path: str) -> Volume:
        """Return a scan whose values are grey levels, so that they need not be plausible as HU or SUV."""
        if not is_image(existing(path)):
            hint = "set bin_width or bins, or convert it"
            expected = "NIfTI, NRRD or MetaImage"
            raise ScanError("grey levels are read from images", file=path, expected=expected, hint=hint)
        array, affine = read_image(Path(path))
        kind = scan_modality(self.modality)
        return Volume(array, affine, kind.dicom, kind.unit).to_lps()

    def _named(self) -> list[str]:
        """Return the names of the features, which depend on the settings only."""
        image = np.ones((6, 6, 6))
        image[2:4, 2:5, 3] = np.clip(np.arange(1.0, 7.0), *_ends(self.settings)).reshape(2, 3)
        mask = np.zeros(image.shape, dtype=bool)
        mask[2:4, 2:5, 3] = True
        return list(self.features_of(LesionGrid(image, mask, (2.0, 2.0, 2.0))).index)


def _ends(settings: RadiomicsSettings) -> tuple[float, float]:
    low, high = settings.intensity_range or (None, None)
    return -np.inf if low is None else low, np.inf if high is None else high


def _check_intensities(grid: LesionGrid, settings: RadiomicsSettings, modality: str) -> None:
    """Raise a ScanError if no voxel of a lesion is in the range; warn if it has one grey level."""
    values = grid.image[grid.mask]
    low, high = _ends(settings)
    kept = values[(values >= low) & (values <= high)]
    got = f"{values.min():.5g} to {values.max():.5g}"
    if not kept.size:
        problem, expected = "no voxel of the lesion is in the range of intensities", f"{low:g} to {high:g}"
        hint = "is the mask of this scan? intensity_range sets the range"
        raise ScanError(problem, expected=expected, got=got, hint=hint)
    if settings.bin_width is not None:
        start = low if np.isfinite(low) else scan_modality(modality).outside  # as mirp
        levels = np.floor((kept - start) / settings.bin_width)
        if levels.min() == levels.max() and kept.size > 1:
            text = f"the lesion has one grey level of {settings.bin_width:g}: its textures do not inform"
            warn(text, ScanWarning, stacklevel=4)
