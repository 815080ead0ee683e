"""Fill the templates of HTML pages; a page has one style and needs no network."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, *, title: str, style: str = "", **values: object) -> str:
    """Return the page of a template; values are escaped, and halves of characters are replaced."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"number": format_number, "duration": format_seconds, "day": format_day}
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8") + style
    page = environment.get_template(template).render(title=title, style=Markup(css), **values)
    return page.encode("utf-8", "replace").decode("utf-8")


def format_number(value: object) -> str:
    """Return a float with three decimals, and anything else as text.

    >>> format_number(0.51249), format_number(12)
    ('0.512', '12')
    """
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def format_seconds(seconds: float | None) -> str:
    """Return a duration in seconds as text; "" for None.

    >>> format_seconds(12.3), format_seconds(185), format_seconds(7800)
    ('12 s', '3 min 5 s', '2 h 10 min')
    """
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def format_day(stamp: str | None) -> str:
    """Return day and time of an ISO time stamp; "" for None.

    >>> format_day("2026-01-31T14:05:33+00:00")
    '2026-01-31 14:05'
    """
    return datetime.fromisoformat(stamp).strftime("%Y-%m-%d %H:%M") if stamp else ""
