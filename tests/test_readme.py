"""Tests of the README: commands parse, targets and links exist, the code runs."""

from __future__ import annotations

import re
import shlex
import warnings
from pathlib import Path

import pytest

from mmfusion.cli import main
from mmfusion.cli.parser import build_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for kind, text in BLOCKS if not kind for line in text.splitlines()]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("mmfusion")])
def test_commands_parse(command):
    assert build_parser().parse_args(shlex.split(command)[1:]).run


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)(?:`| +#)", README))))
def test_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_links_exist(link):
    assert (ROOT / link).exists()


def test_the_cohorts_are_known():
    from mmfusion.data.sources import sources

    names = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert names
    assert set(names) <= set(sources())


@pytest.mark.slow
def test_the_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo = next(c for c in COMMANDS if c.startswith("mmfusion demo"))
    assert main(shlex.split(demo)[1:]) == 0
    code = "\n".join(text for kind, text in BLOCKS if kind == "python")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "models" / "stage" / "config.json").is_file()
