"""Headers and files changed at random: our error, or a sound volume, and nothing else ever comes out."""

import warnings
import zipfile
from io import BytesIO

import numpy as np
import pytest
from pydicom.filereader import data_element_generator

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import list_series, read, read_crop
from tests.imaging.dicoms import phantom_hu, write_series

CASES = 60
VRS = [*b"AE AS AT CS DA DS DT FD FL IS LO OB OW PN SH SL SQ SS ST TM UI UL UN US UT ZZ".split(), b"\0\0"]
LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT"}
NUMBERS = (
    rb"0 |-1|1e308 |-1e308|nan |inf |-inf|1e-308|999999999999 |abc |1,5 |1\2 |1\2\3\4\5\6\7 |0\0 |-0.7\-0.7 "
)
NUMBERS += rb"|1e9\1e9 |0\0\0\0\0\0 |nan\nan |1\0\0\1\0\0 |nan\0\0\0\1\0 |1e300\0\0 |19940430|250000"
WORDS = rb"CNTS|GML |ADMIN |NONE|PT|CT|MR|\\"
ABSURD = [
    *NUMBERS.split(b"|"),
    *WORDS.split(b"|"),
    b"",
    b"\xff\xfe",
    b"\0\0",
    b"\xff\xff",
    b"\0\x80",
    b"9" * 64,
    b"\x1b$B\0\0\0",
    b"\\" * 40,
]


@pytest.fixture(scope="module", params=["CT", "PT"])
def files(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_series(
        folder,
        np.abs(phantom_hu((4, 12, 10))) if request.param == "PT" else phantom_hu((4, 12, 10)),
        modality=request.param,
    )
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def elements(data):
    """Return (start, VR, start of the value, end) of each top-level element, with the meta header."""
    file = BytesIO(data)
    file.seek(132)
    out = []
    start = 132
    for element in data_element_generator(file, is_implicit_VR=False, is_little_endian=True):
        if hasattr(element, "value_tell"):
            end = element.value_tell + element.length
            out.append((start, data[start + 4 : start + 6], element.value_tell, end))
        else:  # a sequence
            end = file.tell()
            out.append((start, b"SQ", start + 12, end))
        start = end
    return out


def element(head, vr, value):
    size = len(value).to_bytes(4 if vr in LONG else 2, "little")
    return head[:4] + vr + (b"\0\0" if vr in LONG else b"") + size + value


def changed(data, where, rng):
    """One element of a file dropped, retyped, or given another length or value."""
    start, vr, at, end = where
    kind = rng.choice(["drop", "absurd", "random", "retype", "length", "twice", "swap"])
    if kind == "drop":
        return data[:start] + data[end:]
    if kind == "absurd":
        return data[:start] + element(data[start:], vr, ABSURD[rng.integers(len(ABSURD))]) + data[end:]
    if kind == "random":
        return data[:at] + rng.bytes(end - at) + data[end:]
    if kind == "retype":
        other = VRS[rng.integers(len(VRS))]
        return data[:start] + element(data[start:], other, data[at:end]) + data[end:]
    if kind == "length":
        size = 4 if vr in LONG else 2
        return data[: at - size] + rng.choice([b"\0", b"\xff", b"\x01", b"\x10"]) * size + data[at:]
    if kind == "twice":
        return data[:end] + data[start:end] + data[end:]
    return data[:at] + data[at:end][::-1] + data[end:]


def check(path):
    """All ways to read it end in our error or in a volume that can be used."""
    for way in (read, list_series, lambda p: read_crop(p, (-27, -36, 103), 4.0, 1.0)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ScanWarning)
                out = way(path)
        except ScanError as error:
            assert str(path) in str(error)
            continue
        if way is not list_series:
            assert np.isfinite(out.array).all()
            assert np.isfinite(out.affine).all()
            assert all(0 < mm <= 100 for mm in out.spacing)
            assert (out.modality, out.unit) in (("CT", "HU"), ("PT", "SUVbw"))
            assert out.array.dtype in (np.int16, np.float32)


@pytest.mark.parametrize("part", range(4))
def test_changed_headers(files, tmp_path, part):
    rng = np.random.default_rng(part)
    places = [elements(data) for data in files.values()]
    for _ in range(CASES):
        number = rng.integers(len(places[0]) - 1)  # all but the pixels
        every, seed = rng.random() < 0.6, rng.integers(2**32)
        for k, (name, data) in enumerate(files.items()):
            if every or k == 1:
                data = changed(data, places[k][number], np.random.default_rng(seed))
            (tmp_path / name).write_bytes(data)
        check(tmp_path)


@pytest.mark.parametrize("part", range(2))
def test_changed_bytes(files, tmp_path, part):
    rng = np.random.default_rng(100 + part)
    for _ in range(CASES):
        for name, data in files.items():
            data = bytearray(data)
            header = len(data) - 240
            for _ in range(rng.integers(0, 5)):
                data[rng.integers(128, header if rng.random() < 0.9 else len(data))] = rng.integers(256)
            (tmp_path / name).write_bytes(data)
        check(tmp_path)


def test_cut_at_every_length(files, tmp_path):
    names = list(files)
    for name in names:
        (tmp_path / name).write_bytes(files[name])
    whole = files[names[1]]
    for keep in range(0, len(whole), 2):
        (tmp_path / names[1]).write_bytes(whole[:keep])
        with pytest.raises(ScanError, match=rf"{names[1]}: truncated or damaged"):
            read(tmp_path)


def test_cut_and_changed_zips(files, tmp_path):
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    for keep in rng.integers(0, len(whole), 60):
        path.write_bytes(whole[:keep])
        with pytest.raises(ScanError, match=r"s.zip"):
            read(path)
    for _ in range(CASES):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data)
        check(path)
