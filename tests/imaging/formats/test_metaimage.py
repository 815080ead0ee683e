"""MetaImage: equal to ITK where the file is sound, one clear error where it is not."""

import gzip
import zlib

import numpy as np
import pytest
import SimpleITK as sitk

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging.formats import blocks
from mmfusion.imaging.formats.metaimage import read_metaimage
from tests.imaging.headers import META, VOXELS, assert_as_itk, itk_image, metaimage, split


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize(
    ("suffix", "packed"), [(".mha", False), (".mha", True), (".mhd", False), (".mhd", True)]
)
def test_what_itk_writes(tmp_path, kind, suffix, packed):
    """Every type, with and without compression, in one or two files."""
    sitk.WriteImage(itk_image(kind), str(tmp_path / f"v{suffix}"), packed)
    array, _ = assert_as_itk(read_metaimage, tmp_path / f"v{suffix}")
    np.testing.assert_array_equal(array, VOXELS.astype(kind))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"TransformMatrix": None, "Rotation": META["TransformMatrix"]},
        {"TransformMatrix": None, "Orientation": META["TransformMatrix"]},
        {"Offset": None, "Position": "1 2 3"},
        {"Offset": None, "Origin": "1e1 -2.5E+0 .5"},
        {"ElementSpacing": None, "ElementSize": "1 2 3"},
        {"ElementSize": "9 9 9"},
        {"CenterOfRotation": "9 9 9", "AnatomicalOrientation": "LPI", "Modality": "MET_MOD_XX"},
        {"BinaryDataByteOrderMSB": "True"},
        {"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "True"},
        {"BinaryData": None, "CompressedData": None, "ObjectType": None},
        {"ElementType": "MET_USHORT", "Comment": "x = y", "0008|0005": "ISO_IR 100"},
        {"ElementNumberOfChannels": "1", "HeaderSize": "-1", "DistanceUnits": "mm"},
        {"HeaderSize": "0"},
    ],
    ids=lambda fields: " ".join(fields) or "plain",
)  # fmt: skip
def test_fields(tmp_path, fields):
    assert_as_itk(read_metaimage, metaimage(tmp_path / "v.mha", **fields))


@pytest.mark.parametrize(("name", "kind"), [("LONG", "i4"), ("ULONG", "u4"), ("LONG_LONG", "i8"),
                                            ("ULONG_LONG", "u8"), ("ASCII_CHAR", "i1")])  # fmt: skip
def test_types_that_itk_does_not_write(tmp_path, name, kind):
    assert_as_itk(
        read_metaimage,
        metaimage(tmp_path / "v.mha", VOXELS.astype(kind).tobytes(), ElementType=f"MET_{name}"),
    )


def test_layout_of_the_header(tmp_path):
    path = metaimage(tmp_path / "v.mha")
    head, _, data = path.read_bytes().partition(b"LOCAL\n")
    for text in (head.replace(b" = ", b"="), head.replace(b" = ", b" : "), head.replace(b"\n", b"\r\n")):
        end = b"\r\n" if b"\r" in text else b"\n"
        path.write_bytes(text + b"Local" + end + data)
        assert_as_itk(read_metaimage, path)
    path.write_bytes(head.replace(b"Offset", b"offset") + b"LOCAL\n" + data)  # ITK would place it at 0, 0, 0
    np.testing.assert_allclose(read_metaimage(path)[1][:3, 3], [10, -20, 30.5])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("names", "extra"),
    [
        ("LIST", "s01.raw\ns02.raw\ns03.raw\ns04.raw"),
        ("LIST 2", "s01.raw\ns02.raw\ns03.raw\ns04.raw"),
        ("s%02d.raw 1 4 1", ""),
        ("s%02d.raw", ""),
        ("s%02d.raw 1", ""),
    ],
)
def test_slices_in_files(tmp_path, names, extra, packed):
    split(tmp_path, packed)
    path = metaimage(tmp_path / "v.mhd", ElementDataFile=names, extra=extra, CompressedData=packed)
    array, _ = assert_as_itk(read_metaimage, path) if not packed else read_metaimage(path)
    np.testing.assert_array_equal(array, VOXELS)


