"""Shared fixtures: where the real data is, and one thread per process."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)  # a busy machine is not an error
settings.load_profile("no deadline")
REAL = Path(os.environ.get("MMFUSION_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The real samples are parts of scans, which their headers tell; tests of that make their own files."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.filterwarnings("ignore:.*the scan may not be complete"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real samples; tests that need it are skipped where it is absent."""
    if not (REAL / "nsclc_radiogenomics").is_dir():
        pytest.skip(f"real data not found at {REAL}; set MMFUSION_DATA to its folder")
    return REAL
