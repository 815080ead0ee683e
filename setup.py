"""Put the notebooks of the checkout into the wheel; everything else is in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

NOTEBOOKS = sorted(Path("notebooks").glob("*.ipynb"))


class BuildWithNotebooks(build_py):
    """Copy `notebooks/*.ipynb` to `mmfusion/notebooks/`; an editable installation uses the checkout."""

    def run(self) -> None:
        """Build the package, then add the notebooks; nothing of an earlier build stays."""
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib, "mmfusion"), ignore_errors=True)
        super().run()
        for source, copy in self._copies().items():
            self.mkpath(str(Path(copy).parent))
            self.copy_file(source, copy)

    def get_source_files(self) -> list[str]:
        """Return what an sdist must hold."""
        return [*super().get_source_files(), *map(str, NOTEBOOKS)]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:  # noqa: FBT001, FBT002
        """Return what was built."""
        return [*super().get_outputs(include_bytecode), *self._copies().values()]

    def _copies(self) -> dict[str, str]:
        folder = Path(self.build_lib, "mmfusion", "notebooks")
        return {} if self.editable_mode else {str(p): str(folder / p.name) for p in NOTEBOOKS}


setup(cmdclass={"build_py": BuildWithNotebooks})
