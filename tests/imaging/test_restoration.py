import builtins
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.errors import MMFusionError, ScanError, WeightsUnavailable
from mmfusion.imaging import Volume
from mmfusion.imaging.quantiles import match_histogram, quantiles
from mmfusion.imaging.restoration import NonLocalMeans, difference, make_restorer, noise_hu, restore
from mmfusion.imaging.restoration import cellpose as adapter
from tests.imaging.restorers import NOISE, noisy, truth, write_network

DENOISERS = ["nlm", "bilateral", "wavelet"]
INNER = (slice(None), slice(8, -8), slice(8, -14))


def rmse(a, b):
    return float(np.sqrt(((a.array[INNER].astype(float) - b.array[INNER]) ** 2).mean()))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0)], ids=["isotropic", "thick slices"])
@pytest.mark.parametrize("name", DENOISERS)
def test_noise_goes_and_the_lesion_stays(name, spacing):
    clean, lesion = truth(spacing=spacing)
    scan = noisy(clean)
    out = restore(scan, name)
    assert rmse(out, clean) < 0.75 * rmse(scan, clean)
    inside = lesion.array > 0
    assert out.array[inside].mean() == pytest.approx(scan.array[inside].mean(), abs=25)


@pytest.mark.parametrize("name", DENOISERS)
def test_strength_follows_the_noise_of_the_scan(name):
    clean, _ = truth()
    little, much = (noisy(clean, sd=sd) for sd in (5.0, 60.0))
    changes = [np.abs(difference(scan, restore(scan, name))).mean() for scan in (little, much)]
    assert changes[0] < 0.2 * changes[1]
    assert not difference(much, restore(much, name, sigma_hu=0)).any()


def test_noise_is_measured():
    clean, _ = truth()
    assert noise_hu(noisy(clean).array) == pytest.approx(NOISE, rel=0.1)
    assert noise_hu(np.zeros((3, 2, 2))) == 0


@pytest.mark.parametrize(("name", "together"), [("nlm", False), ("bilateral", False), ("wavelet", True)])
def test_thick_slices_are_independent_except_for_wavelets(name, together):
    scan = noisy(truth(spacing=(5.0, 1.0, 1.0))[0])
    other = scan.array.copy()
    other[0] = -other[0][::-1]
    a, b = (restore(replace(scan, array=hu), name, sigma_hu=40.0).array[1:] for hu in (scan.array, other))
    assert np.allclose(a, b, atol=0.5) != together


