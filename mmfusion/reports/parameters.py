"""Read the parameters of a notebook: names, types, defaults and help texts from its parameters cell."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import papermill

from mmfusion.errors import ReportError, did_you_mean
from mmfusion.reports.notebooks import read_notebook

RESERVED = ("out_dir", "work_dir")  # filled in by the runner
_OPTIONAL = re.compile(r"^Optional\[(.*)\]$")
_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell.

    Parameters
    ----------
    name : str
        Name of the parameter.
    kind : str
        Its annotation ("int", "float", "bool", "str", "list[str]", ...), or the type of its default.
    default : object
        Value if no other value is given.
    help : str
        Its comment, which is the help text.
    """

    name: str
    kind: str
    default: object
    help: str

    def convert(self, value: object) -> object:
        """Return a value in the type of the parameter; text is read as on a command line.

        >>> Parameter("outer", "int", 5, "outer folds").convert("3")
        3

        Raises
        ------
        ReportError
            If the value does not have the type.
        """
        kind, optional = self.kind, self.default is None
        if inner := _OPTIONAL.match(kind):
            kind, optional = inner[1], True
        if optional and (value is None or (isinstance(value, str) and value in {"", "None"})):
            return None
        if isinstance(value, str | os.PathLike) and kind == "str":
            return str(value)
        try:
            return _READERS.get(kind.split("[")[0], _as_literal)(value)
        except (ValueError, TypeError, SyntaxError, KeyError) as error:
            raise ReportError(
                "the wrong type",
                parameter=self.name,
                expected=kind,
                got=repr(value),
                hint=self.help,
            ) from error

    def __str__(self) -> str:
        text = f"{self.name}: {self.kind} = {self.default!r}"
        return f"{text}  # {self.help}" if self.help else text


def notebook_parameters(notebook: Path) -> dict[str, Parameter]:
    """Return the parameters that the cell tagged `parameters` declares, by name."""
    nb = read_notebook(notebook)
    nb.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    found = {}
    for name, p in papermill.inspect_notebook(nb).items():
        try:
            default = ast.literal_eval(p["default"])
        except (ValueError, SyntaxError) as error:
            raise ReportError(
                "the default is not a literal", file=notebook, parameter=name, got=p["default"],
                hint="write plain numbers, strings, lists in the parameters cell",
            ) from error  # fmt: skip
        kind = p["inferred_type_name"]
        kind = type(default).__name__ if kind == "None" else kind.replace(" ", "")
        found[name] = Parameter(name, kind, default, p["help"])
    return found


def check_known(names: Iterable[str], known: Mapping[str, Parameter], notebook: Path) -> None:
    """Raise a `ReportError` that lists the parameters if a name is unknown or filled in by the runner."""
    open_to_users = {name: p for name, p in known.items() if name not in RESERVED}
    unknown = [name for name in names if name not in open_to_users]
    if unknown:
        listing = "".join(f"\n  {p}" for p in open_to_users.values()) or " none"
        meant = did_you_mean(unknown[0], open_to_users)
        raise ReportError(
            f"unknown parameter {', '.join(map(repr, unknown))}",
            file=notebook.name,
            hint=f"{meant + ' ' if meant else ''}it knows:{listing}",
        )


def convert_parameters(
    given: Mapping[str, object], known: Mapping[str, Parameter], notebook: Path
) -> dict[str, object]:
    """Return the values in the types of the notebook's parameters.

    Raises
    ------
    ReportError
        If a parameter is unknown, or a value has the wrong type.
    """
    check_known(given, known, notebook)
    return {name: known[name].convert(value) for name, value in given.items()}


def _as_int(value: object) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
        raise ValueError(value)
    return int(value)


def _as_float(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    return float(value)


def _as_bool(value: object) -> bool:
    return value if isinstance(value, bool) else _BOOLS[str(value).strip().lower()]


def _as_str(value: object) -> str:
    raise ValueError(value)  # text was accepted above


def _as_list(value: object) -> list:
    if not isinstance(value, str):
        return list(value)
    text = value.strip()
    if text.startswith(("[", "(")):
        return list(ast.literal_eval(text))
    return [_guess(part.strip()) for part in text.split(",") if part.strip()]


def _as_dict(value: object) -> dict:
    return dict(ast.literal_eval(value) if isinstance(value, str) else value)


def _as_literal(value: object) -> object:
    return ast.literal_eval(value) if isinstance(value, str) else value


def _guess(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


_READERS: dict[str, Callable[[object], object]] = {
    "int": _as_int,
    "float": _as_float,
    "bool": _as_bool,
    "str": _as_str,
    "list": _as_list,
    "dict": _as_dict,
}
