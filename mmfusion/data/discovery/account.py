"""The page about the files that were found in a user's folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mmfusion.escaping import readable_markdown, readable_text, visible_text

if TYPE_CHECKING:
    from mmfusion.data.discovery.discover import Discovery


def summary(found: Discovery, clean: Callable[[object], str] = readable_text) -> str:
    """Return the first part of the page: counts of patients, what is left to do, and notes.

    Parameters
    ----------
    found : Discovery
        What was found in a folder.
    clean : callable
        Function that makes a text from data safe to show; the default is for a terminal.
    """
    account, patients = found.account, found.patients
    used = account[account["used"]]
    lines = [
        f"# What was found in {clean(found.root.name)}",
        "",
        f"{len(used)} of {len(account)} files and DICOM folders can be used; {len(patients)} patients.",
        "",
        "| what | patients |",
        "|---|---|",
        *(f"| {name} | {int(patients[name].sum())} |" for name in patients),
    ]
    if patients.shape[1] > 1:
        lines.append(f"| all of these | {int(patients.all(axis=1).sum())} |")
    lines += ["", "## Left to do", "", *([f"- {clean(t)}" for t in found.to_do] or ["Nothing."])]
    lines += ["", "## Notes", "", *([f"- {clean(t)}" for t in found.notes] or ["None."])]
    return "\n".join(lines) + "\n"


def page(found: Discovery) -> str:
    """Return a Markdown page: the summary, and each file with the reason why it is used or not."""
    lines = [summary(found, readable_markdown)]
    used = found.account["used"]
    for title, part in (("Used", found.account[used]), ("Not used", found.account[~used])):
        lines += [f"## {title}", "", *(_bullets(part) or ["Nothing."]), ""]
    return "\n".join(lines)


def _bullets(account: pd.DataFrame, most: int = 5) -> list[str]:
    """Return one line per file; more than `most` similar files of a folder with one reason share a line."""
    lines: list[str] = []
    if account.empty:
        return lines
    kinds = [account["path"].map(lambda p: f"{Path(p).parent.as_posix()}/*{Path(p).suffix}"), "as", "why"]
    for (pattern, what, why), files in account.groupby(kinds, sort=False):
        names = [pattern] if len(files) > most else list(files["path"])
        owners = [f"{len(files)} files"] if len(files) > most else list(files["patient"])
        lines += [
            f"- {_code(name)}: {readable_markdown(' · '.join(x for x in (what, owner, why) if x))}"
            for name, owner in zip(names, owners)
        ]
    return lines


def _code(name: str) -> str:
    """Return the name of a file as code, in which Markdown interprets nothing."""
    fence = "`" * (1 + max(map(len, re.findall("`+", name)), default=0))
    inner = " ".join(visible_text(name).split())
    return f"{fence} {inner} {fence}" if len(fence) > 1 else f"`{inner}`"
