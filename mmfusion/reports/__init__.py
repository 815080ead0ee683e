"""Reports: notebooks executed by papermill, whole or not at all, with their HTML, metrics and an index."""

from importlib import import_module

_HOME = {
    "run_report": "runner",
    "run_batch": "batch",
    "compare_runs": "compare",
    "Comparison": "compare",
    "build_index": "index",
    "find_notebook": "notebooks",
    "list_notebooks": "notebooks",
    "notebook_parameters": "notebooks",
    "save_figure": "output",
    "write_metrics": "output",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'mmfusion.reports' has no attribute {name!r}")
    return getattr(import_module(f"mmfusion.reports.{_HOME[name]}"), name)
