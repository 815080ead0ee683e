"""LesionSegmenter: segment lesions in scans, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from mmfusion.imaging import Volume
from mmfusion.lesions.expression import predict_expression
from mmfusion.lesions.fitting import fine_tune, fit
from mmfusion.lesions.inference import probabilities, segment, segment_row
from mmfusion.lesions.nested import nested_params, set_nested
from mmfusion.lesions.persistence import restore, save
from mmfusion.lesions.scans import ScanReader
from mmfusion.lesions.seen import saw
from mmfusion.lesions.settings import (
    SegmenterSettings,
    resolved_params,
    settings_of,
)
from mmfusion.lesions.tables import table_of
from mmfusion.lesions.variants import variants
from mmfusion.nn.training import TrainingPlan
from mmfusion.preprocessing.augmentation import CropAugmentation


class LesionSegmenter(BaseEstimator):
    """Segment the lesions of CT and PET scans with a network that is trained on patches.

    `fit` learns from scans and masks. `predict` returns a mask for each patient, on the grid of the patient's
    scan. Everything that is chosen from data is chosen on the rows given to `fit`. If the threshold is chosen
    too (the default), the network is trained without a fifth of these patients.

    All settings of the training are in the nested object `training`, whose parameters have names as in
    skorch: `set_params(training__weight_decay=1e-3)`.

    Parameters
    ----------
    network : str
        A registered network (`mmfusion.list_segmenters()`).
    preset : str
        "demo", which trains in minutes on two cores, or "full", the size of the paper.
    modalities : sequence of str, optional
        Modalities of the channels, such as ["ct", "pet"]; default those of the network. Masks and results
        have the grid of the first.
    options : mapping, optional
        Options of the network, which replace those of the preset.
    training : TrainingPlan or mapping, optional
        Training plan, or changes to the plan of the preset.
    lr, max_epochs, batch_size : number, optional
        The most common settings of the training plan.
    size : int or sequence of int, optional
        Sides of a patch, voxels; default by preset.
    spacing : float or (z, y, x), optional
        Voxel size of the patches, mm; default by preset.
    box_mode : {"none", "detector", "jittered", "oracle"}
        Boxes around the lesions, for networks that read a cue. "none": no boxes. "detector": boxes changed at
        random in training; at prediction, those that a coarse segmenter finds, which `fit` trains too.
        "jittered": the same in training; at prediction, no boxes. "oracle": the box of the true mask, also
        at prediction. The predicted masks then have the `provenance` "oracle", because they cannot be made
        without the true mask.
    threshold : "inner" or float
        Threshold of the probability. "inner": the one with the highest mean Dice on held-out training
        patients; 0.5 if there are fewer than four patients, or fewer than two with a lesion.
    test_time_flips : bool
        Average the output over mirror images.
    augment : CropAugmentation, mapping or False, optional
        Random changes of patches in training; a mapping changes some parameters of the default.
    balance : {"uncertainty", "fixed", "dwa", "pcgrad"}
        Balance of masks and expression, if both are learned: see `mmfusion.nn.training.balanced`.
    task_weights : mapping of str to float, optional
        Weights of the losses "mask" and "expression", above 0; none for "uncertainty", which learns them.
    consistency : float
        Weight of the consistency with a mean teacher, 0 or above. 0: no teacher. With a teacher, the training
        also uses patients without any label.
    log_cosine : bool
        Record the cosine between the gradients of masks and expression, which takes longer.
    start : path, optional
        Folder of a saved segmenter from whose weights the training starts, such as a `cipa` for a `slicenet`.
        Its training patients are added to `patients_`.
    random_state : int
        Seed of all random numbers in `fit`.
    device : str
        torch device for training and prediction.
    progress : bool
        Show a progress bar over epochs.

    Attributes
    ----------
    module_ : Segmenter
        The trained network.
    threshold_ : float
        Threshold of the probability.
    history_ : list of dict
        Losses of each epoch. If masks and expression are learned, also the loss of each task, its weight or
        sigma (see `mmfusion.nn.training.balance.TaskLog`), and with `log_cosine` `cosine_mask_expression`.
    panel_ : GenePanel or None
        Genes that were learned, with the statistics of the training values.
    fitted_ : SegmenterSettings
        Settings of the fit.
    detector_ : Detector or None
        The trained detector.
    patients_ : list of str
        Hash of the id of each patient that `fit` used; see `saw`.
    scans_ : list of str
        Hash of the voxels of each scan that `fit` used.

    Examples
    --------
    >>> model = LesionSegmenter("unet", max_epochs=5, training={"weight_decay": 0.1})
    >>> model.settings.plan.max_epochs, model.get_params()["training__weight_decay"]
    (5, 0.1)
    """

    def __init__(
        self,
        network: str = "unet",
        preset: str = "demo",
        *,
        modalities: Sequence[str] | None = None,
        options: Mapping[str, object] | None = None,
        training: TrainingPlan | Mapping[str, object] | None = None,
        lr: float | None = None,
        max_epochs: int | None = None,
        batch_size: int | None = None,
        size: int | Sequence[int] | None = None,
        spacing: float | Sequence[float] | None = None,
        box_mode: str = "none",
        threshold: str | float = "inner",
        test_time_flips: bool = False,
        augment: CropAugmentation | Mapping[str, object] | bool | None = None,
        balance: str = "uncertainty",
        task_weights: Mapping[str, float] | None = None,
        consistency: float = 0.0,
        log_cosine: bool = False,
        start: str | Path | None = None,
        random_state: int = 0,
        device: str = "cpu",
        progress: bool = False,
    ) -> None:
        self.network = network
        self.preset = preset
        self.modalities = modalities
        self.options = options
        self.training = training
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.size = size
        self.spacing = spacing
        self.box_mode = box_mode
        self.threshold = threshold
        self.test_time_flips = test_time_flips
        self.augment = augment
        self.balance = balance
        self.task_weights = task_weights
        self.consistency = consistency
        self.log_cosine = log_cosine
        self.start = start
        self.random_state = random_state
        self.device = device
        self.progress = progress

    def get_params(self, deep: bool = True) -> dict[str, object]:  # noqa: FBT001, FBT002 - scikit-learn's signature
        """Return the parameters, with those of the training plan as `training__lr` and so on if `deep`."""
        params = super().get_params(deep=False)
        return params | nested_params(self) if deep else params

    def set_params(self, **params: object) -> Self:
        """Set parameters, those of the training plan as `training__lr`.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        super().set_params(**set_nested(self, params))
        return self

    @property
    def settings(self) -> SegmenterSettings:
        """Settings that `fit` would use.

        Raises
        ------
        MMFusionError
            If a parameter is out of range, or two of them contradict each other.
        """
        return settings_of(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Modalities that the model reads."""
        return self.settings.modalities

    @property
    def short_name(self) -> str:
        """Name of the model in reports: its network, and its boxes if it has any."""
        return self.network if self.box_mode == "none" else f"{self.network} ({self.box_mode} boxes)"

    @property
    def reads_masks(self) -> bool:
        """True if predictions use the true masks, so that an evaluation must not remove them."""
        return self.box_mode == "oracle"

    @property
    def reader(self) -> ScanReader:
        """Reader of scans on the grid of the fitted network."""
        return ScanReader(self.fitted_.modalities, self.fitted_.spacing)

    def check_rows(self, X: pd.DataFrame) -> None:
        """Raise a `DataError` that names the first patient who lacks a scan; no file is read.

        `nested_cv` calls it before it trains, since a patient who lacks a scan cannot be segmented.
        """
        reader = ScanReader(self.inputs, self.settings.spacing)
        for _, row in table_of(X).iterrows():
            reader.check(row)

    def predict(self, X: pd.DataFrame) -> Iterator[Volume]:
        """Yield the mask of each patient, unit "mask", on the grid of the patient's first scan.

        Masks in X are not read, except in the box mode "oracle".

        Raises
        ------
        DataError
            If a patient lacks a scan.
        ScanError
            If a scan cannot be read.
        """
        check_is_fitted(self, "module_")
        return (segment_row(self, row) for _, row in table_of(X).iterrows())

    # methods that are defined in other files
    fit = fit
    fine_tune = fine_tune
    probabilities = probabilities
    predict_expression = predict_expression
    resolved_params = resolved_params
    segment = segment
    saw = saw
    save = save
    variants = variants

    @classmethod
    def from_bundle(cls, state: Mapping[str, object], tensors: Mapping[str, object]) -> Self:
        """Return the fitted segmenter that `save` described; `mmfusion.load` calls it."""
        return restore(cls, state, tensors)
