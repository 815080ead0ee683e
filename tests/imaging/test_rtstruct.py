import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mmfusion as mf
from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import Volume, list_rois, read, read_mask, write_rtstruct
from mmfusion.imaging.structures.contours import coverage, outlines, slabs
from tests.imaging.structure_sets import FRAME, OBLIQUE, SAGITTAL, ball, dice, grid, rtstruct, scan, square


def test_the_real_one(shared_data):
    folder = shared_data / "rtstruct"
    path, ct = folder / "4D-Lung-113_rtstruct.dcm", read(folder / "4D-Lung-113_ct.zip")
    tumour = mf.imaging.read_mask(path, reference=ct, roi="Tumor_c40")
    assert tumour.volume_ml() == pytest.approx(67.6, rel=0.005)
    assert tumour.shape == ct.shape
    assert tumour.series_uid == ct.series_uid
    assert read_mask(path, ct, 18).volume_ml() == pytest.approx(6.4, rel=0.02)
    assert read_mask(path, ct, ["Tumor_c40", "LN*"]).volume_ml() == pytest.approx(74.0, rel=0.01)
    assert ct.array[tumour.array > 0].mean() > -200
    rois = list_rois(path)
    assert list(rois.name) == ["Tumor_c40", "LN_c40", "Carina_c40", "Vertebra_c40"]
    assert list(rois.parts) == [28, 21, 1, 5]
    assert set(rois.series_uid) == {ct.series_uid}
    with pytest.raises(ScanError, match=r"4 regions .*17 'Tumor_c40'.*roi="):
        read_mask(path, ct)
    half = ct.resample((1.5, 0.5, 0.5))  # what is drawn does not depend on the grid that it is read on
    assert read_mask(path, half, "Tumor_c40").volume_ml() == pytest.approx(67.6, rel=0.005)
    phase = Volume(ct.array, ct.affine, frame_of_reference=ct.frame_of_reference, series_uid="1.2.3")
    with pytest.raises(ScanError, match="another series"):
        read_mask(path, phase, "LN_c40")


def test_a_hole_is_a_contour_within_a_contour_or_a_keyhole(tmp_path):
    outer, inner = square(10.5, 10.5, 40.5, 30.5, 8), square(20.5, 15.5, 30.5, 25.5, 8)
    keyhole = [*outer, outer[0], *inner[::-1], inner[-1], outer[0]]
    path = rtstruct(
        tmp_path / "r.dcm", {"xor": [outer, inner], "key": [keyhole], "xor2": [outer, inner[::-1]]}
    )
    xor = read_mask(path, grid(), "xor")
    assert xor.array.sum() == 30 * 20 - 10 * 10
    assert set(np.flatnonzero(xor.array.any((1, 2)))) == {4}
    assert not xor.array[4, 16:26, 21:31].any()
    for other in ("key", "xor2"):
        np.testing.assert_array_equal(read_mask(path, grid(), other).array, xor.array)


def test_planes_between_slices_represent_their_slab(tmp_path):
    contours = [
        square(10.5, 10.5, 40.5, 30.5, z) for z in (5, 8, 11, 17)
    ]  # every 3 mm, one absent; slices at 2 mm
    path = rtstruct(tmp_path / "r.dcm", {"a": contours, "b": contours[:1], "c": [contours[0], contours[3]]})
    assert read_mask(path, grid(), "a").volume_ml() == pytest.approx(
        30 * 20 * (3 + 3 + 3 + 3) / 1000, rel=0.001
    )
    assert read_mask(path, grid(), "b").volume_ml() == pytest.approx(
        30 * 20 * 2 / 1000, rel=0.001
    )  # the scan's
    assert read_mask(path, grid((20, 60, 60)), "c").volume_ml() <= 30 * 20 * 20 / 1000  # 10 mm at most each
    np.testing.assert_allclose(slabs(np.array([0.0, 1, 2, 5, 6]), alone=1, most=3),
                               [(-0.5, 0.5), (0.5, 1.5), (1.5, 2.5), (4.5, 5.5), (5.5, 6.5)])  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 13), st.floats(-3, 12)), min_size=3, max_size=9))
def test_coverage_is_area(points):
    polygon = np.array(points)
    fine = np.stack(np.meshgrid(np.arange(0, 10, 0.05), np.arange(0, 9, 0.05)), -1).reshape(-1, 2) - 0.475
    inside = np.zeros(len(fine), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0)):
        crosses = (y0 <= fine[:, 1]) != (y1 <= fine[:, 1])
        with np.errstate(all="ignore"):
            inside ^= crosses & (fine[:, 0] < x0 + (fine[:, 1] - y0) / (y1 - y0) * (x1 - x0))
    expected = inside.reshape(9, 20, 10, 20).mean((1, 3))
    np.testing.assert_allclose(coverage([polygon], (9, 10)), expected, atol=0.16)
    assert coverage([polygon], (9, 10)).sum() == pytest.approx(expected.sum(), abs=0.7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**30), st.floats(0.05, 0.95))
