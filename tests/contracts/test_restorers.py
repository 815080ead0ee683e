"""What is registered is tested: the contract of every restorer."""

import json
import random
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmfusion.errors import MMFusionError, ScanError
from mmfusion.imaging import Volume
from mmfusion.imaging.restoration import make_restorer
from mmfusion.registry import RESTORERS, list_restorers
from tests.imaging.restorers import noisy, truth, write_network

NAMES = list(list_restorers().index)
pytestmark = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("weights") / "network")


@pytest.fixture
def options(name, request):
    """A mapping that makes the restorer."""
    return {"name": name} | (
        {"weights": str(request.getfixturevalue("weights"))} if name == "cellpose" else {}
    )


@pytest.fixture
def restorer(options):
    return make_restorer(options)


@pytest.fixture(scope="module")
def scan():
    return noisy(truth((9, 24, 28))[0])


def test_facts(name):
    facts = list_restorers().loc[name]
    assert all(facts) and facts["summary"].endswith(".") and facts["modality"] == "ct"
    assert RESTORERS.get(name).registered_name == name


def test_same_grid_in_hu(restorer, scan):
    out = restorer(scan)
    assert (out.unit, out.modality, out.shape, out.array.dtype) == ("HU", "CT", scan.shape, np.float32)
    np.testing.assert_array_equal(out.affine, scan.affine)
    assert np.isfinite(out.array).all()
    known = scan.array > -1024
    assert scan.array[known].min() <= out.array[known].min() and out.array[known].max() <= scan.array.max()


def test_padding_is_never_touched(restorer, scan):
    padded = scan.array.copy()
    padded[:, -6:] = -3024
    padded[3:5, 10:14, 10:14] = -1024
    out = restorer(replace(scan, array=padded)).array
    np.testing.assert_array_equal(out[padded <= -1024], padded[padded <= -1024])
    assert (out[padded > -1024] > -1024).all()
    lower = np.where(padded == -3024, -2000, padded).astype(np.float32)  # nor does it matter how low it is
    np.testing.assert_array_equal(
        restorer(replace(scan, array=lower)).array[padded > -1024], out[padded > -1024]
    )


def test_the_same_twice_and_the_input_as_it_was(restorer, scan):
    before = scan.array.copy()
    np.testing.assert_array_equal(restorer(scan).array, restorer(scan).array)
    np.testing.assert_array_equal(scan.array, before)


@pytest.mark.parametrize("shape", [(1, 24, 28), (2, 17, 19), (9, 24, 28)])
def test_few_slices_odd_sizes_and_whole_numbers(restorer, shape):
    scan = noisy(truth(shape)[0])
    out = restorer(replace(scan, array=np.round(scan.array).astype(np.int16)))
    assert out.shape == shape and out.array.dtype == np.float32


def test_nothing_to_restore(restorer, scan):
    for value in (-1024, -1000, 40):
        flat = np.full(scan.shape, value, np.int16)
        np.testing.assert_array_equal(restorer(replace(scan, array=flat)).array, flat)


def test_options_are_kept_and_have_a_key(restorer, options):
    key = restorer.key()
    assert key["name"] == options["name"] and json.loads(json.dumps(key)) == key
    assert make_restorer(options).key() == key
    assert all(getattr(restorer, k) == v for k, v in options.items() if k != "name")


def test_bad_input(restorer, scan, options):
    with pytest.raises(ScanError, match=r"not a CT.*got SUVbw"):
        restorer(replace(scan, unit="SUVbw"))
    holes = scan.array.copy()
    holes[1, 2, 3] = np.nan
    with pytest.raises(ScanError, match=r"not numbers.*1 voxels"):
        restorer(Volume(holes, scan.affine))
    with pytest.raises(MMFusionError, match=f"restorer '{options['name']}' has no such option"):
        make_restorer({**options, "magic": 1})


def test_the_process_is_as_it_was(restorer, scan, capfd):
    def state():
        numpy = np.random.get_state()  # noqa: NPY002 - to see that it is left alone
        return (
            random.getstate(), numpy[1].tobytes(), numpy[2], torch.get_rng_state().numpy().tobytes(),
            torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(), np.geterr(),
            warnings.filters[:],
        )  # fmt: skip

    restorer(scan)  # first use imports
    before = state()
    restorer(scan)
    assert state() == before
    assert capfd.readouterr() == ("", "")
