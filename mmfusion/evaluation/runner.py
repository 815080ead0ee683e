"""Runs candidates over the outer folds, taking finished folds from the store."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from sklearn.base import clone

from mmfusion import compute
from mmfusion.data.splits import Splits
from mmfusion.evaluation.fold_result import FoldResult
from mmfusion.evaluation.folds import Candidate, FoldPlace, evaluate_fold, fold_seed
from mmfusion.evaluation.store import FoldStore
from mmfusion.evaluation.tasks.base import Labels, Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """The main candidate at a fold's setting, with some parameters changed.

    Parameters
    ----------
    name : str
        As the report calls it.
    changes : mapping
        Parameters that differ.
    inputs : tuple of str
        Modalities that it reads.
    train_fraction : float
        Share of the training rows used.
    """

    name: str
    changes: Mapping[str, object]
    inputs: tuple[str, ...]
    train_fraction: float = 1.0


class Runner:
    """Fits and judges candidates on every outer fold.

    Parameters
    ----------
    task : Task
        How.
    X, y : DataFrame, Series or DataFrame
        The labelled patients.
    person_ids : Series
        Person of each row.
    splits : Splits
        Outer folds.
    store : FoldStore
        Finished folds.
    seed : int
        From which each fold's is derived.
    where : mapping
        Options of `mmfusion.compute.run`.
    """

    def __init__(
        self,
        task: Task,
        X: pd.DataFrame,
        y: Labels,
        person_ids: pd.Series,
        splits: Splits,
        store: FoldStore,
        *,
        seed: int,
        where: Mapping[str, object],
    ) -> None:
        self.task, self.X, self.y, self.person_ids = task, X, y, person_ids.to_numpy()
        self.store, self.seed, self.where = store, seed, where
        self.folds = [
            (i // splits.n_splits, i % splits.n_splits, train, test)
            for i, (train, test) in enumerate(splits.split(X.index))
        ]

    def run(
        self, candidates: Sequence[Candidate], description: str, keep: str | None = None
    ) -> list[FoldResult]:
        """Return every candidate's result on every fold; the models of candidate `keep` are saved beside them."""
        return self._run([(c, fold) for fold in self.folds for c in candidates], description, keep)

    def run_at(
        self,
        main: Candidate,
        params: Mapping[tuple[int, int], Mapping[str, object]],
        variants: Sequence[Variant],
        description: str,
    ) -> list[FoldResult]:
        """Return the results of variants of the main candidate at the setting that each fold chose."""
        jobs = []
        for fold in self.folds:
            for variant in variants:
                estimator = clone(main.estimator).set_params(**{**params[fold[:2]], **variant.changes})
                if set(variant.inputs) != set(main.inputs):
                    estimator = self.task.where_absent(estimator, list(variant.inputs))
                candidate = Candidate(
                    variant.name, estimator, variant.inputs, train_fraction=variant.train_fraction
                )
                jobs.append((candidate, fold))
        return self._run(jobs, description, None)

    def _run(self, jobs: list[tuple], description: str, keep: str | None) -> list[FoldResult]:
        done, waiting, keys = {}, [], []
        for candidate, (repeat, fold, train, test) in jobs:
            keys.append((candidate.label, repeat, fold))
            stem = self.store.path(candidate, repeat, fold)
            if (stored := self.store.get(stem, candidate.label)) is not None:
                done[keys[-1]] = stored
                continue
            saved = stem if candidate.name == keep and hasattr(candidate.estimator, "save") else None
            seed = fold_seed(self.seed, repeat, fold)
            place = FoldPlace(repeat, fold, train, test, seed, self.person_ids, saved)
            waiting.append((stem, (self.task, candidate, self.X, self.y, place)))
        if done:
            log.info("%d of %d folds were done before", len(done), len(jobs))
        stems = {(call[1].label, call[4].repeat, call[4].fold): stem for stem, call in waiting}
        calls = [call for _, call in waiting]
        for result in compute.run(evaluate_fold, calls, description=description, **self.where):
            self.store.put(stems[result.key], result)
            done[result.key] = result
        return [done[key] for key in keys]