def test_an_outline_covers_its_voxels_and_no_other(seed, share):
    plane = (np.random.default_rng(seed).random((7, 9)) < share).astype(np.uint8)
    polygons = outlines(plane)
    if polygons:
        np.testing.assert_allclose(coverage(polygons, plane.shape), plane, atol=1e-9)
    assert bool(polygons) == bool(plane.any())


@pytest.mark.parametrize("orientation", [None, SAGITTAL, OBLIQUE])
def test_what_is_written_is_read(tmp_path, orientation):
    folder, ct = scan(tmp_path / "ct", (24, 70, 80), (3, 0.8, 0.7), *([orientation] if orientation else []))
    mask = ball(ct, 20, hole=8)
    path = write_rtstruct(mask, source=folder, path=tmp_path / "r.dcm", name="GTV")
    again = read_mask(path, reference=ct)
    np.testing.assert_array_equal(again.array, mask.array)
    assert again.frame_of_reference == FRAME
    assert list_rois(path).loc[0, ["name", "kind", "series_uid"]].tolist() == [
        "GTV",
        "RTSTRUCT",
        ct.series_uid,
    ]
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".dcm"] == ["r.dcm"]


def test_a_sphere_on_another_grid(tmp_path):
    folder, ct = scan(tmp_path / "ct", (30, 64, 64), (2, 1, 1))
    fine = ball(ct.resample((1, 0.7, 0.7)), 20)
    path = write_rtstruct({"a": fine, "b": ball(ct, 9)}, folder, tmp_path / "r.dcm")
    assert dice(read_mask(path, ct, "a"), ball(ct, 20)) >= 0.98
    assert read_mask(path, fine, "a").volume_ml() == pytest.approx(fine.volume_ml(), rel=0.01)
    np.testing.assert_array_equal(read_mask(path, ct, "b").array, ball(ct, 9).array)


def test_it_names_every_slice_and_its_patient(tmp_path):
    import pydicom

    folder, ct = scan(tmp_path / "ct")
    ds = pydicom.dcmread(write_rtstruct(ball(ct, 8), folder, tmp_path / "r.dcm"))
    headers = {h.SOPInstanceUID: h for h in (pydicom.dcmread(p) for p in folder.iterdir())}
    assert (ds.PatientID, ds.Modality) == ("P1", "RTSTRUCT")
    assert ds.StudyInstanceUID == next(iter(headers.values())).StudyInstanceUID
    referenced = ds.ReferencedFrameOfReferenceSequence[0]
    assert referenced.FrameOfReferenceUID == FRAME
    images = referenced.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence
    assert {i.ReferencedSOPInstanceUID for i in images} == set(headers)
    for contour in ds.ROIContourSequence[0].ContourSequence:
        header = headers[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        assert set(np.array(contour.ContourData, float)[2::3]) == {float(header.ImagePositionPatient[2])}


def test_in_a_folder_or_zip_beside_the_scan(tmp_path):
    folder, ct = scan(tmp_path / "ct")
    write_rtstruct(ball(ct, 8), folder, folder / "rt.dcm")
    assert read_mask(folder, ct).volume_ml() > 1
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"deep/down/{file.name}")
    assert read_mask(tmp_path / "all.zip", ct).volume_ml() > 1
    write_rtstruct(ball(ct, 8), folder, folder / "rt2.dcm")
    with pytest.raises(ScanError, match=r"2 sets of regions .*rt.dcm \(RTSTRUCT\), rt2.dcm"):
        read_mask(folder, ct)


A = {"a": [square(10, 10, 30, 30, 8)]}


