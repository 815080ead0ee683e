"""Re-validation: comparison of a new version of a model with the old one, on the same patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.display import html_card, html_table
from mmfusion.errors import DataError, gathered
from mmfusion.evaluation.external import check_target
from mmfusion.evaluation.tasks import check_classes, check_cohort, task_for
from mmfusion.evaluation.unseen import fitted_on
from mmfusion.metrics import paired_table, score_table

METRICS = ("macro_auc", "accuracy", "balanced_accuracy", "brier")
_NAMED = 10  # patients that a sentence names


@dataclass(frozen=True, repr=False)
class Revalidation:
    """An old and a new model on the same patients.

    Attributes
    ----------
    scores : DataFrame, index metric
        `old`, `new`, and their difference `change` (new minus old) with its paired 95 % interval `lo`, `hi`
        over patients.
    patients : DataFrame, index patient_id
        `truth`, the class that each model names (`old`, `new`), `changed`, `largest_change` (largest absolute
        change of a probability, 0 to 1) and `of_class` (its class). The largest change comes first.
    notes : list of str
        Sentences: how many classes changed and for whom, and who was a training patient.
    """

    scores: pd.DataFrame
    patients: pd.DataFrame
    notes: list[str]

    def __repr__(self) -> str:
        return "\n".join([self.scores.round(3).to_string(), *self.notes])

    def _repr_html_(self) -> str:
        changed = self.patients[self.patients["changed"]]
        return html_card(
            f"An old and a new model on {len(self.patients)} patients",
            html_table(self.scores),
            html_table(changed),
            notes=self.notes,
        )


def revalidate(
    old: str | Path,
    new: str | Path,
    cohort: Cohort,
    *,
    n_boot: int = 2000,
    random_state: int = 0,
) -> Revalidation:
    """Compare an old and a new saved model on the same patients, before the new one takes its place.

    Parameters
    ----------
    old, new : path
        Folders of saved models. Bundles of all older formats load.
    cohort : Cohort
        Patients with a class. The values of a model are too good on its own training patients. Such patients
        are counted in the notes. They are kept, because a change of their predictions matters too.
    n_boot, random_state : int
        Number of resamples of patients, and seed.

    Returns
    -------
    Revalidation
        `scores`, `patients` and `notes`.

    Raises
    ------
    DataError
        If the target has no classes, the classes of the models differ, or the patients lack what a model
        needs.
    BundleError
        If a folder is no saved model.

    Examples
    --------
    >>> import tempfile
    >>> from mmfusion.staging import StageClassifier
    >>> ids = pd.Index([f"p{i:02d}" for i in range(24)], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [50.0 + i % 7 for i in range(24)]}, ids)
    >>> cohort = Cohort("example", table, pd.DataFrame({"stage": ["IA", "IIIB"] * 12}, ids), "stage2")
    >>> folder = tempfile.mkdtemp()
    >>> model = StageClassifier("concat", max_epochs=1, n_members=1, allow_leaky=True)
    >>> paths = [f"{folder}/old", f"{folder}/new"]
    >>> for path in paths:
    ...     _ = model.fit(cohort.X, cohort.y).save(path)
    >>> found = revalidate(*paths, cohort, n_boot=10)
    >>> found.patients["changed"].sum(), found.notes[0]
    (np.int64(0), 'The named class is the same for all 24 patients.')
    """
    from mmfusion.bundle import load

    check_cohort(cohort)
    for parameter, folder in (("old", old), ("new", new)):
        if not isinstance(folder, str | Path) or not str(folder):
            expected = "the folder of a saved model"
            raise DataError("no saved model", parameter=parameter, expected=expected, got=repr(folder))
    task = task_for(cohort)
    check_classes(task, cohort.target, "models are compared by classes")
    X, y = cohort.X, cohort.y
    models = {"old": load(old), "new": load(new)}
    names = {version: [str(c) for c in model.classes_] for version, model in models.items()}
    if names["old"] != names["new"]:
        expected, got = ", ".join(names["old"]), ", ".join(names["new"])
        raise DataError("the two models have different classes", file=new, expected=expected, got=got)
    for model in models.values():
        check_target(model, cohort)
    frames, notes = {}, []
    for version, model in models.items():
        own = task.for_model(model, y)  # the patients may lack a class of the model
        with gathered() as given:
            frame = own.frame(own.predict(model, X, y))
        frames[version] = frame.assign(
            model=version, repeat=0, fold=0, patient_id=list(X.index),
            person=list(cohort.groups.loc[X.index, "patient"].astype(str)),
        )  # fmt: skip
        notes += [f"{version} model: {text}" for text in dict.fromkeys(map(str, given))]
        if seen := fitted_on(model, cohort, X.index):
            text = f"The {version} model was fitted on {len(seen)} of these {len(X)} patients"
            notes.append(f"{text}: its values are too good.")
    together = pd.concat(frames.values(), ignore_index=True)
    patients = _patients(frames, names["old"])
    scores = _scores(together, names["old"], n_boot, random_state)
    return Revalidation(scores, patients, [*_sentences(patients), *notes])


def _scores(together: pd.DataFrame, classes: list[str], n_boot: int, random_state: int) -> pd.DataFrame:
    options = {"n_boot": n_boot, "random_state": random_state}
    values = score_table(together, classes, metrics=METRICS, **options)
    rows = {}
    for metric in METRICS:
        row = paired_table(together, classes, "old", metric=metric, **options).loc["new"]
        own = {version: values.loc[version, (metric, "mean")] for version in ("old", "new")}
        rows[metric] = own | {"change": row["diff"], "lo": row["lo"], "hi": row["hi"]}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def _patients(frames: dict[str, pd.DataFrame], classes: list[str]) -> pd.DataFrame:
    old, new = (frames[version].set_index("patient_id") for version in ("old", "new"))
    columns = [f"p_{c}" for c in classes]
    change = (new[columns] - old[columns]).abs()
    table = pd.DataFrame({"truth": old["y_true"], "old": old["y_pred"], "new": new["y_pred"]})
    table["changed"] = table["old"] != table["new"]
    table["largest_change"] = change.max(axis=1)
    table["of_class"] = np.array(classes)[change.to_numpy().argmax(axis=1)]
    return table.sort_values("largest_change", ascending=False, kind="stable")


def _sentences(patients: pd.DataFrame) -> list[str]:
    changed = patients[patients["changed"]]
    n = len(patients)
    if changed.empty:
        first = f"The named class is the same for all {n} patients."
    else:
        named = ", ".join(f"{p} ({row.old} to {row.new})" for p, row in changed.head(_NAMED).iterrows())
        more = f", and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        right = int((changed["new"] == changed["truth"]).sum())
        wrong = int((changed["old"] == changed["truth"]).sum())
        first = (
            f"The named class changed for {len(changed)} of {n} patients: {named}{more}. "
            f"The new class is right for {right} of them; the old one was right for {wrong}."
        )
    top = patients.iloc[0]
    return [
        first,
        f"The largest change of a probability is {top['largest_change']:.3f} "
        f"(patient {patients.index[0]}, class {top['of_class']}).",
    ]
