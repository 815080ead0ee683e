"""StageClassifier: the multimodal stage model, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from mmfusion.data.classes import encode_labels
from mmfusion.errors import DataError, did_you_mean
from mmfusion.evaluation.leakage.guards import check_forbidden
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.modalities import META
from mmfusion.nn.ensemble import Ensemble
from mmfusion.nn.network import NetworkPlan
from mmfusion.nn.params import split_nested
from mmfusion.nn.training import TrainingPlan, check_device
from mmfusion.nn.training.row_balance import row_groups
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.staging.background import class_quantiles
from mmfusion.staging.decision import Costs, make_decision
from mmfusion.staging.fitting import fit_members
from mmfusion.staging.novelty import learn_usual
from mmfusion.staging.onnx import to_onnx
from mmfusion.staging.outputs import decide, predict, predict_proba, probabilities
from mmfusion.staging.persistence import restore, save
from mmfusion.staging.predict import predict_each, predict_patient, predict_row
from mmfusion.staging.presets import PRESETS
from mmfusion.staging.settings import (
    NESTED,
    Settings,
    nested_params,
    resolved_params,
    set_nested,
    settings_of,
)
from mmfusion.staging.stage_sets import fit_sets
from mmfusion.staging.variants import variants
from mmfusion.storage.hashing import hash_each_id


class StageClassifier(ClassifierMixin, BaseEstimator):
    """Predict the probability of each stage from the modalities that a patient has.

    All statistics are learned in `fit`, from the rows that it gets. If a patient lacks a modality (a block of
    missing values), the modality is masked out, in training and in prediction.

    The probabilities follow the shares of the classes among the training rows, also if the loss weights the
    classes. With two or more networks, each leaves out another eighth of the training rows. These rows
    calibrate the probabilities, and the decision is learned on them.

    The most common settings are parameters of the classifier. All others are in three nested objects. Their
    parameters have names as in skorch: `set_params(training__weight_decay=1e-3, network__hidden=128)`. A
    nested object can also be given as a mapping of changes to its defaults:
    `StageClassifier(training={"schedule": "plateau"})`.

    Parameters
    ----------
    fusion : str, default "daft"
        A registered fusion (`mmfusion.list_fusions()`). Without scans "daft" is the same as "concat".
    modalities : sequence of str, optional
        Read only these; default all blocks of X except `meta`.
    encoders : mapping, optional
        Encoder by stream name ("ct", "ct_table", "pet", "rna", "ehr"); default by the stream's shape
        (`mmfusion.list_encoders()`).
    n_genes : int, optional
        Number of genes that `fit` selects; default 500.
    dropout : float in [0, 1), optional
        Dropout of encoders and fusion; default 0.5.
    lr : float, optional
        Learning rate; default 2e-3.
    max_epochs : int, optional
        Passes through the training rows; default 14.
    n_members : int
        Number of networks. Their probabilities are averaged. Each has another initialisation, and leaves out
        other training rows. A single network is trained on all rows, and calibrated only on the validation
        rows of early stopping, if there are any.
    decision : {"macro_f1", "argmax", "cost"}
        Rule by which `predict` names a class; `predict_proba` does not depend on it. "macro_f1": the largest
        probability times a weight of the class. The weights, learned on left-out rows, make the mean F1 of
        the classes large, so that rare classes are named too. "argmax": the most probable class. "cost": the
        smallest expected cost.
    costs : DataFrame, array, or mapping of mappings, optional
        For "cost": the cost of naming a class (column) for a patient of a class (row).
    preprocessing : CohortTransformer or mapping, optional
        Settings of the streams: gene graph, crop of the scan, restoration, harmonisation.
    network : NetworkPlan or mapping, optional
        Parts and widths of the network.
    training : TrainingPlan or mapping, optional
        Optimiser, schedule, early stopping, loss, augmentation.
    allow_leaky : bool
        Accept inputs that reveal the label. Only for demonstrations of leakage; the model is marked.
    device : str
        torch device for training and prediction.
    random_state : int
        Seed of all random numbers in `fit`.
    verbose : bool
        Show a progress bar over epochs.

    Attributes
    ----------
    classes_ : ndarray of str, shape (K,)
        Classes in order of severity.
    transformer_ : CohortTransformer
        Fitted preprocessing of every stream.
    module_ : nn.Module
        The trained networks; `module_(present, **streams)` gives log-probabilities, shape (n, K).
    history_ : list of list of dict
        Per member and epoch: the loss of the training rows, the loss of the validation rows if there are
        any, and the learning rate.
    background_ : StreamInputs
        Synthetic rows (per-class quantiles) against which predictions are explained.
    prior_ : ndarray, shape (K,)
        Share of each class among the rows given to `fit`.
    decision_ : Decision
        The learned rule.
    sets_ : StageSets
        Thresholds of the sets of stages, learned on the left-out rows; empty for a single network.
    usual_ : dict of str to Usual
        What is usual of each stream; a patient unlike the training patients has a warning.
    patients_ : list of str
        Hash of the id of each patient given to `fit`; `external_validation` refuses these patients.
    target_ : str
        Name of the target, if the labels have one.

    Examples
    --------
    >>> model = StageClassifier("gmu", lr=3e-4, network={"hidden": 32})
    >>> model.set_params(training__weight_decay=1e-3).get_params()["network__hidden"]
    32
    """

    def __init__(
        self,
        fusion: str = "daft",
        *,
        modalities: Sequence[str] | None = None,
        encoders: Mapping[str, str] | None = None,
        n_genes: int | None = None,
        dropout: float | None = None,
        lr: float | None = None,
        max_epochs: int | None = None,
        n_members: int = 4,
        decision: str = "macro_f1",
        costs: Costs | None = None,
        preprocessing: CohortTransformer | Mapping[str, object] | None = None,
        network: NetworkPlan | Mapping[str, object] | None = None,
        training: TrainingPlan | Mapping[str, object] | None = None,
        allow_leaky: bool = False,
        device: str = "cpu",
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        self.fusion = fusion
        self.modalities = modalities
        self.encoders = encoders
        self.n_genes = n_genes
        self.dropout = dropout
        self.lr = lr
        self.max_epochs = max_epochs
        self.n_members = n_members
        self.decision = decision
        self.costs = costs
        self.preprocessing = preprocessing
        self.network = network
        self.training = training
        self.allow_leaky = allow_leaky
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_preset(cls, name: str, **changes: object) -> Self:
        """Return a classifier with the settings of `mmfusion.staging.presets.PRESETS[name]` and some changes.

        Raises
        ------
        DataError
            If there is no such preset.
        """
        if name not in PRESETS:
            hint = did_you_mean(name, PRESETS)
            raise DataError(f"no preset called {name!r}", expected=", ".join(PRESETS), hint=hint)
        return cls(**PRESETS[name]).set_params(**changes)

    def get_params(self, deep: bool = True) -> dict[str, object]:  # noqa: FBT001, FBT002 - scikit-learn's signature
        """Return the parameters, with those of the nested objects as `training__lr` and so on if `deep`."""
        params = super().get_params(deep=False)
        return params | nested_params(self) if deep else params

    def set_params(self, **params: object) -> Self:
        """Set parameters, nested ones as `training__lr`; a nested object is replaced, never changed.

        `training__lr` alone sets `lr` to None, so that the value given last is used.

        Raises
        ------
        DataError
            If a nested object has no such parameter.
        ValueError
            If the classifier has no such parameter.
        """
        flat, inner = split_nested(params, NESTED)
        super().set_params(**flat)
        set_nested(self, inner, flat)
        return self

    @property
    def settings(self) -> Settings:
        """Nested objects that have the values of the flat parameters.

        Raises
        ------
        DataError
            If a value is given in both places and differs.
        """
        return settings_of(self)

    def resolved_params(self) -> dict[str, object]:
        """Return all parameters with the values that `fit` would use."""
        return resolved_params(self)

    @property
    def short_name(self) -> str:
        """Name of the model in reports: its fusion."""
        return self.fusion

    def fit(self, X: pd.DataFrame, y: Sequence[object], groups: Sequence[object] | None = None) -> Self:
        """Learn preprocessing and networks from these patients only.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Rows of `Cohort.X`.
        y : array-like, shape (n,)
            Their labels; an ordered categorical keeps its order.
        groups : sequence, shape (n,), optional
            Person of each row; the rows of a person are left out together. Default: each row is a person.

        Raises
        ------
        DataError
            If the labels do not match X, there is only one class, a class has fewer than two patients, the
            costs do not fit the classes, settings contradict each other, the column to balance by cannot be
            used, or the loss is not finite.
        LeakageError
            If a column is known only with or after the label, or determines it.
        """
        settings = self.settings
        check_device(self.device)
        codes, self.classes_ = encode_labels(X, y)
        if not self.allow_leaky:
            check_forbidden(_columns_read(X, self.modalities), getattr(y, "name", None))
            assert_no_leak(X, y)
        plan, self.transformer_ = settings.training, settings.preprocessing
        inputs = self.transformer_.fit(X).transform(X)
        self.prior_ = np.bincount(codes, minlength=len(self.classes_)) / len(codes)
        self.background_ = class_quantiles(inputs, codes)
        self.usual_ = learn_usual(inputs, self.transformer_.specs_, self.transformer_.clip)
        fitted = fit_members(
            inputs,
            codes,
            self.transformer_.specs_,
            settings.network,
            plan,
            fusion=self.fusion,
            n_members=self.n_members,
            seed=self.random_state,
            persons=groups,
            groups=row_groups(X, codes, plan.balance_by) if plan.balance else None,
            device=self.device,
            progress=self.verbose,
        )
        self.module_, self.history_ = Ensemble(fitted.members), fitted.history
        self.decision_ = make_decision(self.decision, fitted.held_out, codes, self.classes_, self.costs)
        self.sets_ = fit_sets(fitted.held_out, codes)
        self.patients_ = sorted(hash_each_id(X.index))
        self.target_ = str(getattr(y, "name", None) or "")
        self.n_features_in_ = X.shape[1]
        self.feature_names_in_ = X.columns
        return self

    # methods that are defined in other files
    predict_proba = predict_proba
    predict = predict
    decide = decide
    probabilities = probabilities
    predict_patient = predict_patient
    predict_row = predict_row
    predict_each = predict_each
    save = save
    to_onnx = to_onnx
    variants = variants

    @classmethod
    def from_bundle(cls, state: Mapping[str, object], tensors: Mapping[str, object]) -> Self:
        """Return the fitted classifier that `save` described; `mmfusion.load` calls it."""
        return restore(cls, state, tensors)


def _columns_read(X: pd.DataFrame, modalities: Sequence[str] | None) -> list[tuple[str, str]]:
    wanted = set(modalities) if modalities is not None else set(X.columns.unique(0)) - {META}
    return [column for column in X.columns if column[0] in wanted]
