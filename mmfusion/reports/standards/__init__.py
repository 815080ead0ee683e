"""The items of TRIPOD+AI and of CLAIM, and the sections of each report that answer them.

Two tables beside this file are the data. `items.csv` has a row per item of a standard, in our own words: the
most that a report can say (`level`: yes, partly, no), the roles of the sections that say it (`answered_by`),
and what the authors of a paper have to add (`authors`). `sections.csv` has a row per section of a report: its
role, its heading, and `at_most`, which is "partly" if the section says less than its role can. A new report
needs rows in `sections.csv` only.

TRIPOD+AI: Collins et al. 2024, BMJ 385:e078378 (27 items, some of them divided). CLAIM, update of 2024:
Tejani et al. 2024, Radiology: Artificial Intelligence 6(4):e240300 (44 items).
"""

from mmfusion.lazy import lazy

_HOME = {
    "standards_table": "table",
    "standards_summary": "table",
    "reports_with_sections": "table",
    "StandardsCard": "card",
    "standards_card": "card",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
