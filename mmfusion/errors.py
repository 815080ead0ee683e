"""The one kind of error that bad input gets: who, where, what was expected, what came, what to do."""

from __future__ import annotations


class MMFusionError(ValueError):
    """Input that cannot be used, said so that a person can put it right.

    Parameters
    ----------
    problem : str
        What is wrong, in one clause.
    patient, file, column : str, optional
        Where it is.
    expected, got : object, optional
        What was expected there, and what came.
    hint : str, optional
        What to do next.
    """

    def __init__(
        self,
        problem: str,
        *,
        patient: object = None,
        file: object = None,
        column: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.problem, self.hint = problem, hint
        self.patient, self.file, self.column = patient, file, column
        self.expected, self.got = expected, got
        super().__init__(problem)

    def __str__(self) -> str:
        where = {"patient": self.patient, "file": self.file, "column": self.column}
        what = {"expected": self.expected, "got": self.got}
        place = ", ".join(f"{k} {v}" for k, v in where.items() if v is not None)
        detail = "; ".join(f"{k} {v}" for k, v in what.items() if v is not None)
        text = f"{place}: {self.problem}" if place else self.problem
        return " ".join(
            part for part in (text, f"({detail})" if detail else "", self.hint and f"-> {self.hint}") if part
        )

    def __reduce__(self):  # keyword arguments survive the trip back from a worker process
        return _rebuild, (type(self), self.problem, {k: v for k, v in vars(self).items() if k != "problem"})


def _rebuild(kind: type[MMFusionError], problem: str, state: dict) -> MMFusionError:
    return kind(problem, **state)


class DataError(MMFusionError):
    """A table, label or patient id that cannot be used."""


class ManifestError(MMFusionError):
    """A manifest that does not describe the files it names."""


class ScanError(MMFusionError):
    """A scan that cannot be read or trusted."""


class ScanWarning(UserWarning):
    """A scan was put right, or is odd but can be used."""


class LeakageError(MMFusionError):
    """An input that gives the label away."""


class BundleError(MMFusionError):
    """A saved model that cannot be read."""


class ReportError(MMFusionError):
    """A report that could not be completed."""


class WeightsUnavailable(MMFusionError):
    """Pretrained weights that are not on this machine."""
