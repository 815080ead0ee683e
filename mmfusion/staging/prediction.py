"""Result of staging one patient: the stage, probabilities, the modalities read, and warnings."""

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
        Who.
    stage : str
        The most probable class.
    probabilities : mapping of str to float
        Of every class, in order of severity; they sum to 1.
    used, missing : tuple of str
        Modalities that were read, and that the model knows but this patient lacks.
    top_genes : tuple of (str, float)
        Genes with the largest |SHAP value| for the predicted class, signed: candidate associations, not
        biomarkers.
    warnings : tuple of str
        What makes this prediction less sure: absent genes, a missing seed, a category never seen.
    target : str
        Named target of the model.
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
        """JSON values."""
        return asdict(self) | {"probabilities": dict(self.probabilities)}

    def to_row(self) -> dict[str, object]:
        """Row of a table of patients: patient_id, stage, `p_<class>`, used, missing, warnings, error ("")."""
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
        """One JSON document."""
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
        bars = "".join(
            f"<tr><td style='text-align:left'>{'<b>' if c == self.stage else ''}{html.escape(c)}</td><td>{p:.1%}</td>"
            f"<td style='width:14em;text-align:left'><div style='background:#3b6ea5;height:.8em;width:{100 * p:.1f}%'>"
            "</div></td></tr>"
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
