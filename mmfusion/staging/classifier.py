"""StageClassifier: the multimodal stage model, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.guards import check_forbidden
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.nn.ensemble import Ensemble
from mmfusion.nn.losses import make_loss
from mmfusion.nn.net import FusionNet
from mmfusion.nn.training import (
    StreamDataset,
    TrainingPlan,
    fit_network,
    predict_in_batches,
    reproducible,
)
from mmfusion.preprocessing.augmentation import CropAugmentation, augment_batch
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.staging.background import class_quantiles
from mmfusion.staging.labels import encode_labels
from mmfusion.staging.persistence import BundleMixin
from mmfusion.staging.predict import PredictMixin
from mmfusion.staging.presets import PRESETS
from mmfusion.storage.hashing import hash_each_id
from mmfusion.streams import CUBE, StreamInputs


class StageClassifier(PredictMixin, BundleMixin, ClassifierMixin, BaseEstimator):
    """Fuse whatever modalities a patient has, and give the probability of each stage.

    Every statistic is learned in `fit`, from the rows it is given. A modality that a patient lacks (a block
    of
    missing values) is masked out, in training and after.

    Parameters
    ----------
    fusion : str, default "crossmodal"
        A registered fusion (`mmfusion.list_fusions()`).
    modalities : sequence of str, optional
        Read only these; default all blocks of X but `meta`.
    encoders : mapping, optional
        Encoder by stream name ("ct", "ct_table", "rna", "ehr"); default by shape
        (`mmfusion.list_encoders()`).
    d, hidden : int
        Width of tokens and of the fused vector.
    dropout : float in [0, 1)
        Dropout of encoders and fusion.
    modality_dropout : float in [0, 1)
        Probability that a present modality is hidden from a training patient; never all of them.
    head : {"ordinal", "softmax"}
        Ordered thresholds on one score, which wastes no data on what stages have in common; or independent
        classes.
    loss : {"cross_entropy", "focal"}
        Class-weighted cross-entropy, or class-balanced focal loss (Cui et al. 2019, CVPR).
    gamma : float
        Focusing parameter of the focal loss.
    class_weight : {"balanced", None}
        Weights of the cross-entropy.
    n_genes, graph, graph_k, graph_edges
        Genes kept in the fold, and the graph over them: "coexpression", "prior" (needs `graph_edges`),
        "random" or
        "none".
    crop_side, crop_spacing, crop_mode
        Cube of the scan that is read: voxels, mm a voxel, "tumour" (round the seed) or "lung".
    restore, harmonise
        Restorer of scans (`mmfusion.list_restorers()`), and None, "combat" or "histogram": see
        `CohortTransformer`.
    augment : bool
        Random flips, shifts, noise, ... of training crops.
    lr, weight_decay, batch_size, max_epochs, patience, schedule
        AdamW; schedule "cosine", "plateau" or "constant"; patience in epochs without a better validation
        loss, if
        there is one. A batch is by default a tenth of the rows, 8 to 32, so that small cohorts get as many
        steps as
        large ones.
    validation_fraction : float in [0, 1)
        Share of the rows given to `fit` that early stopping watches. By default there is none: all rows are
        learned
        from, for all epochs, since the few rows that a small cohort can spare say little about when to stop.
    n_members : int
        Networks, each with another initialisation (and validation rows), whose probabilities are averaged.
    encoder_options, fusion_options : mapping, optional
        Extra arguments: by encoder name, and of the fusion.
    allow_leaky : bool
        Accept inputs that give the label away. For demonstrations of leakage only; the model is stamped.
    device : str
        torch device for training and prediction; prediction uses the CPU where this machine lacks the device.
    random_state : int
        Seed of everything random in `fit`.
    verbose : bool
        Show a progress bar over epochs.

    Attributes
    ----------
    classes_ : ndarray of str, shape (K,)
        In order of severity.
    transformer_ : CohortTransformer
        Fitted preprocessing of every stream.
    module_ : nn.Module
        The trained networks; `module_(present, **streams)` gives log-probabilities, shape (n, K).
    history_ : list of list of dict
        Per member and epoch: the loss, of training and of validation rows if there are any, and the learning
        rate.
    background_ : StreamInputs
        Synthetic rows (per-class quantiles) against which predictions are explained.
    prior_ : ndarray, shape (K,)
        Share of each class among the rows given to `fit`.
    patients_ : list of str
        Hash of the id of each patient given to `fit`, whom `external_validation` refuses.
    target_ : str
        Name of the target, if the labels have one.
    """

    def __init__(
        self,
        fusion: str = "crossmodal",
        *,
        modalities: Sequence[str] | None = None,
        encoders: Mapping[str, str] | None = None,
        d: int = 32,
        hidden: int = 64,
        dropout: float = 0.5,
        modality_dropout: float = 0.2,
        head: str = "ordinal",
        loss: str = "cross_entropy",
        gamma: float = 2.0,
        class_weight: str | None = "balanced",
        n_genes: int = 500,
        graph: str = "coexpression",
        graph_k: int = 10,
        graph_edges: object = None,
        crop_side: int = 32,
        crop_spacing: float = 3.0,
        crop_mode: str = "tumour",
        restore: str | Mapping[str, object] = "identity",
        harmonise: str | None = None,
        augment: bool = True,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        batch_size: int | None = None,
        max_epochs: int = 20,
        patience: int = 12,
        schedule: str = "cosine",
        validation_fraction: float = 0.0,
        n_members: int = 2,
        encoder_options: Mapping[str, Mapping[str, object]] | None = None,
        fusion_options: Mapping[str, object] | None = None,
        allow_leaky: bool = False,
        device: str = "cpu",
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        self.fusion = fusion
        self.modalities = modalities
        self.encoders = encoders
        self.d = d
        self.hidden = hidden
        self.dropout = dropout
        self.modality_dropout = modality_dropout
        self.head = head
        self.loss = loss
        self.gamma = gamma
        self.class_weight = class_weight
        self.n_genes = n_genes
        self.graph = graph
        self.graph_k = graph_k
        self.graph_edges = graph_edges
        self.crop_side = crop_side
        self.crop_spacing = crop_spacing
        self.crop_mode = crop_mode
        self.restore = restore
        self.harmonise = harmonise
        self.augment = augment
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.schedule = schedule
        self.validation_fraction = validation_fraction
        self.n_members = n_members
        self.encoder_options = encoder_options
        self.fusion_options = fusion_options
        self.allow_leaky = allow_leaky
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_preset(cls, name: str, **changes: object) -> StageClassifier:
        """A classifier with the settings of `mmfusion.staging.presets.PRESETS[name]`, some changed.

        Raises
        ------
        DataError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise DataError(f"no preset called {name!r}", expected=", ".join(PRESETS))
        return cls(**{**PRESETS[name], **changes})

    @property
    def short_name(self) -> str:
        """What reports call it: its fusion."""
        return self.fusion

    def variants(
        self, modalities: Sequence[str], *, fusions: Sequence[str] = (), singles: bool = False
    ) -> dict[str, tuple[dict[str, object], tuple[str, ...]]]:
        """Return what `nested_cv` judges beside the model: other fusions, and single modalities.

        Parameters
        ----------
        modalities : sequence of str
            The cohort's.
        fusions : sequence of str
            Registered fusions.
        singles : bool
            Whether to judge each modality alone, with the fusion "concat".

        Returns
        -------
        dict
            Name to the parameters that differ and the modalities read. The options of the model's own fusion
            mean
            nothing to another, and are reset.

        Examples
        --------
        >>> StageClassifier().variants(["ct", "rna"], singles=True)["ct only"]
        ({'fusion': 'concat', 'modalities': ['ct'], 'fusion_options': None}, ('ct',))
        """
        every = tuple(modalities if self.modalities is None else self.modalities)
        found = {name: ({"fusion": name, "fusion_options": None}, every) for name in fusions}
        if singles:
            for m in modalities:
                changes = {"fusion": "concat", "modalities": [m], "fusion_options": None}
                found[f"{m} only"] = (changes, (m,))
        return found

    def fit(self, X: pd.DataFrame, y: Sequence[object]) -> StageClassifier:
        """Learn preprocessing and networks from these patients only.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Rows of `Cohort.X`.
        y : array-like, shape (n,)
            Their labels; an ordered categorical keeps its order.

        Raises
        ------
        DataError
            On labels that don't match X, one class only, fewer than two patients in a class, or a loss
            that is not finite.
        LeakageError
            On columns that are known only with or after the stage, or that determine the label.
        """
        codes, self.classes_ = encode_labels(X, y)
        if not self.allow_leaky:
            check_forbidden(_columns_read(X, self.modalities), getattr(y, "name", None))
            assert_no_leak(X, y)
        self.transformer_ = self._transformer()
        inputs = self.transformer_.fit(X).transform(X)
        self.prior_ = np.bincount(codes, minlength=len(self.classes_)) / len(codes)
        self.background_ = class_quantiles(inputs, codes)
        members, self.history_ = [], []
        for member in range(self.n_members):
            with reproducible(self.random_state + 1000 * member, self.device):
                module, history = self._train_member(inputs, codes, self.random_state + 1000 * member)
            members.append(module)
            self.history_.append(history)
        self.module_ = Ensemble(members)
        self.patients_ = sorted(hash_each_id(X.index))
        self.target_ = str(getattr(y, "name", None) or "")
        self.n_features_in_ = X.shape[1]
        self.feature_names_in_ = X.columns
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Probability of each class in the order of `classes_`, shape (n, K).

        Raises
        ------
        DataError
            On a patient with none of the model's modalities, another unit of RNA, malformed values, or inputs
            that
            give no probabilities.
        """
        check_is_fitted(self, "module_")
        return self._proba(self.transformer_.transform(X))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """The most probable class of each patient, shape (n,)."""
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def _proba(self, inputs: StreamInputs) -> np.ndarray:
        arrays = {"present": inputs.present, **inputs.arrays}
        proba = predict_in_batches(self.module_, arrays, device=self.device).exp().double().numpy()
        if bad := [str(p) for p, row in zip(inputs.index, proba, strict=True) if not np.isfinite(row).all()]:
            hint = "look for values that are no numbers in the scan, or for a model that did not learn"
            raise DataError("the probabilities are not finite", patient=", ".join(bad[:5]), hint=hint)
        return proba

    def _transformer(self) -> CohortTransformer:
        names = ("modalities", "n_genes", "graph", "graph_k", "graph_edges", "crop_side", "crop_spacing", "crop_mode",
                 "restore", "harmonise")  # fmt: skip
        return CohortTransformer(
            **{name: getattr(self, name) for name in names}, random_state=self.random_state
        )

    def build_module(self, specs: Sequence[object], n_classes: int) -> FusionNet:
        """The untrained network for these streams (on the meta device, its shape alone)."""
        return FusionNet(
            specs,
            n_classes,
            encoders=self.encoders or {},
            fusion=self.fusion,
            head=self.head,
            d=self.d,
            hidden=self.hidden,
            dropout=self.dropout,
            modality_dropout=self.modality_dropout,
            encoder_options=self.encoder_options or {},
            fusion_options=self.fusion_options or {},
        )

    def _train_member(
        self, inputs: StreamInputs, codes: np.ndarray, seed: int
    ) -> tuple[FusionNet, list[dict]]:
        train_rows, valid_rows = np.arange(len(codes)), None
        if self.validation_fraction:
            n = max(round(self.validation_fraction * len(codes)), len(self.classes_))
            train_rows, valid_rows = train_test_split(
                train_rows, test_size=n, stratify=codes, random_state=seed
            )
        volumes = [spec.name for spec in self.transformer_.specs_ if spec.fits(CUBE)]
        augment = partial(augment_batch, config=CropAugmentation()) if self.augment and volumes else None

        def dataset(rows: np.ndarray, augment: Callable | None = None) -> StreamDataset:
            part = inputs.rows(rows)
            return StreamDataset(part.arrays, part.present, codes[rows], augment, volumes)

        counts = np.bincount(codes[train_rows], minlength=len(self.classes_))
        return fit_network(
            self.build_module(self.transformer_.specs_, len(self.classes_)),
            make_loss(self.loss, counts, gamma=self.gamma, class_weight=self.class_weight),
            dataset(train_rows, augment),
            None if valid_rows is None else dataset(valid_rows),
            self._plan(len(codes)),
            device=self.device,
            progress=self.verbose,
        )

    def _plan(self, n_rows: int) -> TrainingPlan:
        """Return how the networks are trained; the batch is a share of all rows given to `fit`."""
        names = (
            "lr",
            "weight_decay",
            "batch_size",
            "max_epochs",
            "patience",
            "schedule",
            "validation_fraction",
        )
        plan = TrainingPlan(**{name: getattr(self, name) for name in names})
        return plan.replace(batch_size=plan.rows_per_batch(n_rows))


def _columns_read(X: pd.DataFrame, modalities: Sequence[str] | None) -> list[tuple[str, str]]:
    wanted = set(modalities) if modalities is not None else set(X.columns.unique(0)) - {"meta"}
    return [column for column in X.columns if column[0] in wanted]
