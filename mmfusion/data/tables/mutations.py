"""Words for the mutation status of a gene, in health records and in labels."""

from __future__ import annotations

import re

WILD_TYPE = ("wildtype", "wild type", "wild-type", "wt", "negative", "neg", "not detected", "no", "0", "0.0")
MUTANT = ("mutant", "mutated", "mutation", "mut", "positive", "pos", "detected", "yes", "1", "1.0")
# a named variant: "exon 19 deletion", "L858R", "G12C", "del19"
_VARIANT = re.compile(r"(exon|ex) ?\d+.*|(del|ins) ?\d+.*|(p\.)?[a-z]\d{2,4}[a-z]", re.IGNORECASE)


def mutation_status(text: str) -> str | None:
    """Return "wildtype" or "mutant", or None if the text is not a mutation status.

    A named variant counts as mutant.

    Examples
    --------
    >>> mutation_status("WT"), mutation_status("L858R"), mutation_status("exon 19 deletion")
    ('wildtype', 'mutant', 'mutant')
    >>> mutation_status("maybe") is None
    True
    """
    word = text.lower().replace("_", " ")
    if word in WILD_TYPE:
        return "wildtype"
    return "mutant" if word in MUTANT or _VARIANT.fullmatch(word) else None
