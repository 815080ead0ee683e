import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.rectification import ChannelRectification, ContextGate
from mmfusion.nn.layers.regions import RegionInteraction
from mmfusion.nn.segmenters.cipa import Cipa
from tests.nn.segmenters.pet_ct import blobs, build, dice_after_training


def millions(module):
    return sum(one.numel() for one in module.parameters()) / 1e6


@pytest.mark.parametrize(("preset", "size"), [("full", 54.6), ("small", 76.1), ("base", 130.3)])
def test_the_parameters_of_the_paper(preset, size):
    with torch.device("meta"):
        network = Cipa.from_preset(preset)
    assert millions(network) == pytest.approx(size, rel=0.01)
    if preset == "full":
        parts = (network.encoder, network.rectify, network.interact, network.decoder)
        assert [millions(part) for part in parts] == pytest.approx([22.1, 2.4, 18.3, 11.8], rel=0.01)


def test_the_parameters_that_are_ours():
    with torch.device("meta"):
        assert millions(Cipa(width=96).rectify) == pytest.approx(0.37, rel=0.01)
        assert 1.2 < millions(Cipa.from_preset("demo")) < 1.7


def test_it_learns_one_batch():
    x, y = blobs()
    assert dice_after_training(build(Cipa), x, y, steps=40) >= 0.95


@pytest.mark.parametrize("rectify", ["crm", "context_gate", "none"])
def test_each_rectification(rectify):
    network, (x, _) = build(Cipa, rectify=rectify).eval(), blobs()
    out = network(x)["mask"]
    for scan in (0, 1):
        other = x.clone()
        other[:, scan] = 0.3
        assert not torch.allclose(network(other)["mask"], out)
    network.train()(x[:1, :, :8, :8])["mask"].mean().backward()  # one value per channel in the batch norms


def test_one_scan_takes_the_place_of_both():
    two, one = build(Cipa).eval(), build(Cipa, in_channels=1).eval()
    one.load_state_dict(two.state_dict())
    x = blobs()[0][:, :1]
    torch.testing.assert_close(one(x)["mask"], two(x.expand(-1, 2, -1, -1))["mask"])


def test_the_authors_form_reads_one_size():
    network = build(Cipa, faithful=True, size=(16, 24)).eval()
    assert network.encoder.embed.in_channels == 3
    assert network(torch.rand(1, 2, 15, 20))["mask"].shape == (1, 1, 15, 20)  # padded to the size
    with pytest.raises(MMFusionError, match=r"built for inputs of one size .*expected a map of \(4, 6\)"):
        network(torch.rand(1, 2, 32, 24))


def test_weights_of_channels():
    torch.manual_seed(0)
    layer, ct, pet = ChannelRectification(4), torch.randn(2, 4, 6, 5), torch.randn(2, 4, 6, 5)
    (ct_out, pet_out), base = layer(ct, pet)
    assert base[0] is ct and base[1] is pet
    ratio = torch.cat([ct_out / ct, pet_out / pet], 1).flatten(2)
    assert ((ratio > 1) & (ratio < 2)).all()
    torch.testing.assert_close(ratio, ratio[..., :1].expand_as(ratio), rtol=1e-4, atol=1e-4)
    # the scan over the channels reads the CT first, so that only the PET depends on both
    (same, changed), _ = layer(ct, pet + torch.randn(2, 4, 6, 5))
    assert torch.equal(same, ct_out) and not torch.allclose(changed / pet, pet_out / pet)


def test_gates_of_both_scans():
    torch.manual_seed(0)
    layer, ct, pet = ContextGate(4).eval(), torch.randn(2, 4, 6, 5), torch.randn(2, 4, 6, 5)
    (ct_out, _), base = layer(ct, pet)
    assert base[0] is ct_out and ((ct_out / ct > 1) & (ct_out / ct < 2)).all()
    assert not torch.allclose(layer(ct, pet + 1)[0][0], ct_out)


def test_regions_of_the_ct_and_the_whole_pet():
    torch.manual_seed(0)
    layer = RegionInteraction(4).eval()
    ct, pet = torch.randn(1, 4, 18, 16), torch.randn(1, 4, 18, 16)
    changed = torch.zeros_like(ct)
    changed[..., 0, 0] = 1
    out = layer(ct, pet)
    local = (layer(ct + changed, pet) != out).any(1)[0]
    assert local[:4, :4].all() and not local[4:].any() and not local[:, 4:].any()
    assert (layer(ct, pet + 9 * changed) != out).any(1).all()


def test_options_that_do_not_exist():
    with pytest.raises(MMFusionError, match=r"CT and PET, or one of them .*got 3"):
        build(Cipa, in_channels=3)
    with pytest.raises(MMFusionError, match=r"no such rectification .*crm, context_gate, none"):
        build(Cipa, rectify="best")
