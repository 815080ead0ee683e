import stat
import zipfile

import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import archive, read
from mmfusion.imaging.archive import zip_members
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
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *a: pytest.fail("read"))
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
    with pytest.raises(ScanError, match="ZIP cannot be read"):
        read(path)


def test_encrypted(tmp_path):
    path = zip_of(tmp_path / "s.zip", a=b"1")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(bytes(data))
    with pytest.raises(ScanError, match="encrypted"):
        read(path)


def test_hidden_files_are_passed_over(tmp_path):
    path = zip_of(tmp_path / "s.zip", **{"b/x": b"2", "a": b"1", "__MACOSX/._x": b"3", ".DS_Store": b"4"})
    assert list(zip_members(path)) == [("a", b"1"), ("b/x", b"2")]
