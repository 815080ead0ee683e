"""Compute IBSI features of a lesion with mirp; its messages and its changes of global state stay inside.

mirp writes to the root logger, and gives it a handler. It warns about settings and lesions that are checked
here before. Its images and masks are built in memory, because its readers of arrays do not take a spacing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.errors import MMFusionError, ScanError
from mmfusion.exclusive import own_filters
from mmfusion.features.lesion_grid import LesionGrid
from mmfusion.features.radiomics_settings import RadiomicsSettings

_HINT = "pip install 'mmfusion[radiomics]'"
# errors that mirp raises for odd lesions and settings that do not fit them
_UNFIT = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
_FACTS = ("sample_name", "image_")  # beginnings of the columns that are not features


def mirp_version() -> str:
    """Return the version of the installed mirp.

    Raises
    ------
    MMFusionError
        If it is not installed.
    """
    try:
        return version("mirp")
    except PackageNotFoundError as error:
        raise MMFusionError("mirp is not installed", hint=_HINT) from error


def ibsi_features(grid: LesionGrid, unit: str, settings: RadiomicsSettings) -> pd.Series:
    """Return the features of a lesion, with the names of mirp.

    Parameters
    ----------
    grid : LesionGrid
        Image and mask.
    unit : {"HU", "SUVbw"}
        Unit of the image.
    settings : RadiomicsSettings
        Grey levels, families and aggregation; the image is not resampled again.

    Returns
    -------
    Series of float64
        NaN: the feature is not defined for this lesion.

    Raises
    ------
    ScanError
        If mirp cannot compute features of this lesion.
    MMFusionError
        If mirp is not installed.
    """
    with quiet():
        try:
            from mirp import extract_features
            from mirp._images.ct_image import CTImage
            from mirp._images.pet_image import PETImage
            from mirp._masks.base_mask import BaseMask
        except ImportError as error:
            raise MMFusionError("mirp is not installed", hint=_HINT, got=error) from error
        shape = grid.image.shape
        place = {
            "sample_name": "lesion",
            "image_origin": (0.0, 0.0, 0.0),
            "image_orientation": np.eye(3),
            "image_spacing": grid.spacing,
            "image_dimensions": shape,
        }
        # grey levels are whole numbers, as HU are
        kind, name = (CTImage, "ct") if unit == "HU" or settings.given_levels else (PETImage, "pet")
        image = kind(image_data=grid.image, image_modality=name, **place)
        mask = BaseMask("lesion", image_data=grid.mask, image_modality="generic_mask", **place)
        try:
            tables = extract_features(image=image, mask=mask, **mirp_parameters(settings))
        except _UNFIT as error:
            hint = "is the lesion a few voxels only?"
            raise ScanError("mirp cannot compute features of this lesion", got=error, hint=hint) from error
    if not tables or tables[0] is None:
        raise ScanError("mirp found no lesion", hint="is the mask larger than a voxel of the new grid?")
    names = [c for c in tables[0].columns if not c.startswith(_FACTS)]
    values = tables[0][names].iloc[0].astype(np.float64).rename(None)
    return values.where(np.isfinite(values))


def mirp_parameters(settings: RadiomicsSettings) -> dict[str, object]:
    """Return the settings as mirp names them.

    Examples
    --------
    >>> mirp_parameters(RadiomicsSettings(bins=32, bin_width=None))["base_discretisation_method"]
    'fixed_bin_number'
    """
    planes = list(dict.fromkeys(name.split("_")[0] for name in settings.aggregation))
    found: dict[str, object] = {
        "base_feature_families": list(settings.families),
        **{f"{name}_spatial_method": list(settings.aggregation) for name in ("glcm", "glrlm")},
        **{f"{name}_spatial_method": planes for name in ("glszm", "gldzm", "ngtdm", "ngldm")},
    }
    if settings.bin_width is not None:
        found["base_discretisation_method"] = "fixed_bin_size"
        found["base_discretisation_bin_width"] = float(settings.bin_width)
    elif settings.bins is not None:
        found["base_discretisation_method"] = "fixed_bin_number"
        found["base_discretisation_n_bins"] = settings.bins
    else:
        found["base_discretisation_method"] = "none"
    if settings.ivh_bin_width is not None:
        found["ivh_discretisation_method"] = "fixed_bin_size"
        found["ivh_discretisation_bin_width"] = float(settings.ivh_bin_width)
    if settings.intensity_range is not None:
        ends = [np.nan if v is None else v for v in settings.intensity_range]
        found["resegmentation_intensity_range"] = ends
    if settings.outlier_sd is not None:
        found["resegmentation_sigma"] = float(settings.outlier_sd)
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Run mirp without its warnings and messages, and leave the root logger as it was.

    Examples
    --------
    >>> before = list(logging.root.handlers)
    >>> with quiet():
    ...     logging.basicConfig(level=logging.INFO)
    >>> logging.root.handlers == before
    True
    """
    root, holder = logging.getLogger(), logging.NullHandler()

    def others(record: logging.LogRecord) -> bool:
        return "mirp" not in Path(record.pathname).parts

    with own_filters("ignore"):
        root.addHandler(holder)  # `logging.basicConfig` does nothing to a logger with a handler
        root.addFilter(others)
        try:
            yield
        finally:
            root.removeFilter(others)
            root.removeHandler(holder)
