"""A folder as a user has it."""

import pytest

from tests.data.discovery.folders import EHR, RNA, dicom


@pytest.fixture
def study(tmp_path):
    root = tmp_path / "my_data"
    (root / "scans").mkdir(parents=True)
    (root / "clinical.csv").write_text(EHR)
    (root / "expression.csv").write_text(RNA)
    (root / "notes.docx").write_text("hello")
    dicom(root / "scans" / "P-001" / "series", patient="anon")
    (root / "scans" / "p2_ct.nii.gz").write_bytes(b"nifti")
    (root / "scans" / "P-003.nrrd").write_bytes(b"nrrd")
    (root / "scans" / "P-003_tumour_mask.nrrd").write_bytes(b"mask")
    return root
