"""Errors and warnings for bad input: where it is, the expected value, the actual value and a hint."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from numbers import Integral

_LAST_SEED = 2**32 - 1  # of numpy.random.RandomState
COPY_AGAIN = "copy or download it again"  # hint for a file that is damaged


class MMFusionError(ValueError):
    """Error for input that cannot be used; its message says what to correct, and where.

    Parameters
    ----------
    problem : str
        What is wrong, in a few words.
    patient, file, column : str, optional
        Where the problem is. A column is also a gene, a region, or a field of a file.
    parameter : str, optional
        The argument of a function, a class, a notebook or a command that cannot be used.
    expected, got : object, optional
        The value that was expected, and the value that was found.
    hint : str, optional
        What the user can do next.

    Examples
    --------
    >>> print(DataError("not a number", patient="P1", column="age", expected="years", got="old"))
    patient P1, column age: not a number (expected years; got old)
    >>> print(DataError("out of range", parameter="lr", expected="above 0", got=-1))
    parameter lr: out of range (expected above 0; got -1)
    """

    def __init__(
        self,
        problem: str,
        *,
        patient: object = None,
        file: object = None,
        column: object = None,
        parameter: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.problem, self.hint = problem, hint
        self.patient, self.file, self.column, self.parameter = patient, file, column, parameter
        self.expected, self.got = expected, got
        super().__init__(problem)

    def __str__(self) -> str:
        place = self._stated(("patient", "file", "column", "parameter"), ", ")
        detail = self._stated(("expected", "got"), "; ")
        text = f"{place}: {self.problem}" if place else self.problem
        return " ".join(
            part for part in (text, f"({detail})" if detail else "", self.hint and f"-> {self.hint}") if part
        )

    def _stated(self, names: Iterable[str], separator: str) -> str:
        values = {name: getattr(self, name) for name in names}
        return separator.join(f"{name} {value}" for name, value in values.items() if value is not None)

    def __reduce__(self):  # pickle keeps the keyword arguments: errors come back from worker processes
        return _rebuild, (type(self), self.problem, {k: v for k, v in vars(self).items() if k != "problem"})


def _rebuild(kind: type[MMFusionError], problem: str, state: dict) -> MMFusionError:
    return kind(problem, **state)


def did_you_mean(name: object, names: Iterable[str]) -> str | None:
    """Return a hint with the name that is most like an unknown one; None if none is like it.

    Examples
    --------
    >>> did_you_mean("Stage_3", ["stage2", "stage3", "egfr"])
    'did you mean stage3?'
    """
    if not isinstance(name, str):
        return None
    known = {one.casefold(): one for one in names}
    found = get_close_matches(name.casefold(), known, 1)
    return f"did you mean {known[found[0]]}?" if found else None


class DataError(MMFusionError):
    """Error for a table, label or patient id that cannot be used.

    Examples
    --------
    >>> print(DataError("two rows of one patient", patient="P7", file="ehr.csv"))
    patient P7, file ehr.csv: two rows of one patient
    """


def check_whole(name: str, value: object, least: int = 1, most: int | None = None) -> None:
    """Raise an error if the parameter `name` is no whole number, is below `least`, or is above `most`.

    Examples
    --------
    >>> check_whole("n_boot", 1000)
    >>> check_whole("n_boot", 2.5)
    Traceback (most recent call last):
    mmfusion.errors.DataError: parameter n_boot: out of range (expected a whole number, 1 or more; got 2.5)
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        expected = f"a whole number, {least} {'or more' if most is None else f'to {most}'}"
        raise DataError("out of range", parameter=name, expected=expected, got=repr(value)[:60])


def check_seed(value: object, name: str = "random_state") -> None:
    """Raise an error if the parameter `name` is no seed that numpy and scikit-learn take.

    Examples
    --------
    >>> check_seed(0)
    >>> check_seed(-1, "seed")
    Traceback (most recent call last):
    mmfusion.errors.DataError: parameter seed: out of range (expected a whole number, 0 to 4294967295; got -1)
    """
    check_whole(name, value, 0, _LAST_SEED)


class ManifestError(MMFusionError):
    """Error for a manifest that does not match the files that it lists.

    Examples
    --------
    >>> print(ManifestError("hash differs", file="ct/P1.nii.gz", hint="restore the file"))
    file ct/P1.nii.gz: hash differs -> restore the file
    """


class ScanError(MMFusionError):
    """Error for a scan that cannot be read, or whose values or geometry are not plausible.

    Examples
    --------
    >>> print(ScanError("the slices are not parallel", patient="P2", file="P2.zip"))
    patient P2, file P2.zip: the slices are not parallel
    """


