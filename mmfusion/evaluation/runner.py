"""Run candidates on the outer folds and take finished folds from the store."""

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
    """Main candidate at the setting of a fold, with some parameters changed.

    Parameters
    ----------
    name : str
        Name of the variant in reports.
    changes : mapping
        Parameter name -> changed value.
    inputs : tuple of str
        Modalities that it reads.
    train_fraction : float
        Share of the training rows that are used, in (0, 1].

    Examples
    --------
    >>> Variant("ct alone", {"modalities": ["ct"]}, ("ct",)).train_fraction
    1.0
    """

    name: str
    changes: Mapping[str, object]
    inputs: tuple[str, ...]
    train_fraction: float = 1.0


class Runner:
    """Fit and judge candidates on every outer fold.

    Parameters
    ----------
    task : Task
        Way to predict and to score.
    X : DataFrame, shape (n, n_columns)
        All labelled patients.
    y : Series or DataFrame, first axis n
        Their labels.
    person_ids : Series, shape (n,)
        Id of the person of each row.
    splits : Splits
        Outer folds.
    store : FoldStore
        Store of finished folds.
    seed : int
        Seed from which the seeds of the folds are derived.
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
        self, candidates: Sequence[Candidate], description: str, keep: Sequence[str] = ()
    ) -> list[FoldResult]:
        """Return the results of all candidates on all folds; the models of those in `keep` are saved."""
        return self._run([(c, fold) for fold in self.folds for c in candidates], description, keep)

    def run_at(
        self,
        main: Candidate,
        params: Mapping[tuple[int, int], Mapping[str, object]],
        variants: Sequence[Variant],
        description: str,
        keep: Sequence[str] = (),
    ) -> list[FoldResult]:
        """Return the results of variants of the main candidate at the parameters that each fold chose.

        Parameters
        ----------
        main : Candidate
            Main candidate.
        params : mapping of (int, int) to mapping
            (repeat, fold) -> chosen parameters.
        variants : sequence of Variant
            Changes to the main candidate.
        description : str
            Text of the progress bar.
        keep : sequence of str
            Variants whose models are saved.
        """
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
        return self._run(jobs, description, keep)

    def _run(self, jobs: list[tuple], description: str, keep: Sequence[str]) -> list[FoldResult]:
        done, waiting, keys = {}, [], []
        for candidate, (repeat, fold, train, test) in jobs:
            keys.append((candidate.label, repeat, fold))
            stem = self.store.path(candidate, repeat, fold)
            saved = stem if candidate.name in keep and hasattr(candidate.estimator, "save") else None
            stored = self.store.get(stem, candidate.label)
            if stored is not None and (stored.bundle or not saved or not stored.savable):
                done[keys[-1]] = stored
                continue
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
