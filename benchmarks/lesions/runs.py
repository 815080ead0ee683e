"""One run: a segmenter is trained on some patients of the phantom and judged on others."""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

import mmfusion as mf
from mmfusion.errors import ScanWarning
from mmfusion.evaluation.tasks.segmentation import without_masks
from mmfusion.imaging import read_mask
from mmfusion.metrics.segmentation import mask_scores
from mmfusion.metrics.slices import dice_by_position, slice_table
from mmfusion.registry import SEGMENTERS
from mmfusion.storage.atomic import atomic_file

# the same scans for all networks: crops of 96 mm, as they are resampled
PHANTOM = {"size": 48, "spacing": 2.0, "diameters": (6.0, 60.0)}
_TIMED = 16  # patients, about, on whom an epoch is timed
SPACING, CUBE, SQUARE = 2.0, 32, 48  # mm; sides of the patches of networks in 3D, and of networks of slices


@dataclass(frozen=True)
class Run:
    """A network, its parameters, the patients, and how long it is trained.

    Parameters
    ----------
    row : str
        Name in the table.
    network : str
        Registered network.
    params : mapping
        Parameters of `LesionSegmenter` that differ from the common ones.
    training : mapping
        Changes to the training plan of the preset.
    pet, igtv : bool
        Patients with PET; masks of the union over the breath.
    seconds : float, optional
        Seconds of the processor for the training; the number of epochs is chosen such that they are used.
        None: as many epochs as the plan says.
    pretrained : bool
        Start from a 2D network that was trained for as many epochs on other patients (`cipa`). The
        training plan then has `max_epochs`.
    """

    row: str
    network: str
    params: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)
    pet: bool = False
    igtv: bool = False
    seconds: float | None = None
    pretrained: bool = False

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.params.get("modalities", ("ct", "pet") if self.pet else ("ct",)))

    def segmenter(self, seed: int, **training: object) -> mf.LesionSegmenter:
        """Return the segmenter with the common spacing and patches."""
        common = {"spacing": SPACING, "modalities": self.modalities, "random_state": seed}
        model = mf.LesionSegmenter(
            self.network, **common | dict(self.params), training={**self.training, **training}
        )
        flat = len(model.settings.size) == 2
        return model.set_params(size=SQUARE if flat else CUBE)


@dataclass(frozen=True)
class Patients:
    """Numbers of patients and the seed; test patients and those of pretraining have other seeds."""

    n_train: int
    n_test: int
    seed: int

    def table(self, run: Run, part: str) -> pd.DataFrame:
        n = self.n_test if part == "test" else self.n_train
        seed = self.seed + {"train": 0, "test": 1, "before": 2}[part]
        igtv = run.igtv and part != "before"
        return mf.lesion_phantom(n, seed, pet=run.pet, igtv=igtv, **PHANTOM).X


class Stopwatch:
    """Times of the training steps of a network in a `with` block, in seconds of the processor.

    Only networks of one class are timed, so that the steps of a detector do not count as steps.
    """

    def __init__(self, network: str) -> None:
        self.kind = SEGMENTERS.get(network)
        self.steps: list[float] = []

    def __enter__(self) -> Stopwatch:
        self.start = time.process_time()
        self.hook = register_module_forward_pre_hook(self._tick)
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()

    def _tick(self, module: nn.Module, _: object) -> None:
        if type(module) is self.kind and module.training:
            self.steps.append(time.process_time())

    @property
    def step(self) -> float:
        """Median seconds of a step."""
        return statistics.median(b - a for a, b in zip(self.steps, self.steps[1:], strict=False))

    @property
    def before(self) -> float:
        """Seconds before the first step, such as those of a detector."""
        return self.steps[0] - self.start

    @property
    def total(self) -> float:
        return self.steps[-1] + self.step - self.start


def carry_out(run: Run, patients: Patients, file: Path) -> Path:
    """Train and judge the network of a run, and write the result; nothing is done if it is there."""
    settings = json.loads(json.dumps({"run": asdict(run), "patients": asdict(patients), "phantom": PHANTOM}))
    if file.exists() and json.loads(file.read_text())["settings"] == settings:
        return file
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScanWarning)
        result = {"settings": settings, **measured(run, patients, file.parent)}
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as draft:
        draft.write_text(json.dumps(result))
    return file


def measured(run: Run, patients: Patients, folder: Path) -> dict[str, object]:
    """Return what is known of a run after its end: size, epochs, seconds, and the scores of each patient."""
    X = patients.table(run, "train")
    start = None
    if run.pretrained:
        start = pretrained(
            patients, run, folder / f"cipa-{run.training['max_epochs']}-epochs-{patients.seed}"
        )
    plan = {} if run.seconds is None else {"max_epochs": epochs_in(run, patients, X, start)}
    model = run.segmenter(patients.seed, **plan).set_params(start=start)
    with Stopwatch(run.network) as watch:
        model.fit(X)
    after = time.process_time()
    rows, positions = judge(model, patients.table(run, "test"))
    return {
        "parameters": sum(p.numel() for p in model.module_.parameters()),
        "epochs": len(model.history_),
        "seconds": watch.total,
        "seconds_test": time.process_time() - after,
        "threshold": model.threshold_,
        "history": model.history_,
        "scores": rows,
        "positions": positions,
    }


def epochs_in(run: Run, patients: Patients, X: pd.DataFrame, start: str | None) -> int:
    """Return the number of epochs that take the seconds of a run, measured on two epochs of some patients."""
    some = X.iloc[:: len(X) // _TIMED] if len(X) > _TIMED else X
    short = {"warmup_epochs": 0, "patience": None}
    run.segmenter(patients.seed, max_epochs=1, **short).fit(some)  # fills the cache of their scans
    model = run.segmenter(patients.seed, max_epochs=2, **short).set_params(start=start)
    with Stopwatch(run.network) as watch:
        model.fit(some)
    all_of_them = len(X) / len(some)
    per_epoch = watch.step * len(watch.steps) / 2 * all_of_them
    detector = watch.before / 2 * all_of_them if model.detector_ else 0.0
    warmup = run.segmenter(patients.seed).settings.plan.warmup_epochs
    longest = mf.LesionSegmenter("unet").settings.plan.max_epochs  # of the detector
    both = int(run.seconds / (per_epoch + detector))
    alone = int((run.seconds - longest * detector) / per_epoch)
    return max(both if both <= longest else alone, 1 + warmup)


def pretrained(patients: Patients, run: Run, folder: Path) -> str:
    """Return the folder of a `cipa` that was trained on other patients, with masks of one breathing phase."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # runs of other processes wait for the same weights
        if not folder.exists():
            before = Run("", "cipa", training={"max_epochs": run.training["max_epochs"]}, pet=True)
            before.segmenter(patients.seed).fit(patients.table(before, "before")).save(folder)
    return str(folder)


def judge(
    model: mf.LesionSegmenter, X: pd.DataFrame
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the scores of each test patient, and the Dice by the position of a slice in the lesion."""
    rows, slices = [], []
    masks = model.predict(X if model.reads_masks else without_masks(X))
    for (patient, row), mask in zip(X.iterrows(), masks, strict=True):
        true = read_mask(row["ct", "mask"])
        found = mask.like(true)
        rows.append({"patient_id": patient, **mask_scores(true.array, found.array, true.spacing)})
        slices.append(slice_table(true.array, found.array).assign(patient_id=patient))
    positions = dice_by_position(pd.concat(slices), by=["patient_id"])
    return rows, positions.astype({"position": str}).to_dict("records")
