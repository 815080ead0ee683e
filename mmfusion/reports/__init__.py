"""Make reports from notebooks: run them, turn them into HTML, list and compare them."""

from mmfusion.lazy import lazy

_HOME = {
    "run_report": "runner",
    "run_batch": "batch",
    "compare_runs": "compare",
    "RunComparison": "compare",
    "build_index": "index",
    "find_notebook": "notebooks",
    "list_notebooks": "notebooks",
    "notebook_parameters": "parameters",
    "file_name": "output",
    "save_figure": "output",
    "write_metrics": "output",
    "write_predictions": "predictions",
    "read_predictions": "predictions",
    "recompute": "predictions",
    "words": "text",
    "words_or_none": "text",
    "bullets": "text",
    "full_table": "text",
    "paragraph": "text",
    "standards_card": "standards",
    "standards_summary": "standards",
    "standards_table": "standards",
    "collected": "warned",
    "warnings_given": "warned",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
