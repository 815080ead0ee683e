import numpy as np
import pytest
import torch

from mmfusion.errors import DataError, MMFusionError
from mmfusion.nn.encoders import Encoder
from mmfusion.nn.net import FusionNet, drop_streams
from mmfusion.registry import ENCODERS, FUSIONS
from mmfusion.staging import StageClassifier
from mmfusion.staging.presets import PRESETS
from mmfusion.streams import StreamInputs, StreamSpec
from tests.nn.streams import build, draw, specs


def net(*streams, **kwargs):
    return build(lambda: FusionNet(specs(*streams), 3, d=8, hidden=8, **kwargs))


def batch(b, *streams):
    return {spec.name: draw(spec, b) for spec in specs(*streams)}


def test_forward_is_fuse_of_encode():
    model, present, x = net().eval(), torch.ones(4, 4, dtype=torch.bool), batch(4)
    present[0, :3] = False
    tokens = model.encode(present, **x)
    assert {name: t.shape[1] for name, t in tokens.items()} == {"ct": 8, "ct_table": 1, "rna": 8, "ehr": 1}
    assert not tokens["ct"][0].any()
    assert torch.equal(model.fuse(tokens, present), model(present, **x))


def test_placeholders_reach_neither_output_nor_gradient():
    model, x = net(dropout=0.0).eval(), batch(5)
    present = torch.tensor(
        [[1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool
    )
    poisoned = {name: value.clone() for name, value in x.items()}
    for column, name in enumerate(x):
        poisoned[name][~present[:, column]] = torch.nan
        poisoned[name].requires_grad_()
    out = model(present, **poisoned)
    assert torch.equal(out, model(present, **x))
    out.sum().backward()
    for column, name in enumerate(x):
        assert not poisoned[name].grad[~present[:, column]].any()
        assert torch.isfinite(poisoned[name].grad).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_dense_and_sparse_forward_agree():
    """Running an encoder on the rows that have its stream alone gives the same logits to 1e-6."""
    model, x = net().eval(), batch(6)
    present = torch.ones(6, 4, dtype=torch.bool)
    present[[0, 3], 0], present[[1, 4], 2] = False, False
    tokens = {}
    for column, (name, encoder) in enumerate(model.encoders.items()):
        rows = present[:, column].nonzero().squeeze(1)
        tokens[name] = torch.zeros(6, encoder.n_tokens, encoder.d).index_copy(0, rows, encoder(x[name][rows]))
    torch.testing.assert_close(model.fuse(tokens, present), model(present, **x), rtol=0, atol=1e-6)


def test_modality_dropout():
    present = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0]], dtype=torch.bool).repeat_interleave(4000, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = drop_streams(present, 0.3)
        assert torch.equal(drop_streams(present, 0.0), present)
        rest = drop_streams(present, 1.0)
    assert not (kept & ~present).any() and kept.any(1).all()
    assert rest.sum(1).eq(1).all() and not (rest & ~present).any()  # one stays, any of them
    assert rest[:4000].float().mean(0).sub(1 / 3).abs().max() < 0.03
    assert kept[:4000].float().mean() == pytest.approx(0.7 + 0.3**3 / 3, abs=0.015)
    assert kept[4000:8000, 0].float().mean() == pytest.approx(0.7 + 0.3**2 / 2, abs=0.025)
    assert kept[8000:, 1].all()


def test_nothing_is_dropped_in_evaluation_and_training_drops():
    model, present, x = net(modality_dropout=0.9, dropout=0.0), torch.ones(6, 4, dtype=torch.bool), batch(6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        before = torch.get_rng_state()
        quiet = model.eval()(present, **x)
        assert torch.equal(before, torch.get_rng_state())
        assert not torch.allclose(model.train()(present, **x), quiet)
    assert present.all()


def test_float64():
    model = net("rna", "ehr").double().eval()
    present = torch.tensor([[True, False], [True, True]])
    out = model(present, **{k: v.double() for k, v in batch(2, "rna", "ehr").items()})
    assert out.dtype == torch.float64


def inputs(b=2, **changes):
    arrays = {name: value.numpy() for name, value in batch(b).items()} | changes
    return StreamInputs(arrays, np.ones((b, 4), dtype=bool), [f"P{i}" for i in range(b)])


def test_wrong_shape_names_the_stream():
    x = inputs()
    with pytest.raises(DataError, match=r"'rna'.*\(2, 24\).*\(2, 23\)"):
        inputs(rna=x.arrays["rna"][:, 1:]).check(specs())
    with pytest.raises(DataError, match="'ehr' has the wrong shape"):
        inputs(ehr=x.arrays["ehr"][:, 0]).check(specs())
    assert x.check(specs()) is x


def test_stream_not_given():
    x = inputs()
    del x.arrays["ct_table"]
    with pytest.raises(DataError, match="'ct_table' was not given"):
        x.check(specs())


def test_presence_that_does_not_fit():
    x = inputs()
    with pytest.raises(DataError, match=r"\(2, 3\)"):
        StreamInputs(x.arrays, x.present[:, :3], x.index).check(specs())
    with pytest.raises(DataError, match="float32"):
        StreamInputs(x.arrays, x.present.astype(np.float32), x.index).check(specs())


def test_patient_without_anything():
    x = inputs(3)
    x.present[1] = False
    with pytest.raises(DataError, match="P1"):
        x.check(specs())


def test_unknown_names_and_options():
    with pytest.raises(MMFusionError, match="resnet50"):
        net(encoders={"ct": "resnet50"})
    with pytest.raises(MMFusionError, match="rnaseq"):
        net(encoders={"rnaseq": "gene_mlp"})
    with pytest.raises(MMFusionError, match=r"CTResNet.*depth"):
        net(encoder_options={"ct_resnet": {"depth": 50}})
    with pytest.raises(MMFusionError, match="gene_gatt"):
        net(encoder_options={"gene_gatt": {}})
    with pytest.raises(MMFusionError, match="no fusion called"):
        net(fusion="magic")
    net("rna", encoders={"ehr": "table_mlp"})  # a setting that speaks of a stream the cohort lacks


def preset_net(name: str, streams: list[StreamSpec]) -> FusionNet:
    model = StageClassifier.from_preset(name)
    with torch.device("meta"):
        return model.settings.network.build(streams, 4, model.fusion)


def test_paper_baseline_has_2174340_parameters():
    """4114 -> 512 -> 128 -> 4 with batch norm, on 4096 deep features and 18 clinical ones."""
    streams = [StreamSpec("ct_table", "ct", (2, 4096)), StreamSpec("ehr", "ehr", (2, 18))]
    assert sum(p.numel() for p in preset_net("paper_baseline", streams).parameters()) == 2_174_340


@pytest.mark.parametrize(
    ("name", "low", "high"), [("demo", 0.2e6, 0.5e6), ("paper_multimodal", 1e6, 4e6), ("full", 3.6e6, 5e6)]
)
def test_sizes_of_presets(name, low, high):
    preprocessing = StageClassifier.from_preset(name).settings.preprocessing
    genes, side = preprocessing.n_genes, preprocessing.crop_side
    streams = [
        StreamSpec("ct", "ct", (1, side, side, side)),
        StreamSpec("rna", "rna", (genes,)),
        StreamSpec("ehr", "ehr", (2, 40)),
    ]
    assert low < sum(p.numel() for p in preset_net(name, streams).parameters()) < high


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_what_is_registered(name):
    model = StageClassifier.from_preset(name)
    network = model.settings.network
    assert FUSIONS.get(model.fusion)
    assert all(ENCODERS.get(e) for e in [*network.encoders.values(), *network.encoder_options])


class SlabMean(Encoder):
    """Slices of PET and CT: the mean of each, through one linear layer."""

    reads = (None, 2, None, None)

    def __init__(self, spec, d=32, dropout=0.3):
        super().__init__(spec, d, dropout)
        self.project = torch.nn.Linear(2, d)

    def forward(self, x):
        return self.project(x.mean(dim=(1, 3, 4)))[:, None]


class PairMean(SlabMean):
    """The same of a pair of volumes."""

    reads = (2, None, None, None)

    def forward(self, x):
        return self.project(x.mean(dim=(2, 3, 4)))[:, None]


@pytest.mark.parametrize(("name", "shape"), [("slab_mean", (5, 2, 8, 6)), ("pair_mean", (2, 5, 8, 6))])
def test_slabs_and_pairs_can_be_read(monkeypatch, name, shape):
    monkeypatch.setattr(ENCODERS, "_classes", dict(ENCODERS._classes))
    monkeypatch.setattr(ENCODERS, "_facts", dict(ENCODERS._facts))
    for key, cls in (("slab_mean", SlabMean), ("pair_mean", PairMean)):
        ENCODERS.register(key, modality="ct, pet", paper="this test")(cls)
    streams = [StreamSpec("petct", "pet", shape), *specs("ehr")]
    with pytest.raises(MMFusionError, match=r"no default encoder for the stream 'petct'.*2, "):
        FusionNet(streams, 3, d=8, hidden=8)
    module = build(lambda: FusionNet(streams, 3, encoders={"petct": name}, d=8, hidden=8)).eval()
    x = {spec.name: draw(spec, 4) for spec in streams}
    out = module(torch.ones(4, 2, dtype=torch.bool), **x)
    assert out.shape == (4, 3)
    changed = module(torch.ones(4, 2, dtype=torch.bool), **(x | {"petct": 1 - x["petct"]}))
    assert (out - changed).abs().max() > 1e-6  # it is heard
    with pytest.raises(DataError, match="'petct' has the wrong shape"):
        arrays = {key: value.numpy() for key, value in (x | {"petct": x["petct"].transpose(1, 2)}).items()}
        StreamInputs(arrays, np.ones((4, 2), dtype=bool), range(4)).check(streams)
    other = {"slab_mean": "pair_mean", "pair_mean": "slab_mean"}[name]
    with pytest.raises(MMFusionError, match="cannot read the stream 'petct'"):
        FusionNet(streams, 3, encoders={"petct": other}, d=8, hidden=8)
