import warnings

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mmfusion.errors import ScanError
from mmfusion.imaging import read
from tests.imaging.dicoms import SUV_PER_BQML, phantom_hu, write_series

HALF_LIFE = 6586.2
BQML = np.abs(phantom_hu()).astype(np.int16)


def suv(folder, **changes):
    """Return the factor of the voxels for changed headers; None deletes; `tracer__X` is in the sequence."""

    def change(ds, k):
        for name, value in changes.items():
            owner = ds.RadiopharmaceuticalInformationSequence[0] if name.startswith("tracer__") else ds
            tag = name.removeprefix("tracer__")
            value = value(k) if callable(value) else value
            if value is None:
                delattr(owner, tag)
            else:
                setattr(owner, tag, value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, on writing a bad time
        write_series(folder, BQML, modality="PT", change=change)
    volume = read(folder)
    assert (volume.modality, volume.unit, volume.array.dtype) == ("PT", "SUVbw", np.float32)
    factor = float(volume.array.max() / BQML.max())
    np.testing.assert_allclose(volume.array, BQML * np.float32(factor), rtol=1e-5)
    return factor


def decayed(seconds, weight=70, dose=350e6):
    return pytest.approx(weight * 1000 / (dose * 2 ** (-seconds / HALF_LIFE)), rel=1e-5)


def test_start_of_scan(tmp_path):
    assert suv(tmp_path) == pytest.approx(SUV_PER_BQML) == decayed(3600)


def test_uniform_body_has_an_suv_of_one(tmp_path):
    # 350 MBq in 70 kg, decayed for an hour, spread evenly: 350e6 * 2**(-3600 / 6586.2) / 70e3 Bq/g
    even = round(350e6 * 2 ** (-3600 / 6586.2) / 70e3)
    volume = read(write_series(tmp_path, np.full((3, 8, 8), even, np.int16), modality="PT"))
    np.testing.assert_allclose(volume.array, 1, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"DecayCorrection": "ADMIN"}, decayed(0)),
        (
            {"tracer__RadiopharmaceuticalStartTime": "230000", "SeriesTime": "003000"},
            decayed(5400),
        ),  # over midnight
        ({"tracer__RadiopharmaceuticalStartDateTime": "20200229124500"}, decayed(4500)),  # before StartTime
        ({"tracer__RadiopharmaceuticalStartDateTime": "20200229124500.00+0100"}, decayed(4500)),
        (
            {"tracer__RadiopharmaceuticalStartDateTime": "19950101124500"},
            decayed(3600),
        ),  # of another date: StartTime
        (
            {
                "tracer__RadiopharmaceuticalStartTime": None,
                "tracer__RadiopharmaceuticalStartDateTime": "19950101124500",
            },
            decayed(4500),
        ),
        ({"tracer__RadiopharmaceuticalStartTime": "13:00:00"}, decayed(3600)),
        ({"PatientWeight": "140"}, decayed(3600, weight=140)),
        ({"tracer__RadionuclideTotalDose": 700e6}, decayed(3600, dose=700e6)),
    ],
    ids=[
        "admin",
        "midnight",
        "datetime",
        "zone",
        "date of another year",
        "datetime only",
        "colons",
        "weight",
        "dose",
    ],
)
def test_times_and_doses(tmp_path, changes, expected):
    assert suv(tmp_path, **changes) == expected


def test_series_made_after_the_acquisition(tmp_path):
    # each bed is acquired 120 s after the one before; its mean activity is a little before the middle of 100
    # s
    late = {"SeriesTime": "170000", "AcquisitionTime": lambda k: f"14{k * 2:02d}00"}
    assert suv(tmp_path / "earliest", **late) == decayed(3600)
    frame = {"ActualFrameDuration": 100_000, "FrameReferenceTime": lambda k: (600 + k * 120 + 49.91) * 1000}
    assert suv(tmp_path / "counted", **late, **frame) == pytest.approx(decayed(3000).expected, rel=1e-4)
    jumps = {**frame, "FrameReferenceTime": lambda k: 50_000}  # of each bed's own start: slices do not agree
    assert suv(tmp_path / "disagree", **late, **jumps) == decayed(3600)

    def ge(ds, k):
        ds.SeriesTime = "170000"
        block = ds.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", "20200229133000.00")

    folder = write_series(tmp_path / "ge", BQML, modality="PT", change=ge)
    assert read(folder).array.max() / BQML.max() == decayed(1800)


