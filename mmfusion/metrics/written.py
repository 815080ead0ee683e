"""Numbers as text in reports: scores and differences with their intervals, and p values."""

from __future__ import annotations

from collections.abc import Mapping


def value_text(row: Mapping[str, float], digits: int = 3) -> str:
    """Return a score with its interval; the row has mean, lo and hi. "not estimable" if the mean is NaN.

    A score whose interval is NaN has none.

    Examples
    --------
    >>> value_text({"mean": 0.7, "lo": 0.6, "hi": 0.8}), value_text({"mean": float("nan")})
    ('0.700 [0.600, 0.800]', 'not estimable')
    """
    if row["mean"] != row["mean"]:
        return "not estimable"
    if row["lo"] != row["lo"]:
        return f"{row['mean']:.{digits}f}"
    return f"{row['mean']:.{digits}f} [{row['lo']:.{digits}f}, {row['hi']:.{digits}f}]"


def signed_text(row: Mapping[str, float], digits: int = 3) -> str:
    """Return a difference with its interval and signs; the row has diff, lo and hi.

    Examples
    --------
    >>> signed_text({"diff": 0.1, "lo": -0.05, "hi": 0.25})
    '+0.100 [-0.050, +0.250]'
    """
    diff, low, high = (round(float(row[name]), digits) + 0.0 for name in ("diff", "lo", "hi"))  # no -0.000
    return f"{diff:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def p_text(p: float) -> str:
    """Return a p value; "not estimable" for NaN.

    Examples
    --------
    >>> p_text(0.0123), p_text(1e-6)
    ('0.012', '< 0.001')
    """
    if p != p:
        return "not estimable"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def unbroken(text: str) -> str:
    """Return a text whose numbers stay on one line, for the cells of a table; words may break.

    Examples
    --------
    >>> unbroken("0.7 [0.6, 0.8]").count(chr(0xA0)), unbroken("not estimable").count(chr(0xA0))
    (2, 0)
    """
    return text.replace(" ", "\u00a0") if any(map(str.isdigit, text)) else text
