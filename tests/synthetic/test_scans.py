"""Scans: geometry, what can be read from the voxels, and folders that are whole or not there."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy.ndimage import map_coordinates
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmfusion.errors import DataError
from mmfusion.synthetic import lesions, model, optimum, phantom, scans
from mmfusion.synthetic.anatomy import SCANNERS, render
from mmfusion.synthetic.genes import gene_programme

RADII = np.arange(0, 49, 4)


def _with_ct(cohort):
    return cohort.table["ct"].dropna(subset=["volume"])


def test_geometry_read_back(small):
    cohort, _ = small
    spacings = set()
    for patient, row in _with_ct(cohort).iterrows():
        image, mask = sitk.ReadImage(row["volume"]), sitk.ReadImage(row["mask"])
        assert image.GetPixelID() == sitk.sitkInt16
        assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
        assert (image.GetSize(), image.GetOrigin(), image.GetSpacing()) == (
            mask.GetSize(), mask.GetOrigin(), mask.GetSpacing())  # fmt: skip
        inside = np.argwhere(sitk.GetArrayFromImage(mask))[:, ::-1]
        centroid = image.TransformContinuousIndexToPhysicalPoint(inside.mean(axis=0).tolist())
        diameter = 2 * (3 * len(inside) * np.prod(image.GetSpacing()) / 4 / np.pi) ** (1 / 3)
        seed = row[["seed_x", "seed_y", "seed_z"]].to_numpy(dtype=float)
        assert np.linalg.norm(np.array(centroid) - seed) < 5 + diameter / 5
        lobes = cohort.table.loc[patient, "ehr"]
        if lobes["lobe_rul"] == lobes["lobe_rul"]:
            assert (row["seed_x"] < 0) == bool(lobes[["lobe_rul", "lobe_rml", "lobe_rll"]].sum())
        spacings.add(tuple(np.round(image.GetSpacing(), 3)))
    assert spacings == {tuple(s.spacing[::-1]) for s in SCANNERS[:3]}


def test_mask_has_the_volume_of_the_lesion():
    rng = np.random.default_rng(0)
    frame = lesions.sample(rng.standard_normal(60), rng)
    for k, row in frame.iterrows():
        scanner = SCANNERS[k % 4]
        mask = render(row, scanner, np.random.default_rng(k), right=True).mask
        got = mask.sum() * np.prod(scanner.spacing) / 1000
        assert got == pytest.approx(lesions.volume_ml(row["diameter_mm"]), rel=0.2, abs=0.08)


def test_hounsfield_units_are_those_of_a_chest():
    lesion = {"diameter_mm": 30.0, "solidity_hu": 30.0, "spiculation": 0.2, "texture_hu": 20.0}
    for scanner in SCANNERS:
        scan = render(lesion, scanner, np.random.default_rng(1), right=False)
        assert np.median(scan.hu) == pytest.approx(-850 + scanner.offset_hu, abs=80)
        assert scan.hu.max() > 200  # ribs
        core = scan.hu[scan.mask.astype(bool)]
        assert np.percentile(core, 75) == pytest.approx(30 + scanner.offset_hu, abs=70)


def _readings(frame, site, seed):
    """Mean intensity in shells round the seed, over a cube of 32 voxels of 3 mm."""
    axis = (np.arange(32) - 15.5) * 3
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))
    radius = np.sqrt((grid**2).sum(axis=0))
    rows = []
    for k in range(len(frame)):
        scanner, rng = SCANNERS[site[k]], np.random.default_rng([seed, k])
        scan = render(frame.iloc[k], scanner, rng, right=bool(k % 2))
        centre = (scan.centre + rng.normal(0, 1, 3) - scan.origin)[::-1]
        where = (grid + centre[:, None, None, None]) / np.array(scanner.spacing)[:, None, None, None]
        crop = np.clip(
            (map_coordinates(scan.hu.astype(np.float32), where, order=1, cval=-1000) + 1000) / 1400, 0, 1
        )
        shells = [crop[(radius >= a) & (radius < b)].mean() for a, b in pairwise(RADII)]
        rows.append([*shells, *(((crop > 0.5) & (radius < r)).mean() ** (1 / 3) for r in (15, 25, 35))])
    return np.array(rows)


@pytest.mark.slow
def test_voxels_tell_what_the_parameters_tell():
    n, train = 2400, slice(0, 1600)
    held_out = slice(1600, n)
    drawn = model.draw(n, 21, "planted", gene_programme(20, 4))
    read = _readings(drawn.lesions, np.random.default_rng(0).integers(3, size=n), 5)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(
        read[train], drawn.stage[train]
    )
    belief = optimum.beliefs(drawn.lesions, None, None, gene_programme(20, 4))
    best = optimum.class_probabilities(belief, ("ct",), "planted")[held_out]
    got = roc_auc_score(drawn.stage[held_out], probe.predict_proba(read[held_out]), multi_class="ovr")
    assert got > 0.95 * roc_auc_score(drawn.stage[held_out], best, multi_class="ovr")


def test_same_seed_same_bytes(small, tmp_path):
    cohort, _ = small
    again, _ = phantom(60, seed=3, missing=0.2, n_genes=60, n_planted=6, root=tmp_path / "again")
    assert cohort.table.drop(columns=["volume", "mask"], level=1).equals(
        again.table.drop(columns=["volume", "mask"], level=1)
    )
    for kind in ("volume", "mask"):
        for a, b in zip(_with_ct(cohort)[kind], _with_ct(again)[kind]):
            assert Path(a).read_bytes() == Path(b).read_bytes()


def test_a_complete_folder_is_used_again_and_a_half_written_one_never(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    small = {"n": 3, "n_genes": 20, "n_planted": 2, "missing": 0.0}
    first, _ = phantom(**small)
    volume = first.table["ct", "volume"].iloc[0]
    folder = next((tmp_path / "phantom").iterdir())
    before = Path(volume).stat().st_mtime_ns
    again, _ = phantom(**small, signal="null")  # labels and tables do not change the scans
    assert again.table["ct", "volume"].iloc[0] == volume
    assert Path(volume).stat().st_mtime_ns == before
    (folder / scans.COMPLETE).unlink()
    phantom(**small)
    assert (folder / scans.COMPLETE).is_file()
    assert Path(volume).stat().st_mtime_ns > before


def test_an_interrupted_rendering_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("power cut")

    monkeypatch.setattr(scans, "write_nifti", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        phantom(3, n_genes=20, n_planted=2, root=tmp_path / "files")
    assert list(tmp_path.iterdir()) == []


def test_root_with_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="contains other files"):
        phantom(3, n_genes=20, n_planted=2, root=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_marker_names_the_generator(small):
    cohort, _ = small
    folder = pd.Series(_with_ct(cohort)["volume"]).map(lambda p: p.split("scans")[0]).unique()
    assert len(folder) == 1
    marker = json.loads((Path(folder[0]) / scans.COMPLETE).read_text())
    assert (marker["generator"], marker["seed"]) == ("mmfusion.synthetic.phantom", 3)
