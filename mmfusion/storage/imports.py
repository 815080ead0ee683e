"""Find the source files that a module can reach by import, by reading them; no code is run.

Imports inside functions count; imports for type checkers do not. Two rules find modules that are imported by
name at run time. A string with the dotted name of a module counts as an import of it (registries). If a
package loads its names lazily, a name imported from it counts as an import of the module in its table. If it
is not clear whether a file can be reached, it counts.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from mmfusion.storage.hashing import hash_bytes, hash_text

_PACKAGE = "mmfusion"
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z")


@dataclass
class Source:
    """Hash, imports and names of one source file.

    Parameters
    ----------
    hash : str
        SHA-256 hash of the syntax tree without docstrings.
    imports : list of (str, str or None, int)
        Imported module, name imported from it ("*": all names), and level of a relative import.
    strings : set of str
        Dotted names among the strings of the file.
    aliases : mapping of str to str
        Local name -> dotted name of the object, which may be a module.
    used : mapping of str to set of str
        Alias -> attributes that are read; "*" if the alias itself is used.
    lazy : mapping of str to str
        Name -> module of the package that defines it, from the table for lazy loading.
    defined : set of str
        Names that are defined at the top level.
    """

    hash: str
    imports: list[tuple[str, str | None, int]] = field(default_factory=list)
    strings: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    used: dict[str, set[str]] = field(default_factory=dict)
    lazy: dict[str, str] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)


def reached(modules: Iterable[str]) -> dict[str, Path]:
    """Return the source files of these modules and of all modules that they can reach by import.

    Files of the standard library and of installed libraries are left out, and their imports are not followed.

    Parameters
    ----------
    modules : iterable of str
        Names of modules.

    Returns
    -------
    dict of str to Path
        Name of a module -> source file.

    Examples
    --------
    >>> "mmfusion.errors" in reached(["mmfusion.registry"])
    True
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or (file := module_file(name)) is None:
            continue
        found[name] = file
        parents = [name.rsplit(".", k)[0] for k in range(1, name.count(".") + 1)]
        waiting += [*parents, *_next(name, file)]
    return found


def is_installed(name: str) -> bool:
    """Return True if a module belongs to Python or to an installed library other than this package.

    Examples
    --------
    >>> is_installed("numpy"), is_installed("mmfusion.errors")
    (True, False)
    """
    return _place(name.partition(".")[0])[1]


def module_file(name: str) -> Path | None:
    """Return the source file of a module of this package or of the user; None for other modules.

    Examples
    --------
    >>> module_file("mmfusion.errors").name
    'errors.py'
    """
    top, *rest = name.split(".")
    place, installed = _place(top)
    if place is None or installed:
        return None
    for part in rest:
        place = place.parent / part if place.name == "__init__.py" else place / part
        place = place / "__init__.py" if place.is_dir() else place.with_name(place.name + ".py")
    return place if place.suffix == ".py" and place.is_file() else None


def _next(name: str, file: Path) -> set[str]:
    """Return the modules that one module imports."""
    source, out = parsed(file), set()
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for module, taken, level in source.imports:
        base = _absolute(module, level, package)
        out |= {base} if taken is None else _of_name(base, taken)
    for alias, whole in source.aliases.items():
        for attribute in source.used.get(alias, ()):
            out |= _of_name(_absolute(whole, 0, package), attribute)
    return out | source.strings


def _absolute(module: str, level: int, package: str) -> str:
    if not level:
        return module
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{module}" if module else base


def _of_name(module: str, name: str) -> set[str]:
    """Return the modules that may define a name which is imported from a module."""
    file = module_file(module)
    if file is None:
        return set()
    source, out = parsed(file), {module}
    if module_file(f"{module}.{name}"):
        return out | {f"{module}.{name}"}
    if name in source.lazy:
        return out | {f"{module}.{source.lazy[name]}"}
    if source.lazy and (name == "*" or name not in source.defined):
        out |= {f"{module}.{home}" for home in source.lazy.values()}
    return out


def parsed(file: Path) -> Source:
    """Return hash, imports and names of a source file; it is read again only if it has changed."""
    state = file.stat()
    return _parsed(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _parsed(file: Path, _changed_ns: int, _size: int) -> Source:
    content = file.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return Source(hash_bytes(content))
    for node in ast.walk(tree):
        _drop_docstring(node)
    source = Source(hash_text(ast.dump(tree)))
    _Reader(source).visit(tree)
    for node in tree.body:
        source.defined |= {
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        source.defined |= {node.name} if hasattr(node, "name") else set()
    return source


def _drop_docstring(node: ast.AST) -> None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    first = node.body[0] if node.body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        node.body = node.body[1:]


class _Reader(ast.NodeVisitor):
    """Visitor that collects imports, dotted strings and uses of modules, except for type checkers."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")):
            self.generic_visit(node)
            return
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.source.imports.append((alias.name, None, 0))
            top = alias.name.partition(".")[0]
            self.source.aliases[alias.asname or top] = alias.name if alias.asname else top

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.source.imports.append((node.module or "", alias.name, node.level))
            if not node.level:
                self.source.aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            self.source.used.setdefault(node.value.id, set()).add(node.attr)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.source.used.setdefault(node.id, set()).add("*")

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and _DOTTED.match(node.value):
            self.source.strings.add(node.value)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if all(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in (key, value)):
                self.source.lazy[key.value] = value.value
        self.generic_visit(node)


def _place(top: str) -> tuple[Path | None, bool]:
    """Return the path of a top-level module, and True if it belongs to Python or an installed library."""
    return _place_of(top, getattr(sys.modules.get(top), "__file__", None))


@lru_cache(maxsize=1024)
def _place_of(top: str, file: str | None) -> tuple[Path | None, bool]:
    if top == _PACKAGE:
        return Path(__file__).resolve().parents[1] / "__init__.py", False
    # a script; in a notebook or a test run, "__main__" is a file of a library and does not define the class
    if top == "__main__":
        place = Path(file).resolve() if file else None
        return (None if place is None or _in_library(place) else place), False
    if top in sys.stdlib_module_names:
        return None, True
    place = Path(file).resolve() if file else _on_path(top)
    return place, place is not None and _in_library(place)


def _in_library(place: Path) -> bool:
    return any(place.is_relative_to(folder) for folder in _library_folders())


def _on_path(top: str) -> Path | None:
    """Return the file or the namespace folder of a top-level module that is not imported yet."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin and spec.has_location:
        return Path(spec.origin).resolve()
    places = list(spec.submodule_search_locations or ())
    return Path(places[0]).resolve() if places else None


@lru_cache(maxsize=1)
def _library_folders() -> tuple[Path, ...]:
    names = ("purelib", "platlib", "stdlib", "platstdlib")
    return tuple({Path(sysconfig.get_paths()[name]).resolve() for name in names})