@pytest.mark.parametrize("implicit", [False, True])
def test_philips_counts(tmp_path, implicit):
    def philips(suv_factor, bqml_factor):
        def change(ds, k):
            ds.Units = "CNTS"
            block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
            for offset, value in ((0x00, suv_factor), (0x09, bqml_factor)):
                if value is not None:
                    block.add_new(offset, "DS", value)
            if implicit:
                ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"

        return change

    def factor(name, *factors):
        volume = read(write_series(tmp_path / name, BQML, modality="PT", change=philips(*factors)))
        return volume.array.max() / BQML.max()

    assert factor("suv", "0.0004", "1.5") == pytest.approx(0.0004)
    assert factor("bqml", "0", "1.5") == decayed(3600, weight=105)
    assert factor("bqml only", None, "1.5") == decayed(3600, weight=105)
    with pytest.raises(ScanError, match=r"counts that do not give an SUV .*\(7053,1000\)"):
        factor("neither", None, None)


def test_gml_is_suv_already(tmp_path):
    assert suv(tmp_path / "a", Units="GML", RescaleSlope="0.01", PatientWeight=None) == pytest.approx(0.01)
    assert suv(tmp_path / "b", Units="GML", RescaleSlope="0.01", SUVType="BW") == pytest.approx(0.01)
    with pytest.raises(ScanError, match=r"SUVType: SUV that is not by body weight .*got LBM"):
        suv(tmp_path / "c", Units="GML", SUVType="LBM")


def test_every_slice_has_its_own_slope(tmp_path):
    def change(ds, k):
        ds.RescaleSlope = 0.5 * (k + 1)

    volume = read(write_series(tmp_path, BQML, modality="PT", change=change))
    for k in range(6):
        np.testing.assert_allclose(volume.array[k], BQML[k] * 0.5 * (k + 1) * SUV_PER_BQML, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PatientWeight": None}, r"column PatientWeight: SUV cannot be computed .*kg; got nothing"),
        ({"PatientWeight": 0}, "PatientWeight: SUV cannot be computed .*got 0"),
        ({"PatientWeight": 70_000}, "PatientWeight: SUV cannot be computed"),  # grams
        (
            {"tracer__RadionuclideTotalDose": None},
            "RadionuclideTotalDose: SUV cannot be computed .*got nothing",
        ),
        (
            {"tracer__RadionuclideTotalDose": 350},
            "RadionuclideTotalDose: SUV cannot be computed .*Bq; got 350",
        ),  # MBq
        ({"tracer__RadionuclideHalfLife": None}, "RadionuclideHalfLife: SUV cannot be computed"),
        ({"tracer__RadionuclideHalfLife": 109.77}, "activity that has decayed .*60 min after"),  # minutes
        ({"tracer__RadiopharmaceuticalStartTime": None}, "no time of injection"),
        (
            {"tracer__RadiopharmaceuticalStartTime": "lunch"},
            "RadiopharmaceuticalStartTime: not a date or time",
        ),
        ({"SeriesTime": None, "AcquisitionTime": None}, "no time of the scan"),
        ({"RadiopharmaceuticalInformationSequence": None}, "no information on the dose"),
        ({"RadiopharmaceuticalInformationSequence": []}, "no information on the dose"),
        ({"CorrectedImage": ["DECY", "SCAT"]}, "without attenuation correction .*got DECY, SCAT"),
        ({"CorrectedImage": None}, "without attenuation correction .*got no corrections"),
        ({"DecayCorrection": "NONE"}, "without a known decay correction .*got NONE"),
        ({"DecayCorrection": None}, "without a known decay correction .*got nothing"),
        ({"Units": "PROPCPS"}, "Units: PET units that do not give an SUV .*got PROPCPS"),
        ({"Units": None}, "PET units that do not give an SUV .*got nothing"),
        (
            {"Units": lambda k: "CNTS" if k == 3 else "BQML"},
            "1_021.dcm, column Units: a slice unlike the others",
        ),
        ({"RescaleSlope": None}, "expected RescaleSlope"),
        ({"RescaleSlope": "1e20"}, "values that cannot be SUV"),
        ({"RescaleSlope": "1e-9"}, "values that cannot be SUV"),
    ],
)
def test_what_does_not_allow_an_suv(tmp_path, changes, message):
    with pytest.raises(ScanError, match=message) as error:
        suv(tmp_path, **changes)
    assert str(tmp_path) in str(error.value)


def test_attenuation_method_will_do(tmp_path):
    changes = {"CorrectedImage": None, "AttenuationCorrectionMethod": "measured,CT"}
    assert suv(tmp_path, **changes) == decayed(3600)


