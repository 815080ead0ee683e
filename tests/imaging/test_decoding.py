"""Damaged compressed frames cannot end, hang or fill this process, and what the format can tell is told."""

import gzip
import os
import signal
import struct
import threading
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import list_series, read, read_crop
from mmfusion.imaging.dicom import decoding
from mmfusion.imaging.dicom.archive import Member
from mmfusion.imaging.dicom.codestream import check_codestream
from mmfusion.imaging.dicom.encoded import EncodedFrames
from mmfusion.imaging.dicom.header import Header
from tests.fuzz.formats.dicom import SOUND, make
from tests.imaging.dicoms import phantom_hu, write_series

HU = phantom_hu((3, 40, 48))
COMPRESSED = {
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "JPEG lossless": JPEGLosslessSV1,
}


@pytest.mark.parametrize("form", [form for form in SOUND if not form.startswith("explicit")])
def test_all_forms_have_one_content(tmp_path, form):
    like = "explicit PET" if "PET" in form else "explicit"
    arrays = []
    for name in (like, form):
        (tmp_path / name).mkdir()
        arrays.append(read(make(name, np.random.default_rng(5), tmp_path / name)).array)
    np.testing.assert_allclose(arrays[1], arrays[0], rtol=1e-6)


def frame_of(form):
    data = next(iter(SOUND[form](np.random.default_rng(5)).values()))
    ds = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    return next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)), (ds.Rows, ds.Columns)


def checked(frame, form, shape):
    header = Header(Member("a.dcm", 0, None, None), {}, COMPRESSED[form], None, None)
    check_codestream(frame, header, shape, 16)


@pytest.mark.parametrize("form", COMPRESSED)
def test_the_frame_is_checked_before_it_is_decoded(form):
    frame, shape = frame_of(form)
    checked(frame, form, shape)
    checked(frame + b"\0\0", form, shape) if form != "RLE" else None
    wrong = [frame[: len(frame) // 2], frame[1:], b"", b"\0" * 100]
    if form != "RLE":
        wrong += [frame[:-2], frame + frame]
        with pytest.raises(ScanError, match="where the header says"):
            checked(frame, form, (shape[0], shape[1] + 1))
    for bad in wrong if form != "RLE" else wrong[1:]:
        with pytest.raises(ScanError, match=r"a.dcm: truncated or damaged"):
            checked(bad, form, shape)


def test_a_larger_image_in_the_frame_takes_no_memory(tmp_path):
    """A JPEG-LS frame that says 60000 x 60000."""
    folder = write_series(tmp_path, HU, change=lambda ds, k: ds.compress(JPEGLSLossless))
    path = sorted(folder.iterdir())[1]
    data = path.read_bytes()
    at = data.index(b"\xff\xf7") + 5
    path.write_bytes(data[:at] + struct.pack(">HH", 60000, 60000) + data[at + 4 :])
    with pytest.raises(ScanError, match="60000 x 60000 where the header says 40 x 48"):
        read(folder)


def test_a_decoder_that_dies_or_hangs_is_an_error(tmp_path, monkeypatch):
    folder = write_series(tmp_path, HU, change=lambda ds, k: ds.compress(JPEGLSLossless))
    np.testing.assert_array_equal(read(folder).array, HU)
    asked = decoding._Worker.ask

    def dies(self, *args):
        self.process.kill()
        return asked(self, *args)

    monkeypatch.setattr(decoding._Worker, "ask", dies)
    with pytest.raises(ScanError, match=r"truncated or damaged .*decoder failed"):
        read(folder)

    def hangs(self, *args):
        self.process.send_signal(signal.SIGSTOP)
        return asked(self, *args)

    monkeypatch.setattr(decoding._Worker, "ask", hangs)
    monkeypatch.setattr(decoding, "_SECONDS", 0.3)
    with pytest.raises(ScanError, match="did not end within"):
        read(folder)
    monkeypatch.undo()
    np.testing.assert_array_equal(read(folder).array, HU)


def test_decoders_end_with_their_parent(tmp_path):
    folder = write_series(tmp_path, HU, change=lambda ds, k: ds.compress(RLELossless))
    read(folder)
    (pid, *_) = [worker.process.pid for worker in decoding._IDLE]
    os.kill(pid, 0)
    decoding._close_all()
    assert not decoding._IDLE
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_many_threads_decode_at_one_time(tmp_path):
    folder = write_series(tmp_path, HU, change=lambda ds, k: ds.compress(JPEGLSLossless))
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(read(folder).array)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6
    for array in seen:
        np.testing.assert_array_equal(array, HU)


def test_baseline_jpeg(tmp_path):
    """8 bits, lossy."""
    pil = pytest.importorskip("PIL.Image")
    smooth = (np.add.outer(np.arange(40), np.arange(48)) + 60).astype(np.uint8)

    def change(ds, k):
        buffer = pydicom.filebase.DicomBytesIO()
        pil.fromarray(smooth).save(buffer, "JPEG", quality=95)
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit, ds.PixelRepresentation, ds.RescaleSlope = 7, 0, 8
        ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        ds.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
        ds["PixelData"].is_undefined_length = True

    array = read(write_series(tmp_path, HU, change=change)).array
    assert np.abs(array[1] - (smooth * 8.0 - 1024)).max() <= 8 * 3


@pytest.mark.parametrize("count", [1, 2])
def test_frames_in_several_pieces(count):
    frames = [bytes([k]) * 90 + b"\xff\xd9" for k in range(count)]
    pieces = [piece for frame in frames for piece in (frame[:40], frame[40:])]
    items = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(p)) + p for p in (b"", *pieces))
    offsets = b"".join(struct.pack("<I", 108 * k) for k in range(count))
    table = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(offsets)) + offsets + items[8:]
    for data in (items, table):
        for end in (b"", b"\xfe\xff\xdd\xe0\0\0\0\0"):
            whole = data + end
            member = Member("a", len(whole), lambda start, size, w=whole: w[start:], None)
            assert [EncodedFrames(member, 0, count).stream(k) for k in range(count)] == frames
    for bad in (items[:-5], items[:60] + b"x" + items[60:], items[:8]):
        member = Member("a", len(bad), lambda start, size, w=bad: w[start:], None)
        with pytest.raises(ScanError, match=r"file a: truncated or damaged"):
            EncodedFrames(member, 0, count).stream(0)


