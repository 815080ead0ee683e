import stat
import zipfile
import zlib

import numpy as np
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import read
from mmfusion.imaging.dicom import archive
from mmfusion.imaging.dicom.archive import members
from tests.imaging.dicoms import phantom_hu, write_series, zipped


def zip_of(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["../x.dcm", "a/../../x.dcm", "/etc/x.dcm", "C:/x.dcm", "a\\..\\..\\x.dcm"])
def test_names_that_lead_out(tmp_path, name):
    path = zip_of(tmp_path / "s.zip", **{"good.dcm": b"1", name: b"2"})
    with pytest.raises(ScanError, match="leads out of it"):
        read(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.zip"]


def test_links(tmp_path):
    link = zipfile.ZipInfo("link.dcm")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(ScanError, match="is a link"):
        read(path)


def test_bomb_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = zip_of(tmp_path / "bomb.zip", **{"a.dcm": bytes(40 * 2**20)})
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *a: pytest.fail("read"))
    with pytest.raises(
        ScanError, match=r"far more than their size .*100 times at most; got \d+ times, to 40 MiB"
    ):
        read(path)


def test_size_and_number(tmp_path, monkeypatch):
    path = zip_of(tmp_path / "s.zip", **{"a.dcm": bytes(1000), "b.dcm": bytes(1000)})
    monkeypatch.setenv("MMFUSION_MAX_GIB", str(200 / 2**30))
    with pytest.raises(ScanError, match=r"too large .*raise MMFUSION_MAX_GIB"):
        read(path)
    monkeypatch.delenv("MMFUSION_MAX_GIB")
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    with pytest.raises(ScanError, match=r"too large .*in 2 files"):
        read(path)


