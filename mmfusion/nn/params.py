"""FrozenParams: settings that cannot be changed, and that scikit-learn can list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Self

from mmfusion.errors import DataError


class FrozenParams:
    """Base of frozen dataclasses that are parameters of an estimator.

    `get_params` returns the values, so that `get_params` of the estimator lists them as `training__lr`.
    `clone` returns the same object, because it cannot be changed. `replace` returns a changed copy. All
    values have a JSON form.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Widths(FrozenParams):
    ...     hidden: int = 64
    >>> Widths().replace(hidden=128)
    Widths(hidden=128)
    >>> Widths.from_dict({"hidden": 32}).to_dict()
    {'hidden': 32}
    """

    def get_params(self, *, deep: bool = True) -> dict[str, object]:
        """Return the values by name, as scikit-learn needs them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __sklearn_clone__(self) -> Self:
        """Return the object itself, because it cannot be changed."""
        return self

    def replace(self, **changes: object) -> Self:
        """Return a copy with some values changed.

        Raises
        ------
        DataError
            If a name is not a parameter, or a value is out of range.
        """
        self._check_names(changes)
        return replace(self, **changes)

    def to_dict(self) -> dict[str, object]:
        """Return the values in a form that JSON can hold."""
        return {name: dict(v) if isinstance(v, Mapping) else v for name, v in self.get_params().items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Return the object that `to_dict` described; missing values get their defaults.

        Raises
        ------
        DataError
            If a name is not a parameter, or a value is out of range.
        """
        cls._check_names(values)
        return cls(**values)

    @classmethod
    def _check_names(cls, values: Mapping[str, object]) -> None:
        known = [f.name for f in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            problem = f"not a parameter of {cls.__name__}"
            raise DataError(problem, column=", ".join(unknown), expected=", ".join(known))
