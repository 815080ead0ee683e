"""What is registered is tested: the contract of every fusion, by itself and in a network."""

from itertools import combinations

import pytest
import torch

from mmfusion.nn.net import FusionNet
from mmfusion.registry import FUSIONS, list_fusions
from tests.nn.streams import build, draw, specs

D, HIDDEN, CLASSES = 16, 24, 3
TOKENS = {"ct": 8, "ct_table": 1, "rna": 3, "ehr": 1}
ALL = tuple(TOKENS)
NAMES = list(list_fusions().index)
pytestmark = pytest.mark.parametrize("name", NAMES)


def fusion(name: str, *streams: str, seed: int = 0):
    return build(lambda: FUSIONS.get(name)(specs(*streams), TOKENS, D, HIDDEN, 0.3), seed)


def tokens(b: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {stream: torch.randn(b, t, D, generator=generator) for stream, t in TOKENS.items()}


def network(name: str, *streams: str, **kwargs):
    return build(lambda: FusionNet(specs(*streams), CLASSES, fusion=name, d=D, hidden=HIDDEN, **kwargs))


def batch(b: int, *streams: str, seed: int = 0) -> dict[str, torch.Tensor]:
    return {spec.name: draw(spec, b, seed + i) for i, spec in enumerate(specs(*streams))}


def some(b: int) -> torch.Tensor:
    """Who has which of the four streams: everything, single streams, pairs, ..."""
    subsets = [s for size in (4, 1, 2, 3) for s in combinations(range(4), size)]
    return torch.stack(
        [torch.tensor([i in subsets[row % len(subsets)] for i in range(4)]) for row in range(b)]
    )


def test_facts(name):
    assert all(list_fusions().loc[name]) and list_fusions().loc[name, "summary"].endswith(".")


@pytest.mark.parametrize("streams", [s for size in (1, 2, 4) for s in combinations(ALL, size)], ids="+".join)
def test_any_streams_in_any_number(name, streams):
    net = fusion(name, *streams).eval()
    for b in (1, 4):
        out = net(tokens(b), torch.ones(b, len(streams), dtype=torch.bool))
        assert out.shape == (b, net.out_features)
        assert torch.isfinite(out).all()


def test_any_subset_of_streams(name):
    net = fusion(name).eval()
    present = some(15)
    out = net(tokens(15), present)
    assert torch.isfinite(out).all()
    alone = torch.cat([net({k: v[[i]] for k, v in tokens(15).items()}, present[[i]]) for i in range(15)])
    torch.testing.assert_close(alone, out, rtol=1e-5, atol=1e-5)


def test_what_an_absent_stream_says_is_not_heard(name):
    net = fusion(name).train(mode=False)
    present, quiet = some(15), tokens(15)
    poisoned = {k: v.clone() for k, v in quiet.items()}
    for column, stream in enumerate(ALL):
        quiet[stream][~present[:, column]] = 0.0
        poisoned[stream][~present[:, column]] = torch.nan
        poisoned[stream].requires_grad_()
    out = net(poisoned, present)
    assert torch.equal(net(quiet, present), out)
    out.sum().backward()
    for column, stream in enumerate(ALL):
        assert not poisoned[stream].grad[~present[:, column]].any()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_what_a_present_stream_says_is_heard(name):
    net = fusion(name).eval()
    present = torch.ones(2, 4, dtype=torch.bool)
    before = net(tokens(2), present)
    for stream in ALL:
        changed = tokens(2)
        changed[stream][0] += 1.0 + torch.arange(D) / D
        after = net(changed, present)
        assert (after[0] - before[0]).abs().max() > 1e-6, stream
        assert torch.equal(after[1], before[1]), stream


def test_order_of_the_tokens_mapping_is_irrelevant(name):
    net = fusion(name).eval()
    present = some(6)
    backwards = dict(reversed(tokens(6).items()))
    assert torch.equal(net(tokens(6), present), net(backwards, present))


def test_evaluation_is_deterministic_and_inputs_are_untouched(name):
    net, present, x = fusion(name), some(6), tokens(6)
    net.train()(x, present)
    assert torch.equal(net.eval()(x, present), net(x, present))
    assert torch.equal(present, some(6)) and all(torch.equal(v, x[k]) for k, v in tokens(6).items())


def test_every_parameter_learns(name):
    net = network(name).train()
    logits = net(torch.ones(12, 4, dtype=torch.bool), **batch(12))
    torch.nn.functional.cross_entropy(logits, torch.arange(12) % CLASSES).backward()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not still


def test_a_patients_logits_do_not_depend_on_the_others(name):
    net = network(name).eval()
    present, x, others = some(15), batch(15), batch(15, seed=50)
    for i in (0, 1, 7):
        mixed = {k: torch.cat([v[:i], x[k][[i]], v[i + 1 :]]) for k, v in others.items()}
        assert torch.equal(net(present, **x)[i], net(present, **mixed)[i])  # other patients: the same bits
        alone = net(present[[i]], **{k: v[[i]] for k, v in x.items()})
        torch.testing.assert_close(alone, net(present, **x)[[i]], rtol=1e-5, atol=1e-5)


def test_no_batch_statistics_in_training_either(name):
    if name == "mlp":
        pytest.skip("batch norm, as published")
    net = fusion(name).train()
    net.apply(lambda part: setattr(part, "p", 0.0) if isinstance(part, torch.nn.Dropout) else None)
    x, others = tokens(6), tokens(6, seed=1)
    mixed = {k: torch.cat([v[:2], x[k][[2]], v[3:]]) for k, v in others.items()}
    assert torch.equal(net(x, some(6))[2], net(mixed, some(6))[2])


def test_contents_of_a_missing_stream_cannot_matter(name):
    net = network(name)
    present, x = some(15), batch(15)
    poisoned = {k: v.clone() for k, v in x.items()}
    for column, stream in enumerate(ALL):
        poisoned[stream][~present[:, column]] = torch.nan
    assert torch.equal(net.eval()(present, **x), net(present, **poisoned))
    loss = net.train()(present, **poisoned).logsumexp(1).sum()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_training_on_one_patient(name):
    net = network(name).train()
    out = net(torch.tensor([[False, False, False, True]]), **batch(1))
    out.sum().backward()
    assert torch.isfinite(out).all()


def test_state_dict_round_trip(name):
    one, two = fusion(name).eval(), fusion(name, seed=1).eval()
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(tokens(6), some(6)), two(tokens(6), some(6)))


def test_built_on_the_meta_device(name):
    with torch.device("meta"):
        count = sum(p.numel() for p in network(name).parameters())
    assert count == sum(p.numel() for p in network(name).parameters())
