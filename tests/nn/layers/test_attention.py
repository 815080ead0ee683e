import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.attention import Attention, Block
from tests.nn.streams import build


def test_equals_torchs_multihead_attention():
    ours = build(lambda: Attention(8, 2))
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x, x, x, need_weights=False)[0])


def test_attention_stays_within_the_patient():
    block = build(lambda: Block(8, 2, 0.0))
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    block(x)[0].sum().backward()
    assert x.grad[0].any() and not x.grad[1:].any()


def test_a_masked_token_has_no_influence():
    block = build(lambda: Block(8, 2, 0.0))
    x = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(0))
    allowed = torch.tensor([[[True, True, False]] * 2 + [[True] * 3]])
    changed = x.clone()
    changed[:, 2] += 1
    before, after = block(x, allowed), block(changed, allowed)
    assert torch.equal(before[:, :2], after[:, :2]) and not torch.equal(before[:, 2], after[:, 2])


def test_heads_that_do_not_divide_the_width():
    with pytest.raises(MMFusionError, match="d=10, heads=4"):
        Attention(10, 4)
