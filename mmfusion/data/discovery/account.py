"""The page about the files that were found in a user's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from mmfusion.data.discovery.discover import Discovery


def page(found: Discovery) -> str:
    """Return a Markdown page: counts of patients, what is left to do, and each file with a reason."""
    account, patients = found.account, found.patients
    used = account[account["used"]]
    lines = [
        f"# What was found in {found.root.name}",
        "",
        f"{len(used)} of {len(account)} files and DICOM folders can be used; {len(patients)} patients.",
        "",
        "| what | patients |",
        "|---|---|",
        *(f"| {name} | {int(patients[name].sum())} |" for name in patients),
    ]
    if patients.shape[1] > 1:
        lines.append(f"| all of these | {int(patients.all(axis=1).sum())} |")
    lines += ["", "## Left to do", "", *([f"- {text}" for text in found.to_do] or ["Nothing."])]
    lines += ["", "## Notes", "", *([f"- {text}" for text in found.notes] or ["None."])]
    for title, part in (("Used", used), ("Not used", account[~account["used"]])):
        lines += ["", f"## {title}", ""]
        lines += _bullets(part) or ["Nothing."]
    return "\n".join(lines) + "\n"


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
            f"- `{name}`: {' · '.join(x for x in (what, owner, why) if x)}"
            for name, owner in zip(names, owners)
        ]
    return lines
