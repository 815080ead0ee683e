"""The encoder: what is read, what is kept, and what it is kept under."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from mmfusion.errors import DataError, MMFusionError, ScanError, WeightsUnavailable
from mmfusion.features import crop as crops
from mmfusion.features import encoder as module
from mmfusion.features.encoder import FoundationEncoder
from mmfusion.imaging import read
from tests.features.conftest import SEED, write_scan


def test_encoded_once_wherever_the_scan_lies(encoder, tiny, tmp_path):
    path = write_scan(tmp_path / "scan.nii.gz")
    first = encoder.encode(path, SEED)
    assert first.shape == (4096,)
    assert first.dtype == np.float32
    shutil.move(path, tmp_path / "moved.nii.gz")
    np.testing.assert_array_equal(encoder.encode(tmp_path / "moved.nii.gz", SEED), first)
    np.testing.assert_array_equal(encoder.known(tmp_path / "moved.nii.gz", SEED), first)
    assert tiny == [1]
    np.testing.assert_array_equal(encoder.encode(read(tmp_path / "moved.nii.gz"), SEED), first)


def test_kept_under_all_that_it_depends_on(encoder, tiny, tmp_path, monkeypatch):
    path = write_scan(tmp_path / "scan.nii.gz")
    other = write_scan(tmp_path / "other.nii.gz", radius=20)
    x, y, z = SEED
    seen = [encoder.encode(path, SEED), encoder.encode(other, SEED), encoder.encode(path, (x, y, z + 9))]
    seen.append(FoundationEncoder(random_weights=1).encode(path, SEED))
    assert len({v.tobytes() for v in seen}) == len(tiny) == 4
    monkeypatch.setattr(crops, "VERSION", crops.VERSION + 1)
    encoder.encode(path, SEED)
    assert len(tiny) == 5


def test_a_file_of_weights_is_known_by_its_content(tiny, tmp_path):
    path = write_scan(tmp_path / "scan.nii.gz")
    for name, content in (("a.torch", b"1"), ("b.torch", b"1"), ("c.torch", b"2")):
        (tmp_path / name).write_bytes(content)
        FoundationEncoder(tmp_path / name).encode(path, SEED)
    assert len(tiny) == 2


def test_crops_do_not_depend_on_the_rest_of_the_batch(encoder, tiny):
    many = np.random.default_rng(0).random((5, 50, 50, 50), dtype=np.float32)
    alone = np.concatenate([encoder.encode_crops(many[k : k + 1]) for k in range(5)])
    np.testing.assert_array_equal(encoder.encode_crops(many), alone)
    np.testing.assert_allclose(encoder.encode_crops(many, batch_size=2), alone, rtol=1e-6)
    assert tiny[-3:] == [2, 2, 1]


def test_random_weights_are_stamped(encoder):
    assert encoder.columns[0] == "random0_0"
    assert "RANDOM WEIGHTS" in encoder.provenance["model"]
    assert "random weights 0" in repr(encoder)


def test_bad_input(encoder, tiny, tmp_path, monkeypatch):
    path = write_scan(tmp_path / "scan.nii.gz")
    with pytest.raises(ScanError, match=r"scan\.nii\.gz: a point outside the scan.*LPS"):
        encoder.encode(path, (500, 0, 0))
    with pytest.raises(ScanError, match="absent"):
        encoder.encode(tmp_path / "absent.nii.gz", SEED)
    with pytest.raises(DataError, match=r"not crops.*\(50, 50, 50\)"):
        encoder.encode_crops(np.zeros((50, 50, 50), np.float32))
    with pytest.raises(DataError, match="random weights, not both"):
        FoundationEncoder(path, random_weights=0)
    with pytest.raises(DataError, match=r"no such device.*abacus"):
        FoundationEncoder(random_weights=0, device="abacus")
    with pytest.raises(MMFusionError, match="not finite numbers"):
        encoder.encode_crops(np.full((1, 50, 50, 50), np.nan, np.float32))
    with pytest.raises(WeightsUnavailable, match=r"model_weights\.torch.*zenodo"):
        FoundationEncoder()


def test_threads_are_put_back(encoder):
    before = torch.get_num_threads()
    encoder.encode_crops(np.zeros((1, 50, 50, 50), np.float32))
    assert torch.get_num_threads() == before


@pytest.mark.slow
def test_the_real_network_on_a_real_scan(shared_data):
    """Twice the same bits, from 184 million random weights."""
    path = shared_data / "nsclc_radiogenomics" / "ct" / "R01-001.zip"
    seed = (-95.69377779916789, -144.98459803983542, -66.12100036778227)
    encoder = FoundationEncoder(random_weights=0)
    first = encoder.encode(path, seed)
    assert np.isfinite(first).all()
    assert first.std() > 0
    module._network.cache_clear()
    np.testing.assert_array_equal(encoder.encode_crops(encoder.crop(path, seed)[None])[0], first)
    module._network.cache_clear()
