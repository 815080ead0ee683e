"""The network for clicks: drawing, training, weights, scales; with few cubes, so not whether it is good."""

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mmfusion as mf
from mmfusion.errors import DataError, WeightsUnavailable
from mmfusion.imaging import Volume
from mmfusion.lesions.click import segment
from mmfusion.lesions.click.network import CHANNELS, SHIPPED, SIZE, ClickLoss, ClickNet, inputs, loaded
from mmfusion.lesions.click.prompt import prompt
from mmfusion.lesions.click.scales import SCALES_MM, Reading, read_scales
from mmfusion.lesions.click.training import (
    JUDGE_PLAN,
    PLAN,
    Cubes,
    draw,
    main,
    train,
    train_judge,
    write_weights,
)
from mmfusion.synthetic.chest.cubes import click_cubes
from tests.lesions.click.scans import chest, dice

SEED = (15.0, 0.0, -464.0)


@pytest.fixture(scope="module")
def cubes():
    return draw(0, 1, n_jobs=1, progress=False)


@pytest.fixture(scope="module")
def weights(cubes, tmp_path_factory):
    network, _ = train(cubes, plan=PLAN.replace(max_epochs=1), progress=False)
    return write_weights(network, tmp_path_factory.mktemp("weights") / "click.safetensors")


def test_the_middle_of_a_cube_is_in_the_lesion():
    for number in range(6):
        for cube in click_cubes(3, number, size=24, scales=2):
            assert cube.hu.shape == cube.mask.shape == (24, 24, 24)
            assert cube.mask[11:13, 11:13, 11:13].any()
            assert cube.mask.sum() * cube.spacing**3 < 1.3 * cube.volume_mm3


def test_a_patient_of_a_seed_is_always_the_same(cubes):
    again = click_cubes(0, 0)
    assert all(np.array_equal(one.hu, two.hu) for one, two in zip(cubes, again))
    assert not np.array_equal(click_cubes(1, 0)[0].hu, cubes[0].hu)


def test_changed_cubes_keep_their_masks(cubes):
    data = Cubes(cubes)
    torch.manual_seed(0)
    for _ in range(6):
        x, labels = data.__getitems__([0])
        bright = x[0, 0][labels["mask"][0, 0] > 0].median() - x[0, 0][labels["mask"][0, 0] == 0].median()
        assert labels["mask"].sum() == cubes[0].mask.sum()
        assert bright > 0.3


def test_the_same_seed_gives_the_same_weights(cubes, weights, tmp_path):
    network, history = train(cubes, plan=PLAN.replace(max_epochs=1), progress=False)
    again = write_weights(network, tmp_path / "again.safetensors")
    assert again.read_bytes() == weights.read_bytes()
    assert len(history) == 1 and np.isfinite(history[0]["train_loss"])


def test_the_weights_are_small(weights):
    assert weights.stat().st_size < 5e6
    assert not any(one.requires_grad for one in loaded(weights).parameters())


@pytest.mark.slow
def test_it_can_learn_one_cube():
    drawn = (click_cubes(5, n, size=32, scales=1, shares=(0.5, 0.6), types=["solid"])[0] for n in range(20))
    cube = next(cube for cube in drawn if cube.mask.mean() > 0.05)
    plan = PLAN.replace(max_epochs=40, precision="32", lr=1e-2, batch_size=4)
    network, _ = train([cube] * 4, plan=plan, progress=False)
    with torch.inference_mode():
        x = inputs(torch.from_numpy(cube.hu[None].astype(np.float32)), torch.tensor([cube.spacing]))
        found = (network(x)["mask"][0, 0] > 0).numpy()
    both = np.count_nonzero(found & (cube.mask > 0))
    assert 2 * both / (np.count_nonzero(found) + cube.mask.sum()) > 0.8


def test_the_predicted_dice_counts_what_lies_outside_the_cube():
    logits = torch.full((1, 1, 4, 4, 4), 20.0)
    labels = {"mask": torch.ones(1, 1, 4, 4, 4)}
    loss = ClickLoss()
    low, high = torch.tensor([-9.0]), torch.tensor([9.0])

    def of(quality, voxels):
        return loss({"mask": logits, "quality": quality}, {**labels, "voxels": torch.tensor([voxels])})

    assert of(high, 64.0) < of(low, 64.0)
    assert of(high, 64_000.0) > of(low, 64_000.0)


