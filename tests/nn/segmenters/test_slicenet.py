import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.segmenters.cipa import Cipa
from mmfusion.nn.segmenters.slicenet import SliceNet
from tests.nn.segmenters.pet_ct import SMALL, blobs, build, dice_after_training


@pytest.mark.parametrize("interaction", ["slice", "concat", "none"])
@pytest.mark.parametrize("slab", [3, 5])
def test_before_training_it_is_cipa_to_the_bit(interaction, slab):
    torch.manual_seed(3)
    flat = Cipa(**SMALL)
    network = build(SliceNet, slab=slab, interaction=interaction).load_2d(flat.state_dict())
    x = torch.rand(3, 2, slab, 24, 20, generator=torch.Generator().manual_seed(1))
    middle = x[:, :, slab // 2]
    for b in (1, 2, 3):  # the layout in memory of the middle slice depends on the size of the batch
        assert torch.equal(network.eval()(x[:b])["mask"], flat.eval()(middle[:b])["mask"])
    assert torch.equal(network.train()(x)["mask"], flat.train()(middle)["mask"])
    # the running statistics of the layers that only the middle slice goes through
    for key, value in flat.decoder.state_dict().items():
        assert torch.equal(value, network.plane.decoder.state_dict()[key])


@pytest.mark.parametrize(("interaction", "counts"), [("slice", True), ("concat", True), ("none", False)])
def test_the_other_slices_count_after_a_step(interaction, counts):
    network = build(SliceNet, interaction=interaction)
    x, y = blobs(slab=3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    torch.nn.functional.binary_cross_entropy_with_logits(network(x)["mask"], y).backward()
    optimizer.step()
    other = x.clone()
    other[:, :, 2] = 0
    assert (not torch.allclose(network.eval()(other)["mask"], network(x)["mask"])) == counts


def test_it_learns_one_batch():
    x, y = blobs(slab=3)
    assert dice_after_training(build(SliceNet), x, y, steps=40) >= 0.95


def test_the_other_slices_can_be_supervised():
    x = blobs(slab=5)[0][..., :27]  # a size that is padded and cropped
    network = build(SliceNet, slab=5, interaction="none", around=0.25)
    out = network.train()(x)
    assert out["around"].shape == (2, 4, 32, 27)
    torch.testing.assert_close(out["mask"], build(SliceNet, slab=5, interaction="none")(x)["mask"])
    network.eval()
    assert list(network(x)) == ["mask"]
    with torch.no_grad():  # each slice is decoded as if it were in the middle
        flat = [network.plane(x[:, :, k])["mask"][:, 0] for k in (0, 1, 3, 4)]
        around = network.train().requires_grad_(False)
        for part in around.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.eval()
        torch.testing.assert_close(around(x)["around"], torch.stack(flat, 1), rtol=1e-4, atol=1e-5)


def test_the_interaction_adds_about_a_million_parameters():
    with torch.device("meta"):
        network = SliceNet.from_preset("full")
    extra = sum(one.numel() for one in network.joins.parameters())
    assert extra == pytest.approx(0.9e6, rel=0.15)
    assert network.slab == 3 and network.divisor == (1, 32, 32)


def test_weights_and_options_that_do_not_fit():
    with pytest.raises(MMFusionError, match="do not fit the network for single slices"):
        build(SliceNet).load_2d(Cipa(**{**SMALL, "width": 16}).state_dict())
    for slab in (2, 1, 3.0):
        with pytest.raises(MMFusionError, match=r"one slice in the middle .*got"):
            build(SliceNet, slab=slab)
    with pytest.raises(MMFusionError, match=r"no such interaction .*slice, concat, none"):
        build(SliceNet, interaction="all")
    for around in (-0.1, float("nan"), True):
        with pytest.raises(MMFusionError, match="no such weight"):
            build(SliceNet, around=around)
