"""Histograms of scans are matched band by band."""

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.preprocessing.histograms import HistogramMatching


def crop(seed, tissue=0.3, offset=0.0, gain=1.0, noise=0.03):
    """Crop with two kinds of voxels, such as lung (0.1) and tissue (0.75), with the effects of a scanner."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((16, 16, 16)) < tissue, 0.75, 0.12) + noise * rng.normal(size=(16, 16, 16))
    values = np.clip((values - 0.12) * gain + 0.12 + offset, 0, 1)
    values[0] = 0  # beyond the field of view
    return values.astype(np.float32)


def test_scanner_shift_is_removed():
    train = np.stack([crop(i) for i in range(6)])
    odd = np.stack([crop(10, offset=0.04), crop(11, gain=1.15), crop(12, noise=0.06)])
    fitted = HistogramMatching().fit(train)
    out = fitted.transform(odd)
    assert out.dtype == np.float32 and out.shape == odd.shape
    for band in ((0.0, 0.36), (0.36, 1.0)):
        inside = (train > band[0]) & (train < band[1])
        for before, after in zip(odd, out):
            used = (after > band[0]) & (after < band[1])
            assert np.median(after[used]) == pytest.approx(np.median(train[inside]), abs=0.005)
            assert after[used].std() == pytest.approx(train[inside].std(), rel=0.1)
            order = np.argsort(before, axis=None)
            assert (np.diff(after.ravel()[order]) >= 0).all()
    assert not out[:, 0].any() and (odd.max() < 1 or (out[odd == 1] == 1).all())


def test_a_larger_tumour_does_not_become_darker():
    """Only the share of tissue differs; matching the whole histogram would change the values of tissue."""
    train, large = np.stack([crop(i) for i in range(6)]), crop(20, tissue=0.6)[None]
    apart, whole = (HistogramMatching(split=s).fit(train).transform(large)[0] for s in (0.36, None))
    tissue = large[0] > 0.5
    assert np.abs(apart - large[0])[tissue].mean() < 0.01
    assert np.abs(whole - large[0])[tissue].mean() > 0.15


def test_bands_with_few_voxels_are_not_changed():
    train = np.stack([crop(i) for i in range(4)])
    only_lung = crop(30, tissue=0.0)[None]
    out = HistogramMatching().fit(train).transform(only_lung)
    assert np.abs(out - only_lung).max() < 0.05
    empty = np.zeros((2, 8, 8, 8), dtype=np.float32)
    np.testing.assert_array_equal(HistogramMatching().fit(empty).transform(only_lung), only_lung)


def test_split_out_of_range():
    with pytest.raises(DataError, match="split out of range"):
        HistogramMatching(split=1.5).fit(crop(0)[None])
