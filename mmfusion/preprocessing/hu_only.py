"""Settings of a crop that need HU: refused for scans of another modality, or left out with a word."""

from __future__ import annotations

from mmfusion.errors import DataError, warn
from mmfusion.modalities import scan_modality

_PLAIN = {"mode": "tumour", "restore": "identity", "harmonise": None}  # what any scan can have


class HUOnlyWarning(UserWarning):
    """A setting for CT was not applied to scans of another modality, whose values are not in HU.

    Examples
    --------
    >>> from mmfusion.errors import gathered
    >>> with gathered() as found:
    ...     _ = without_hu_only("pet", mode="lung")
    >>> [w.category.__name__ for w in found]
    ['HUOnlyWarning']
    """


def hu_only(modality: str, **settings: object) -> dict[str, object]:
    """Return those of the settings that scans of this modality cannot have; empty for a CT.

    Parameters
    ----------
    modality : {"ct", "pet"}
        What was scanned.
    **settings
        `mode`, `restore` and `harmonise` of `ScanTransformer`.

    Examples
    --------
    >>> hu_only("pet", mode="lung", restore="identity"), hu_only("ct", mode="lung")
    ({'mode': 'lung'}, {})
    """
    if scan_modality(modality).unit == "HU":
        return {}
    return {k: v for k, v in settings.items() if v not in (_PLAIN[k], {"name": _PLAIN[k]})}


def check_hu_only(modality: str, **settings: object) -> None:
    """Raise a DataError on settings that scans of this modality cannot have.

    Examples
    --------
    >>> check_hu_only("ct", mode="lung")
    >>> check_hu_only("pet", mode="lung")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    mmfusion.errors.DataError: column pet: a setting for CT, which needs HU, but the scans are PET
    """
    if asked := hu_only(modality, **settings):
        raise DataError(
            f"a setting for CT, which needs HU, but the scans are {scan_modality(modality).title}",
            column=modality,
            expected=", ".join(f"{k}={_PLAIN[k]!r}" for k in asked),
            got=_listed(asked),
        )


def without_hu_only(modality: str, **settings: object) -> dict[str, object]:
    """Return the settings that scans of this modality can have; a warning says which are left out.

    Examples
    --------
    >>> without_hu_only("ct", mode="lung", restore="nlm")
    {'mode': 'lung', 'restore': 'nlm'}
    """
    if left_out := hu_only(modality, **settings):
        title = scan_modality(modality).title
        text = f"{_listed(left_out)}: for CT only, since it needs HU; {title} is read without"
        warn(text, HUOnlyWarning, stacklevel=4)
    return {k: v for k, v in settings.items() if k not in left_out}


def _listed(settings: dict[str, object]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in settings.items())
