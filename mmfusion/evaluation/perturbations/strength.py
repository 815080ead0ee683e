"""The error for a strength that a perturbation cannot have."""

from __future__ import annotations

from mmfusion.errors import DataError


def out_of_range(name: str, expected: str, got: float) -> DataError:
    """Return the error for a strength that is out of range.

    Parameters
    ----------
    name : str
        Name of the parameter.
    expected : str
        The range, such as "0 to 1".
    got : float
        The value that was given.

    Examples
    --------
    >>> print(out_of_range("share", "0 to 1", 1.2))
    parameter share: the strength of a perturbation is out of range (expected 0 to 1; got 1.2)
    """
    problem = "the strength of a perturbation is out of range"
    return DataError(problem, parameter=name, expected=expected, got=got)
