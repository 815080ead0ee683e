"""Expression of a panel: genes, scale, and the RNA block that is left out of the inputs."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.cohort import Cohort
from mmfusion.data.targets import get_target
from mmfusion.data.targets.expression import CSPAT
from mmfusion.errors import DataError

IDS = pd.Index(["a", "b", "c"], name="patient_id")


def cohort(unit="tpm", target="expression", genes=("EGFR", "MET", "X1"), **outcomes):
    values = np.array([[1.0, 3.0, 96.0], [7.0, np.nan, 3.0], [np.nan] * 3])
    if unit == "zscore":
        values = values - 4
    columns = {("rna", gene): values[:, j] for j, gene in enumerate(genes)}
    table = pd.DataFrame({**columns, ("ehr", "age"): [60.0, 61.0, 62.0]}, index=IDS)
    return Cohort("t", table, pd.DataFrame(outcomes, index=IDS), target, units={"rna": unit})


def test_the_panel_of_the_paper():
    assert " ".join(CSPAT) == (
        "EGFR KRAS ALK ROS1 MET ERBB2 BRAF RET TP53 STK11 KEAP1 CD274 NKX2-1 KRT5 MKI67 VEGFA"
    )


def test_logarithm_of_tpm_without_the_rna_block():
    got = cohort()
    assert got.y.to_dict("list") == {"EGFR": [1.0, 3.0], "MET": [2.0, pytest.approx(np.nan, nan_ok=True)]}
    assert (got.y.dtypes == "float64").all()
    assert got.X.columns.tolist() == [("ehr", "age")] and got.modalities == ["ehr"]
    assert got.X.attrs == {"units": {}}
    assert len(got) == 2  # the third patient has no RNA
    assert "expression: EGFR 2, MET 1" in repr(got)


@pytest.mark.parametrize(
    ("unit", "first", "said"),
    [
        ("counts", [np.log2(1e4 + 1), np.log2(3e4 + 1)], "log2(CPM + 1)"),  # of 100 counts
        ("fpkm", [1.0, 2.0], "log2(FPKM + 1)"),  # three genes are no transcriptome
        ("log", [1.0, 3.0], "the logarithm that the table has"),
        ("zscore", [-3.0, -1.0], "the z-scores that the table has"),
    ],
)
def test_other_units(unit, first, said):
    got = cohort(unit)
    np.testing.assert_allclose(got.y.loc["a"], first)
    assert got.provenance["expression_unit"] == said
    assert got.notes[0] == f"expression of EGFR, MET in {said}"


def test_fpkm_of_a_transcriptome_becomes_tpm():
    genes = ["EGFR", *(f"G{j}" for j in range(4999))]
    values = np.full((3, 5000), 2.0)
    table = pd.concat({"rna": pd.DataFrame(values, index=IDS, columns=genes)}, axis=1)
    got = Cohort("t", table, pd.DataFrame(index=IDS), "expression", units={"rna": "fpkm"})
    np.testing.assert_allclose(got.y["EGFR"], np.log2(1e6 / 5000 + 1))


def test_absent_genes_are_named():
    assert cohort().notes[1] == (
        "14 of the panel's 16 genes are not in this cohort: KRAS, ALK, ROS1, ERBB2, BRAF, RET, TP53, STK11, "
        "KEAP1, CD274, NKX2-1, KRT5, MKI67, VEGFA"
    )


def test_another_panel():
    got = cohort(target="expression:MET,X1")
    assert list(got.y) == ["MET", "X1"] and got.target == "expression:MET,X1"
    assert got.with_target("expression: EGFR").y.columns.tolist() == ["EGFR"]
    with pytest.raises(DataError, match="not a panel"):
        get_target("expression:MET,MET")
    with pytest.raises(DataError, match="none of the panel's genes"):
        got.with_target("expression:TP53")
    with pytest.raises(DataError, match="takes no argument after its name"):
        get_target("egfr:1")


def test_labels_stay_when_the_block_goes():
    got = cohort("counts").select(modalities=["ehr"])
    assert "rna" not in got.table and got.units == {}
    pd.testing.assert_frame_equal(got.y, cohort("counts").y)
    assert got.select(patients=["b"]).y.index.tolist() == ["b"]


def test_read_from_the_outcomes():
    got = cohort(genes=("X1", "X2", "X3"), expression_TP53=[0.5, None, 2.5])
    assert got.y.to_dict("list") == {"TP53": [0.5, 2.5]}
    assert got.y.index.tolist() == ["a", "c"]
