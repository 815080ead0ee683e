"""NRRD: equal to ITK where the file is sound, one clear error where it is not."""

import bz2
import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging.formats.nrrd import read_nrrd
from tests.imaging.headers import VOXELS, assert_as_itk, itk_image, nrrd, split

HEX = VOXELS.tobytes().hex()
TEXT = " ".join(map(str, VOXELS.ravel()))
DATA = {
    "raw": VOXELS.tobytes(),
    "gzip": gzip.compress(VOXELS.tobytes()),
    "gz": gzip.compress(VOXELS.tobytes()),
    "bzip2": bz2.compress(VOXELS.tobytes()),
    "bz2": bz2.compress(VOXELS.tobytes()),
    "ascii": TEXT.encode(),
    "txt": TEXT.encode(),
    "text": TEXT.replace(" ", "\n").encode(),
    "hex": HEX.encode(),
}
BY_ITK = ("raw", "gzip", "gz", "ascii", "txt", "text", "hex")  # SimpleITK is built without bzip2


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize(
    ("suffix", "packed"), [(".nrrd", False), (".nrrd", True), (".nhdr", False), (".nhdr", True)]
)
def test_what_itk_writes(tmp_path, kind, suffix, packed):
    """Every type, with and without compression, in one or two files."""
    sitk.WriteImage(itk_image(kind), str(tmp_path / f"v{suffix}"), packed)
    array, _ = assert_as_itk(read_nrrd, tmp_path / f"v{suffix}")
    np.testing.assert_array_equal(array, VOXELS.astype(kind))


@pytest.mark.parametrize("space", ["left-posterior-superior", "LPS", "right-anterior-superior", "RAS",
                                   "left-anterior-superior", "LAS", "Left-Posterior-Superior"])  # fmt: skip
def test_spaces(tmp_path, space):
    assert_as_itk(read_nrrd, nrrd(tmp_path / "v.nrrd", space=space))


@pytest.mark.parametrize("encoding", DATA)
def test_encodings(tmp_path, encoding):
    """Attached, and detached after two lines and (unpacked) three bytes that do not count."""
    path = nrrd(tmp_path / "v.nrrd", DATA[encoding], encoding=encoding)
    array, _ = assert_as_itk(read_nrrd, path) if encoding in BY_ITK else read_nrrd(path)
    np.testing.assert_array_equal(array, VOXELS)
    (tmp_path / "v.dat").write_bytes(b"one\ntwo\n" + DATA[encoding])
    path = nrrd(tmp_path / "v.nhdr", encoding=encoding, data_file="v.dat", line_skip=2)
    array, _ = assert_as_itk(read_nrrd, path) if encoding in BY_ITK else read_nrrd(path)
    np.testing.assert_array_equal(array, VOXELS)


def test_bytes_that_are_skipped(tmp_path):
    for encoding, data in {"raw": b"123" + DATA["raw"], "gzip": gzip.compress(b"123" + VOXELS.tobytes()),
                           "bzip2": bz2.compress(b"123" + VOXELS.tobytes())}.items():  # fmt: skip
        path = nrrd(tmp_path / "v.nrrd", data, encoding=encoding, byte_skip=3)
        array, _ = assert_as_itk(read_nrrd, path) if encoding in BY_ITK else read_nrrd(path)
        np.testing.assert_array_equal(array, VOXELS)
        with pytest.raises(ScanError, match="more data than the header states"):
            read_nrrd(nrrd(tmp_path / "v.nrrd", data, encoding=encoding, byte_skip=2))
        with pytest.raises(ScanError, match="119 of 120 bytes"):
            read_nrrd(nrrd(tmp_path / "v.nrrd", data, encoding=encoding, byte_skip=4))
    path = nrrd(tmp_path / "v.nrrd", b"12345" + DATA["raw"], byte_skip=-1)
    np.testing.assert_array_equal(assert_as_itk(read_nrrd, path)[0], VOXELS)


BYTES = "signed char, int8, int8_t, unsigned char, uint8, uint8_t"
WORDS = "short int, signed short, unsigned short int, signed int, uint32_t, long long int, unsigned long long"


