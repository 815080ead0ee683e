import numpy as np
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import read, read_aim_points, read_mask
from tests.imaging.structure_sets import OBLIQUE, scan

XML = """<ImageAnnotationCollection xmlns="gme://caCORE.caCORE/4.4/edu.northwestern.radiology.AIM"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><MarkupEntity xsi:type="{kind}">
 <imageReferenceUid root="{uid}"/><twoDimensionSpatialCoordinateCollection>{points}
 </twoDimensionSpatialCoordinateCollection></MarkupEntity></ImageAnnotationCollection>"""


def annotation(path, uid, points, kind="TwoDimensionCircle"):
    text = "".join(
        f'<TwoDimensionSpatialCoordinate><x value="{x}"/><y value="{y}"/></TwoDimensionSpatialCoordinate>'
        for x, y in points
    )
    path.write_text(XML.format(kind=kind, uid=uid, points=text))
    return path


def test_a_real_mark_lies_in_the_tumour(shared_data):
    folder = shared_data / "nsclc_radiogenomics"
    marks = read_aim_points(folder / "aim" / "R01-001.xml", folder / "ct" / "R01-001.zip")
    assert marks["shape"].tolist() == ["TwoDimensionCircle"]
    point = marks.loc[0, ["x", "y", "z"]].to_numpy(float)
    np.testing.assert_allclose(point, [-95.7, -145.0, -66.1], atol=4)  # fmcib's seed of the same patient
    assert marks.radius_mm[0] == pytest.approx(3.83, abs=0.01)
    assert read(folder / "ct" / "R01-001.zip").crop(point, 8, 1).array.mean() > -300


def test_places(tmp_path):
    import pydicom

    folder, ct = scan(tmp_path / "ct", orientation=OBLIQUE)
    header = pydicom.dcmread(sorted(folder.iterdir())[3])
    row, column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    expected = np.array(header.ImagePositionPatient, float) + row * 0.9 * 10 + column * 0.8 * 20
    uid = header.SOPInstanceUID
    circle = read_aim_points(annotation(tmp_path / "a.xml", uid, [(10.5, 20.5), (13.5, 20.5)]), folder)
    np.testing.assert_allclose(circle.loc[0, ["x", "y", "z"]].to_numpy(float), expected, atol=1e-4)
    assert circle.radius_mm[0] == pytest.approx(3 * 0.9)
    assert ct.contains(expected)
    points = annotation(tmp_path / "b.xml", uid, [(9.5, 18.5), (11.5, 22.5)], "TwoDimensionMultiPoint")
    middle = read_aim_points(points, folder)
    np.testing.assert_allclose(middle.loc[0, ["x", "y", "z"]].to_numpy(float), expected, atol=1e-4)
    assert np.isnan(middle.radius_mm[0])


def test_what_has_no_place(tmp_path):
    folder, _ = scan(tmp_path / "ct")
    with pytest.raises(ScanError, match=r"drawn on a slice that is not there .*one of 8 slices.*got 1.2.3"):
        read_aim_points(annotation(tmp_path / "a.xml", "1.2.3", [(1, 2)]), folder)
    with pytest.raises(ScanError, match="without coordinates"):
        import pydicom

        uid = pydicom.dcmread(next(folder.iterdir())).SOPInstanceUID
        read_aim_points(annotation(tmp_path / "a.xml", uid, [("x", 2)]), folder)
    (tmp_path / "b.xml").write_text("<a/>")
    with pytest.raises(ScanError, match="the file has no mark"):
        read_aim_points(tmp_path / "b.xml", folder)
    (tmp_path / "b.xml").write_text("<a")
    with pytest.raises(ScanError, match="not an AIM file"):
        read_aim_points(tmp_path / "b.xml", folder)
    with pytest.raises(ScanError, match=r"unknown mask format .*read_aim_points"):
        read_mask(tmp_path / "b.xml")
