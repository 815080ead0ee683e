"""Public reports about patient ids that do not meet: one small input each, with the right answer."""

from __future__ import annotations

import pytest

from mmfusion.cli import main
from mmfusion.data.load import load_cohort

STAGES = ("IA", "IB", "IIA", "IIIA")
GENES = ("TP53", "EGFR", "KRAS", "ALK", "MET")


def study(folder, ids, samples):
    """Write a clinical table of some ids, and a table of genes x samples."""
    rows = "".join(f"{p},{50 + k},{STAGES[k % 4]}\n" for k, p in enumerate(ids))
    (folder / "clinical.csv").write_text("patient_id,age,stage\n" + rows)
    lines = ["gene," + ",".join(samples)]
    lines += [
        f"{gene}," + ",".join(str(200 + i + k) for k in range(len(samples))) for i, gene in enumerate(GENES)
    ]
    (folder / "rna.csv").write_text("\n".join(lines) + "\n")
    assert main(["init", str(folder)]) == 0
    return folder / "data_manifest.csv"


BARCODES = [f"TCGA-05-40{k:02d}" for k in range(8)]


def test_aliquot_barcodes_of_expression_meet_barcodes_of_patients(tmp_path, capsys):
    """TCGAbiolinks issue 525: the columns of expression are aliquots, the clinical table has patients."""
    manifest = study(tmp_path, BARCODES, [f"{p}-01A-11R-1107-07" for p in BARCODES])
    cohort = load_cohort(manifest)
    assert list(cohort.table.index) == BARCODES
    assert cohort.table.loc["TCGA-05-4003", ("rna", "EGFR")] == 204
    assert main(["validate", str(manifest)]) == 0
    assert "8 ids were matched by the patient's part of a TCGA barcode" in capsys.readouterr().out


def test_sample_ids_of_cbioportal_meet_patients(tmp_path):
    """cBioPortal datahub issue 574: expression is listed by sample (-01), the clinical table by patient."""
    cohort = load_cohort(study(tmp_path, BARCODES, [f"{p}-01" for p in BARCODES]))
    assert len(cohort.table) == 8 and cohort.table.notna().all(axis=None)


def test_tumour_and_normal_tissue_of_one_patient(tmp_path):
    """TCGAbiolinks issue 525: of a tumour (01) and normal tissue (11) of one patient, the tumour is used."""
    samples = [f"{p}-01A-11R-1107-07" for p in BARCODES] + [f"{p}-11A-11R-1107-07" for p in BARCODES[:3]]
    cohort = load_cohort(study(tmp_path, BARCODES, samples))
    assert len(cohort.table) == 8 and cohort.table.loc[BARCODES[0], ("rna", "TP53")] == 200
    assert any("3 ids were left out as normal tissue" in note for note in cohort.notes)


@pytest.mark.parametrize("write", ["X{}".format, "{}.0".format, "0{}".format])
def test_names_that_other_programs_rewrite(tmp_path, write):
    """R's check.names puts X before numbers; pandas and spreadsheets write whole numbers with .0 or zeros."""
    ids = [str(k) for k in range(100, 108)]
    cohort = load_cohort(study(tmp_path, ids, [write(i) for i in ids]))
    assert list(cohort.table.index) == ids and cohort.table.notna().all(axis=None)


def test_names_with_dots_for_hyphens(tmp_path):
    """R's check.names also writes a dot for each hyphen: TCGA.05.4000."""
    cohort = load_cohort(study(tmp_path, BARCODES, [p.replace("-", ".") for p in BARCODES]))
    assert list(cohort.table.index) == BARCODES and cohort.table.notna().all(axis=None)


def test_ids_of_another_study_are_not_well(tmp_path, capsys):
    """cBioPortal datahub issue 574: no id of one file is in the other; this is said, and is no cohort."""
    manifest = study(tmp_path, BARCODES, [f"P-{k:07d}-T01-IM3" for k in range(8)])
    capsys.readouterr()
    assert main(["validate", str(manifest)]) == 1
    text = capsys.readouterr().out
    assert "rna shares no patient with ehr and labels" in text and "all is well" not in text