def test_all_scales_of_a_click_and_two_of_a_line():
    scan, _ = chest()
    seen = []

    class Network(ClickNet):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    network = Network((4, 8, 8)).eval()
    read_scales(scan, prompt(scan, SEED), network)
    read_scales(scan, prompt(scan, line=[(6.0, 0.0, -464.0), (24.0, 0.0, -464.0)]), network)
    assert set(seen[:4]) == {len(SCALES_MM)} and set(seen[4:]) == {2}


def test_the_judge_is_trained_alone_and_learns(cubes, weights):
    network = loaded(weights)
    before = {name: one.clone() for name, one in network.state_dict().items()}
    history = train_judge(network, cubes, plan=JUDGE_PLAN.replace(max_epochs=2), progress=False)
    changed = {k.split(".")[0] for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"judge"} and len(history) == 2


def test_inputs_of_all_scales():
    x = inputs(torch.zeros(2, SIZE, SIZE, SIZE), torch.tensor([1.0, 2.0]))
    assert x.shape == (2, CHANNELS, SIZE, SIZE, SIZE)
    assert x[0, 2].argmax() in [
        a * SIZE**2 + b * SIZE + c for a in (23, 24) for b in (23, 24) for c in (23, 24)
    ]
    assert x[1, 3].unique().item() - x[0, 3].unique().item() == pytest.approx(np.log(2), abs=1e-6)


def test_segment_with_weights(weights):
    scan, _ = chest()
    try:
        one = mf.segment_lesion(scan, SEED, method="network", weights=weights)
        two = mf.segment_lesion(scan, SEED, method="network", weights=weights)
    except mf.MMFusionError as error:
        assert error.problem == "no lesion at this point"  # after three steps it may find nothing
    else:
        assert np.array_equal(one.mask.array, two.mask.array) and one.method == "network"


def test_the_command_writes_weights_and_losses(tmp_path, capfd):
    main(["-o", str(tmp_path / "w.safetensors"), "--patients", "1", "--judges", "1", "--epochs", "1",
          "--n-jobs", "1"])  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"w.safetensors", "w.json"}
    assert loaded(tmp_path / "w.safetensors")


def test_the_weights_in_the_package_are_those_of_the_model_card():
    card = SHIPPED.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    assert hashlib.sha256(SHIPPED.read_bytes()).hexdigest() in card
    assert SHIPPED.stat().st_size < 5e6


@pytest.mark.parametrize("radius", [5.0, 12.0])
def test_the_network_in_the_package_finds_a_nodule(radius):
    scan, (true,) = chest(((SEED, radius),))
    assert dice(mf.segment_lesion(scan, SEED, method="network").mask, true) > 0.8


@pytest.mark.parametrize("method", ["growcut", "network"])
def test_the_other_method_checks_the_mask(method, monkeypatch):
    scan, _ = chest()
    assert mf.segment_lesion(scan, SEED, method=method).warnings == ()
    other = "growcut" if method == "network" else "read_scales"
    share = np.zeros((9, 9, 9), np.float32)
    far = Volume(share, np.diag([1.0, 1, 1, 1]), unit="probability")  # it finds nothing
    monkeypatch.setattr(segment, other, lambda *_: far if other == "growcut" else Reading(far, 1.0, 1.0))
    (said,) = mf.segment_lesion(scan, SEED, method=method).warnings
    assert said == "a second method does not find the same lesion (Dice 0.00 with its mask)"
    assert mf.segment_lesion(scan, SEED, method=method, check=False).warnings == ()


def test_without_a_check_growcut_needs_no_network(monkeypatch):
    monkeypatch.setattr(segment, "loaded", None)
    assert mf.segment_lesion(chest()[0], SEED, check=False).warnings == ()


def test_bad_weights(tmp_path):
    scan, _ = chest()
    with pytest.raises(WeightsUnavailable, match=r"file .*none\.safetensors: no weights"):
        mf.segment_lesion(scan, SEED, method="network", weights=tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(WeightsUnavailable, match="not a file of weights"):
        loaded(tmp_path / "text.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsUnavailable, match="the weights of another network"):
        loaded(tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="weights are for the network"):
        mf.segment_lesion(scan, SEED, weights=tmp_path / "other.safetensors")
