"""Reach of a change: of a scan only the volume, and no features that were measured from it before."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mmfusion.data.cohort import feature_names, presence
from mmfusion.errors import warn
from mmfusion.modalities import IMAGING

_NAMED = 3  # features that a warning names


def patients_reached(X: pd.DataFrame, modality: str) -> pd.Series:
    """Return True for the patients whose inputs a change of this modality can change.

    Parameters
    ----------
    X : DataFrame, shape (n, n_columns)
        Rows of `Cohort.X`.
    modality : str
        The modality that is changed.

    Examples
    --------
    >>> X = pd.DataFrame({("ct", "volume"): ["a.nii", None], ("ct", "sphericity"): [0.7, 0.8]})
    >>> patients_reached(X, "ct").tolist()
    [True, False]
    """
    return X[modality, "volume"].notna() if modality in IMAGING else presence(X)[modality]


def warn_of_features(X: pd.DataFrame, modalities: Iterable[str]) -> None:
    """Warn if rows have features that were measured from scans; a change of the scans does not change them.

    Parameters
    ----------
    X : DataFrame, shape (n, n_columns)
        Rows of `Cohort.X`.
    modalities : iterable of str
        The modalities that are changed; each gives one warning.

    Examples
    --------
    >>> from mmfusion.errors import gathered
    >>> X = pd.DataFrame({("ct", "volume"): ["a.nii"], ("ct", "sphericity"): [0.7]})
    >>> with gathered() as found:
    ...     warn_of_features(X, ["ct"])
    >>> print(found[0])
    ct: only the scan is changed; features measured from it stay as they are (n = 1): sphericity
    """
    for modality in sorted({one for one in modalities if one in IMAGING}):
        block = X[modality]
        names = [str(name) for name in feature_names(block, modality) if block[name].notna().any()]
        if names:
            shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
            text = "only the scan is changed; features measured from it stay as they are"
            warn(f"{modality}: {text} (n = {len(names)}): {shown}", stacklevel=3)
