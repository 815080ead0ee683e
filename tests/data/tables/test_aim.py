import pandas as pd
import pytest

from mmfusion.data.tables.aim import feature_name, read_aim, read_aim_folder
from mmfusion.errors import DataError


def test_every_published_annotation(shared_data):
    """190 files in two dialects against the tidied table, cell by cell."""
    folder = shared_data / "nsclc_radiogenomics"
    tidy = pd.read_csv(folder / "aim_semantic_features.csv", index_col="Case ID", dtype="str").drop(
        columns="file"
    )
    read = read_aim_folder(folder / "aim")
    pd.testing.assert_frame_equal(read.loc[tidy.index, tidy.columns], tidy, check_names=False)
    assert read.shape == (190, 28)
    assert read.notna().all().sum() == 15


def test_names():
    label = "Nodules in Contralateral Lung (gretater than 4mm noncalcified)"
    assert feature_name(label) == "nodules_in_contralateral_lung"
    assert feature_name("Nodule Margins-Primary Pattern") == "nodule_margins_primary_pattern"


@pytest.mark.parametrize("text", ["<a>", "<a/>", '<ImageAnnotationCollection xmlns="x"/>'])
def test_other_xml_is_an_error(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match="AIM") as raised:
        read_aim(tmp_path / "a.xml")
    assert raised.value.file == tmp_path / "a.xml"


def test_two_annotations_of_one_patient_are_an_error(tmp_path):
    text = (
        '<ImageAnnotationCollection xmlns="x"><person><id value="p1"/></person></ImageAnnotationCollection>'
    )
    for name in "ab":
        (tmp_path / f"{name}.xml").write_text(text)
    with pytest.raises(DataError, match="two annotations") as raised:
        read_aim_folder(tmp_path)
    assert raised.value.patient == "p1"
