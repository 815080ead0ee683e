"""Splits by patient: repeated stratified folds, or one fold per site."""

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
from mmfusion.errors import DataError, check_seed
from mmfusion.storage.atomic import saved
from mmfusion.storage.hashing import hash_json
from mmfusion.storage.strict_json import parse_json

Fold = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Splits:
    """Folds of one or more repeats, as the ids of the patients held out in each fold.

    Parameters
    ----------
    test : tuple of tuple of str, n_repeats * n_splits tuples
        Patient ids of each held-out fold; the folds of the first repeat come first. Within a repeat, each
        patient is held out exactly once.
    n_splits : int
        Number of folds per repeat, 2 or more.
    random_state : int or None
        Seed with which the folds were drawn; None for leave-one-site-out.
    names : tuple of str, n_splits names
        Name of each fold in a repeat: its number, or the site that is held out.
    versions : mapping
        Package name -> version with which the folds were made.

    Raises
    ------
    DataError
        If a patient is held out twice in a repeat, or not in all repeats.

    Examples
    --------
    >>> y = pd.Series(["I", "II"] * 4, index=[f"p{i}" for i in range(8)])
    >>> splits = Splits.make(y, n_splits=2)
    >>> len(splits), [len(fold) for fold in splits.test]
    (2, [4, 4])
    >>> train, test = next(splits.split(y.index))
    >>> len(train), len(test)
    (4, 4)
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
        *,
        stratify: bool | None = None,
    ) -> Splits:
        """Draw random folds that keep the rows of each person together; for classes, stratified folds.

        Parameters
        ----------
        y : Series or DataFrame, n rows
            Label of each patient, none missing; index patient_id.
        groups : Series, shape (n,), optional
            Id of the person of each row. By default, each row is a person of its own.
        n_splits : int
            Number of folds per repeat, 2 or more.
        n_repeats : int
            Number of times that folds are drawn.
        random_state : int
            Seed of the draws.
        stratify : bool, optional
            Keep the shares of the classes in each fold. By default True, unless `y` is a DataFrame (a vector)
            or its name is a target that is a mask.

        Raises
        ------
        DataError
            If a class has fewer persons than there are folds, or there are fewer persons than folds.
        """
        if n_splits < 2:
            raise DataError("too few folds", expected="2 or more", got=n_splits)
        check_seed(random_state)
        y, groups = _aligned(y, groups)
        stratified = _is_stratified(y) if stratify is None else stratify
        _check_enough_persons(y if stratified else None, groups, n_splits)
        # if each person has one row: stratification without groups balances the classes better
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
        """Make one fold per site.

        Parameters
        ----------
        y : Series, shape (n,)
            Label of each patient; index patient_id.
        sites : Series, shape (n,)
            Site of each patient.
        groups : Series, shape (n,), optional
            Id of the person of each row.

        Raises
        ------
        DataError
            If a patient has no site, there is only one site, or a person has rows of two sites.
        """
        y, groups = _aligned(y, groups)
        sites = sites.reindex(y.index)
        if sites.isna().any():
            raise DataError("no site", patient=sites.index[sites.isna()][0], column="site")
        if sites.nunique() < 2:
            raise DataError("only one site", column="site", expected="two or more", got=sites.iloc[0])
        per_person = sites.groupby(groups.to_numpy()).nunique()
        if (per_person > 1).any():
            raise DataError(
                "one person at two sites", patient=per_person.index[per_person > 1][0], column="site"
            )
        names = tuple(sorted(map(str, sites.unique())))
        test = tuple(tuple(y.index[(sites == s).to_numpy()]) for s in names)
        return cls(test, len(names), None, names, _versions())

    @property
    def n_repeats(self) -> int:
        """Number of repeats; each patient is held out once per repeat."""
        return len(self.test) // self.n_splits

    @property
    def patients(self) -> tuple[str, ...]:
        """Ids of all patients, sorted."""
        return tuple(sorted(p for fold in self._repeat(0) for p in fold))

    @property
    def hash(self) -> str:
        """SHA-256 hash of the patient ids of all folds."""
        return hash_json([sorted(fold) for fold in self.test])

    def split(self, ids: Sequence[str] | pd.Index) -> Iterator[Fold]:
        """Yield the positions of training and test rows, one pair per fold.

        Parameters
        ----------
        ids : sequence of str
            Patient ids in the order of the rows. They may be a part of the patients, for a comparison on
            fewer patients.

        Yields
        ------
        train, test : int arrays
            Positions in `ids`.

        Raises
        ------
        DataError
            If an id is unknown or occurs twice, or a fold has no training rows or no test rows.
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
                part = "training" if held_out.all() else "test"
                raise DataError(f"fold {number} has no {part} rows among these patients")
            yield np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def __len__(self) -> int:
        return len(self.test)

    def save(self, path: str | Path) -> Path:
        """Write the splits as JSON in one step, and return the path; raise `DataError` if that fails."""
        with saved(path) as draft:
            draft.write_text(json.dumps(asdict(self) | {"hash": self.hash}, indent=1), encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Splits:
        """Read a file that `save` wrote; raise `DataError` if it has been changed."""
        try:
            state = parse_json(Path(path).read_text(encoding="utf-8"))
            recorded = state.pop("hash")
            state |= {"test": tuple(tuple(fold) for fold in state["test"]), "names": tuple(state["names"])}
            splits = cls(**state)
        except DataError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
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


def _check_enough_persons(y: pd.Series | None, groups: pd.Series, n_splits: int) -> None:
    if y is None:
        if (got := groups.nunique()) < n_splits:
            raise DataError("too few patients for the folds", expected=f"{n_splits} or more", got=got)
        return
    persons = groups.groupby(y.astype(str).to_numpy()).nunique()
    if len(persons) < 2:
        raise DataError("only one class", column=y.name, got=", ".join(persons.index))
    if persons.min() < n_splits:
        hint = "use fewer folds, or a target that merges the class with another"
        target = find_target(y.name)
        hint += f":{describe_targets(target.kind)}" if target and target.kind == "ordinal" else ""
        problem = f"class {persons.idxmin()} has {persons.min()} patients, too few for {n_splits} folds"
        raise DataError(
            problem,
            column=y.name,
            expected=f"{n_splits} or more of each class",
            got=", ".join(f"{k}: {v}" for k, v in persons.items()),
            hint=hint,
        )


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("numpy", "pandas", "scikit-learn")}