def test_data_in_a_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "my scan.raw").write_bytes(b"12345" + VOXELS.tobytes())
    for size in ("5", "-1"):
        path = metaimage(tmp_path / "v.mhd", ElementDataFile="sub/my scan.raw", HeaderSize=size)
        np.testing.assert_array_equal(assert_as_itk(read_metaimage, path)[0], VOXELS)
    with pytest.raises(ScanError, match=r"v.mhd .*my scan.raw.*more data than the header states"):
        read_metaimage(metaimage(tmp_path / "v.mhd", ElementDataFile="sub/my scan.raw"))


def test_compressed_data(tmp_path):
    """With or without the size, as zlib or gzip; ITK reads old memory without the size."""
    for data in (zlib.compress(VOXELS.tobytes()), gzip.compress(VOXELS.tobytes())):
        for size in (None, str(len(data))):
            path = metaimage(tmp_path / "v.mha", data, CompressedData="True", CompressedDataSize=size)
            np.testing.assert_array_equal(read_metaimage(path)[0], VOXELS)
    path = metaimage(tmp_path / "v.mha", data, CompressedData="True", CompressedDataSize="7")
    with pytest.raises(ScanError, match=r"compresseddatasize: the size of the compressed data .*expected 7"):
        read_metaimage(path)


def test_text(tmp_path):
    text = " ".join(map(str, VOXELS.ravel())).encode()
    np.testing.assert_array_equal(
        read_metaimage(metaimage(tmp_path / "v.mha", text, BinaryData="False"))[0], VOXELS
    )
    for bad, message in ((text + b" 7", "61 numbers"), (text[:-8], "5. numbers"),
                         (text + b"x", "not numbers"),
                         (text.replace(b"-", b"99999", 1), "do not fit"), (b"1" * 5000, "1 numbers"),
                         (b"9" * 50 + text[text.index(b" "):], "characters")):  # fmt: skip
        with pytest.raises(ScanError, match=message):
            read_metaimage(metaimage(tmp_path / "v.mha", bad, BinaryData="False"))


