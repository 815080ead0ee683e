"""Find the parameters that a key of `TrainingPlan.lr_groups` or `TrainingPlan.freeze` names."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from mmfusion.errors import DataError


def pattern(key: str) -> str:
    """Return a pattern for full names: the key itself if it has wildcards, else `<key>.*`.

    Examples
    --------
    >>> pattern("encoder"), pattern("*.weight")
    ('encoder.*', '*.weight')
    """
    return key if set(key) & set("*?[") else f"{key}.*"


def matching(names: Sequence[str], key: str) -> list[str]:
    """Return the names of the parameters that a key matches.

    Parameters
    ----------
    names : sequence of str
        Full names of parameters.
    key : str
        Name of a part of the network, full name of a parameter, or pattern with `*`, `?` or `[`.

    Raises
    ------
    DataError
        If the key matches no name.

    Examples
    --------
    >>> matching(["encoder.0.weight", "encoder.0.bias", "head.weight"], "encoder")
    ['encoder.0.weight', 'encoder.0.bias']
    >>> matching(["encoder.0.weight", "head.weight"], "*.weight")
    ['encoder.0.weight', 'head.weight']
    """
    found = [name for name in names if name == key or fnmatchcase(name, pattern(key))]
    if not found:
        known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
        raise DataError("no parameter of the network has this name", expected=known, got=key)
    return found


def parts(module: nn.Module, key: str) -> list[nn.Module]:
    """Return the outermost modules all of whose parameters a key matches.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> parts(net, "2")
    [Linear(in_features=2, out_features=1, bias=True)]
    """
    own = {name for name, _ in module.named_parameters()}
    meant = {name for name in own if name == key or fnmatchcase(name, pattern(key))}
    found: list[str] = []
    for name, part in module.named_modules():
        inside = {f"{name}.{p}" if name else p for p, _ in part.named_parameters()}
        within = any(name == other or name.startswith(f"{other}.") for other in found)
        if inside and inside <= meant and not within:
            found.append(name)
    return [module.get_submodule(name) for name in found]
