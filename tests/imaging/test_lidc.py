"""LIDC-IDRI: contours lie outside the nodule, readers are matched, and the consensus has a known volume."""

import numpy as np
import pytest

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import Volume, lidc_nodules, read, read_lidc, read_mask
from mmfusion.imaging.structures.lidc_masks import enclosed
from tests.imaging.lidc_files import ball, nodule, other, outside, small, write_lidc

AFFINE = np.diag([0.7, 0.7, 1.25, 1.0])
AFFINE[:3, 3] = -150.0, -160.0, -200.0
SHAPE = (14, 40, 44)
CT = Volume(np.full(SHAPE, -800, np.int16), AFFINE, series_uid="1.2.3")


def sphere(z=6, y=18, x=20, radius=5.0):
    return ball(SHAPE, (z, y, x), radius, AFFINE)


def test_a_contour_encloses_what_it_does_not_run_on():
    plane = sphere().array[6]
    [chain] = outside(plane)
    np.testing.assert_array_equal(enclosed(np.array(chain), plane.shape), plane)
    # the same contour, of which only the corners are stated
    corners = np.array([[10, 10], [20, 10], [20, 16], [10, 16]])
    assert enclosed(corners, (30, 30)).sum() == 9 * 5
    assert enclosed(corners[::-1], (30, 30)).sum() == 9 * 5
    assert not enclosed(np.array([[10, 10]]), (30, 30)).any()
    assert not enclosed(np.array([[10, 10], [14, 10]]), (30, 30)).any()


def test_a_sphere_keeps_its_volume(tmp_path):
    """The contour pixels are 28 % to 60 % of such small spheres, so counting them in would show."""
    mask = sphere()
    file = write_lidc(tmp_path / "1.xml", [[nodule(mask)]] * 4)
    found = read_mask(file, CT)
    np.testing.assert_array_equal(found.array, mask.array)
    with_contours = sum(
        len({p for chain in outside(plane) for p in chain}) for plane in mask.array if plane.any()
    )
    assert with_contours / mask.array.sum() > 0.28
    assert found.volume_ml() == pytest.approx(mask.volume_ml())


def test_consensus_of_shifted_readers(tmp_path):
    """Voxels of at least half of those who drew the nodule; of two of four, and of two of three."""
    masks = [sphere(x=x) for x in (18, 20, 20, 22)]
    votes = sum(m.array.astype(int) for m in masks)
    file = write_lidc(tmp_path / "1.xml", [[nodule(m)] for m in masks])
    [found] = lidc_nodules(read_lidc(file), CT)
    assert found.readers == 4
    np.testing.assert_array_equal(found.consensus().array, votes >= 2)
    np.testing.assert_array_equal(found.consensus(share=1).array, votes == 4)
    np.testing.assert_array_equal(found.of_reader(4).array, masks[3].array)
    assert not found.of_reader(5).array.any()
    three = write_lidc(tmp_path / "2.xml", [[nodule(m)] for m in masks[:3]] + [[]])
    np.testing.assert_array_equal(
        read_mask(three, CT).array, sum(m.array.astype(int) for m in masks[:3]) >= 2
    )
    assert found.marks[0].ratings == {"subtlety": 5, "malignancy": 4}


def test_what_is_no_nodule_is_kept_apart(tmp_path):
    first, second = sphere(), sphere(y=30, x=34, radius=3)
    readers = [
        [nodule(first, "a"), small((3, 3), -195.0), other((5, 5), -195.0)],
        [nodule(first, "77"), nodule(second, "b")],
        [nodule(second, "1")],
        [],
    ]
    reading = read_lidc(write_lidc(tmp_path / "1.xml", readers))
    assert reading.readers == 4 and reading.series_uid == "1.2.3"
    assert [(m.reader, m.kind) for m in reading.marks] == [
        (1, "nodule"), (1, "small"), (1, "other"), (2, "nodule"), (2, "nodule"), (3, "nodule"),
    ]  # fmt: skip
    found = lidc_nodules(reading, CT)
    assert [n.number for n in found] == [1, 2]
    assert [n.readers for n in found] == [2, 2]
    np.testing.assert_array_equal(read_mask(reading.path, CT, 2).array, second.array)
    np.testing.assert_array_equal(read_mask(reading.path, CT, "*").array, first.array | second.array)
    with pytest.raises(ScanError, match=r"2 regions .*1 'nodule 1', 2 'nodule 2'"):
        read_mask(reading.path, CT)


