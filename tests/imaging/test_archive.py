import stat
import zipfile
import zlib

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
    with pytest.raises(ScanError, match=r"suspiciously far .*100 times at most; got \d+ times, to 40 MiB"):
        read(path)


def test_size_and_number(tmp_path, monkeypatch):
    path = zip_of(tmp_path / "s.zip", **{"a.dcm": bytes(1000), "b.dcm": bytes(1000)})
    monkeypatch.setattr(archive, "MAX_BYTES", 1999)
    with pytest.raises(ScanError, match="too large"):
        read(path)
    monkeypatch.setattr(archive, "MAX_BYTES", 10**6)
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