@pytest.mark.parametrize("name", [*BYTES.split(", "), *WORDS.split(", "), "float", "double"])
def test_names_of_types(tmp_path, name):
    data = (VOXELS.ravel() % 100).tolist()
    assert_as_itk(
        read_nrrd, nrrd(tmp_path / "v.nrrd", " ".join(map(str, data)).encode(), type=name, encoding="ascii")
    )


def test_byte_order(tmp_path):
    path = nrrd(tmp_path / "v.nrrd", VOXELS.astype(">i2").tobytes(), endian="big")
    np.testing.assert_array_equal(assert_as_itk(read_nrrd, path)[0], VOXELS)
    assert_as_itk(read_nrrd, nrrd(tmp_path / "v.nrrd", TEXT.encode(), encoding="ascii", endian=None))


@pytest.mark.parametrize(
    ("names", "extra"),
    [
        ("LIST", "s01.raw\ns02.raw\ns03.raw\ns04.raw"),
        ("LIST 2", "s01.raw\ns02.raw\ns03.raw\ns04.raw"),
        ("s%02d.raw 1 4 1", ""),
        ("s%02d.raw 1 4 1 2", ""),
        ("s%02d.raw 4 1 -1", ""),
    ],
)
def test_slices_in_files(tmp_path, names, extra):
    split(tmp_path)
    array, _ = assert_as_itk(read_nrrd, nrrd(tmp_path / "v.nhdr", data_file=names, extra=extra))
    np.testing.assert_array_equal(array, VOXELS[::-1] if "-1" in names else VOXELS)


@pytest.mark.parametrize("fields", [
    {"space_directions": None, "spacings": "0.7 0.8 2.5", "space": None, "space_origin": None,
     "axis_mins": "1 2 3", "centerings": "node node node"},
    {"space_directions": None, "spacings": "0.7 0.8 2.5", "space": None, "space_origin": None,
     "axis_mins": "1 2 3", "centerings": "cell cell cell"},
    {"space_units": '"mm" "mm" "mm"', "content": "a : b", "measurement_frame": "(1,0,0) (0,1,0) (0,0,1)",
     "extra": "# a remark\nSegment0_Name:=tumour: left\nlong:=" + "x" * 5000},
], ids=["node", "cell", "more"])  # fmt: skip
@pytest.mark.filterwarnings("default:.*is not stated:mmfusion.errors.ScanWarning")
def test_fields(tmp_path, fields):
    assert_as_itk(read_nrrd, nrrd(tmp_path / "v.nrrd", **fields))


@pytest.mark.parametrize(("unit", "mm"), [("mm", 1), ("cm", 10), ("um", 0.001), ("", 1)])
def test_units_of_the_space(tmp_path, unit, mm):
    affine = read_nrrd(nrrd(tmp_path / "v.nrrd", space_units=f'"{unit}" "{unit}" "{unit}"'))[1]
    np.testing.assert_allclose(affine[:3], mm * read_nrrd(nrrd(tmp_path / "w.nrrd"))[1][:3])


