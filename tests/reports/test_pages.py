"""Pages: what is long is wrapped, not cut off."""

from __future__ import annotations

import re

from mmfusion.reports.pages import render


def test_long_lines_wrap():
    page = render(
        "report.html.j2", title="t", facts=[], parameters=[], body="", failed="problem -> " + 300 * "x"
    )
    rules = dict(re.findall(r"^(\S[^{]*) \{([^}]*)\}", page, re.MULTILINE))
    assert "white-space: pre-wrap" in rules["pre"] and "overflow-wrap: anywhere" in rules["pre"]
    assert "max-width: 100%" in rules["details > summary"]
