"""Headers of what is known only at or after the stage: never among the inputs."""

from __future__ import annotations

import re

from mmfusion.data.files import header_key

# T, N, M, pathology of the resected tumour, treatment, outcome; or a date
_LEAKS = re.compile(
    r"stage|staging|\bajcc|\bgrade|invasion|recurren|relapse|progressi|surviv|death|dead|vital|\balive|follow|treatment"
    r"|therap|chemo|radiation|adjuvant|surg|residual|margin status|metasta|tumou?r status|new tumou?r|neoplasm"
    r"|^(os|dss|dfi|pfi|rfs|pfs)( |$)|^[cp]?[tnm]$|\bdates?\b|days (to|between)|^pathologic(al)? [tnm]\b"
    r"|^clinical [tnm]\b|cause of|censor|\bevent\b"
)


def gives_stage_away(column: object) -> bool:
    """Whether a column's header says that it tells the stage, follows it, or is a date."""
    return bool(_LEAKS.search(header_key(column)))