@pytest.mark.parametrize(
    ("make", "reference", "roi", "message"),
    [
        ({}, None, None, r"contours have no grid .*reference=read"),
        ({}, grid(), "b", r"parameter roi: no such region .*1 'a'; got b"),
        ({}, grid(), [], "no region chosen"),
        ({"frame": "1.2.3"}, grid(), None, r"another frame of reference .*1.2.3"),
        (
            {"series": "1.2.3"},
            grid(series_uid="1.2.4"),
            None,
            r"another series .*1.2.4; got 1.2.3.*like\(this_one\)",
        ),
        ({"rois": {}}, grid(), None, "the file has no region"),
        ({"rois": {"a": []}}, grid(), None, "column a: an empty region .*no contour"),
        ({"rois": {"a": [[(1, 1, 8), (2, 2, 8)]]}}, grid(), None, "column a: an empty region"),
        ({"rois": {"a": [[(5, 5, 8)] * 4]}}, grid(), None, "no area"),
        (
            {"rois": {"a": [square(900, 10, 930, 30, 8)]}},
            grid(),
            None,
            r"outside the scan.*59.* 18.*got .*900",
        ),
        ({"rois": {"a": [[(5, 5, 8), (25, 5, 8), (25, 25, 14)]]}}, grid(), None, "oblique"),
        ({"kind": "POINT"}, grid(), None, r"expected CLOSED_PLANAR.*got POINT"),
        ({"kind": "OPEN_PLANAR"}, grid(), None, r"expected CLOSED_PLANAR.*got OPEN_PLANAR"),
        (
            {"rois": {"a": [square(1e7, 10, 1e8, 30, 8)]}},
            grid(),
            None,
            "column a: a contour at an impossible",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path, make, reference, roi, message):
    path = rtstruct(tmp_path / "r.dcm", **{"rois": A, **make})
    with pytest.raises(ScanError, match=message) as caught:
        read_mask(path, reference, roi)
    assert "r.dcm" in str(caught.value)


def test_damaged_ones(tmp_path):
    def lost(ds):
        ds.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 5

    with pytest.raises(ScanError, match=r"truncated or damaged RTSTRUCT \(got 12 numbers for 5 points\)"):
        read_mask(rtstruct(tmp_path / "a.dcm", A, change=lost), grid())
    with pytest.raises(ScanError, match=r"the RTSTRUCT could not be understood .*ROINumber"):
        read_mask(
            rtstruct(tmp_path / "b.dcm", A, change=lambda ds: ds.StructureSetROISequence[0].pop("ROINumber")),
            grid(),
        )
    data = rtstruct(tmp_path / "c.dcm", A).read_bytes()
    (tmp_path / "c.dcm").write_bytes(data[: len(data) - 60])
    with pytest.raises(ScanError):
        read_mask(tmp_path / "c.dcm", grid())


def test_a_pet_may_take_the_contours_of_its_ct(tmp_path):
    path = rtstruct(tmp_path / "r.dcm", A, series="1.2.3")
    assert read_mask(path, grid(series_uid="1.2.4", modality="PT")).volume_ml() == pytest.approx(0.8)
    unstated = Volume(grid().array, grid().affine)  # such as a NIfTI, which does not state its series
    assert read_mask(path, unstated).volume_ml() == pytest.approx(0.8)


def test_what_cannot_be_written(tmp_path):
    folder, ct = scan(tmp_path / "ct")
    bare, _ = scan(tmp_path / "bare", frame=None)
    with pytest.raises(ScanError, match=r"nothing to write .*empty mask"):
        write_rtstruct(ball(ct, 0), folder, tmp_path / "r.dcm")
    with pytest.raises(ScanError, match=r"nothing to write .*mL outside of them"):
        away = Volume(ball(ct, 8).array, ct.affine + _shift(500), unit="mask")
        write_rtstruct(away, folder, tmp_path / "r.dcm")
    with pytest.raises(ScanError, match="without frame of reference"):
        write_rtstruct(Volume(ball(ct, 8).array, ct.affine, unit="mask"), bare, tmp_path / "r.dcm")
    with pytest.raises(ScanError, match="another frame of reference"):
        write_rtstruct(Volume(ball(ct, 8).array, ct.affine, unit="mask", frame_of_reference="1.9"), folder,
                       tmp_path / "r.dcm")  # fmt: skip
    with pytest.raises(ScanError, match="not a mask"):
        write_rtstruct(ct, folder, tmp_path / "r.dcm")
    with pytest.raises(ScanError, match="not a valid region name"):
        write_rtstruct({"x" * 65: ball(ct, 8)}, folder, tmp_path / "r.dcm")
    with pytest.raises(ScanError, match="no such file"):
        write_rtstruct(ball(ct, 8), tmp_path / "none", tmp_path / "r.dcm")
    assert not (tmp_path / "r.dcm").exists()


def _shift(mm):
    shift = np.zeros((4, 4))
    shift[0, 3] = mm
    return shift


def test_empty_regions_beside_others(tmp_path):
    path = rtstruct(tmp_path / "r.dcm", {**A, "b": [], "c": []})
    with pytest.warns(ScanWarning, match=r"r.dcm: empty regions are left out: b, c"):
        assert read_mask(path, grid(), "*").volume_ml() == pytest.approx(0.8)
    for asked in ("b", ["a", "b"], [1, 2], ["[bc]"]):
        with pytest.raises(ScanError, match="column b: an empty region"):
            read_mask(path, grid(), asked)
