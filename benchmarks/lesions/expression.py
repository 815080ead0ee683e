"""Expression of the phantom's panel from CT: CSPAT with one task and with both, and ridges beside it."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import torch
from runs import judge
from tables import markdown

import mmfusion as mf
from mmfusion.data.cohort import Cohort
from mmfusion.errors import ScanWarning
from mmfusion.features.extraction import extract
from mmfusion.features.measures import LesionMeasures
from mmfusion.lesions.report import ablations, joint
from mmfusion.metrics.regression import regression_differences, regression_table
from mmfusion.metrics.segmentation import segmentation_differences, segmentation_table
from mmfusion.radiogenomics import ExpressionRegressor, prediction_null
from mmfusion.radiogenomics.permuted_expression import MEAN
from mmfusion.storage.atomic import atomic_file
from mmfusion.synthetic.chest import appearance

NULL = "null panel: CSPAT, both tasks"
RIDGES = (
    "ridge on the true appearance",
    "ridge on measures of the true mask",
    "null panel: ridge on the true appearance",
)
_PERMUTATIONS = 1000


@dataclass(frozen=True)
class Setting:
    """What all rows share: the patients, and how long the networks are trained."""

    n_train: int
    n_test: int
    epochs: int
    seed: int
    phantom: Mapping[str, object] = field(default_factory=lambda: dict(joint.CROPS))

    def cohort(self, part: str, strength: float) -> Cohort:
        n, seed = (self.n_train, self.seed) if part == "train" else (self.n_test, self.seed + 1)
        return mf.lesion_phantom(n, seed, strength=strength, target="expression", **self.phantom)


def rows(groups: list[str], names: list[str]) -> dict[str, dict[str, object]]:
    """Return the changed parameters of each row; `groups` as for `joint_grid`, `names` of some rows."""
    found: dict[str, dict[str, object]] = {row: {} for row in (*RIDGES, NULL)}
    found[ablations.MAIN] = {"log_cosine": True}
    found[ablations.MASK] = {"options": joint.SMALL | {"tasks": ("mask",)}}
    found[ablations.POOLED] = ablations.joint_grid(joint.SMALL, ("parts",))[ablations.POOLED]
    found |= ablations.joint_grid(joint.SMALL, groups)
    return {row: params for row, params in found.items() if not names or row in (*names, ablations.MAIN)}


def carry_out(row: str, params: Mapping[str, object], setting: Setting, file: Path) -> Path:
    """Train and judge one row, and write the result; nothing is done if it is there."""
    settings = json.loads(json.dumps({"row": row, "params": params, **asdict(setting)}))
    if file.exists() and json.loads(file.read_text())["settings"] == settings:
        return file
    torch.set_num_threads(1)
    train, test = (setting.cohort(part, 0.0 if "null" in row else 1.0) for part in ("train", "test"))
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScanWarning)
        found = _ridge(row, train, test) if "ridge" in row else _network(row, params, setting, train, test)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as draft:
        draft.write_text(json.dumps({"settings": settings, "seconds": time.process_time() - start, **found}))
    return file


def _network(
    row: str, params: Mapping[str, object], setting: Setting, train: Cohort, test: Cohort
) -> dict[str, object]:
    common = {"max_epochs": setting.epochs, "options": joint.SMALL, "random_state": setting.seed}
    model = mf.lesions.ExpressionSegmenter(
        preset="demo2d", threshold=0.5, **joint.PATCH | common | dict(params)
    )
    if row == ablations.MASK:
        masks = mf.LesionSegmenter(**model.get_params(deep=False)).fit(train.X)
        return {"masks": judge(masks, test.X)[0], "history": masks.history_}
    model.fit(train.X, train.y)
    out = {"values": _values(test, model.predict(test.X)), "history": model.history_}
    return out | ({"masks": judge(model.segmenter(), test.X)[0]} if "mask" in model.module_.tasks else {})


def _ridge(row: str, train: Cohort, test: Cohort) -> dict[str, object]:
    train, test = _featured(row, train), _featured(row, test)
    model = ExpressionRegressor(["ct"]).fit(train.X, train.y)
    return {"values": _values(test, model.predict(test.X))}


def _featured(row: str, cohort: Cohort) -> Cohort:
    if "appearance" in row:  # what the generator of the lesions knows
        known = pd.DataFrame(appearance.traits(cohort.outcomes), cohort.X.index, appearance.TRAITS)
    else:
        known = extract(cohort, LesionMeasures(), n_jobs=1, progress=False).features
    return cohort.with_features("ct", known, only=True)


def _values(cohort: Cohort, predicted: object) -> list[dict[str, object]]:
    true = cohort.y.add_prefix("true_")
    both = true.join(pd.DataFrame(predicted, cohort.y.index, list(cohort.y)).add_prefix("pred_"))
    return both.rename_axis("patient_id").reset_index().to_dict("records")


def table(results: Mapping[str, dict], setting: Setting) -> str:
    """Return the Markdown table of all rows, and a line about the best possible correlation."""
    values, masks = (_together(results, part) for part in ("values", "masks"))
    genes = [name.removeprefix("true_") for name in values if name.startswith("true_")]
    scores, dice = regression_table(values, genes), segmentation_table(masks)["dice"]
    same = values[~values["model"].str.contains("null")]
    differences = regression_differences(same, genes, ablations.MAIN)
    of_dice = segmentation_differences(masks[~masks["model"].str.contains("null")], ablations.MAIN)
    lines = []
    for row, one in results.items():
        cells = [""] * 5 if row not in scores.index else [
            *(_value(scores.loc[row, m]) for m in ("pearson", "spearman", "concordance")),
            _difference(differences, row),
            f"{_p(values[values['model'] == row], genes):.3f}",
        ]  # fmt: skip
        cells += [_value(dice.loc[row]) if row in dice.index else "", _difference(of_dice, row)]
        lines.append([row, *cells, f"{one['seconds']:.0f}"])
    head = ("model", "Pearson", "Spearman", "concordance", "Pearson minus both tasks", "p, permutations",
            "Dice per patient", "Dice minus both tasks", "s")  # fmt: skip
    best = pd.Series(setting.cohort("test", 1.0).provenance["optimum"]["expression_r"])
    by_gene = ", ".join(f"{gene} {r:.2f}" for gene, r in best.items())
    return f"{markdown(head, lines)}\n\nBest possible: mean {best.mean():.3f}; {by_gene}."


def cosines(results: Mapping[str, dict]) -> str:
    """Return the cosine between the gradients of both tasks by epoch."""
    name = "cosine_mask_expression"
    return ", ".join(f"{epoch[name]:+.3f}" for epoch in results[ablations.MAIN]["history"] if name in epoch)


def _p(values: pd.DataFrame, genes: list[str]) -> float:
    null = prediction_null(values, genes, n_permutations=_PERMUTATIONS)
    return float(null.table().loc[MEAN, "p"])


def _together(results: Mapping[str, dict], part: str) -> pd.DataFrame:
    tables = [pd.DataFrame(one[part]).assign(model=row) for row, one in results.items() if part in one]
    return pd.concat(tables, ignore_index=True).assign(repeat=0, fold=0)


def _value(row: pd.Series) -> str:
    return f"{row['mean']:.3f} [{row['lo']:.3f}, {row['hi']:.3f}]"


def _difference(differences: pd.DataFrame, row: str) -> str:
    if row not in differences.index:
        return ""
    one = differences.loc[row]
    return f"{one['diff']:+.3f} [{one['lo']:+.3f}, {one['hi']:+.3f}]"
