"""Weights: found where they are kept, fetched over https, refused when they are not what was published."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmfusion import weights
from mmfusion.errors import WeightsUnavailable
from mmfusion.weights import KNOWN, WeightFile, find, list_weights

BODY = b"weights" * 1000
TINY = WeightFile(file="tiny.pt", url="https://nowhere.invalid/tiny.pt", paper="none", license="CC0")


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine without weights."""
    for name in ("MMFUSION_WEIGHTS", "MMFUSION_OFFLINE", "CELLPOSE_LOCAL_MODELS_PATH", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def know(monkeypatch):
    """Put `TINY`, changed, into the table."""

    def put(**changes):
        monkeypatch.setattr(weights, "KNOWN", {"tiny": replace(TINY, **changes)})

    return put


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class _Short(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "7000")
        self.end_headers()
        self.wfile.write(BODY[:100])

    def log_message(self, *args):
        pass


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Start a server on this machine, and let it do without encryption."""
    servers = []

    def start(handler=None):
        (tmp_path / "www").mkdir(exist_ok=True)
        (tmp_path / "www" / "tiny.pt").write_bytes(BODY)
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), handler or partial(_Quiet, directory=str(tmp_path / "www"))
        )
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(weights, "_SCHEMES", ("http",))
        return f"http://127.0.0.1:{server.server_port}/tiny.pt"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_fetched_once_whole_and_its_hash_recorded(machine, know, serve):
    know(url=serve())
    path = find("tiny", progress=False)
    assert path == machine / "cache" / "weights" / "tiny.pt"
    assert path.read_bytes() == BODY
    record = path.with_name("tiny.pt.sha256").read_text()
    assert record == f"{hashlib.sha256(BODY).hexdigest()}  tiny.pt\n"
    (machine / "www" / "tiny.pt").unlink()
    assert find("tiny", progress=False) == path
    assert len(list(path.parent.iterdir())) == 2  # no drafts


@pytest.mark.parametrize("digits", [64, 8])
def test_the_published_hash_is_checked(know, serve, digits):
    right = hashlib.sha256(BODY).hexdigest()[:digits]
    url = serve()
    know(url=url, sha256=right)
    path = find("tiny", progress=False)
    path.unlink()
    know(url=url, sha256="0" * digits)
    with pytest.raises(WeightsUnavailable, match="its hash differs"):
        find("tiny", progress=False)
    assert not path.exists()
    path.write_bytes(BODY)
    with pytest.raises(WeightsUnavailable, match="not the weights that were published"):
        find("tiny")


def test_a_later_change_is_an_error(know, serve):
    know(url=serve())
    path = find("tiny", progress=False)
    path.write_bytes(BODY + b"!")
    with pytest.raises(WeightsUnavailable, match="if you changed it on purpose"):
        find("tiny")
    path.with_name("tiny.pt.sha256").unlink()
    assert find("tiny") == path


def test_a_download_that_breaks_off_leaves_nothing(machine, know, serve):
    know(url=serve(_Short))
    with pytest.raises(WeightsUnavailable, match=r"100 of 7,000 bytes|more expected"):
        find("tiny", progress=False)
    assert list((machine / "cache" / "weights").iterdir()) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/tiny.pt", "file:///etc/hostname", "ftp://127.0.0.1/tiny.pt"]
)
def test_only_https(know, url):
    know(url=url)
    with pytest.raises(WeightsUnavailable, match="not over https"):
        find("tiny", progress=False)


def test_nothing_is_fetched_when_told_not_to(machine, know, monkeypatch, serve):
    know(url=serve())
    for call in (partial(find, "tiny", download=False), partial(find, "tiny")):
        with pytest.raises(WeightsUnavailable) as caught:
            call()
        text = str(caught.value)
        assert "tiny.pt" in text
        assert "http://127.0.0.1" in text
        assert str(machine / "cache" / "weights" / "tiny.pt") in text
        monkeypatch.setenv("MMFUSION_OFFLINE", "1")


def test_a_server_that_does_not_answer(know, monkeypatch):
    monkeypatch.setattr(weights, "_SCHEMES", ("http",))
    know(url="http://127.0.0.1:1/tiny.pt")
    with pytest.raises(WeightsUnavailable, match=r"refused.*put it at"):
        find("tiny", progress=False)


def test_places_in_order(machine, monkeypatch):
    """A folder that was named, then the package's own, then the cache."""
    name, file = "deblur_cyto3", "deblur_cyto3"
    folders = [machine / "mine", machine / "cellpose", machine / "home" / ".cellpose" / "models"]
    folders.append(machine / "cache" / "weights")
    monkeypatch.setenv("MMFUSION_WEIGHTS", str(folders[0]))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(folders[1]))
    for folder in reversed(folders):
        folder.mkdir(parents=True)
        (folder / file).write_bytes(BODY)
        assert find(name) == folder / file
    assert list_weights().loc[name, "found"] == str(folders[0] / file)
    assert sorted(p.name for p in folders[1].iterdir()) == [file]  # another package's folder is left alone


