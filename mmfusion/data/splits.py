"""Splits by patient: stratified, repeated, or one site at a time; saved as the ids of each held-out fold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from mmfusion.data.targets.base import describe_targets, find_target, is_labelled
from mmfusion.errors import DataError
from mmfusion.storage.atomic import atomic_file
from mmfusion.storage.hashing import hash_json

Fold = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Splits:
    """Which patients are held out together, in each fold of each repeat.

    Parameters
    ----------
    test : tuple of tuple of str
        Patient ids of each held-out fold, the folds of the first repeat first. Within a repeat every patient is held
        out exactly once.
    n_splits : int
        Folds of a repeat.
    random_state : int or None
        Seed they were drawn with; None for leave-one-site-out.
    names : tuple of str
        Of each fold of a repeat: its number, or the site held out.
    versions : mapping
        Package versions when they were made.

    Raises
    ------
    DataError
        If a patient is held out twice in a repeat, or not in all repeats.
    """

    test: tuple[tuple[str, ...], ...]
    n_splits: int
    random_state: int | None = 0
    names: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.n_splits < 2 or len(self.test) % self.n_splits:
            raise DataError(
                "folds do not make whole repeats",
                expected=f"a multiple of {self.n_splits}",
                got=len(self.test),
            )
        for repeat in range(self.n_repeats):
            held_out = [p for fold in self._repeat(repeat) for p in fold]
            twice = sorted(p for p, n in Counter(held_out).items() if n > 1)
            if twice:
                raise DataError(f"held out twice in repeat {repeat}", patient=", ".join(twice[:5]))
            if set(held_out) != set(self.patients):
                odd = sorted(set(held_out) ^ set(self.patients))
                raise DataError(
                    f"not held out in every repeat, see repeat {repeat}", patient=", ".join(odd[:5])
                )

    @classmethod
    def make(
        cls,
        y: pd.Series,
        groups: pd.Series | None = None,
        n_splits: int = 5,
        n_repeats: int = 1,
        random_state: int = 0,
    ) -> Splits:
        """Draw folds in which the rows of one group stay together; of classes, stratified folds.

        Parameters
        ----------
        y : Series or DataFrame, n rows
            Label of each patient, none missing; index patient_id. Folds of a DataFrame (a vector), and of a Series
            named by a target that is a mask, are not stratified.
        groups : Series, shape (n,), optional
            Person that each row belongs to; every row its own by default.
        n_splits, n_repeats : int
            Folds, and how often to draw them anew.
        random_state : int
            Seed.

        Raises
        ------
        DataError
            If a class has fewer people than there are folds, or there are fewer people than folds.
        """
        if n_splits < 2:
            raise DataError("too few folds", expected="2 or more", got=n_splits)
        y, groups = _aligned(y, groups)
        stratified = _is_stratified(y)
        _enough_people(y if stratified else None, groups, n_splits)
        # plain stratification balances classes better, where no group needs keeping together
        grouped = groups.duplicated().any()
        if stratified:
            kind = StratifiedGroupKFold if grouped else StratifiedKFold
        else:
            kind = GroupKFold if grouped else KFold
        classes = y.astype(str) if stratified else None
        test = []
        for seed in np.random.SeedSequence(random_state).generate_state(n_repeats):
            folds = kind(n_splits, shuffle=True, random_state=int(seed))
            rows = folds.split(np.zeros(len(y)), classes, groups if grouped else None)
            test += [tuple(y.index[held_out]) for _, held_out in rows]
        return cls(tuple(test), n_splits, random_state, tuple(map(str, range(n_splits))), _versions())

    @classmethod
    def leave_site_out(cls, y: pd.Series, sites: pd.Series, groups: pd.Series | None = None) -> Splits:
        """One fold a site.

        Parameters
        ----------
        y : Series, shape (n,)
            Class of each patient; index patient_id.
        sites : Series, shape (n,)
            Site of each patient.
        groups : Series, shape (n,), optional
            Person that each row belongs to.

        Raises
        ------
        DataError
            If a patient has no site, there is one site only, or a person was seen at two.
        """
        y, groups = _aligned(y, groups)
        sites = sites.reindex(y.index)
        if sites.isna().any():
            raise DataError("no site", patient=sites.index[sites.isna()][0], column="site")
        if sites.nunique() < 2:
            raise DataError("one site only", column="site", expected="two or more", got=sites.iloc[0])
        per_person = sites.groupby(groups.to_numpy()).nunique()
        if (per_person > 1).any():
            raise DataError(
                "one person at two sites", patient=per_person.index[per_person > 1][0], column="site"
            )
        names = tuple(sorted(map(str, sites.unique())))
        return cls(
            tuple(tuple(y.index[(sites == s).to_numpy()]) for s in names),
            len(names),
            None,
            names,
            _versions(),
        )

    @property
    def n_repeats(self) -> int:
        """How often every patient is held out."""
        return len(self.test) // self.n_splits

    @property
    def patients(self) -> tuple[str, ...]:
        """Every patient, in order of id."""
        return tuple(sorted(p for fold in self._repeat(0) for p in fold))

    @property
    def hash(self) -> str:
        """SHA-256 of who is held out with whom."""
        return hash_json([sorted(fold) for fold in self.test])

    def split(self, ids: Sequence[str] | pd.Index) -> Iterator[Fold]:
        """Positions in `ids` of (train, test), fold by fold.

        Parameters
        ----------
        ids : sequence of str
            Patients in the order of the rows to index; all of them, or some (for a comparison on fewer patients).

        Raises
        ------
        DataError
            If an id is unknown or comes twice, or a fold would have nobody to train on or to test.
        """
        ids = pd.Index(ids)
        unknown = ids.difference(self.patients)
        if len(unknown):
            raise DataError(
                "not in the splits",
                patient=", ".join(map(str, unknown[:5])),
                hint="make new splits for this cohort",
            )
        if ids.has_duplicates:
            raise DataError("duplicate patient id", patient=ids[ids.duplicated()][0])
        for number, fold in enumerate(self.test):
            held_out = ids.isin(fold)
            if held_out.all() or not held_out.any():
                raise DataError(
                    f"fold {number} has nobody to {'train on' if held_out.all() else 'test'} among these patients"
                )
            yield np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def __len__(self) -> int:
        return len(self.test)

    def save(self, path: str | Path) -> Path:
        """Write as JSON, in one step."""
        with atomic_file(path) as draft:
            draft.write_text(json.dumps(asdict(self) | {"hash": self.hash}, indent=1), encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Splits:
        """Read what `save` wrote; raises `DataError` if it was changed since."""
        try:
            state = json.loads(Path(path).read_text(encoding="utf-8"))
            recorded = state.pop("hash")
            state |= {"test": tuple(tuple(fold) for fold in state["test"]), "names": tuple(state["names"])}
            splits = cls(**state)
        except (
            OSError,
            UnicodeDecodeError,
            json.JSONDecodeError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:
            raise DataError(
                f"not saved splits ({error})", file=path, expected="a file that Splits.save wrote"
            ) from error
        if splits.hash != recorded:
            raise DataError(
                "splits changed since they were saved", file=path, expected=recorded, got=splits.hash
            )
        return splits

    def _repeat(self, number: int) -> tuple[tuple[str, ...], ...]:
        return self.test[number * self.n_splits : (number + 1) * self.n_splits]


def _is_stratified(y: pd.Series | pd.DataFrame) -> bool:
    if isinstance(y, pd.DataFrame):
        return False
    target = find_target(y.name)
    return target is None or target.stratified


def _aligned(
    y: pd.Series | pd.DataFrame, groups: pd.Series | None
) -> tuple[pd.Series | pd.DataFrame, pd.Series]:
    if y.index.has_duplicates:
        raise DataError("duplicate patient id", patient=y.index[y.index.duplicated()][0])
    known = is_labelled(y)
    if not known.all():
        raise DataError("no class", patient=y.index[~known][0], hint="split labelled patients only")
    own = pd.Series(y.index, index=y.index)
    groups = own if groups is None else groups.reindex(y.index)
    if groups.isna().any():
        raise DataError("no group", patient=groups.index[groups.isna()][0])
    return y, groups


def _enough_people(y: pd.Series | None, groups: pd.Series, n_splits: int) -> None:
    if y is None:
        if groups.nunique() < n_splits:
            raise DataError(
                "too few patients for the folds", expected=f"{n_splits} or more", got=groups.nunique()
            )
        return
    people = groups.groupby(y.astype(str).to_numpy()).nunique()
    if len(people) < 2:
        raise DataError("one class only", column=y.name, got=", ".join(people.index))
    if people.min() < n_splits:
        hint = "use fewer folds, or a target that merges the class with another"
        target = find_target(y.name)
        hint += f":{describe_targets(target.kind)}" if target and target.kind == "ordinal" else ""
        raise DataError(
            f"class {people.idxmin()} has {people.min()} patients, too few for {n_splits} folds",
            column=y.name,
            expected=f"{n_splits} or more of each class",
            got=", ".join(f"{k}: {v}" for k, v in people.items()),
            hint=hint,
        )


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("numpy", "pandas", "scikit-learn")}