def test_thin_slices_help_non_local_means():
    scan = noisy(truth()[0])
    other = scan.array.copy()
    other[0] = 0
    a, b = (restore(replace(scan, array=hu), "nlm", sigma_hu=40.0).array[1] for hu in (scan.array, other))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("magic", {}, "no restorer called 'magic'.*bilateral, cellpose, identity, nlm, wavelet"),
        ("nlm", {"patch": 4}, "patch: restorer option out of range"),
        ("nlm", {"strength": 0}, "strength"),
        ("nlm", {"reach": 0}, "reach"),
        ("bilateral", {"width_mm": -1}, "width_mm"),
        ("bilateral", {"sigma_hu": -1}, "sigma_hu"),
        ("wavelet", {"wavelet": "tsunami"}, "wavelet"),
        ("cellpose", {"mode": "cyto3"}, "unknown cellpose mode.*deblur_cyto3"),
        ("cellpose", {"diameter": 1}, "diameter out of range"),
        ("cellpose", {"window": (400, -1000)}, "not a window"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(MMFusionError, match=message):
        make_restorer({"name": name, **options})


def test_options_may_come_in_a_mapping():
    scan = noisy(truth()[0])
    one = restore(scan, {"name": "nlm", "strength": 0.5})
    np.testing.assert_array_equal(one.array, restore(scan, "nlm", strength=0.5).array)
    np.testing.assert_array_equal(
        one.array, restore(scan, make_restorer({"name": "nlm", "strength": 0.5})).array
    )
    np.testing.assert_array_equal(restore(scan).array, scan.array)


def test_options_are_not_put_on_top_of_a_restorer_that_is_made():
    scan = truth()[0]
    with pytest.raises(MMFusionError, match=r"options are given together .*got strength and NonLocalMeans\("):
        restore(scan, NonLocalMeans(), strength=1.0)
    np.testing.assert_array_equal(
        restore(noisy(scan), {"name": "nlm", "patch": 3}, strength=0.5).array,
        restore(noisy(scan), NonLocalMeans(strength=0.5)).array,
    )


def test_a_difference_is_on_one_grid():
    scan, other = truth()[0], truth((8, 40, 44))[0]
    with pytest.raises(ScanError, match="different grids"):
        difference(scan, other)


# --- distributions
# ------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_match_gives_the_distribution_and_keeps_the_order(seed, ties):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=3000), rng.gamma(2, 100, 3000) - 900
    source = np.round(source) if ties else source
    out = match_histogram(source, quantiles(source), quantiles(target))
    order = np.argsort(source, kind="stable")
    assert (np.diff(out[order]) >= 0).all()
    assert target.min() - 0.1 <= out.min() and out.max() <= target.max() + 0.1
    if ties:  # what was equal stays equal
        assert len(np.unique(out)) <= len(np.unique(source))
    else:
        np.testing.assert_allclose(
            np.percentile(out, [5, 50, 95]), np.percentile(target, [5, 50, 95]), atol=12
        )


# --- cellpose
# -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("weights") / "deblur_cyto3")


@pytest.fixture(scope="module")
def scan():
    volume = noisy(truth((5, 32, 40))[0])
    hu = volume.array.copy()
    hu[2, 20:24, 30:34] = 1200  # bone, above the window
    return replace(volume, array=hu)


def test_modes_are_those_of_the_package():
    pytest.importorskip("cellpose")
    from mmfusion.imaging.isolation import undisturbed

    with undisturbed():
        from cellpose.denoise import MODEL_NAMES
    assert sorted(adapter.MODES) == sorted(MODEL_NAMES) and adapter.CellposeRestorer().mode == "deblur_cyto3"


def test_the_network_is_run_as_cellpose_runs_it(weights, scan):
    import torch

    from mmfusion.imaging.isolation import undisturbed

    image = np.random.default_rng(0).random((3, 48, 52), dtype=np.float32)
    restorer = make_restorer({"name": "cellpose", "weights": weights})
    with undisturbed("cellpose.denoise"):
        from cellpose.denoise import DenoiseModel

        model = DenoiseModel(pretrained_model=str(weights), device=torch.device("cpu"))
        expected = np.stack([model.eval(p, normalize={"normalize": False})[..., 0] for p in image])
        got = restorer._run(image, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(got, expected, atol=2e-5)
    assert got.std() > 1e-3  # it does something


def test_hu_come_back_with_their_distribution(weights, scan):
    out = restore(scan, "cellpose", weights=weights)
    assert np.abs(difference(scan, out)).mean() > 20  # a random network makes a mess
    known, levels = scan.array > -1024, np.linspace(1, 97, 25)
    before, after = (np.percentile(volume.array[known], levels) for volume in (scan, out))
    np.testing.assert_allclose(after, before, atol=5)


def test_what_is_beyond_the_window_is_passed_by(weights, scan):
    out = restore(scan, "cellpose", weights=weights)
    bone = scan.array > 1000
    assert bone.sum() == 16
    shifted = scan.array.copy()
    shifted[bone] += 500
    more = restore(replace(scan, array=shifted), "cellpose", weights=weights)
    np.testing.assert_allclose(more.array - out.array, np.where(bone, 500, 0), atol=0.01)


SUMS = 1e-5  # of the network's output, whose SD is 0.03 here: sums taken in another order differ by less


@pytest.fixture
def raw(monkeypatch):
    """The network's output, run by run."""
    run, kept = adapter.CellposeRestorer._run, []
    monkeypatch.setattr(adapter.CellposeRestorer, "_run", lambda *args: kept.append(run(*args)) or kept[-1])
    return kept


def bounds_hu(scan, raw):
    """The least and the most HU that an output `raw`, known up to `SUMS`, can mean.

    The map to HU rises from one quantile to the next. Moving every quantile and every value by `SUMS` at most
    gives values between these two. In the gap between lung and tissue, where the scan has hardly any voxel,
    it rises by some 1e7 HU per unit: there no fixed number of HU could tell a mistake from the order of sums.
    """
    inside, known = np.clip(scan.array, *adapter.CT_WINDOW), scan.array > -1024
    source, target = quantiles(raw[known]), quantiles(inside[known])
    low, high = (
        match_histogram(raw + shift, source, target) + (scan.array - inside) for shift in (-SUMS, SUMS)
    )
    assert np.median((high - low)[known]) < 0.2
    return np.where(known, low, scan.array), np.where(known, high, scan.array)


def test_slices_are_consistent_whatever_the_batch(weights, scan, raw, monkeypatch):
    restore(scan, "cellpose", weights=weights)
    low, high = bounds_hu(scan, raw[0])
    for n in (1, 2):
        monkeypatch.setattr(adapter, "_SLICES", n)
        out = restore(scan, "cellpose", weights=weights).array
        np.testing.assert_allclose(raw[-1], raw[0], rtol=0, atol=SUMS)
        assert ((low <= out) & (out <= high)).all()
    assert raw[0].std() > 1000 * SUMS


def test_equal_slices_stay_equal_whatever_the_others_are(weights, scan, raw):
    same = scan.array.copy()
    same[1] = same[0]
    same[4] = np.maximum(same[4], 0)  # another slice's brightness
    same = replace(scan, array=same)
    out = restore(same, "cellpose", weights=weights).array
    np.testing.assert_allclose(raw[0][1], raw[0][0], rtol=0, atol=SUMS)
    low, high = bounds_hu(same, raw[0])
    assert ((low[0] <= out[1]) & (out[1] <= high[0])).all()
    restore(scan, "cellpose", weights=weights)
    np.testing.assert_allclose(raw[1][0], raw[0][0], rtol=0, atol=SUMS)  # slice 0 does not see slices 1 and 4


@pytest.mark.parametrize("mode", ["denoise_nuclei", "upsample_cyto3", "oneclick_per_cyto2", "aniso_cyto2"])
def test_every_kind_of_mode_comes_back_to_the_grid(weights, mode):
    scan = noisy(truth((6, 30, 37), (2.5, 1.0, 1.0))[0])
    out = restore(scan, "cellpose", mode=mode, weights=weights)
    assert out.shape == scan.shape
    plain = restore(scan, "cellpose", mode="denoise_nuclei", weights=weights)
    assert np.array_equal(out.array, plain.array) == (mode in ("denoise_nuclei", "oneclick_per_cyto2"))
    assert not np.array_equal(
        restore(scan, "cellpose", mode=mode, diameter=12, weights=weights).array, out.array
    )


def test_weights_of_something_else_are_refused(tmp_path, scan):
    import torch

    text, other = tmp_path / "text", tmp_path / "other"
    text.write_text("not weights")
    torch.save({"conv.weight": torch.zeros(3)}, other)
    with pytest.raises(WeightsUnavailable, match=r"file .*text: not a file of weights"):
        restore(scan, "cellpose", weights=text)
    with pytest.raises(WeightsUnavailable, match="not the weights of a cellpose restoration network"):
        restore(scan, "cellpose", weights=other)
    with pytest.raises(WeightsUnavailable, match="no such file of weights"):
        restore(scan, "cellpose", weights=tmp_path / "gone")


def test_weights_that_are_not_there_say_where_they_belong(tmp_path, monkeypatch, scan):
    monkeypatch.setenv("MMFUSION_OFFLINE", "1")
    monkeypatch.setenv("MMFUSION_WEIGHTS", str(tmp_path / "w"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CELLPOSE_LOCAL_MODELS_PATH", raising=False)
    with pytest.raises(WeightsUnavailable, match=r"deblur_cyto3.*www\.cellpose\.org.*put it at"):
        restore(scan, "cellpose")
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    write_network(tmp_path / "deblur_cyto3")
    assert restore(scan, "cellpose").shape == scan.shape


def test_without_the_package(weights, scan, monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("cellpose"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MMFusionError, match=r"pip install 'mmfusion\[restore\]'"):
        restore(scan, "cellpose", weights=weights)


# --- side by side
# -------------------------------------------------------------------------------------------------


def test_volume_is_not_mutated_by_a_view():
    base = noisy(truth()[0])
    view = Volume(base.array[::-1], base.affine)
    before = base.array.copy()
    restore(view, "nlm")
    np.testing.assert_array_equal(base.array, before)
