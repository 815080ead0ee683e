import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, PositronEmissionTomographyImageStorage

import mmfusion
from mmfusion import modalities
from mmfusion.errors import DataError
from mmfusion.modalities import BY_DICOM, BY_UNIT, IMAGING, MODALITIES, STREAMS, get_modality, scan_modality


def test_the_table():
    assert list(MODALITIES) == ["ct", "pet", "rna", "ehr"]
    assert IMAGING == ("ct", "pet")
    assert STREAMS == ("ct", "ct_table", "pet", "pet_table", "rna", "ehr")
    assert BY_DICOM["CT"].sop_class == CTImageStorage and BY_UNIT["HU"].name == "ct"
    assert BY_DICOM["PT"].sop_class == PositronEmissionTomographyImageStorage
    assert BY_UNIT["SUVbw"].name == "pet"
    for scan in map(MODALITIES.get, IMAGING):
        assert scan.window[0] < scan.window[1] and scan.shown[0] < scan.shown[1] and scan.words


def test_names_that_are_not_there():
    with pytest.raises(DataError, match=r"no such modality \(expected ct, pet, rna, ehr; got 'mri'\)"):
        get_modality("mri")
    with pytest.raises(DataError, match=r"not a modality of scans \(expected ct or pet; got 'rna'\)"):
        scan_modality("rna")


def test_no_module_keeps_a_list_of_its_own():
    root = Path(mmfusion.__file__).parent
    own = [
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        if file.name != "modalities.py" and '("ct", "pet"' in file.read_text(encoding="utf-8")
    ]
    assert not own


def test_nothing_heavy_is_loaded():
    code = (
        "import sys, mmfusion.modalities; print({'numpy', 'pandas', 'torch', 'pydicom'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"


def test_examples():
    result = doctest.testmod(modalities)
    assert result.attempted and not result.failed