def test_damaged(tmp_path):
    path = zipped(write_series(tmp_path / "s", phantom_hu()), tmp_path / "s.zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ScanError, match="ZIP cannot be read"):
        read(path)
    path.write_bytes(whole[:300] + bytes(100) + whole[400:])
    with pytest.raises(ScanError, match=r"s.zip:a/b/c/1_000.dcm: cannot be read"):
        read(path)


def test_encrypted(tmp_path):
    path = zip_of(tmp_path / "s.zip", a=b"1")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(bytes(data))
    with pytest.raises(ScanError, match="encrypted"):
        read(path)


def test_a_changed_byte_is_seen(tmp_path):
    path = zipped(write_series(tmp_path / "s", phantom_hu()), tmp_path / "s.zip")
    with zipfile.ZipFile(path) as file:
        info = file.infolist()[2]
    data = bytearray(path.read_bytes())
    data[info.header_offset + 30 + len(info.filename) + info.compress_size - 20] ^= 255
    path.write_bytes(bytes(data))
    with pytest.raises(ScanError, match=r"1_014.dcm: cannot be read .*copy or download"):
        read(path)


def test_hidden_files_are_passed_over(tmp_path):
    path = zip_of(tmp_path / "s.zip", **{"b/x": b"2", "a": b"1", "__MACOSX/._x": b"3", ".DS_Store": b"4"})
    (tmp_path / ".hidden").write_bytes(b"5")
    with members(path) as found:
        assert [(m.name, m.read()) for m in found] == [(f"{path}:a", b"1"), (f"{path}:b/x", b"2")]
    with members(tmp_path) as found:
        assert [m.read() for m in found] == [b"1", b"2"]


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_parts_of_a_file(tmp_path, kind):
    data = bytes(range(256)) * 1000
    (tmp_path / "x").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", kind) as file:
        file.writestr("x", data)
    for path in (tmp_path / "x", tmp_path / "x.zip"):
        with members(path) as (member,):
            assert member.size == len(data)
            assert member.read() == data
            assert member.read(70_000, 5000) == data[70_000:75_000]
            assert member.read(255_990, 100) == data[255_990:]


def test_without_the_faster_inflater(tmp_path, monkeypatch):
    path = zipped(write_series(tmp_path / "s", phantom_hu()), tmp_path / "s.zip")
    expected = read(path).array
    monkeypatch.setattr(archive, "inflater", zlib)
    assert (read(path).array == expected).all()


def test_hidden_files_of_a_zip_from_windows(tmp_path):
    names = ["scan\\.1.dcm", "__MACOSX\\scan\\1.dcm", "scan\\1.txt"]
    with members(zip_of(tmp_path / "s.zip", **dict.fromkeys(names, b"1"))) as found:
        assert [member.name for member in found] == [f"{tmp_path}/s.zip:scan\\1.txt"]


@pytest.mark.parametrize("unpacker", ["isal", "zlib"])
@pytest.mark.parametrize("size", [0, 1, 5_000, 200_000])
def test_every_part_is_that_of_the_file(tmp_path, monkeypatch, unpacker, size):
    if unpacker == "zlib":
        monkeypatch.setattr(archive, "inflater", zlib)
    rng = np.random.default_rng(size)
    data = rng.integers(0, 9, size, dtype=np.uint8).tobytes() + bytes(size)
    with members(zip_of(tmp_path / "s.zip", x=data, y=b"another")) as (member, _):
        assert member.read() == data
        for _ in range(30):
            start, n = rng.integers(0, 2 * size + 10, 2)
            assert member.read(start, n) == data[start : start + n]
            assert member.read(start) == data[start:]


def test_damage_behind_what_is_read_does_not_matter_until_it_is_read(tmp_path):
    data = np.random.default_rng(0).integers(0, 200, 100_000, dtype=np.uint8).tobytes()
    path = zip_of(tmp_path / "s.zip", x=data)
    packed = bytearray(path.read_bytes())
    packed[60_000] ^= 255
    path.write_bytes(bytes(packed))
    with members(path) as (member,):
        assert member.read(0, 1000) == data[:1000]
        with pytest.raises(ScanError, match=r"s.zip:x: cannot be read"):
            member.read()
        with pytest.raises(ScanError, match=r"s.zip:x: cannot be read"):
            member.read(99_000, 1000)


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_damage_is_our_error_whatever_the_compression(tmp_path, kind):
    path, rng = tmp_path / "s.zip", np.random.default_rng(kind)
    with zipfile.ZipFile(path, "w", kind) as file:
        file.writestr("x", rng.integers(0, 4, 600, dtype=np.uint8).tobytes())
    whole = path.read_bytes()
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        data[rng.integers(31, len(data))] ^= rng.integers(1, 256)
        path.write_bytes(bytes(data))
        try:
            with members(path) as found:
                for member in found:
                    member.read()
        except ScanError:
            refused += 1
    assert refused > 100


def test_a_size_that_is_not_true(tmp_path):
    """Members that say they are longer or shorter than they are."""
    path = zip_of(tmp_path / "s.zip", x=b"0123456789" * 10)
    for size in (99, 101):
        data = bytearray(path.read_bytes())
        at = data.index(b"PK\x01\x02") + 24
        data[at : at + 4] = size.to_bytes(4, "little")
        (tmp_path / "t.zip").write_bytes(bytes(data))
        with members(tmp_path / "t.zip") as (member,):
            assert member.size == size
            with pytest.raises(ScanError, match=r"t.zip:x: cannot be read"):
                member.read()


def test_a_member_without_a_name(tmp_path):
    path = zip_of(tmp_path / "s.zip", N=b"1")
    path.write_bytes(path.read_bytes().replace(b"N", b"\0"))  # where Python ends a name
    with pytest.raises(ScanError, match="has no name"):
        read(path)


def test_members_that_overlap(tmp_path, monkeypatch):
    """One packed piece listed many times, as in the ZIP bombs of Fifield (2019)."""
    data = np.random.default_rng(0).integers(0, 200, 5000, dtype=np.uint8).tobytes()
    path = zip_of(tmp_path / "s.zip", x=data)
    with zipfile.ZipFile(path, "a") as file:
        file.filelist += file.filelist * 3
        file.writestr("last", b"1")
    with zipfile.ZipFile(path) as file:
        assert [info.filename for info in file.infolist()] == ["x"] * 4 + ["last"]
    with pytest.raises(ScanError, match=r"members of the ZIP overlap .*got \d+ bytes of members"):
        read(path)
