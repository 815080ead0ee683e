"""The possible uses of a file or folder, as far as they can be recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Use(NamedTuple):
    """One possible use of a file, as cells of the manifest.

    Parameters
    ----------
    modality, role, part : str
        Cells of the manifest.
    question : str
        A choice that the user must make first; "" if there is none.
    spare : bool
        If True, the file is used only if no other table has features of the same patients.

    Examples
    --------
    >>> Use("ct", "volume").what
    'ct volume'
    """

    modality: str
    role: str
    part: str = ""
    question: str = ""
    spare: bool = False

    @property
    def what(self) -> str:
        """Modality and role as text."""
        return f"{self.modality} {self.role}".strip()


@dataclass(frozen=True)
class Guess:
    """The possible uses of a file or folder, with the reason.

    Parameters
    ----------
    uses : tuple of Use
        Possible uses; empty if none is clear.
    why : str
        Reason for the decision, or what is missing.
    ids : tuple of str
        Patient ids of a table.
    patient_hint : str
        Patient id in the headers of a scan.
    unit : str
        Unit of an RNA table, if the numbers leave no doubt; otherwise "".
    units : tuple of str
        Units in which a file of one sample has values; the first is used, unless the user asks for another.
    staged : tuple of str
        Patients who have a stage in the table.
    stage_like : str
        A header that may mean the stage, if no header of the table is known to mean it.
    id_column : str, optional
        Header of the column of ids, if its values show this and not its header.

    Examples
    --------
    >>> guess = Guess((Use("ct", "volume"),), "ct volume by its name")
    >>> [use.what for use in guess.uses]
    ['ct volume']
    """

    uses: tuple[Use, ...]
    why: str
    ids: tuple[str, ...] = ()
    patient_hint: str = ""
    unit: str = ""
    units: tuple[str, ...] = ()
    staged: tuple[str, ...] = ()
    stage_like: str = ""
    id_column: str | None = None
