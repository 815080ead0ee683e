"""Tables and figures of the report that stages several patients."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.data.cohort import Cohort, presence
from mmfusion.errors import MMFusionError, gathered
from mmfusion.figures import scan_slices
from mmfusion.modalities import MODALITIES
from mmfusion.staging import StageClassifier, StagePrediction
from mmfusion.streams import CUBE


def choose_patients(cohort: Cohort, n: int, *, fitted: bool, seed: int = 0) -> tuple[pd.DataFrame, Cohort]:
    """Choose patients to stage, and return the others for training.

    Parameters
    ----------
    n : int
        Largest number of patients to stage.
    fitted : bool
        True: a model exists, and the first n patients are staged. False: n labelled patients are held out;
        they are drawn with `seed`.

    Returns
    -------
    patients : DataFrame
        Rows of `cohort.table`.
    rest : Cohort
        All other persons. It has no row of a person who was chosen.
    """
    table = cohort.table[presence(cohort.table).any(axis=1)]
    if fitted:
        chosen = table.index[:n]
    else:
        labelled = table.index.intersection(cohort.X.index, sort=False)
        chosen = labelled[np.sort(np.random.default_rng(seed).permutation(len(labelled))[:n])]
    person = cohort.groups.loc[table.index, "patient"]
    others = table.index[~person.isin(person.loc[chosen])]
    return table.loc[chosen], cohort.select(patients=list(others))


def prediction_table(
    results: Mapping[str, StagePrediction | MMFusionError], cohort: Cohort, seen: Collection[str] = ()
) -> pd.DataFrame:
    """Return one row per patient: recorded class, stage, probabilities, inputs, warnings or error.

    The column `in_training` is True for the patients in `seen`, on whom the model was fitted.
    """
    rows = []
    for patient, result in results.items():
        row: dict[str, object] = {
            "patient_id": patient,
            "recorded": cohort.y.astype("str").get(patient, ""),
            "in_training": patient in seen,
        }
        if isinstance(result, MMFusionError):
            rows.append(row | {"error": str(result)})
        else:
            rows.append(row | result.to_row())
    table = pd.DataFrame(rows)
    last = ["warnings", "error"]
    return table.reindex(columns=[*(c for c in table if c not in last), *last])


def shown_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of predictions as the report shows it, without empty and repeated columns.

    Parameters
    ----------
    table : DataFrame
        As `prediction_table` returns it.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["P1"], "in_training": [False], "stage": ["I"],
    ...                       "most_probable": ["I"], "stage_set": ["I II"], "p_I": [0.7123], "missing": [""],
    ...                       "warnings": [""], "error": [""]})
    >>> shown_table(table).to_dict("index")
    {'P1': {'stage': 'I', 'not excluded': 'I II', 'p_I': 0.71}}
    """
    found = table.set_index("patient_id").drop(columns=["warnings", "error"])
    empty = [c for c in ("in_training", "stage_set", "missing") if c in found and not found[c].any()]
    if "stage" in found and found["stage"].equals(found["most_probable"]):
        empty.append("most_probable")
    return found.drop(columns=empty).round(2).rename(columns={"stage_set": "not excluded"})


def no_sets(model: StageClassifier) -> str:
    """Return why a model gives no set of stages for a patient, or "" if it gives one.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> no_sets(SimpleNamespace(n_members=1, sets_=SimpleNamespace(thresholds={})))
    'The model gives no set of stages that are not excluded: it has one network, and two or more are needed.'
    >>> no_sets(SimpleNamespace(n_members=4, sets_=SimpleNamespace(thresholds={0.9: 0.4})))
    ''
    """
    if model.sets_.thresholds:
        return ""
    few = "it has one network, and two or more are needed"
    why = few if model.n_members < 2 else "too few patients were left out of its training"
    return f"The model gives no set of stages that are not excluded: {why}."


def tally(
    results: Mapping[str, StagePrediction | MMFusionError], cohort: Cohort, seen: Collection[str]
) -> str:
    """Return how many patients were staged, and how many correctly, without training patients (`seen`)."""
    predictions = {p: r for p, r in results.items() if not isinstance(r, MMFusionError)}
    right = [
        r.stage == str(cohort.y[p]) for p, r in predictions.items() if p in cohort.y.index and p not in seen
    ]
    parts = [f"{len(predictions)} of {len(results)} staged"]
    parts += [f"{sum(right)} of {len(right)} with a label correct"] if right else []
    parts += [f"{len(seen)} not counted: the model was fitted on them"] if seen else []
    return "; ".join(parts)


def scan_streams(model: object) -> list[str]:
    """Return the streams of scans that a model reads, such as ct and pet."""
    return [spec.name for spec in model.transformer_.specs_ if spec.fits(CUBE)]


def scan_figure(model: object, row: pd.DataFrame, stream: str | None = None) -> Figure | None:
    """Show the crop of a patient's scan with the places that raise the severity; None without a scan.

    The map is by HiResCAM (see `mmfusion.explain.scan_gradcam`). `stream` is the scan to show (see
    `scan_streams`), by default the first. A line below the figure gives the correlation with the map of the
    same networks with shuffled weights. If it is near 1, the map depends on the scan only and explains
    nothing (Adebayo et al. 2018, NeurIPS).
    """
    from mmfusion.explain import crop_spacing, randomisation_check, scan_gradcam  # loads torch

    names, streams = [spec.name for spec in model.transformer_.specs_], scan_streams(model)
    if not streams:
        return None
    stream = stream or streams[0]
    with gathered():  # the prediction lists the warnings
        inputs = model.transformer_.transform(row)
    if not inputs.present[0, names.index(stream)]:
        return None
    found = scan_gradcam(model, inputs, stream=stream)
    alike = randomisation_check(model, inputs, stream=stream).iloc[0]
    title = f"{MODALITIES[stream].title}, HiResCAM:"
    spacing = crop_spacing(model, row, stream=stream)[0]  # a crop of the lungs has no cubic voxels
    figure = scan_slices(found.crops[0], overlay=found.maps[0], spacing=spacing, title=title)
    figure.supxlabel(
        f"colour: parts that raise the {found.classes[0]}; correlation with the map of the same networks, "
        f"weights shuffled: {alike:.2f}",
        fontsize="small",
    )
    return figure
