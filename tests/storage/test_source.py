"""Which code this is."""

from __future__ import annotations

from pathlib import Path

import mmfusion.storage.source
from mmfusion.storage.source import code_hash


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
