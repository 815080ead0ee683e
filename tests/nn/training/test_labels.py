import numpy as np
import pytest
import torch
from torch import nn

from mmfusion.errors import DataError
from mmfusion.nn.training import JointLoss, KnownOnly, StreamDataset
from mmfusion.nn.training.labels import known

NAN = float("nan")
CASES = {
    "classes": (nn.CrossEntropyLoss(), torch.randn(3, 4), torch.tensor([2, -1, 0])),
    "vectors": (nn.MSELoss(), torch.randn(3, 2), torch.tensor([[1.0, 2.0], [NAN, NAN], [NAN, 4.0]])),
    "masks": (
        nn.BCEWithLogitsLoss(),
        torch.randn(3, 1, 2, 2),
        torch.tensor([0, 255, 1], dtype=torch.uint8)[:, None, None, None].expand(3, 1, 2, 2),
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_only_known_labels_are_seen(kind):
    loss, output, labels = CASES[kind]
    output = output.clone().requires_grad_()
    value = KnownOnly(loss)(output, labels)
    rows = [0, 2] if kind != "vectors" else ([0, 0, 2], [0, 1, 1])
    chosen = labels[rows] if kind != "masks" else labels[rows].float()
    torch.testing.assert_close(value, loss(output[rows], chosen))
    value.backward()
    assert output.grad.isfinite().all() and (output.grad[1] == 0).all() and (output.grad[0] != 0).any()


@pytest.mark.parametrize("kind", CASES)
def test_a_batch_without_labels_teaches_nothing(kind):
    loss, output, labels = CASES[kind]
    output, labels = output.clone().requires_grad_(), labels[[1, 1]]
    assert not known(labels).any()
    value = KnownOnly(loss)(output[:2], labels)
    value.backward()
    assert value == 0 and (output.grad == 0).all()


def test_a_joint_loss_is_the_weighted_sum():
    outputs = {kind: output for kind, (_, output, _) in CASES.items()}
    labels = {kind: labels for kind, (_, _, labels) in CASES.items()}
    losses = {kind: loss for kind, (loss, _, _) in CASES.items()}
    parts = [KnownOnly(losses[k])(outputs[k], labels[k]) for k in CASES]
    total = JointLoss(losses, {"vectors": 0.5})(outputs, labels)
    torch.testing.assert_close(total, parts[0] + 0.5 * parts[1] + parts[2])
    with pytest.raises(DataError, match="weight without a loss"):
        JointLoss(losses, {"vector": 0.5})


def test_labels_of_every_kind_go_through_a_data_set():
    y = {
        "stage": np.array([0, 1, -1]),
        "panel": np.array([[1.0, NAN], [2.0, 3.0], [NAN, NAN]]),
        "mask": np.zeros((3, 1, 2, 2), np.uint8),
    }
    data = StreamDataset({"rna": np.zeros((3, 5), np.float32)}, np.ones((3, 1), bool), y)
    inputs, labels = data.__getitems__([2, 0])
    assert inputs["rna"].shape == (2, 5)
    assert labels["stage"].tolist() == [-1, 0] and labels["mask"].dtype == torch.uint8
    assert labels["panel"].dtype == torch.float32 and labels["panel"][1].isnan().tolist() == [False, True]
    assert data[1][1]["panel"].tolist() == [2.0, 3.0]
    other = StreamDataset(data.arrays, data.present, {**y, "stage": np.array([0, 1, 1])})
    assert data.fingerprint() != other.fingerprint()
