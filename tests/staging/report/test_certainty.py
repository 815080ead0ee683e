from types import SimpleNamespace

import pytest

from mmfusion.metrics import classification_metrics, selective_prediction
from mmfusion.staging.report.certainty import calibration_bands, certainty_lines
from tests.metrics.predictions import CLASSES, predictions


def test_the_band_is_of_the_first_repeat():
    table = predictions("ridge", n=120, repeats=2)
    result = SimpleNamespace(predictions=table, classes=CLASSES)
    band = calibration_bands(result, ["ridge"])["ridge"]
    assert band.n == 120
    first = table[table["repeat"] == 0]
    own = classification_metrics(first["y_true"], first[[f"p_{c}" for c in CLASSES]], CLASSES)
    assert band.ece == pytest.approx(own["ece"])


def test_sentences_about_certainty():
    table = predictions("ridge", n=200, signal=2.0)
    sure = selective_prediction(table, CLASSES, "ridge", n_boot=50)
    same = table.assign(model="majority", p_I=0.5, p_II=0.3, p_III=0.2)
    flat = selective_prediction(same, CLASSES, "majority", n_boot=50)
    first, second = certainty_lines({"ridge": sure, "majority": flat})
    assert first.startswith("ridge knows when it is uncertain: AURC 0.") and first.endswith("(n = 200).")
    assert second.startswith("majority is not shown to know")
