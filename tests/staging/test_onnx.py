"""The ONNX file of a classifier gives the classifier's probabilities."""

import json

import numpy as np
import pytest

import mmfusion as mf
from tests.cohorts import tiny_cohort

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


@pytest.mark.slow
def test_the_file_gives_the_same_probabilities(tmp_path):
    cohort = tiny_cohort(40, missing=0.4)
    model = mf.StageClassifier("gmu", max_epochs=2, n_genes=8, network={"d": 8, "hidden": 8})
    model.fit(cohort.X, cohort.y)
    run = onnxruntime.InferenceSession(str(model.to_onnx(tmp_path / "stage.onnx")))
    inputs = model.transformer_.transform(cohort.X)
    (found,) = run.run(None, {"present": inputs.present, **inputs.arrays})
    np.testing.assert_allclose(found, model.predict_proba(cohort.X), atol=1e-5, rtol=0)
    facts = run.get_modelmeta().custom_metadata_map
    assert facts["classes"] == ",".join(model.classes_)
    gains = np.array(json.loads(facts["decision"])["gains"])  # the decision can be made from the file alone
    assert (model.classes_[(found @ gains).argmax(axis=1)] == model.predict(cohort.X)).all()
    np.testing.assert_allclose(json.loads(facts["training_shares"]), model.prior_)
