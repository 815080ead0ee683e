import torch

from mmfusion.nn.layers.expression_head import ExpressionHead


def head(**options):
    torch.manual_seed(0)
    return ExpressionHead((4, 4), 3, width=8, hidden=8, **options).eval()


def maps(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(2, 4, s, s, s, generator=generator) for s in (4, 2)]


def test_a_pyramid_that_is_turned_gives_the_same_expression():
    net, x = head(), maps()
    turned = [one.flip(2).transpose(3, 4) for one in x]
    torch.testing.assert_close(net(x), net(turned))


def test_the_scales_share_a_weight_of_one():
    net = head()
    alpha = net.scales(net.pooled(maps()))
    torch.testing.assert_close(alpha.sum(1), torch.ones(2, 1))
    assert (alpha > 0).all() and not torch.allclose(alpha, torch.full_like(alpha, 0.5))


def test_patients_are_apart():
    net, x = head(), maps()
    torch.testing.assert_close(net(x)[1:], net([one[1:] for one in x]))


def test_pooling_inside_the_lesion():
    """Features outside the predicted lesion reach the third pool only through its weights."""
    net, x = head(mask_pool=True), maps()
    inside = torch.zeros(2, 1, 4, 4, 4)
    inside[:, :, :2] = 1.0
    pools = net._pool(x[0], inside)
    torch.testing.assert_close(pools[2], x[0][:, :, :2].flatten(2).mean(2))
    assert torch.isfinite(net(x, torch.zeros_like(inside))).all()
    assert not torch.allclose(net(x, inside), net(x, 1 - inside))
