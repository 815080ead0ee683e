"""Rules by which two spellings of a patient id are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_TCGA = re.compile(r"(tcga)[-._ ]([a-z0-9]{2})[-._ ]([a-z0-9]{4})(?:[-._ ](\d{2})[a-z]?(?:[-._ ].*)?)?")
_SEPARATORS = re.compile(r"[\s._/\\:-]+")
_WORD = re.compile(r"^(?:sub|subj|subject|patient|pat|pt|case|participant|id)-(?=\d)")
PRIMARY = ("01", "03", "09")  # codes of TCGA for the first tumour, solid or of the blood


def loose(text: str) -> str:
    """Return an id in lower case, with one kind of separator and without leading zeros.

    >>> loose("R01_007"), loose("r1-7")
    ('r-1-7', 'r-1-7')
    """
    groups = re.findall(r"[^\W\d_]+|\d+", text.lower())
    return "-".join(g.lstrip("0") or "0" if g.isdigit() else g for g in groups) or text.lower()


def sample_type(name: str) -> str:
    """Return the two digits in a TCGA barcode that say what a sample is; "" if there are none.

    01 to 09 are tumours, 10 to 19 are normal tissue.

    >>> sample_type("TCGA-05-4000-01A-11R-1107-07"), sample_type("TCGA-05-4000")
    ('01', '')
    """
    found = _TCGA.fullmatch(_plain(name))
    return (found[4] or "") if found else ""


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


def tcga_patient(name: str) -> str:
    """Return the patient's part of a TCGA barcode; other ids in lower case, with single spaces.

    >>> tcga_patient("TCGA.05.4000.01A.11R"), tcga_patient("P  7")
    ('tcga-05-4000', 'p 7')
    """
    found = _TCGA.fullmatch(_plain(name))
    return "-".join(found.groups()[:3]) if found else _plain(name)


def _whole_number(name: str) -> str:
    return re.sub(r"^(x?\d+)\.0+$", r"\1", tcga_patient(name))


def _without_r(name: str) -> str:
    text = _SEPARATORS.sub("-", _whole_number(name)).strip("-")
    return re.sub(r"^x(?=\d)", "", text)


def _without_zeros(name: str) -> str:
    return loose(_without_r(name))


def without_word(name: str) -> str:
    """Return the part of an id that the last and most tolerant rule compares.

    >>> without_word("sub-007"), without_word("X7")
    ('7', '7')
    """
    return _WORD.sub("", _without_zeros(name))


SAMPLES = "by the patient's part of a TCGA barcode"
# what the note says -> the part of an id that is compared; each rule ignores what the rules before it ignore
RULES: dict[str, Callable[[str], str]] = {
    "ignoring upper case and spaces": _plain,
    SAMPLES: tcga_patient,
    "ignoring .0 after whole numbers": _whole_number,
    "ignoring the X and the dots of R's names": _without_r,
    "ignoring leading zeros and separators": _without_zeros,
    "ignoring a word such as patient or sub before the number": without_word,
}