def test_pet_of_a_tracer_in_items_of_undefined_length(tmp_path):
    def change(ds, k):
        item = Dataset()
        item.update(ds.RadiopharmaceuticalInformationSequence[0])
        item.is_undefined_length_sequence_item = True
        ds.RadiopharmaceuticalInformationSequence = [item]
        ds["RadiopharmaceuticalInformationSequence"].is_undefined_length = True

    volume = read(write_series(tmp_path, BQML, modality="PT", change=change))
    assert volume.array.max() / BQML.max() == decayed(3600)


def long_lived(half_life_s, *, stamp=None, of_day="130000"):
    changes = {"tracer__RadionuclideHalfLife": half_life_s, "tracer__RadiopharmaceuticalStartTime": of_day}
    return changes | ({"tracer__RadiopharmaceuticalStartDateTime": stamp} if stamp else {})


TRACERS = {"Zr-89": 282_240, "I-124": 360_806, "Cu-64": 45_720, "Y-86": 53_064, "Sc-44": 14_292}


@pytest.mark.parametrize("half_life", TRACERS.values(), ids=TRACERS)
def test_a_tracer_that_lives_for_a_day_needs_the_day_of_injection(tmp_path, half_life):
    with pytest.raises(
        ScanError, match=r"the day of injection is not known .*got a time of day, at a half-life"
    ):
        suv(tmp_path / "a", **long_lived(half_life))
    days = 4 if half_life > 200_000 else 1
    factor = suv(tmp_path / "b", **long_lived(half_life, stamp=f"202002{29 - days}130000"))
    waited = days * 86_400 + 3600
    assert factor == pytest.approx(70_000 / (350e6 * 2 ** (-waited / half_life)), rel=1e-5)
    for wrong in ("20200301130000", "19950101130000"):  # after the scan; years before
        with pytest.raises(
            ScanError, match=r"the day of injection is not known .*and the day (2020-03|1995)"
        ):
            suv(tmp_path / wrong, **long_lived(half_life, stamp=wrong))
    assert suv(tmp_path / "admin", DecayCorrection="ADMIN", **long_lived(half_life)) == decayed(0)


@pytest.mark.parametrize("half_life", [76, 122, 598, 1221, 4062, 6586.2], ids=lambda s: f"{s} s")
def test_a_short_lived_tracer_was_injected_within_a_day(tmp_path, half_life):
    waited = min(3600, 5 * half_life)
    at = 14 * 3600 - waited
    changes = long_lived(
        half_life, of_day=f"{int(at // 3600):02d}{int(at % 3600 // 60):02d}{int(at % 60):02d}"
    )
    waited = 14 * 3600 - int(at)
    factor = suv(tmp_path, **changes)
    assert factor == pytest.approx(70_000 / (350e6 * 2 ** (-waited / half_life)), rel=1e-4)


def test_a_scan_before_its_injection_is_refused(tmp_path):
    """A minute before it would be almost a day after it, when nothing is left."""
    with pytest.raises(ScanError, match=r"activity that has decayed .*1439 min after injection"):
        suv(tmp_path, tracer__RadiopharmaceuticalStartTime="140100")


def nuclide(meaning):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-111A1", "SRT", meaning
    return [code]


@pytest.mark.parametrize(
    ("half_life", "named"),
    [
        (1223, {"tracer__RadionuclideCodeSequence": nuclide("^18^Fluorine")}),
        (6586.2, {"tracer__RadionuclideCodeSequence": nuclide("Gallium-68")}),
        (6586.2, {"tracer__Radiopharmaceutical": "68Ga-DOTATOC"}),
        (4062.6, {"tracer__Radiopharmaceutical": "FDG F-18"}),
    ],
)
def test_a_half_life_of_another_nuclide_is_refused(tmp_path, half_life, named):
    with pytest.raises(ScanError, match="half-life is not that of the nuclide"):
        suv(tmp_path, tracer__RadionuclideHalfLife=half_life, **named)


@pytest.mark.parametrize("half_life", [6586.2, 6588, 6600, 6582])
def test_a_half_life_of_the_same_nuclide_in_other_digits(tmp_path, half_life):
    named = {
        "tracer__RadionuclideCodeSequence": nuclide("^18^Fluorine"),
        "tracer__Radiopharmaceutical": "FDG",
    }
    factor = suv(tmp_path, tracer__RadionuclideHalfLife=half_life, **named)
    assert factor == pytest.approx(SUV_PER_BQML, rel=0.002)
