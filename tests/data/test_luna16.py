"""The table of nodules of LUNA16."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.data import read_luna16
from mmfusion.errors import DataError


def test_luna16(tmp_path):
    (tmp_path / "subset3").mkdir()
    (tmp_path / "subset3" / "1.3.6.mhd").touch()
    (tmp_path / "annotations.csv").write_text(
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n"
        "1.3.6,-128.7,-175.3,-298.4,5.65\n1.3.6,103.8,-211.9,-227.1,4.22\n1.3.7,69.6,-140.9,876.4,5.79\n"
    )
    found = read_luna16(tmp_path)
    np.testing.assert_allclose(
        found.of("1.3.6"), [[-128.7, -175.3, -298.4, 5.65], [103.8, -211.9, -227.1, 4.22]]
    )
    assert found.scans.loc["1.3.6", "subset"] == 3
    assert pd.isna(found.scans.loc["1.3.7", "volume"])
    assert any("masks" in note for note in found.provenance["notes"])
    with pytest.raises(DataError, match="no such scan"):
        found.of("2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seriesuid,coordX\n1,2", "not the table of nodules"),
        ("seriesuid,coordX,coordY,coordZ,diameter_mm\n1.3,1,2,3,-5", r"1\.3.*impossible nodule"),
        ("seriesuid,coordX,coordY,coordZ,diameter_mm\n1.3,1,2,here,5", "impossible nodule"),
    ],
)
def test_luna16_that_cannot_be_read(tmp_path, text, message):
    (tmp_path / "annotations.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_luna16(tmp_path)
