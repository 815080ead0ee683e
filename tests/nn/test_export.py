"""Export to ONNX: every registered encoder and fusion gives the same probabilities, whatever is missing."""

from itertools import product

import numpy as np
import pytest
import torch

from mmfusion.errors import MMFusionError
from mmfusion.nn.ensemble import Ensemble
from mmfusion.nn.export import write_onnx
from mmfusion.nn.layers.gatv2 import UnionGATv2, graph_attention
from mmfusion.nn.net import FusionNet
from mmfusion.registry import ENCODERS, list_encoders, list_fusions
from tests.nn.streams import build, draw, specs

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
LIGHT = {"ct": "ct_resnet", "rna": "gene_mlp"}
SMALL = {"ct_resnet": {"widths": [8, 16, 16, 16]}}


def network(fusion="concat", streams=(), **options):
    return build(lambda: FusionNet(specs(*streams), 3, fusion=fusion, d=8, hidden=8, **options)).eval()


def check(module, streams, path):
    """Write, read and run the file on random patients, one for each pattern of missing streams."""
    write_onnx(module, streams, path, classes=("I", "II", "III"))
    patterns = [row for row in product((False, True), repeat=len(streams)) if any(row)]
    present = torch.tensor(patterns)
    arrays = {spec.name: draw(spec, len(patterns), seed=9) for spec in streams}
    for column, spec in enumerate(streams):
        arrays[spec.name][~present[:, column]] = torch.nan
    run = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {"present": present.numpy(), **{name: value.numpy() for name, value in arrays.items()}}
    with torch.no_grad():
        expected = module(present, **arrays).softmax(-1).numpy()
    np.testing.assert_allclose(run.run(None, feed)[0], expected, atol=1e-5, rtol=0)
    assert run.get_modelmeta().custom_metadata_map["classes"] == "I,II,III"


@pytest.mark.slow
@pytest.mark.parametrize("fusion", list_fusions().index)
def test_every_fusion(fusion, tmp_path):
    streams = ("ct_table", "rna", "ehr")
    check(network(fusion, streams, encoders=LIGHT), specs(*streams), tmp_path / "net.onnx")


@pytest.mark.parametrize("name", list_encoders().index)
def test_every_encoder(name, tmp_path):
    spec = next(s for s in specs() if s.fits(ENCODERS.get(name).reads))
    net = network("concat", (spec.name,), encoders={spec.name: name}, encoder_options=SMALL)
    check(net, [spec], tmp_path / "net.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("fusion", list_fusions().index)
def test_every_fusion_with_the_default_encoders(fusion, tmp_path):
    check(Ensemble([network(fusion), network(fusion)]), specs(), tmp_path / "net.onnx")


def test_scans_and_records_are_fused_in_the_file(tmp_path):
    streams = ("ct", "ehr")
    check(network("daft", streams, encoder_options=SMALL), specs(*streams), tmp_path / "net.onnx")


def test_a_graph_whose_genes_have_different_numbers_of_neighbours():
    """The plain operators of the export agree with PyG's layer, isolated genes included."""
    edges = np.array([[1, 2, 3, 0, 4], [0, 0, 0, 1, 3]])
    layer = build(lambda: graph_attention(edges, np.linspace(0.1, 1, 5), 6, 3, 4, 2)).eval()
    assert isinstance(layer, UnionGATv2)
    x = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer._plain(x), layer(x), rtol=0, atol=1e-6)


def test_the_module_keeps_its_mode_and_a_failure_leaves_no_file(tmp_path, monkeypatch):
    net = network(streams=("ehr",)).train()
    monkeypatch.setattr("mmfusion.nn.export._TOLERANCE", -1.0)
    with pytest.raises(MMFusionError, match="different probabilities"):
        write_onnx(net, specs("ehr"), tmp_path / "net.onnx")
    assert net.training and not list(tmp_path.iterdir())


def test_without_the_packages(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MMFusionError, match=r"mmfusion\[onnx\]"):
        write_onnx(network(streams=("ehr",)), specs("ehr"), tmp_path / "net.onnx")
