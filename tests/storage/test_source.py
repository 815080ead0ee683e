"""Hashes of source code: which edits change them."""

from __future__ import annotations

import functools
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mmfusion as mf
import mmfusion.storage.source
from mmfusion.evaluation.baselines import PriorWhereAbsent
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.storage import imports
from mmfusion.storage.source import code_hash, defining_modules, source_hash


def test_code_is_known_by_what_it_says(tmp_path: Path, monkeypatch):
    (tmp_path / "nn").mkdir()
    (tmp_path / "__init__.py").touch()
    (tmp_path / "nn" / "a.py").write_text("x = 1")
    monkeypatch.setattr(mmfusion.storage.source, "__file__", str(tmp_path / "storage" / "source.py"))
    before = code_hash()
    (tmp_path / "nn" / "a.pyc").touch()
    assert code_hash() == before
    (tmp_path / "nn" / "a.py").write_text("x = 2")
    assert code_hash() != before


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the package, which the hashes read in place of the real one."""
    here = Path(mf.__file__).parent
    copy = tmp_path_factory.mktemp("checkout") / "mmfusion"
    shutil.copytree(here, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "__file__", str(copy / "storage" / "imports.py"))
        imports._place_of.cache_clear()
        yield copy
    imports._place_of.cache_clear()


def edited(file: Path, change) -> bool:
    """Whether an edit of this file changes the hash of a stage classifier; the file is put back."""
    before, text = source_hash([mf.StageClassifier()]), file.read_text()
    file.write_text(change(text))
    after = source_hash([mf.StageClassifier()])
    file.write_text(text)
    assert source_hash([mf.StageClassifier()]) == before
    return before != after


def add_code(text: str) -> str:
    return text + "\nADDED = 1\n"


def add_comment(text: str) -> str:
    return text + "\n# a remark\n"


def change_docstring(text: str) -> str:
    return '"""Another first line.' + text.removeprefix('"""')


@pytest.mark.parametrize(
    "room", ["cli/parser.py", "reports/runner.py", "figures/style.py", "synthetic/scans.py"]
)
def test_code_that_a_model_cannot_reach_keeps_its_folds(checkout, room):
    assert not edited(checkout / room, add_code)


@pytest.mark.parametrize("change", [add_comment, change_docstring])
def test_words_keep_the_folds(checkout, change):
    assert not edited(checkout / "staging" / "classifier.py", change)
    assert not edited(checkout / "nn" / "losses.py", change)


@pytest.mark.parametrize(
    "file",
    [
        "staging/classifier.py",
        "nn/losses.py",
        "nn/encoders/gene_gat.py",  # named in a registry only
        "nn/fusion/daft.py",
        "imaging/restoration/cellpose.py",
        "nn/layers/gatv2.py",  # through the registry and an encoder
        "imaging/affine.py",  # through transformer, scans, volume
        "storage/__init__.py",  # a parent package of what is imported
    ],
)
def test_code_that_a_model_can_reach_changes_the_hash(checkout, file):
    assert edited(checkout / file, add_code)


def test_every_module_that_a_fit_loads_is_reached():
    """What is loaded once a model has been made, fitted and asked, but for what test files loaded."""
    import subprocess

    code = (
        "import sys; from tests.cohorts import tiny_cohort; c = tiny_cohort(40); before = set(sys.modules)\n"
        "from mmfusion.staging.classifier import StageClassifier\n"
        "m = StageClassifier(max_epochs=1, n_members=1, n_genes=5).fit(c.X, c.y); m.predict_proba(c.X)\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name for name in done.stdout.split() if name.startswith("mmfusion")}
    assert len(loaded) > 50 and loaded <= set(imports.reached(["mmfusion.staging.classifier"]))


def test_parameters_count_at_any_depth():
    nested = PriorWhereAbsent(make_pipeline(FlatTransformer(), LogisticRegression()), ["rna"])
    assert {"mmfusion.evaluation.baselines", "mmfusion.preprocessing.flat"} <= defining_modules(nested)
    with_function = make_pipeline(FunctionTransformer(functools.partial(source_hash, 1)))
    assert "mmfusion.storage.source" in defining_modules(with_function)
    assert source_hash([nested]) != source_hash([LogisticRegression()])


def test_another_version_of_a_library(monkeypatch):
    before = source_hash([LogisticRegression()])
    monkeypatch.setattr(mmfusion.storage.source, "_version", lambda name: "99")
    assert source_hash([LogisticRegression()]) != before


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A user's own files: an estimator, and what it imports."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_helper.py").write_text("C = 1.0\n")
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").touch()
    (tmp_path / "own_package" / "deep.py").write_text("A = 1\n")
    (tmp_path / "own_model.py").write_text(
        "from sklearn.linear_model import LogisticRegression\n"
        "class Own(LogisticRegression):\n"
        "    def fit(self, X, y):\n"
        "        import own_helper\n"
        "        from own_package import deep\n"
        "        return super().fit(X, y)\n"
    )
    yield tmp_path
    for name in ("own_model", "own_helper", "own_package"):
        sys.modules.pop(name, None)
    imports._place_of.cache_clear()


@pytest.mark.parametrize("file", ["own_model.py", "own_helper.py", "own_package/deep.py"])
def test_the_users_own_files_count(script, file):
    own = import_module("own_model").Own()
    before = source_hash([own])
    assert before == source_hash([own])
    (script / file).write_text((script / file).read_text() + "\nX = 2\n")
    assert source_hash([own]) != before


def test_what_has_no_source_is_never_the_same():
    typed = type("Typed", (LogisticRegression,), {"__module__": "__main__"})
    assert source_hash([typed()]) != source_hash([typed()])


@pytest.mark.parametrize(
    ("code", "reaches"),
    [
        ("from mmfusion.explain import gene_shap", {"mmfusion.explain.gene_attribution"}),
        ("import mmfusion as mf\nmf.phantom()", {"mmfusion.synthetic"}),
        ("import mmfusion\nmmfusion.__version__", set()),
        ("from mmfusion import explain\nexplain.gene_shap", {"mmfusion.explain.gene_attribution"}),
        (
            "from mmfusion import explain\nvars(explain)",
            {"mmfusion.explain.scans", "mmfusion.explain.stability"},
        ),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mmfusion.cli", set()),
        ("def f():\n    import mmfusion.cli.doctor", {"mmfusion.cli.doctor"}),
        ("HOME = 'mmfusion.cli.doctor'", {"mmfusion.cli.doctor"}),
        ("from . import own_other", {"own_place.own_other"}),
        ("not Python at all", set()),
    ],
)
def test_ways_to_name_a_module(tmp_path, monkeypatch, code, reaches):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_place").mkdir()
    for name, text in {"__init__": "", "own_other": "", "own_file": code}.items():
        (tmp_path / "own_place" / f"{name}.py").write_text(text)
    imports._place_of.cache_clear()
    found = set(imports.reached(["own_place.own_file"]))
    assert found >= reaches | {"own_place", "own_place.own_file"}
    if not reaches:
        assert not {name for name in found if name.startswith("mmfusion.")} - {"mmfusion.lazy"}
