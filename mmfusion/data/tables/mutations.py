"""Words for the mutation status of a gene, in health records and in labels."""

from __future__ import annotations

import re

WILD_TYPE = ("wildtype", "wild type", "wild-type", "wt", "negative", "neg", "not detected", "no", "0", "0.0")
MUTANT = ("mutant", "mutated", "mutation", "mut", "positive", "pos", "detected", "yes", "1", "1.0")

# parts of a named variant, such as "exon 19 deletion", "del19", "E746_A750del", "L858R + T790M"
_CHANGE = re.compile(
    r"(e|ex|exon)?\d*(del|ins|dup|mut|skip)[a-z]*\d*|[a-z]\d+(del|ins|dup)[a-z]*|positive|detected"
)
_SUBSTITUTION = re.compile(r"([a-z]|[a-z]{3})\d{2,4}([a-z]|[a-z]{3})")
_DOUBT = re.compile(r"\?|-(?!\w)|(?<!\w)-")  # "L858R?", "T790M (-)"; not the hyphen of "in-frame"
_BESIDE = re.compile(r"(e|ex|exon|exons)?\d*|p|c|[a-z]\d+|and|in|frame|inframe|point|missense|egfr|kras")


def mutation_status(text: str) -> str | None:
    """Return "wildtype" or "mutant", or None if the text is not a mutation status.

    A named variant counts as mutant, if each word of the text belongs to it. A text with any other word is
    not a status: "exon 19 deletion not detected" is neither read as a deletion nor as wild type. Nor is a
    substitution that keeps the amino acid (Q787Q), the name of an exon alone, or a text with a question mark
    or a minus sign, such as "T790M (-)".

    Examples
    --------
    >>> mutation_status("WT"), mutation_status("L858R"), mutation_status("exon 19 deletion")
    ('wildtype', 'mutant', 'mutant')
    >>> mutation_status("exon 19 deletion not detected"), mutation_status("exons 18-21")
    (None, None)
    """
    word = " ".join(text.lower().replace("_", " ").split())
    if word in WILD_TYPE:
        return "wildtype"
    if word in MUTANT:
        return "mutant"
    return "mutant" if not _DOUBT.search(word) and _is_variant(re.findall(r"[^\W_]+", word)) else None


def _is_variant(words: list[str]) -> bool:
    changed = [bool(_CHANGE.fullmatch(word)) or _is_substitution(word) for word in words]
    return any(changed) and all(c or _BESIDE.fullmatch(w) for c, w in zip(changed, words, strict=True))


def _is_substitution(word: str) -> bool:
    found = _SUBSTITUTION.fullmatch(word)
    return found is not None and found[1] != found[2]
