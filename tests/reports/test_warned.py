"""What was warned of, once, whoever warned."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace

import pandas as pd

from mmfusion.preprocessing.scans import ScanTransformer, SeedWarning
from mmfusion.reports.warned import collected, summarised, warnings_given
from tests.staging.report.test_verdict import a_result


def test_warnings_about_software_are_not_the_readers_business():
    result = a_result({"gmu": 1.0, "ridge": 1.0})
    result.folds[0] = replace(result.folds[0], warnings=("FutureWarning: soon gone", "ScanWarning: odd"))
    result.folds[1] = replace(result.folds[1], warnings=("ScanWarning: odd",))
    assert warnings_given(result) == ["2 times: ScanWarning: odd"]
    more = ["ScanWarning: odd", "OddWarning: bad"]
    assert warnings_given(result, result, also=more) == ["5 times: ScanWarning: odd", "OddWarning: bad"]
    assert warnings_given(a_result({"gmu": 1.0, "ridge": 1.0})) == ["none"]


def test_patients_whom_folds_name_apart_are_named_once_together(monkeypatch):
    monkeypatch.setattr("mmfusion.preprocessing.scans.standard_crop", lambda *_, **__: 0.0)
    result = a_result({"gmu": 1.0, "ridge": 1.0})
    for i, patients in enumerate((["A", "B"], ["B", "C"], ["A", "B"], ["D"])):
        with collected() as given:
            ScanTransformer().fit_transform(pd.DataFrame({"volume": "x.nii"}, index=patients))
        result.folds[i] = replace(result.folds[i], warnings=tuple(given))
    assert warnings_given(result) == [
        "No seed in the scan of 4 patients, read at the lung field's centre (A, B, C, D)"
    ]


def test_long_lists_are_cut_and_braces_are_text():
    given = Counter(f"OutOfRangeWarning: patient P{i:02d}: over 20 % {{x}}" for i in range(13))
    (line,) = summarised(given)
    assert line.startswith("13 patients: over 20 % {x} (P00, P01, ") and line.endswith("P09 and 3 more)")


def test_what_folds_met_apart_is_listed_once_together():
    text = "NewCategoryWarning: smoking: not seen in fit, read as unknown: {} (known: {})"
    given = Counter(
        {text.format("never", "current, former"): 2, text.format("current, ex", "former, never"): 1}
    )
    assert summarised(given + Counter({"ScanWarning: odd": 9})) == [
        "9 times: ScanWarning: odd",
        "3 times: NewCategoryWarning: smoking: not seen in fit, read as unknown: current, ex, never",
    ]
    once = text.format("never", "current, former")
    assert summarised(Counter([once])) == [once]


def test_what_is_collected_is_shown_nowhere_else():
    with warnings.catch_warnings(record=True) as outside:
        with collected() as texts:
            warnings.warn("no seed", SeedWarning, stacklevel=1)
        assert texts == ["SeedWarning: no seed"] and not outside
