"""Structures with bytes changed at random: they are read, or refused by our error; nothing else."""

import warnings

import numpy as np
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging import list_rois, read_mask, write_rtstruct, write_seg
from tests.imaging.structure_sets import ball, scan


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder, ct = scan(tmp_path_factory.mktemp("ct"))
    place = tmp_path_factory.mktemp("drawn")
    mask = ball(ct, 9)
    return ct, {
        "seg": write_seg(mask, folder, place / "seg.dcm").read_bytes(),
        "rtstruct": write_rtstruct(mask, folder, place / "rt.dcm").read_bytes(),
    }


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
def test_changed_bytes(drawn, tmp_path, kind):
    ct, made = drawn
    rng = np.random.default_rng(0)
    path, refused = tmp_path / "x.dcm", 0
    for _ in range(120):
        data = np.frombuffer(made[kind], np.uint8).copy()
        at = rng.integers(140, len(data), rng.choice([1, 3, 20]))
        data[at] = rng.integers(0, 256, len(at))
        path.write_bytes(data.tobytes()[: rng.integers(len(data) // 2, 2 * len(data))])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for ask in (lambda: read_mask(path, ct), lambda: list_rois(path)):
                try:
                    ask()
                except ScanError:
                    refused += 1
    assert refused > 10
