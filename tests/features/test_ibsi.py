"""Every reference value of IBSI 1 for the digital phantom, through the command and through the library."""

from __future__ import annotations

from math import floor, log10
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmfusion.cli import main
from mmfusion.features import RadiomicsExtractor
from tests.features.lesions import PHANTOM_SETTINGS, digital_phantom, needs_mirp, write_cohort

pytestmark = needs_mirp
# 482 consensus values with the tolerance of the IBSI: Zwanenburg et al., reference manual, arXiv 1612.07003
# (CC BY 4.0); these are the values that the tests of mirp compare. Names are those of mirp.
REFERENCE = pd.read_csv(Path(__file__).with_name("ibsi_digital_phantom.csv"), index_col="feature")
FAMILIES = {"morph": 25, "loc": 2, "stat": 18, "ih": 23, "ivh": 6, "cm": 150, "rlm": 96, "szm": 48, "dzm": 48,
            "ngt": 15, "ngl": 51}  # fmt: skip


def outside_tolerance(values: pd.Series) -> dict[str, tuple[float, float]]:
    """Features that differ from the reference by more than its tolerance, after rounding to three digits.

    The manual states values to three significant digits, so that a value has to be rounded before it is
    compared; most tolerances are 0.
    """
    wrong = {}
    for name, (value, tolerance) in REFERENCE.iterrows():
        got = float(values[name])
        rounded = round(got, 2 - floor(log10(abs(got)))) if got else 0.0
        if not abs(rounded - value) <= tolerance * (1 + 1e-9):
            wrong[name] = (got, value)
    return wrong


def test_the_reference_has_all_families():
    assert REFERENCE.index.str.split("_").str[0].value_counts().to_dict() == FAMILIES
    assert len(REFERENCE) == 482


@pytest.mark.parametrize("modality", ["ct", "pet"])
def test_every_reference_value_by_the_command(tmp_path, capsys, modality):
    """Grey levels are neither HU nor SUV: with the settings of the phantom, they are read as they are."""
    manifest = write_cohort(tmp_path, {"phantom": digital_phantom()}, modality)
    options = [word for name, value in PHANTOM_SETTINGS.items() for word in ("-p", f"{name}={value}")]
    command = ["features", str(manifest), "--radiomics", "--modality", modality, *options]
    assert main([*command, "-o", str(tmp_path / "table.csv"), "--n-jobs", "1"]) == 0
    assert "1 of 1 scans computed" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "table.csv", index_col="patient_id")
    assert set(REFERENCE.index) <= set(table.columns)
    assert not outside_tolerance(table.loc["phantom"])


def test_every_reference_value_by_the_library():
    values = RadiomicsExtractor("ct", PHANTOM_SETTINGS).compute(*digital_phantom())
    assert not outside_tolerance(values)


def test_a_wrong_value_is_found():
    values = RadiomicsExtractor("ct", PHANTOM_SETTINGS | {"families": "statistics"}).compute(
        *digital_phantom()
    )
    everything = REFERENCE["value"].copy()
    everything.update(values)
    assert not outside_tolerance(everything)
    everything["stat_var"] *= 74 / 73  # the variance of a sample instead of that of the lesion
    assert set(outside_tolerance(everything)) == {"stat_var"}


def test_fixed_bins_that_change_nothing_give_the_same_textures():
    """Bins of 1, as the manual says, leave the phantom as it is."""
    changes = {
        "spacing": None,
        "bin_width": 1.0,
        "intensity_range": (1.0, None),
        "families": ("glcm", "ngtdm"),
    }
    scan, mask = digital_phantom()
    values = RadiomicsExtractor("ct", changes).compute(scan, mask)
    values.index = values.index.str.removesuffix("_fbs_w1.0")
    for name in values.index:
        got = float(values[name])
        assert round(got, 2 - floor(log10(abs(got)))) == pytest.approx(REFERENCE.loc[name, "value"])
    assert np.isfinite(values).all() and len(values) == 30
