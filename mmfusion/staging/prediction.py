"""The result of staging one patient: stage, probabilities, modalities read, and warnings."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, repr=False)
class StagePrediction:
    """The staging of one patient.

    Parameters
    ----------
    patient : str
        The patient's id.
    stage : str
        The most probable class.
    probabilities : mapping of str to float
        Probability of each class, in order of severity. They sum to 1.
    used, missing : tuple of str
        Modalities that were read, and modalities that the model knows but the patient lacks.
    top_genes : tuple of (str, float)
        Genes with the largest |SHAP value| for the predicted class, with signed values. They are candidate
        associations, not biomarkers.
    warnings : tuple of str
        Reasons why the prediction is less certain, such as absent genes, a missing seed, or a new category.
    target : str
        Name of the model's target.

    Examples
    --------
    >>> found = StagePrediction("P1", "II", {"I": 0.25, "II": 0.75}, used=("ehr",), missing=("ct",))
    >>> print(found)
    Patient P1: stage II
      I    25.0%  ########
      II   75.0%  ######################
    Read: ehr
    Missing: ct
    Research software; not for decisions about patients.
    >>> found.to_row()["p_II"]
    0.75
    """

    patient: str
    stage: str
    probabilities: Mapping[str, float]
    used: tuple[str, ...]
    missing: tuple[str, ...] = ()
    top_genes: tuple[tuple[str, float], ...] = ()
    warnings: tuple[str, ...] = ()
    target: str = ""
    notes: tuple[str, ...] = field(default=("Research software; not for decisions about patients.",))

    def to_dict(self) -> dict[str, object]:
        """Return the fields as values that JSON can hold."""
        return asdict(self) | {"probabilities": dict(self.probabilities)}

    def to_row(self) -> dict[str, object]:
        """Return a row of a table: patient_id, stage, `p_<class>`, used, missing, warnings, error."""
        return {
            "patient_id": self.patient,
            "stage": self.stage,
            **{f"p_{name}": p for name, p in self.probabilities.items()},
            "used": " ".join(self.used),
            "missing": " ".join(self.missing),
            "warnings": "; ".join(self.warnings),
            "error": "",
        }

    def to_json(self) -> str:
        """Return the fields as a JSON document."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        width = max(map(len, self.probabilities))
        bars = [f"  {c:<{width}}  {p:6.1%}  {'#' * round(30 * p)}" for c, p in self.probabilities.items()]
        lines = [f"Patient {self.patient}: stage {self.stage}", *bars, f"Read: {', '.join(self.used)}"]
        if self.missing:
            lines.append(f"Missing: {', '.join(self.missing)}")
        if self.top_genes:
            genes = ", ".join(f"{g} ({v:+.3f})" for g, v in self.top_genes)
            lines.append(f"Genes with the largest SHAP values: {genes}")
        lines += [f"Warning: {w}" for w in self.warnings]
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        left, blue = "style='text-align:left'", "background:#3b6ea5;height:.8em"
        bars = "".join(
            f"<tr><td {left}>{'<b>' if c == self.stage else ''}{html.escape(c)}</td><td>{p:.1%}</td>"
            f"<td style='width:14em'><div style='{blue};width:{100 * p:.1f}%'></div></td></tr>"
            for c, p in self.probabilities.items()
        )
        genes = ", ".join(f"<i>{html.escape(g)}</i>&nbsp;{v:+.3f}" for g, v in self.top_genes)
        parts = [
            f"<h3>Patient {html.escape(self.patient)}: stage {html.escape(self.stage)}</h3>",
            f"<p>Read: {html.escape(', '.join(self.used))}."
            + (f" Missing: {html.escape(', '.join(self.missing))}." if self.missing else "")
            + "</p>",
            f"<table border='0'>{bars}</table>",
            f"<p>Genes with the largest SHAP values (candidate associations): {genes}</p>" if genes else "",
            "".join(f"<p>&#9888; {html.escape(w)}</p>" for w in self.warnings),
            "".join(f"<p><small>{html.escape(n)}</small></p>" for n in self.notes),
        ]
        return "".join(parts)