def test_a_file_of_ones_own(machine):
    path = machine / "fine_tuned.pt"
    path.write_bytes(b"mine")
    assert find("fmcib", path) == find(path) == find(str(path)) == path
    with pytest.raises(WeightsUnavailable, match="no such file of weights"):
        find("fmcib", machine / "absent.pt")
    with pytest.raises(WeightsUnavailable, match=r"no such weights.*fmcib"):
        find("resnet50")


def test_what_is_known():
    table = list_weights()
    assert {"fmcib", "r231", "deblur_cyto3"} <= set(table.index)
    assert table["url"].str.startswith("https://").all()
    assert (table["found"] == "").all()
    assert (table[["paper", "license"]] != "").all(axis=None)
    assert KNOWN["fmcib"].file == "model_weights.torch"


def _answer(send):
    """A server's way to answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            send(self)

        def log_message(self, *args):
            pass

    return Handler


@pytest.mark.parametrize(
    "place", ["https://127.0.0.1:1/tiny.pt", "file:///etc/hostname", "//127.0.0.1:1/tiny.pt"]
)
def test_a_redirect_is_held_to_the_same_rule(machine, know, serve, place):
    asked = []

    def send(handler):
        asked.append(handler.path)
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.end_headers()

    know(url=serve(_answer(send)))
    reason = "refused" if place.startswith("//") else rf"not over http: {place}"
    with pytest.raises(WeightsUnavailable, match=rf"{reason}.*put it at"):
        find("tiny", progress=False)
    assert asked == ["/tiny.pt"]
    assert list((machine / "cache" / "weights").iterdir()) == []


def test_a_redirect_over_the_same_scheme_is_followed(know, serve):
    def send(handler):
        moved = handler.path == "/tiny.pt"
        handler.send_response(302 if moved else 200)
        handler.send_header(*(("Location", "/moved.pt") if moved else ("Content-Length", str(len(BODY)))))
        handler.end_headers()
        handler.wfile.write(b"" if moved else BODY)

    know(url=serve(_answer(send)))
    assert find("tiny", progress=False).read_bytes() == BODY


@pytest.mark.parametrize("code", [404, 403, 500])
def test_a_server_that_refuses(machine, know, serve, code):
    know(url=serve(_answer(lambda handler: handler.send_error(code))))
    with pytest.raises(WeightsUnavailable, match=rf"{code}.*put it at"):
        find("tiny", progress=False)
    assert list((machine / "cache" / "weights").iterdir()) == []


def test_the_size_is_checked_whatever_the_client_does(machine, know, serve, monkeypatch):
    import pooch

    def short(self, url, output_file, pooch, check_only=False):
        whole(self, url, output_file, pooch)
        with open(output_file, "r+b") as file:  # noqa: PTH123 - pooch gives a str
            file.truncate(100)

    whole = pooch.HTTPDownloader.__call__
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", short)
    know(url=serve())
    with pytest.raises(WeightsUnavailable, match="ended after 100 of 7,000 bytes"):
        find("tiny", progress=False)
    assert list((machine / "cache" / "weights").iterdir()) == []


def test_without_a_size(know, serve):
    def send(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY)

    know(url=serve(_answer(send)))
    assert find("tiny", progress=True).read_bytes() == BODY


def test_the_bar(know, serve, capsys):
    know(url=serve())
    find("tiny", progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "tiny.pt" in err


def test_nothing_is_printed_without_the_bar(know, serve, capsys):
    know(url=serve())
    find("tiny", progress=False)
    assert capsys.readouterr() == ("", "")


def test_others_may_read_it(know, serve):
    know(url=serve())
    path = find("tiny", progress=False)
    (other := path.with_name("other")).touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_a_folder_that_cannot_be_written(machine, know, serve, monkeypatch):
    (machine / "file").write_text("not a folder")
    monkeypatch.setenv("MMFUSION_WEIGHTS", str(machine / "file" / "weights"))
    know(url=serve())
    with pytest.raises(WeightsUnavailable, match=r"tiny.pt.*put it at"):
        find("tiny", progress=False)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_takes_more_memory_than_allowed(tmp_path, monkeypatch, packed):
    path = tmp_path / "w.pt"
    if packed:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/0", bytes(2**22))
    else:
        path.write_bytes(bytes(2**22))
    assert find(path) == path
    monkeypatch.setenv("MMFUSION_MAX_GIB", "0.003")
    with pytest.raises(
        WeightsUnavailable, match=r"w.pt: the file of weights is too large .*MMFUSION_MAX_GIB"
    ):
        find(path)
