"""Cohorts: files are read into pandas tables of patients, with labels and splits by patient."""

from mmfusion.lazy import lazy

_HOME = {
    "Cohort": "cohort",
    "presence": "blocks",
    "get_target": "targets",
    "list_targets": "targets",
    "stage_group": "targets.ajcc",
    "target_labels": "targets.stage",
    "load_cohort": "load",
    "read_manifest": "manifest",
    "write_manifest": "manifest",
    "check_hashes": "manifest",
    "write_cohort": "export",
    "write_nnunet": "nnunet",
    "find_duplicates": "duplicates",
    "check_no_duplicates": "duplicates",
    "read_luna16": "luna16",
    "read_pclt20k": "pclt20k",
    "read_ehr": "tables.readers",
    "read_rna": "tables.readers",
    "Splits": "splits",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
