import pytest
import torch

from mmfusion.nn.necks.path_aggregation import CrossScalePathAggregation, GateNode

CHANNELS, SIDES = (4, 6, 8, 10), (16, 8, 4, 2)


def maps(dims=2):
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, c, *(s,) * dims, generator=generator) for c, s in zip(CHANNELS, SIDES, strict=True)]


def neck(**options):
    torch.manual_seed(1)
    return CrossScalePathAggregation(CHANNELS, 8, spatial_dims=2, **options).eval()


def changed(net, level):
    """Which outputs change if the input of a level changes."""
    before, after = maps(), maps()
    after[level] = after[level].flip(2) + torch.rand(after[level].shape)
    with torch.no_grad():
        return [not torch.equal(a, b) for a, b in zip(net(before), net(after), strict=True)]


def test_every_scale_reaches_every_other():
    net = neck()
    assert [changed(net, level) for level in range(4)] == [[True] * 4] * 4


def test_the_top_down_path_alone_never_goes_up():
    net = neck(bottom_up=False)
    assert [changed(net, level) for level in range(4)] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]


@pytest.mark.parametrize("cross_scale", [True, False])
def test_links_that_are_not_adjacent(cross_scale):
    """If all between two scales is cut, only a link that skips it can carry a change."""
    down = neck(bottom_up=False, cross_scale=cross_scale)
    for parameter in down.top_convs[2].parameters():
        parameter.data.zero_()
    assert changed(down, 3) == [cross_scale, cross_scale, False, True]
    up = neck(cross_scale=cross_scale)
    for parameter in [*up.bottom_convs[1].parameters(), *up.top_convs[1].parameters()]:
        parameter.data.zero_()
    for node in up.top_nodes:  # so that the change can only rise from fine to coarse
        for gate in node.channel:
            gate.mlp[-1].weight.data.zero_()
    assert changed(up, 0)[2:] == [cross_scale, cross_scale]


@pytest.mark.parametrize(
    ("width", "separable", "millions"),
    [
        (64, True, 0.10),
        (128, True, 0.34),
        (192, True, 0.75),
        (64, False, 1.5),
        (128, False, 5.8),
        (192, False, 13.1),
    ],
)
def test_numbers_of_parameters(width, separable, millions):
    """The numbers of the specification, which do not count the projections of the backbone's maps."""
    with torch.device("meta"):
        net = CrossScalePathAggregation((48, 96, 192, 384), width, separable=separable)
    own = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("lateral"))
    assert own / 1e6 == pytest.approx(millions, rel=0.15)


def test_a_node_adds_shares_of_what_comes_in():
    x, y = torch.zeros(1, 2, 3, 3), [torch.full((1, 2, 3, 3), v) for v in (1.0, 5.0)]
    node = GateNode(2, 2, spatial_dims=2, gate=False)
    torch.testing.assert_close(node(x, y), torch.full_like(x, 3.0))
    node.weight.data = torch.tensor([0.0, torch.log(torch.tensor(3.0))])  # shares 1/4 and 3/4
    torch.testing.assert_close(node(x, y), torch.full_like(x, 4.0))
    gated = GateNode(2, 2, spatial_dims=2)
    for parameter in [*gated.channel.parameters(), *gated.spatial.parameters()]:
        parameter.data.zero_()
    torch.testing.assert_close(gated(x, y), torch.full_like(x, 3.0 / 4))  # both gates are 1/2


def test_volumes():
    net = CrossScalePathAggregation(CHANNELS, 4)
    out = net([torch.rand(1, c, s, s, s + 1) for c, s in zip(CHANNELS, SIDES, strict=True)])
    assert [tuple(one.shape[2:]) for one in out] == [(s, s, s + 1) for s in SIDES]
