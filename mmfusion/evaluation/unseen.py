"""Check that a model was not fitted on some patients: the hashes of its training patients and persons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError, LeakageError
from mmfusion.storage.hashing import hash_each_id


def fitted_on(model: object, cohort: Cohort, patients: Iterable[object]) -> list[object]:
    """Return the patients whose id, or the id of whose person, is among the training patients of a model.

    Parameters
    ----------
    model : estimator
        Fitted model; `patients_` holds the hashes of its training patients and persons.
    cohort : Cohort
        Cohort with the patients.
    patients : iterable
        Patient ids to check.

    Examples
    --------
    >>> import pandas as pd
    >>> from types import SimpleNamespace
    >>> ids = pd.Index(["p1", "p2"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB"]}, index=ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> model = SimpleNamespace(patients_=hash_each_id(["p2"]))
    >>> fitted_on(model, cohort, ["p1", "p2"])
    ['p2']
    """
    person_ids = cohort.groups["patient"].loc[list(patients)].astype(str)
    trained_on = set(model.patients_)
    pairs = zip(hash_each_id(person_ids.index), hash_each_id(person_ids))
    return [p for p, pair in zip(person_ids.index, pairs) if not trained_on.isdisjoint(pair)]


def check_trained_on(model: object, cohort: Cohort, *, all_of_them: bool = True) -> None:
    """Raise a `DataError` if a cohort is not the one on which a model was fitted.

    Parameters
    ----------
    model : object
        Fitted model. One without `patients_` cannot be checked.
    cohort : Cohort
        The cohort that is said to be that of the training.
    all_of_them : bool
        The model must have been fitted on all labelled patients of the cohort. False: on some of them.
    """
    if not isinstance(cohort, Cohort):
        got = type(cohort).__name__
        raise DataError("not a cohort", parameter="trained_on", expected="a Cohort", got=got)
    if not getattr(model, "patients_", None):
        return
    ids = cohort.X.index
    known = set(hash_each_id(ids)) | set(hash_each_id(cohort.groups.loc[ids, "patient"].astype(str)))
    elsewhere = len(set(model.patients_) - known)
    unused = len(ids) - len(fitted_on(model, cohort, ids)) if all_of_them else 0
    if elsewhere or unused:
        raise DataError(
            "the model was not fitted on this cohort",
            parameter="trained_on",
            file=cohort.name,
            expected="the training patients of the model",
            got=f"{elsewhere} of its {len(model.patients_)} training patients are absent, and {unused} of "
            f"{len(ids)} patients were not used",
        )


def check_unseen(
    model: object,
    cohort: Cohort,
    patients: Sequence[object],
    hint: str = "leave them out; if they are other persons with the same ids, add a prefix to the ids",
) -> None:
    """Raise a `LeakageError` if a model was fitted on one of some patients of a cohort, or on their person.

    Parameters
    ----------
    model : object
        Fitted model. One without `patients_`, such as an estimator of scikit-learn, cannot be checked.
    cohort : Cohort
        Cohort with the patients.
    patients : sequence
        Ids of patients that the model must not have been fitted on.
    hint : str
        End of the message: what to do.

    Raises
    ------
    LeakageError
        Names the first of the patients.
    """
    known = fitted_on(model, cohort, patients) if hasattr(model, "patients_") else []
    if known:
        raise LeakageError(
            f"the model was fitted on {len(known)} of {len(patients)} patients",
            patient=", ".join(map(str, known[:5])),
            file=cohort.name,
            hint=hint,
        )
