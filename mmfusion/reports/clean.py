"""Remove everything from HTML that could act: scripts, styles, forms, frames, links to other files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bleach import Cleaner
from bleach.css_sanitizer import CSSSanitizer
from bleach.html5lib_shim import Filter

_TAGS = frozenset((
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details", "div",
    "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol",
    "p", "pre", "s", "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var", "wbr",
))  # fmt: skip
_WITHOUT_CONTENT = frozenset((
    "script", "style", "title", "textarea", "noscript", "template", "svg", "math", "object", "iframe",
))  # fmt: skip
_CSS = (
    "background", "background-color", "border", "border-bottom", "border-collapse", "border-left",
    "border-radius", "border-right", "border-top", "color", "font-family", "font-size", "font-style",
    "font-variant-numeric", "font-weight", "height", "line-height", "margin", "max-height", "max-width",
    "min-width", "opacity", "overflow-wrap", "overflow-x", "padding", "text-align", "text-decoration",
    "vertical-align", "white-space", "width", "word-break",
)  # fmt: skip
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")


def clean_html(html: str) -> str:
    """Return HTML with text, tables and pictures only.

    Elements that load, send or run something are removed, and so are attributes that could. A picture must be
    part of the page. A link must lead to `https:`, `http:` or a place on the page.

    >>> clean_html('<b onclick="x()">a</b><script>x()</script><meta http-equiv="refresh"><i>b</i>')
    '<b>a</b><i>b</i>'
    """
    cleaner = Cleaner(
        tags=_TAGS | _WITHOUT_CONTENT,
        attributes=_allowed,
        protocols=["http", "https", "data"],
        strip=True,
        filters=[_Contents],
        css_sanitizer=CSSSanitizer(allowed_css_properties=_CSS),
    )
    return cleaner.clean(html)


class _Contents(Filter):
    """Leave out elements whose content is no text to read, such as scripts, with their content."""

    def __iter__(self) -> Iterator[dict]:
        inside = 0
        for token in super().__iter__():
            hidden = token.get("name") in _WITHOUT_CONTENT
            if hidden and token["type"] == "StartTag":
                inside += 1
            elif hidden and token["type"] == "EndTag":
                inside = max(0, inside - 1)
            elif not inside and not hidden:
                yield token


def _allowed(tag: str, name: str, value: str) -> bool:
    """Return True if an attribute of an element is kept."""
    if name in {"style", "class", "title", "colspan", "rowspan", "align", "alt"}:
        return name != "style" or "url(" not in value.replace(" ", "").lower()
    if name in {"width", "height", "border", "start"}:
        return re.fullmatch(r"[\d.]+%?", value.strip()) is not None
    if (tag, name) == ("img", "src"):
        return _PICTURE.fullmatch(value) is not None
    if (tag, name) == ("a", "href"):
        return re.match(r"(https?:|#)", value.strip(), re.IGNORECASE) is not None
    return (tag, name) == ("details", "open")
