import pytest

from mmfusion.data.sources.lung1 import lung1
from mmfusion.data.sources.radiogenomics import radiogenomics
from mmfusion.data.tables.files import by_patient, read_table
from mmfusion.errors import LeakageError
from mmfusion.evaluation.leakage.guards import check_forbidden

OFFICIAL = [
    "Pathological T stage", "Pathological N stage", "Pathological M stage",
    "Pleural invasion (elastic, visceral, or parietal)", "Lymphovascular invasion", "Histopathological Grade",
    "Adjuvant Treatment", "Chemotherapy", "Radiation", "Recurrence", "Recurrence Location",
    "Date of Recurrence", "Survival Status", "Date of Death", "Time to Death (days)",
    "Date of Last Known Alive", "CT Date", "PET Date", "Days between CT and surgery", "clinical.T.Stage",
    "Clinical.N.Stage", "Clinical.M.Stage", "Overall.Stage", "Survival.time", "deadstatus.event",
]  # fmt: skip
CANONICAL = ["t_stage", "n_stage", "m_stage", "stage", "grade", "T", "pN", "stage3_ajcc7"]
ALLOWED = [
    *("age", "sex", "ethnicity", "weight", "smoking_status", "pack_years", "years_since_quit"),
    *("ground_glass", "lobe_rul", "histology", "egfr", "kras", "alk"),
]


@pytest.mark.parametrize("column", [*OFFICIAL, *CANONICAL])
def test_forbidden(column):
    for name in (column, column.upper(), ("ehr", column), ("ct", column)):
        with pytest.raises(LeakageError, match="allow_leaky=True") as raised:
            check_forbidden(["age", name], "stage3_ajcc7")
        assert raised.value.column in (column, column.upper())


def test_allowed_and_genes_by_the_same_letters():
    check_forbidden(ALLOWED, "stage3_ajcc7")
    check_forbidden([("rna", "T"), ("rna", "OS9"), ("meta", "ct_date")], None)


def test_real_columns(shared_data):
    for cohort in (
        lung1(shared_data / "lung1"),
        radiogenomics(shared_data / "nsclc_radiogenomics", aim="all"),
    ):
        check_forbidden(cohort.X.columns, cohort.target)
    with pytest.raises(LeakageError, match="t_stage, n_stage, m_stage"):
        check_forbidden(lung1(shared_data / "lung1", allow_leaky=True).X.columns, "stage4_lung1")
    [file] = (shared_data / "nsclc_radiogenomics").glob("NSCLCR01*.csv")
    with pytest.raises(LeakageError) as raised:
        check_forbidden(by_patient(read_table(file), "Case ID").columns)
    assert all(column in raised.value.column for column in OFFICIAL[:9])
