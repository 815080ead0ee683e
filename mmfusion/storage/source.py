"""Hashes of source code: of the whole package, and of the code that a result can depend on.

`code_hash` covers every file of the package. `source_hash` follows the imports of the modules that define the
given objects; it reads the files and does not run them. Comments, docstrings and layout do not count. A
result therefore stays valid if only these change, or if a file is edited that the objects cannot reach.
"""

from __future__ import annotations

import inspect
import platform
import sys
import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from mmfusion.storage.hashing import hash_file, hash_text
from mmfusion.storage.imports import is_installed, module_file, parsed, reached

# libraries that results may depend on, if they are installed
LIBRARIES = (
    "numpy", "pandas", "scipy", "scikit-learn", "torch", "torch-geometric", "monai", "skorch", "optuna",
    "optuna-integration", "einops", "SimpleITK", "nibabel", "pydicom", "highdicom", "cellpose", "lungmask",
    "foundation-cancer-image-biomarker", "safetensors", "threadpoolctl", "joblib",
)  # fmt: skip


def code_hash() -> str:
    """Return the SHA-256 hash of all bytes of all Python files of the package, committed or not.

    Examples
    --------
    >>> len(code_hash())
    64
    """
    root = Path(__file__).parents[1]
    files = sorted(root.rglob("*.py"))
    return hash_text("\n".join(f"{f.relative_to(root).as_posix()}\0{hash_file(f)}" for f in files))


def source_hash(objects: Iterable[object]) -> str:
    """Return a hash of the code and the library versions that results of these objects depend on.

    Parameters
    ----------
    objects : iterable
        Estimators, functions, classes or modules. The parameters of an estimator count too, at any depth,
        such as the steps of a pipeline or a function among its parameters.

    Returns
    -------
    str
        SHA-256 hash. It covers the files of this package and of the user that the objects can reach by
        import, without comments, docstrings and layout, and the versions of installed libraries. If an object
        has no source file, such as a class typed into a notebook, every call gives another hash.

    Examples
    --------
    >>> from mmfusion.errors import DataError
    >>> source_hash([DataError]) == source_hash([DataError])
    True
    """
    modules = sorted({name for item in objects for name in defining_modules(item)})
    lines = [f"python {platform.python_version()}"]
    lines += [f"{name} {_version(name)}" for name in (*LIBRARIES, *_libraries_of(modules))]
    lines += [uuid.uuid4().hex for name in modules if not is_installed(name) and module_file(name) is None]
    lines += [f"{name} {parsed(file).hash}" for name, file in sorted(reached(modules).items())]
    return hash_text("\n".join(lines))


def defining_modules(item: object) -> set[str]:
    """Return the names of the modules that define an object, its base classes and its parameters.

    Examples
    --------
    >>> from mmfusion.errors import DataError
    >>> sorted(defining_modules(DataError))
    ['builtins', 'mmfusion.errors']
    """
    if inspect.ismodule(item):
        return {item.__name__}
    if item is None or isinstance(item, str | bytes | int | float | Path):
        return set()
    if isinstance(item, Mapping):
        return defining_modules(list(item.values()))
    if isinstance(item, list | tuple | set | frozenset):
        return {name for part in item for name in defining_modules(part)}
    if inspect.isroutine(item):
        owner = getattr(item, "__self__", None)
        return {item.__module__ or "builtins"} | defining_modules(None if inspect.ismodule(owner) else owner)
    kind = item if inspect.isclass(item) else type(item)
    found = {base.__module__ for base in kind.__mro__}
    if item is kind:
        return found
    for part in ("func", "args", "keywords"):  # attributes of functools.partial
        found |= defining_modules(getattr(item, part, None)) if kind.__module__ == "functools" else set()
    params = item.get_params(deep=False) if hasattr(item, "get_params") else {}
    return found | defining_modules(params)


def _libraries_of(modules: Iterable[str]) -> list[str]:
    """Return the distributions outside `LIBRARIES` that define some of these modules."""
    tops = {name.partition(".")[0] for name in modules if is_installed(name)}
    others = tops - sys.stdlib_module_names - {"sklearn", *LIBRARIES}
    return sorted({name for top in others for name in _distributions().get(top, ())})


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


@lru_cache(maxsize=256)
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