def bomb(tmp_path, kind):
    """About 100 KB that unpack to 100 MiB."""
    (path,) = write_series(tmp_path / "s", HU[:1]).iterdir()
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.Rows = ds.Columns = 7000
    ds.PixelData = bytes(7000 * 7000 * 2)
    out = tmp_path / "bomb.dcm"
    if kind == "deflated":
        ds.save_as(out)
        return out
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.save_as(out)
    packed = tmp_path / ("bomb.dcm.gz" if kind == "gzip" else "bomb.zip")
    if kind == "gzip":
        packed.write_bytes(gzip.compress(out.read_bytes()))
    else:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(out, "a.dcm")
    out.unlink()
    return packed


@pytest.mark.parametrize("kind", ["deflated", "gzip", "ZIP"])
def test_bombs_take_no_memory(tmp_path, kind):
    path = bomb(tmp_path, kind)
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ScanError, match="far more than their size"):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("limit_mib", [0.05, 0.2])
def test_the_limit_of_the_memory_counts(tmp_path, monkeypatch, limit_mib):
    folder = write_series(tmp_path, phantom_hu((20, 64, 64)))
    monkeypatch.setenv("MMFUSION_MAX_GIB", str(limit_mib / 1024))
    with pytest.raises(ScanError, match=r"too large .*MMFUSION_MAX_GIB"):
        read(folder)
    monkeypatch.setenv("MMFUSION_MAX_GIB", "1")
    assert read(folder).shape == (20, 64, 64)


@pytest.mark.parametrize("tag", ["Rows", "Columns", "NumberOfFrames"])
def test_promises_of_the_header_are_compared_with_the_file(tmp_path, tag):
    folder = write_series(tmp_path, HU, change=lambda ds, k: setattr(ds, tag, 16384))
    for way in (read, lambda p: read_crop(p, (-25, -35, 102), 3.0)):
        with pytest.raises(ScanError, match=r"bytes of pixels|not a grey single-frame"):
            way(folder)
    assert list_series(folder).problem.item()


def test_deep_sequences_are_an_error_or_read(tmp_path):
    """Sequences within sequences, deeper than Python can follow."""
    folder = write_series(tmp_path, HU)
    path = sorted(folder.iterdir())[1]
    data = path.read_bytes()
    at = data.index(b"\x28\x00\x02\x00US")
    deep = b"\x20\x00\x13\x99SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    path.write_bytes(data[:at] + deep + data[at:])
    with pytest.raises(ScanError, match=path.name):
        read(folder)


def test_deflated_data_that_are_damaged(tmp_path):
    def change(ds, k):
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        ds["PixelData"].VR = "OW"

    folder = write_series(tmp_path, HU, change=change)
    path = sorted(folder.iterdir())[1]
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    with pytest.raises(ScanError, match=rf"{path.name}: the packed data are damaged .*they end after"):
        read(folder)
    start = data.index(b"1.2.840.10008.1.2.1.99") + 60
    for k in range(start, start + 300, 30):
        path.write_bytes(data[:k] + bytes([data[k] ^ 0x40]) + data[k + 1 :])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ScanWarning)
                read(folder)
        except ScanError as error:
            assert str(folder) in str(error)