class ScanWarning(UserWarning):
    """Warning about a scan that was corrected, or that is unusual but can be used.

    Examples
    --------
    >>> issubclass(ScanWarning, UserWarning)
    True
    """


class TableWarning(UserWarning):
    """Warning about a table that was corrected, or of which a part was not used.

    Examples
    --------
    >>> issubclass(TableWarning, UserWarning)
    True
    """


class LeakageError(MMFusionError):
    """Error for an input that contains the label, or information that is only known after the label.

    Examples
    --------
    >>> print(LeakageError("the column contains the stage", column="ajcc_stage"))
    column ajcc_stage: the column contains the stage
    """


class BundleError(MMFusionError):
    """Error for a saved model that cannot be read.

    Examples
    --------
    >>> print(BundleError("a file of the model is missing", file="model/weights.safetensors"))
    file model/weights.safetensors: a file of the model is missing
    """


class ReportError(MMFusionError):
    """Error for a report that could not be completed.

    Examples
    --------
    >>> print(ReportError("a cell of the notebook failed", file="stage.ipynb"))
    file stage.ipynb: a cell of the notebook failed
    """


class WeightsUnavailable(MMFusionError):
    """Error for pretrained weights that are not on this machine.

    Examples
    --------
    >>> print(WeightsUnavailable("no weights of the model", hint="copy them to the folder of the weights"))
    no weights of the model -> copy them to the folder of the weights
    """


def check_list(**given: object) -> None:
    """Raise a `DataError` if a list of names is a single text, which Python would read letter by letter.

    Examples
    --------
    >>> check_list(metrics=["macro_auc"], models=None)
    >>> check_list(metrics="brier")
    Traceback (most recent call last):
        ...
    mmfusion.errors.DataError: parameter metrics: not a list of names (expected ['brier']; got 'brier')
    """
    for parameter, names in given.items():
        if isinstance(names, str):
            raise DataError(
                "not a list of names", parameter=parameter, expected=f"[{names!r}]", got=repr(names)
            )


def check_installed(package: str, extra: str) -> None:
    """Raise an `MMFusionError` if an optional package is not installed.

    Parameters
    ----------
    package : str
        Name by which the package is imported.
    extra : str
        Extra of mmfusion that installs it.

    Examples
    --------
    >>> check_installed("numpy", "numbers")
    >>> check_installed("no_such_package", "more")
    Traceback (most recent call last):
        ...
    mmfusion.errors.MMFusionError: no_such_package is not installed -> pip install 'mmfusion[more]'
    """
    if find_spec(package) is None:
        raise MMFusionError(f"{package} is not installed", hint=f"pip install 'mmfusion[{extra}]'")


@dataclass(frozen=True)
class Given:
    """A warning that was given inside a block of `gathered`.

    Examples
    --------
    >>> str(Given(ScanWarning, "patient P1: odd spacing"))
    'patient P1: odd spacing'
    """

    category: type[Warning]
    text: str

    def __str__(self) -> str:
        return self.text


_gathering: ContextVar[list[Given] | None] = ContextVar("gathering", default=None)


def warn(text: str, category: type[Warning] = UserWarning, *, stacklevel: int = 1) -> None:
    """Give a warning; every warning of this library is given with this function.

    Inside a block of `gathered` the warning goes to the list of that block. Elsewhere it goes to
    `warnings.warn`. The filters of the module `warnings` belong to the whole process, so they cannot tell the
    warnings of one thread from those of another; the list can.

    Parameters
    ----------
    text : str
        The warning.
    category : type
        Class of the warning.
    stacklevel : int
        As in `warnings.warn`: 1 is the line that calls `warn`.

    Examples
    --------
    >>> with gathered() as found:
    ...     warn("patient P1: odd spacing", ScanWarning)
    >>> [given.category.__name__ for given in found]
    ['ScanWarning']
    """
    found = _gathering.get()
    if found is None:
        warnings.warn(text, category, stacklevel=stacklevel + 1)
    else:
        found.append(Given(category, text))


@contextmanager
def gathered() -> Iterator[list[Given]]:
    """Gather the warnings that this thread gives with `warn` inside the block; they are not shown.

    Blocks may be nested: a warning goes to the innermost. To leave warnings out, do not use the list.

    Examples
    --------
    >>> with gathered() as found:
    ...     warn("the scan has no seed")
    >>> [str(given) for given in found]
    ['the scan has no seed']
    """
    found: list[Given] = []
    token = _gathering.set(found)
    try:
        yield found
    finally:
        _gathering.reset(token)
