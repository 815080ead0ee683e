"""The study of a genotype report: its patients, the models to compare, and the subgroups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from sklearn.base import BaseEstimator

from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.errors import DataError, check_whole
from mmfusion.evaluation.baselines import PriorWhereAbsent, ridge
from mmfusion.evaluation.result import NestedResult
from mmfusion.metrics import scores_by_group
from mmfusion.nn.params import unusable
from mmfusion.radiogenomics.clinical import CLINICAL_SETS, ClinicalClassifier
from mmfusion.radiogenomics.genotype import GenotypeClassifier
from mmfusion.radiogenomics.report.reading import features_only, has_features, known, read_as

MAIN = "chosen by inner folds"
CLINICAL = "clinical: "
REFERENCE = f"{CLINICAL}{CLINICAL_SETS['all_before_surgery'].title}"
# options of known cohorts that this report needs: columns of the clinical sets
_OPTIONS = {"r01_egfr": {"site": True, "grade": True}}
_PHANTOMS = ("radiomics_phantom", "lesion_phantom")
FEATURES = ("radiomics", "deep", "both")


@dataclass(frozen=True, eq=False)
class Study:
    """Patients of a genotype report.

    Attributes
    ----------
    cohort : Cohort
        Patients with a label and features.
    everybody : Cohort or None
        Health records of all patients with a label; None if these are the same patients, or there are none.
    modalities : tuple of str
        Modalities of the features.
    left_out : str
        A sentence about patients without features; "" if there are none.
    whole : Cohort
        The cohort as it was loaded.
    features : {"radiomics", "deep", "both"}
        What is read: a table of features, deep features of a segmenter, or both.
    """

    cohort: Cohort
    everybody: Cohort | None
    modalities: tuple[str, ...]
    left_out: str
    whole: Cohort
    features: str = "radiomics"

    @property
    def tables(self) -> Cohort | None:
        """The same patients with tables of features alone; None if only deep features are read."""
        return None if self.features == "deep" else features_only(self.cohort, self.modalities)


def load_study(
    name: str,
    root: str = "",
    target: str = "egfr",
    modalities: Sequence[str] = ("ct",),
    *,
    n_patients: int = 0,
    seed: int = 0,
    features: str = "radiomics",
) -> Study:
    """Load a cohort for a report about a genotype.

    Parameters
    ----------
    name, root : str
        See `load_cohort`; "" means its default.
    target : str
        A target with two classes.
    modalities : sequence of str
        Modalities with the features.
    n_patients : int
        Number of patients of a phantom, 0 for its default.
    seed : int
        Seed of a phantom.
    features : {"radiomics", "deep", "both"}
        "radiomics": if a block has features, its scans are not read. "deep": only scans with masks are read.
        "both": features and scans with masks are read.

    Raises
    ------
    DataError
        If the target does not have two classes, or no patient has features, or scans with masks if they are
        needed.
    """
    if features not in FEATURES:
        raise unusable("features", ", ".join(FEATURES), repr(features))
    check_whole("n_patients", n_patients, 0)
    made = {"seed": seed, **({"n": n_patients} if n_patients else {})}
    options = made if name in _PHANTOMS else _OPTIONS.get(name, {})
    whole = load_cohort(name, root=root or None, target=target, **options)
    if whole.target_spec.kind != "binary":
        raise DataError(
            "not a target with two classes", parameter="target", expected="egfr, kras, ...", got=target
        )
    cohort = whole.select(modalities=known(whole, [*modalities, "ehr"]))
    cohort = read_as(cohort, modalities, features)
    wanted = known(cohort, modalities)
    has = has_features(cohort, wanted, features)
    if not has.any():
        lacking, hint = "features", None
        if features != "radiomics":
            lacking = "scans with masks" if features == "deep" else "features and scans with masks"
            hint = "deep features need ct volume and ct mask; try cohort=lesion_phantom, features=deep"
        raise DataError(f"no patient has {lacking}", file=name, expected=", ".join(modalities), hint=hint)
    records = "ehr" in cohort.modalities and not has.all()
    n = int((~has).sum())
    return Study(
        cohort=cohort.select(patients=list(has.index[has])),
        everybody=cohort.select(patients=list(has.index), modalities=["ehr"]) if records else None,
        modalities=tuple(wanted),
        left_out=f"{n} patients with a label have no features, and are only in the part about health records."
        if n
        else "",
        whole=whole,
        features=features,
    )


def genotype_models(
    reducers: Sequence[str],
    classifiers: Sequence[str],
    modalities: Sequence[str] = ("ct",),
    **settings: object,
) -> tuple[GenotypeClassifier, dict[str, BaseEstimator]]:
    """Return the model that chooses among all combinations, each combination alone, and a ridge.

    Parameters
    ----------
    reducers, classifiers : sequence of str
        Names, see `GenotypeClassifier`.
    modalities : sequence of str
        Modalities to read.
    **settings
        Further parameters, such as `preset`, `inner` and `extractor`.

    Examples
    --------
    >>> main, single = genotype_models(["none", "pca"], ["qda"])
    >>> main.reducer, list(single)
    (['none', 'pca'], ['none + qda', 'pca + qda', 'ridge'])
    """
    settings = {"modalities": tuple(modalities), **settings}
    single = [GenotypeClassifier(r, c, **settings) for r in reducers for c in classifiers]
    main = GenotypeClassifier(list(reducers), list(classifiers), **settings)
    simple = PriorWhereAbsent(ridge(list(modalities)), tuple(modalities))
    return main, {model.short_name: model for model in single} | {"ridge": simple}


def clinical_models(
    cohort: Cohort, *, random_state: int = 0
) -> tuple[dict[str, ClinicalClassifier], list[str]]:
    """Return the clinical models whose columns the cohort has, and a sentence about each set it lacks."""
    has = cohort.X["ehr"].columns if "ehr" in cohort.modalities else []
    models, absent = {}, []
    for name, one in CLINICAL_SETS.items():
        if lacking := [column for column in one.columns if column not in has]:
            absent.append(f"{CLINICAL}{one.title} is not estimable: the cohort lacks {', '.join(lacking)}.")
            continue
        models[f"{CLINICAL}{one.title}"] = ClinicalClassifier(name, random_state=random_state)
        if len(one.columns) > 2:
            forest = ClinicalClassifier(name, "forest", random_state=random_state)
            models[f"{CLINICAL}{one.title}, forest"] = forest
    return models, absent


def clinical_inputs() -> pd.DataFrame:
    """Return the columns of each clinical set, and when they are known.

    Examples
    --------
    >>> clinical_inputs().loc["sex and smoking", "inputs"]
    'sex, smoking_status'
    """
    rows = {
        one.title: {"inputs": ", ".join(one.columns), "known": one.known} for one in CLINICAL_SETS.values()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("clinical set")


def subgroups(cohort: Cohort) -> dict[str, pd.Series]:
    """Return the histology and the site of each patient, as far as the cohort records them."""
    found, X = {}, cohort.X
    if "ehr" in X.columns.unique(0) and "histology" in X["ehr"]:
        found["histology"] = X["ehr", "histology"]
    if cohort.groups is not None and "site" in cohort.groups:
        found["site"] = cohort.groups["site"].reindex(X.index)
    cells = {name: group.astype(object).where(group.notna(), "not known") for name, group in found.items()}
    return {name: group.astype(str) for name, group in cells.items() if group.nunique() > 1}


def within(result: NestedResult, groups: pd.Series, models: Sequence[str]) -> pd.DataFrame:
    """Return the AUC of some models within groups of patients, from the out-of-fold predictions.

    The folds of a repeat are pooled, because a group has few patients in a fold.

    Returns
    -------
    DataFrame
        Columns model, group, n, positive (patients of the second class), mean, lo, hi, said; NaN where a
        class has fewer than five patients.
    """
    table = scores_by_group(result.of(models), result.classes, groups)
    truth = result.predictions.drop_duplicates("patient_id").set_index("patient_id")["y_true"]
    positive = (truth == result.classes[-1]).groupby(groups.reindex(truth.index)).sum()
    table.insert(3, "positive", table["group"].map(positive).astype(int))
    return table


def optimum(cohort: Cohort) -> dict[str, float]:
    """Return the best possible AUC of the features, and the mean best correlation of the panel, if known."""
    best = cohort.provenance.get("optimum") or {}
    found = {"auc": best.get("ct", best.get("egfr_auc"))}
    if r := best.get("expression_r"):
        found["expression_r"] = sum(r.values()) / len(r)
    return {name: float(value) for name, value in found.items() if value is not None}
