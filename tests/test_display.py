"""Objects as notebooks show them: complete, and without live markup."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.targets.base import list_targets
from mmfusion.imaging import Volume, slider
from mmfusion.quality import compare_restorers
from mmfusion.quality.separability import SiteSeparability
from mmfusion.quality.survey import ScanSurvey
from mmfusion.reports.clean import clean_html
from mmfusion.staging import StagePrediction
from tests.cohorts import tiny_cohort

BAD = "<img src=evil onerror=e()>"
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def shown():
    """Objects with a text of data in every place that has one."""
    cohort = tiny_cohort(20)
    named = cohort.table.rename(columns={"age": BAD}, level=1)
    scan = Volume(
        np.random.default_rng(0).normal(0, 200, (6, 16, 12)).astype(np.float32), AFFINE, series_uid=BAD
    )
    row = dict.fromkeys(["slices", "z_mm", "x_mm"], 1.0) | {"series": BAD, "warnings": BAD, "lungs_ml": None}
    failure = {"problem": BAD, "file": BAD}
    pca = pd.DataFrame({"site": [BAD, "b"], "pc1_before": [0.0, 1.0]})
    auc = pd.DataFrame({"auc": [0.9, 0.5]}, index=["before", "after"])
    return {
        "cohort": replace(cohort, name=BAD, table=named),
        "prediction": StagePrediction(BAD, "I", {"I": 0.7, BAD: 0.3}, (BAD,), (), ((BAD, 0.1),), (BAD,)),
        "volume": scan,
        "mask": Volume((scan.array > 100).astype(np.uint8), AFFINE, unit="mask", series_uid=BAD),
        "survey": ScanSurvey(pd.DataFrame([row], index=[BAD]), pd.DataFrame([failure], index=[BAD])),
        "sites": SiteSeparability(auc, pd.DataFrame(), pca),
        "restorers": compare_restorers(scan, ["identity"]),
        "encoders": mf.list_encoders(),
        "fusions": mf.list_fusions(),
        "targets": list_targets(),
    }  # fmt: skip


SHOWN = shown()


@pytest.mark.parametrize("name", SHOWN)
def test_the_html_is_complete_and_dead(name):
    page = SHOWN[name]._repr_html_()
    assert BAD not in page and "…" not in page
    assert not re.search(r"<(script|style|meta|form|iframe|link)", page)
    cleaned = clean_html(page)  # a report leaves nothing out
    assert re.sub(r"[\s;]|<tbody>|</tbody>", "", cleaned.replace("&#x27;", "'").replace('"', "'")).count(
        "<td"
    ) == page.count("<td")
    assert len(repr(SHOWN[name])) < 5000 and "array(" not in repr(SHOWN[name])


def test_lists_hold_every_word():
    for name in ("encoders", "fusions", "targets"):
        table = SHOWN[name]
        text = table._repr_html_().replace("_<wbr>", "_")
        longest = max((str(v) for v in table.to_numpy().ravel()), key=len)
        assert len(longest) > 50 and longest.split()[-1] in text and "..." not in text
        assert type(table.head(1)) is pd.DataFrame  # what is made of it is a plain table


def test_a_large_volume_is_shown_without_a_copy():
    turned = np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    for affine in (AFFINE, turned):
        volume = Volume(np.zeros((80, 300, 300), np.int16), affine)
        start = time.process_time()
        page = volume._repr_html_()
        assert "80 × 300 × 300" in page and page.count("<img") == 1
        assert time.process_time() - start < 10


def test_the_slice_of_a_mask_is_the_one_with_the_largest_area():
    from mmfusion.imaging.views.card import _one_slice

    array = np.zeros((6, 8, 8), np.uint8)
    array[1, 2:4, 2:4], array[4, 1:7, 1:7] = 1, 1
    assert _one_slice(Volume(array, AFFINE, unit="mask")).array.sum() == 36


def test_a_slider_leaves_a_picture_in_every_export():
    import nbformat
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    from mmfusion.reports.html import notebook_html

    outputs = []
    publish = lambda data, metadata=None: outputs.append(  # noqa: E731
        new_output("display_data", data=dict(data), metadata=metadata or {})
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.publish_display_data", publish)
        slider(SHOWN["volume"], n=2)._ipython_display_()
    notebook = new_notebook(cells=[new_code_cell("slider", outputs=outputs)])
    widget = outputs[0].data["application/vnd.jupyter.widget-view+json"]["model_id"]
    state = {"state": {widget: {}}, "version_major": 2, "version_minor": 0}
    for metadata in ({}, {"widgets": {"application/vnd.jupyter.widget-state+json": state}}):
        notebook.metadata = nbformat.from_dict(metadata)
        page, _ = HTMLExporter().from_notebook_node(notebook)
        assert "data:image/png;base64" in page
        assert notebook_html(notebook, title="t").count("<img") == 1
