"""Settings of estimators: frozen objects that scikit-learn can list, and flat parameters over them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Self

from mmfusion.errors import DataError, did_you_mean


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
        self.check_names(changes)
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
        cls.check_names(values)
        return cls(**values)

    @classmethod
    def check_names(cls, values: Mapping[str, object]) -> None:
        """Raise a `DataError` if a name is not a parameter."""
        known = [f.name for f in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            problem, hint = f"not a parameter of {cls.__name__}", did_you_mean(unknown[0], known)
            raise DataError(problem, parameter=", ".join(unknown), expected=", ".join(known), hint=hint)


def split_nested(
    params: Mapping[str, object], names: Collection[str]
) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    """Split the parameters of `set_params` into flat parameters and changes of each nested object.

    Parameters
    ----------
    params : mapping
        Parameters by name, nested ones as `training__lr`.
    names : collection of str
        Names of the nested objects.

    Examples
    --------
    >>> split_nested({"lr": 1e-3, "network__hidden": 32}, ["network"])
    ({'lr': 0.001}, {'network': {'hidden': 32}})
    """
    flat: dict[str, object] = {}
    inner: dict[str, dict[str, object]] = {}
    for key, value in params.items():
        name, _, rest = key.partition("__")
        if rest and name in names:
            inner.setdefault(name, {})[rest] = value
        else:
            flat[key] = value
    return flat, inner


def check_agree(name: str, given: Mapping[str, object], flat: Mapping[str, object]) -> None:
    """Raise a `DataError` if a flat parameter and a value given for a nested object differ.

    Parameters
    ----------
    name : str
        Name of the nested object.
    given : mapping
        Values that the user gave for it.
    flat : mapping
        Flat parameters that override it.

    Examples
    --------
    >>> check_agree("training", {"lr": 0.1}, {"lr": 0.2})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mmfusion.errors.DataError: ... (expected training__lr = 0.1, or lr alone; got lr = 0.2) -> ...
    """
    for key, value in flat.items():
        if key in given and given[key] != value:
            raise DataError(
                "given in two places with different values",
                parameter=key,
                expected=f"{name}__{key} = {given[key]!r}, or {key} alone",
                got=f"{key} = {value!r}",
                hint="set one of them to its default",
            )


def unusable(name: str, expected: str, got: object, hint: str | None = None) -> DataError:
    """Return the error for a parameter whose value cannot be used.

    Examples
    --------
    >>> print(unusable("size", "a whole number of voxels", 2.5))
    parameter size: unusable setting (expected a whole number of voxels; got 2.5)
    """
    return DataError("unusable setting", parameter=name, expected=expected, got=got, hint=hint)
