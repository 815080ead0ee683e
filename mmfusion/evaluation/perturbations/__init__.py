"""Changes of inputs, with a strength in physical units, to measure how robust a fitted model is."""

from mmfusion.lazy import lazy

_HOME = {
    "add_noise": "scans",
    "change_contrast": "scans",
    "lower_dose": "scans",
    "thicken_slices": "scans",
    "change_kernel": "scans",
    "drop_genes": "tables",
    "shift_genes": "tables",
    "blank_fields": "tables",
    "wrong_units": "tables",
    "PERTURBATIONS": "catalogue",
    "Perturbation": "catalogue",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