@pytest.mark.parametrize(
    ("sizes", "directions", "spacings"),
    [
        ("5 3 4 1", "(0,0.7,0) (-0.8,0,0) (0,0,2.5) none", "1 2 3 nan"),
        ("1 5 3 4", "none (0,0.7,0) (-0.8,0,0) (0,0,2.5)", "nan 1 2 3"),
    ],
)
@pytest.mark.filterwarnings("default:.*are not stated:mmfusion.errors.ScanWarning")
def test_a_fourth_axis_of_size_one(tmp_path, sizes, directions, spacings):
    fields = {"dimension": "4", "sizes": sizes, "kinds": None, "space_directions": directions}
    array, affine = read_nrrd(nrrd(tmp_path / "v.nrrd", **fields))
    np.testing.assert_array_equal(array, VOXELS)
    np.testing.assert_allclose(affine, read_nrrd(nrrd(tmp_path / "w.nrrd"))[1])
    fields |= {"space_directions": None, "spacings": spacings}
    array, affine = read_nrrd(nrrd(tmp_path / "v.nrrd", **fields))
    np.testing.assert_array_equal(array, VOXELS)
    np.testing.assert_allclose(affine.diagonal(), [1, 2, 3, 1])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"space": None}, "the space is not stated"),
        ({"space_directions": None, "spacings": "1 2 3"}, "the directions of the axes are not stated"),
        ({"space_directions": None}, "the voxel size is not stated: 1 mm is assumed"),
        ({"space_origin": None}, "the position is not stated"),
        ({"old_min": "-1024", "old_max": "3071"}, "the values were scaled for storage"),
    ],
)
def test_what_is_not_stated_is_a_warning(tmp_path, fields, message):
    with pytest.warns(ScanWarning, match=f"v.nrrd: {message}"):
        read_nrrd(nrrd(tmp_path / "v.nrrd", **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dimension": "9223372036854775807"}, "dimension: a number out of range"),
        ({"dimension": "9" * 5000}, "dimension: not the right number"),
        ({"dimension": None}, "dimension: .*got nothing"),
        (
            {"dimension": "4", "sizes": "5 3 2 2", "space_directions": None, "kinds": None},
            "not a volume .*5 x 3 x 2 x 2",
        ),
        ({"dimension": "2", "sizes": "5 12", "space_directions": None, "kinds": None}, "not a volume"),
        ({"sizes": "0 3 4"}, "not a volume .*0 x 3 x 4"),
        ({"sizes": "5 3"}, "sizes: not the right number"),
        ({"sizes": "-5 3 4"}, "not a volume"),
        ({"sizes": None}, "sizes: .*got nothing"),
        ({"sizes": "4000000 4000000 4000000"}, "the scan is too large"),
        ({"sizes": "600 600 900", "encoding": "gzip"}, "which cannot hold so many"),
        ({"sizes": "5 3 5"}, "120 of 150 bytes of voxels"),
        ({"sizes": "5 3 3"}, "more data than the header states"),
        ({"type": "block"}, "type: unknown type of voxels"),
        ({"type": None}, "type: .*got nothing"),
        ({"endian": None}, "endian: the byte order is not clear"),
        ({"endian": "middle"}, "endian: the byte order is not clear"),
        ({"encoding": "zrl"}, "encoding: unknown encoding"),
        ({"encoding": None}, "encoding: .*got nothing"),
        ({"encoding": "gzip"}, "compressed data that are damaged"),
        ({"encoding": "ascii"}, "numbers"),
        ({"encoding": "hex"}, "hexadecimal"),
        ({"space_directions": "none none none"}, "not a volume .*0 axes with a direction"),
        ({"space_directions": "none (-0.8,0,0) (0,0,2.5)"}, "not a volume .*2 axes"),
        ({"space_directions": "(0,0,0) (-0.8,0,0) (0,0,2.5)"}, "the voxel size is not clear"),
        ({"space_directions": "(nan,0,0) (-0.8,0,0) (0,0,2.5)"}, "spacedirections: not a number"),
        ({"space_directions": "(0,1) (-0.8,0,0) (0,0,2.5)"}, "spacedirections: not the right number"),
        ({"space_directions": "(0,0.7,0) (-0.8,0,0)"}, "spacedirections: not the right number of vectors"),
        ({"space_directions": "0 1 2"}, "spacedirections: not a vector"),
        ({"space_directions": "(1e308,0,0) (-0.8,0,0) (0,0,2.5)"}, "spacedirections: a number out of range"),
        ({"spacings": "1 1 1"}, "the voxel size is not clear"),
        ({"space_directions": None, "spacings": "1 0 1"}, "spacings: a voxel size that is not above 0"),
        ({"space_directions": None, "spacings": "1 -2 1"}, "spacings: a voxel size that is not above 0"),
        ({"space_directions": None, "spacings": "1 nan 1"}, "spacings: not a number"),
        ({"space_directions": None, "spacings": "1 1"}, "spacings: not the right number"),
        ({"space_origin": "(nan,0,0)"}, "spaceorigin: not a number"),
        ({"space_origin": "(1,2)"}, "spaceorigin: not the right number"),
        ({"space_origin": "1 2 3"}, "spaceorigin: not a vector"),
        ({"space": "scanner-xyz"}, "space: unknown space"),
        ({"space": "right-anterior-superior-time"}, "space: unknown space"),
        ({"space_units": '"mm" "cm" "mm"'}, "spaceunits: unknown unit"),
        ({"space_units": '"parsec" "parsec" "parsec"'}, "spaceunits: unknown unit"),
        ({"kinds": "vector domain domain"}, "kinds: not a volume"),
        ({"kinds": "domain domain list"}, "kinds: not a volume"),
        ({"kinds": "domain domain"}, "kinds: not the right number"),
        ({"line_skip": 10**9}, "lineskip: the number of lines is out of range"),
        ({"line_skip": 3}, "lineskip: the file has fewer lines"),
        ({"byte_skip": 10**11}, "the data end .* bytes before the voxels begin"),
        ({"byte_skip": -2}, "byteskip: the voxels would begin before the file does"),
        ({"byte_skip": -1, "encoding": "hex"}, "byteskip: the voxels would begin before the file does"),
        ({"extra": "sizes: 5 3 3"}, "stated twice, with two values"),
        ({"extra": "colour: red"}, "unknown fields .*colour"),
        ({"extra": "no separator"}, "the header cannot be read .*no separator"),
        ({"extra": "content: \0"}, "the header cannot be read .*not text"),
        ({"data_file": "../v.raw"}, "the data file lies outside"),
        ({"data_file": "/etc/passwd"}, "the data file lies outside"),
        ({"data_file": "gone.raw"}, "the data file is not there"),
        ({"data_file": "LIST"}, "a list of data files"),
        ({"data_file": "s%02d.raw 1 4"}, "not a pattern of data files"),
        ({"data_file": "s%02d.raw 1 4 0"}, "not a range of data files"),
        ({"data_file": "s%02d.raw 1 4 -1"}, "not a range of data files"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_is_refused(tmp_path, fields, message):
    """Headers that are hostile, incomplete or contradict themselves."""
    with pytest.raises(ScanError, match=message) as raised:
        read_nrrd(nrrd(tmp_path / "v.nrrd", **fields))
    assert "v.nrrd" in str(raised.value) and len(str(raised.value)) < 700


def test_headers_that_do_not_end(tmp_path):
    path = tmp_path / "v.nrrd"
    for data in (b"", b"NRRD0004\n", b"NRRD0009\ntype: short\n\n", b"NRRD0004\ntype: short\n", b"P5 2 2\n",
                 b"NRRD0004\n" + b"# remark\n" * 200_000, b"NRRD0004\n" + b"a" * 2**21):  # fmt: skip
        path.write_bytes(data)
        with pytest.raises(ScanError, match=r"v.nrrd: the header cannot be read"):
            read_nrrd(path)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_compressed_data_that_are_damaged(tmp_path, encoding):
    """A bit changed anywhere, an end that is missing, and other bytes behind."""
    data, rng, refused = DATA[encoding], np.random.default_rng(2), 0
    for k in rng.choice(8 * len(data), 300, replace=False):
        changed = bytearray(data)
        changed[k // 8] ^= 1 << (k % 8)
        try:
            array, _ = read_nrrd(nrrd(tmp_path / "v.nrrd", bytes(changed), encoding=encoding))
            np.testing.assert_array_equal(array, VOXELS)
        except ScanError:
            refused += 1
    assert refused > 250
    for bad in (data[:-1], data[: len(data) // 2], data + b"x", data + data, b""):
        with pytest.raises(ScanError):
            read_nrrd(nrrd(tmp_path / "v.nrrd", bad, encoding=encoding))


def test_several_gzip_streams_in_a_row(tmp_path):
    """Some programs write a long file as several streams, and pad the end with zeros."""
    parts = VOXELS.tobytes()[:50], VOXELS.tobytes()[50:]
    data = b"".join(map(gzip.compress, parts)) + b"\0" * 512
    np.testing.assert_array_equal(read_nrrd(nrrd(tmp_path / "v.nrrd", data, encoding="gzip"))[0], VOXELS)
    data = b"".join(map(bz2.compress, parts))
    np.testing.assert_array_equal(read_nrrd(nrrd(tmp_path / "v.nrrd", data, encoding="bzip2"))[0], VOXELS)
