"""Cohorts: patients, modalities, labels; from files to plain pandas, and splits by patient."""

from importlib import import_module

_HOME = {
    "Cohort": "cohort",
    "presence": "cohort",
    "TARGETS": "tnm",
    "stage_group": "tnm",
    "target_labels": "tnm",
    "load_cohort": "load",
    "read_manifest": "manifest",
    "write_manifest": "manifest",
    "check_hashes": "manifest",
    "read_ehr": "tables",
    "read_rna": "tables",
    "Splits": "splits",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'mmfusion.data' has no attribute {name!r}")
    return getattr(import_module(f"mmfusion.data.{_HOME[name]}"), name)
