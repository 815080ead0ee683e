"""What a file or folder of a user's seems to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Use(NamedTuple):
    """What it can serve as: cells of the manifest; and what a person has to choose before, if anything.

    A spare use is for want of a better one: it gives way to another table of the same patients.
    """

    modality: str
    role: str
    part: str = ""
    question: str = ""
    spare: bool = False

    @property
    def what(self) -> str:
        """In words."""
        return f"{self.modality} {self.role}".strip()


@dataclass(frozen=True)
class Guess:
    """What it seems to be.

    Parameters
    ----------
    uses : tuple of Use
        What it can serve as; empty if nothing is clear.
    why : str
        In words: what told, or what is missing.
    ids : tuple of str
        Patients of a table.
    patient_hint : str
        Patient id inside a scan.
    unit : str
        Of RNA, where the numbers leave no doubt.
    staged : tuple of str
        Patients whose stage a table gives.
    stage_like : str
        A header that may mean the stage, of a table without one that is known.
    """

    uses: tuple[Use, ...]
    why: str
    ids: tuple[str, ...] = ()
    patient_hint: str = ""
    unit: str = ""
    staged: tuple[str, ...] = ()
    stage_like: str = ""
