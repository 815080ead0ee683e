"""Cohorts: patients, modalities, labels; from files to plain pandas, and splits by patient."""

from mmfusion.lazy import lazy

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
    "write_cohort": "export",
    "read_ehr": "tables",
    "read_rna": "tables",
    "Splits": "splits",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