def test_four_dimensions(tmp_path):
    four = {"NDims": "4", "ElementSpacing": "0.7 0.8 2.5 1", "Offset": "10 -20 30.5 0",
            "TransformMatrix": "0 1 0 0 -1 0 0 0 0 0 1 0 0 0 0 1"}  # fmt: skip
    array, affine = read_metaimage(metaimage(tmp_path / "v.mha", DimSize="5 3 4 1", **four))
    np.testing.assert_array_equal(array, VOXELS)
    np.testing.assert_allclose(affine, read_metaimage(metaimage(tmp_path / "w.mha"))[1])
    with pytest.raises(ScanError, match=r"not a volume .*5 x 3 x 2 x 2"):
        read_metaimage(metaimage(tmp_path / "v.mha", DimSize="5 3 2 2", **four))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"TransformMatrix": None}, "the orientation is not stated: its axes are taken as"),
        ({"TransformMatrix": None, "AnatomicalOrientation": "RAI"}, "the orientation is not stated: its"),
        ({"TransformMatrix": None, "AnatomicalOrientation": "ASL"}, "AnatomicalOrientation ASL is not used"),
        ({"Offset": None}, "the position is not stated"),
        ({"ElementSpacing": None}, "the voxel size is not stated: 1 mm is assumed"),
        ({"BinaryDataByteOrderMSB": None}, "the byte order is not stated"),
    ],
)
def test_what_is_not_stated_is_a_warning(tmp_path, fields, message):
    with pytest.warns(ScanWarning, match=f"v.mha: .*{message}|v.mha: {message}"):
        read_metaimage(metaimage(tmp_path / "v.mha", **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"NDims": "9223372036854775807"}, "ndims: a number out of range"),
        ({"NDims": "9" * 5000}, "ndims: not the right number of values"),
        ({"NDims": "-1"}, "not a volume .*-1 dimensions"),
        ({"NDims": None}, "ndims: .*got nothing"),
        ({"NDims": "2", "DimSize": "5 12"}, "not a volume .*5 x 12"),
        ({"DimSize": "0 3 4"}, "not a volume .*0 x 3 x 4"),
        ({"DimSize": "5 -3 4"}, "not a volume"),
        ({"DimSize": "5 3"}, "dimsize: not the right number of values"),
        ({"DimSize": "5 3 4 1"}, "dimsize: not the right number of values"),
        ({"DimSize": "5 3.5 4"}, "dimsize: not a whole number"),
        ({"DimSize": "5 nan 4"}, "dimsize: not a number"),
        ({"DimSize": None}, "dimsize: .*got nothing"),
        ({"DimSize": "4000000 4000000 4000000"}, "the scan is too large .*2 GiB at most"),
        ({"DimSize": "5 3 3"}, "more data than the header states"),
        ({"DimSize": "5 3 5"}, "120 of 150 bytes of voxels"),
        ({"ElementNumberOfChannels": "3"}, "not a volume .*3 values per voxel"),
        ({"ElementType": "MET_SHORT_ARRAY"}, "elementtype: unknown type"),
        ({"ElementType": "x" * 5000}, "elementtype: unknown type"),
        ({"ElementType": None}, "elementtype: unknown type of voxels .*got nothing"),
        ({"ElementSpacing": "0.7 0 2.5"}, "elementspacing: a voxel size that is not above 0"),
        ({"ElementSpacing": "0.7 -1 2.5"}, "elementspacing: a voxel size that is not above 0"),
        ({"ElementSpacing": "0.7 nan 2.5"}, "elementspacing: not a number"),
        ({"ElementSpacing": "0.7 0.8"}, "elementspacing: not the right number of values"),
        ({"ElementSpacing": "0,7 0,8 2,5"}, "elementspacing: not a number"),
        ({"Offset": "nan 0 0"}, "offset: not a number"),
        ({"Offset": "1 2"}, "offset: not the right number of values"),
        ({"Offset": "1e300 0 0"}, "offset: a number out of range"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0 -1e308"}, "transformmatrix: a number out of range"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0 0"}, "transformmatrix: not a rotation"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "transformmatrix: not a rotation"),
        ({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, "transformmatrix: not a rotation"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0"}, "transformmatrix: not the right number"),
        ({"Origin": "1 2 3"}, "stated twice, with two values .*offset: '10 -20 30.5' and '1 2 3'"),
        ({"BinaryDataByteOrderMSB": "perhaps"}, "neither True nor False"),
        ({"CompressedData": "True"}, "compressed data that are damaged"),
        ({"CompressedData": "True", "HeaderSize": "-1"}, "headersize"),
        ({"HeaderSize": "5"}, "headersize: the place of the voxels is not clear"),
        ({"ObjectType": "Tube"}, "objecttype: not an image"),
        ({"ElementToIntensityFunctionSlope": "2"}, "a rule to rescale the values"),
        ({"DistanceUnits": "um"}, "distanceunits: unknown unit"),
        ({"Comment": "\0"}, "the header cannot be read .*not text"),
        ({"Comment": "x" * 70_000}, "the header cannot be read .*a longer line"),
        ({"ElementDataFile": "../other.raw"}, "the data file lies outside"),
        ({"ElementDataFile": "/etc/passwd"}, "the data file lies outside"),
        ({"ElementDataFile": "C:\\other.raw"}, "the data file lies outside"),
        ({"ElementDataFile": "a\\..\\..\\other.raw"}, "the data file lies outside"),
        ({"ElementDataFile": "gone.raw"}, "the data file is not there"),
        ({"ElementDataFile": "x" * 5000}, "the data file is not there"),
        ({"ElementDataFile": ""}, "no data file is named"),
        ({"ElementDataFile": "LIST"}, "a list of data files .*0 names"),
        ({"ElementDataFile": "s%02d.raw 1 99999999 1"}, "not a range of data files"),
        ({"ElementDataFile": "s%02d.raw 1 4 0"}, "not a range of data files"),
        ({"ElementDataFile": "s%99999999d.raw 1 4 1"}, "the data file is not there"),
        ({"ElementDataFile": "s%s%02d.raw 1 4 1"}, "not a pattern of data files"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_is_refused(tmp_path, fields, message):
    """Headers that are hostile, incomplete or contradict themselves."""
    with pytest.raises(ScanError, match=message) as raised:
        read_metaimage(metaimage(tmp_path / "v.mha", **fields))
    assert "v.mha" in str(raised.value) and len(str(raised.value)) < 700


def test_headers_that_do_not_end(tmp_path):
    path = tmp_path / "v.mha"
    for data in (b"", b"NDims = 3\n", b"NDims = 3\n" * 200_000, b"\0" * 100, b"a" * 2**21, b"no separator\n"):
        path.write_bytes(data)
        with pytest.raises(ScanError, match=r"v.mha: the header cannot be read"):
            read_metaimage(path)


@pytest.mark.parametrize("names", ["s01.raw\ns02.raw\ns03.raw", "s01.raw\ns02.raw\nx.raw\ns04.raw",
                                   "s01.raw\ns02.raw\n../s03.raw\ns04.raw"])  # fmt: skip
def test_lists_with_missing_files(tmp_path, names):
    split(tmp_path)
    with pytest.raises(ScanError, match=r"v.mhd.*(3 data files for 4 slices|not there|lies outside)"):
        read_metaimage(metaimage(tmp_path / "v.mhd", ElementDataFile="LIST", extra=names))


def test_links_that_lead_out(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out.raw").write_bytes(VOXELS.tobytes())
    (tmp_path / "in" / "v.raw").symlink_to(tmp_path / "out.raw")
    path = metaimage(tmp_path / "in" / "v.mhd", ElementDataFile="v.raw")
    with pytest.raises(ScanError, match="the data file lies outside"):
        read_metaimage(path)
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "v.raw").unlink()
    (tmp_path / "in" / "v.raw").write_bytes(VOXELS.tobytes())
    np.testing.assert_array_equal(read_metaimage(tmp_path / "linked" / "v.mhd")[0], VOXELS)


@pytest.mark.parametrize("kind", [zlib.compress, gzip.compress])
def test_every_changed_bit_of_compressed_data_is_noticed(tmp_path, kind):
    data = kind(VOXELS.tobytes())
    head = metaimage(tmp_path / "v.mha", b"", CompressedData="True").read_bytes()
    rng, refused = np.random.default_rng(1), 0
    for k in rng.choice(8 * len(data), 400, replace=False):
        changed = bytearray(data)
        changed[k // 8] ^= 1 << (k % 8)
        (tmp_path / "v.mha").write_bytes(head + changed)
        try:
            np.testing.assert_array_equal(read_metaimage(tmp_path / "v.mha")[0], VOXELS)
        except ScanError:
            refused += 1
    assert refused > 350  # bits of gzip's date and name do not matter


@pytest.mark.parametrize("cut", [1, 4, 5, 50])
def test_compressed_data_of_another_length(tmp_path, cut):
    data = zlib.compress(VOXELS.tobytes())
    for changed, message in ((data[:-cut], "end early"), (data + b"\0" * cut, "other data follow"),
                             (data + data, "other data follow")):  # fmt: skip
        with pytest.raises(ScanError, match=message):
            read_metaimage(metaimage(tmp_path / "v.mha", changed, CompressedData="True"))


def test_compressed_data_in_every_split(tmp_path, monkeypatch):
    """Pieces of any size give the same voxels: nothing is lost between two pieces."""
    for pack in (zlib.compress, gzip.compress):
        path = metaimage(tmp_path / "v.mha", pack(VOXELS.tobytes()), CompressedData="True")
        for size in range(3, 130):
            monkeypatch.setattr(blocks, "PIECE", size)
            np.testing.assert_array_equal(read_metaimage(path)[0], VOXELS)


def test_a_bomb_takes_no_memory(tmp_path, monkeypatch):
    """300 MB of zeros behind a header that promises 120 bytes, or 1 GiB behind 300 bytes."""
    bomb = zlib.compress(bytes(300_000_000), 9)
    taken = []
    real = blocks.inflater.decompressobj

    class Counted:
        def __init__(self, *bits):
            self.one = real(*bits)

        def decompress(self, *args):
            taken.append(len(out := self.one.decompress(*args)))
            return out

        def __getattr__(self, name):
            return getattr(self.one, name)

    monkeypatch.setattr(blocks.inflater, "decompressobj", Counted)
    with pytest.raises(ScanError, match="more data than the header states"):
        read_metaimage(metaimage(tmp_path / "v.mha", bomb, CompressedData="True"))
    assert sum(taken) <= blocks.PIECE
    with pytest.raises(ScanError, match="which cannot hold so many"):
        size = "600 600 800"
        read_metaimage(metaimage(tmp_path / "v.mha", bomb[:300], CompressedData="True", DimSize=size))
