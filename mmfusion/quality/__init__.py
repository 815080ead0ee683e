"""Quality of scans: survey of a cohort, comparison of restorers, and separability of sites."""

from mmfusion.lazy import lazy

_HOME = {
    "RestorerComparison": "restorers",
    "compare_restorers": "restorers",
    "ScanSurvey": "survey",
    "survey_scans": "survey",
    "SiteSeparability": "separability",
    "site_separability": "separability",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