def test_an_excluded_region_is_a_hole(tmp_path):
    mask = sphere(radius=6)
    hole = sphere(radius=2).array
    file = write_lidc(tmp_path / "1.xml", [[nodule(mask, holes=hole)]] * 2)
    np.testing.assert_array_equal(read_mask(file, CT).array, mask.array & ~hole & 1)


def test_nodules_of_one_reader_are_named_and_left_out(tmp_path):
    file = write_lidc(tmp_path / "1.xml", [[nodule(sphere())], [], [], []])
    with pytest.warns(ScanWarning, match="1 drawn by fewer than 2 readers"):
        mask = read_mask(file, CT, "*")
    assert not mask.array.any()
    assert len(lidc_nodules(read_lidc(file), CT, readers=1)) == 1
    nothing = write_lidc(tmp_path / "2.xml", [[]] * 4)
    assert not read_mask(nothing, CT, "*").array.any()


def test_scans_that_were_not_read(tmp_path):
    file = write_lidc(tmp_path / "1.xml", [[nodule(sphere())]] * 4)
    with pytest.raises(ScanError, match=r"another series .*expected 9.9; got 1.2.3"):
        read_mask(file, Volume(CT.array, AFFINE, series_uid="9.9"))
    unnamed = Volume(CT.array, AFFINE)
    with pytest.raises(ScanError, match=r"1.xml.*reader 1, mark 1: drawn on a slice that is not there"):
        read_mask(file, unnamed.resample((1.0, 0.7, 0.7)))
    with pytest.raises(ScanError, match="larger scan"):
        read_mask(file, Volume(CT.array[:, :, :22], AFFINE))
    with pytest.raises(ScanError, match="contours have no grid"):
        read_mask(file)
    with pytest.raises(ScanError, match="no such consensus"):
        lidc_nodules(read_lidc(file), CT, share=0)


BOMB = '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><LidcReadMessage>&z;</LidcReadMessage>'
HEADLESS = '<?xml version="1.0"?>'
ROI = "<roi><imageZposition>{z}</imageZposition><inclusion>{inside}</inclusion>{points}</roi>"
POINT = "<edgeMap><xCoord>{x}</xCoord><yCoord>3</yCoord></edgeMap>"


def one_roi(**changes):
    values = {"z": "-200", "inside": "TRUE", "x": "4"} | changes
    roi = ROI.format(points=POINT.format(**values) * 3, **values)
    nodule = f"<unblindedReadNodule><noduleID>7</noduleID>{roi}</unblindedReadNodule>"
    return f"<LidcReadMessage><readingSession>{nodule}</readingSession></LidcReadMessage>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "document type"),
        (HEADLESS, "not a LIDC-IDRI file"),
        ("<IdriReadMessage/>", "chest radiograph"),
        ("<LidcReadMessage/>", "no reading session"),
        (one_roi(z="up"), "reader 1, mark 7: a contour without a place"),
        (one_roi(z="nan"), "without a place"),
        (one_roi(x="-3"), "without a place"),
        (one_roi(x="4.5"), "without a place"),
        (one_roi(x="99999999999"), "without a place"),
        (one_roi(inside="MAYBE"), "unknown inclusion"),
        (one_roi()[:-30], "not a LIDC-IDRI file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, message):
    file = tmp_path / "1.xml"
    file.write_text(text)
    with pytest.raises(ScanError, match=message) as raised:
        read_lidc(file)
    assert raised.value.file == file


def test_a_real_nodule(shared_data, tmp_path):
    """LIDC-IDRI-0314: readers 1.87, 2.27, 1.52 and 2.09 mL, consensus 2.08 mL; with contours 28 % more."""
    folder = shared_data / "lesions" / "LIDC-IDRI-0314"
    ct = read(folder / "ct_crop_native.nii.gz")
    masks = [read_mask(folder / f"reader{k}_crop_native.nii.gz", ct) for k in (1, 2, 3, 4)]
    file = write_lidc(tmp_path / "069.xml", [[nodule(m)] for m in masks])
    [found] = lidc_nodules(read_lidc(file), ct)
    volumes = [found.of_reader(k).volume_ml() for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(volumes, [1.87, 2.27, 1.52, 2.09], atol=0.01)
    published = read_mask(folder / "consensus_crop_native.nii.gz", ct)
    np.testing.assert_array_equal(found.consensus().array, published.array)
    assert found.consensus().volume_ml() == pytest.approx(2.08, abs=0.01)
    with_contours = published.array.copy()
    for plane in with_contours:
        for chain in outside(plane):
            plane[tuple(np.array(chain).T[::-1])] = 1
    assert with_contours.sum() / published.array.sum() == pytest.approx(1.28, abs=0.02)
