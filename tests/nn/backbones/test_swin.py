import pytest
import torch
from monai.networks.nets.swin_unetr import SwinTransformer

from mmfusion.errors import MMFusionError
from mmfusion.nn.backbones.swin import SwinBackbone


@pytest.mark.parametrize("dims", [2, 3])
def test_it_equals_monais_transformer(dims):
    """With the same weights, the maps are those of MONAI's `SwinTransformer` to the bit."""
    torch.manual_seed(0)
    heads = (1, 2, 2, 4)
    theirs = SwinTransformer(
        1, 4, (4,) * dims, (2,) * dims, (2, 2, 1, 1), heads, spatial_dims=dims, qkv_bias=True
    ).eval()
    ours = SwinBackbone(spatial_dims=dims, embed_dim=4, depths=(2, 2, 1, 1), heads=heads, window=4).eval()
    weights = {}
    for name, value in theirs.state_dict().items():
        part, _, rest = name.partition(".")
        stage = int(part[-1]) - 1 if part.startswith("layers") else None
        weights["embed." + rest if stage is None else f"stages.{stage}.{rest.partition('.')[2]}"] = value
    ours.load_state_dict(weights)
    x = torch.rand(1, 1, *(32,) * dims)
    with torch.no_grad():
        for a, b in zip(ours(x), theirs(x), strict=True):
            assert torch.equal(a, b)


def test_sizes_channels_and_parameters():
    with torch.device("meta"):
        full = SwinBackbone(depths=(2, 2, 2, 2), heads=(3, 6, 12, 24), drop_path=0.1)
        maps = full(torch.rand(1, 1, 96, 96, 96))
    assert [one.shape[1] for one in maps] == list(full.channels) == [48, 96, 192, 384, 768]
    assert [96 // one.shape[2] for one in maps] == list(full.strides) == [2, 4, 8, 16, 32]
    assert sum(p.numel() for p in full.parameters()) == pytest.approx(8.06e6, rel=0.002)
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for stage in full.stages for block in stage.blocks]
    assert rates == pytest.approx([0.1 * k / 7 for k in range(8)])


def test_heads_that_do_not_fit():
    with pytest.raises(MMFusionError, match=r"attention heads .*3 numbers that divide 12, 24, 48"):
        SwinBackbone(embed_dim=12, depths=(1, 1, 1), heads=(3, 5, 6))
