"""The result of staging one patient: stage, probabilities, training shares, modalities, warnings."""

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
        The class that the model names; see `decision`.
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
    shares : mapping of str to float
        Share of each class among the patients that the model was fitted on. A probability near its share
        says little about the patient.
    decision : str
        Sentence that says how the model names a class.
    stage_set : tuple of str
        Stages that cannot be excluded: the true one is among them with about the probability `coverage`, on
        average over patients like those of the training (conformal prediction). Empty if the model learned no
        sets.
    coverage : float, optional
        See `stage_set`.

    Examples
    --------
    >>> shares, rule = {"I": 0.8, "II": 0.2}, "The class with the smallest expected cost is named."
    >>> found = StagePrediction(
    ...     "P1", "II", {"I": 0.6, "II": 0.4}, ("ehr",), ("ct",), shares=shares, decision=rule
    ... )
    >>> print(found)
    Patient P1: stage II
    Predicted: II; most probable: I. The class with the smallest expected cost is named.
      I    60.0%  (80.0% in training)  ##################
      II   40.0%  (20.0% in training)  ############
    Read: ehr
    Missing: ct
    Research software; not for decisions about patients.
    >>> found.to_row()["p_II"], found.most_probable
    (0.4, 'I')
    """

    patient: str
    stage: str
    probabilities: Mapping[str, float]
    used: tuple[str, ...]
    missing: tuple[str, ...] = ()
    top_genes: tuple[tuple[str, float], ...] = ()
    warnings: tuple[str, ...] = ()
    target: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    decision: str = ""
    stage_set: tuple[str, ...] = ()
    coverage: float | None = None
    notes: tuple[str, ...] = field(default=("Research software; not for decisions about patients.",))

    @property
    def most_probable(self) -> str:
        """The most probable class, which may differ from `stage`."""
        return max(self.probabilities, key=self.probabilities.get)

    @property
    def decided(self) -> str:
        """Rule that named the class, and the most probable class if it is another one."""
        if self.stage == self.most_probable:
            return self.decision
        return f"Predicted: {self.stage}; most probable: {self.most_probable}. {self.decision}".strip()

    @property
    def not_excluded(self) -> str:
        """Sentence about the set of stages; "" if there is none."""
        if not self.stage_set:
            return ""
        return f"Stages that cannot be excluded ({self.coverage:.0%} coverage): {', '.join(self.stage_set)}."

    def to_dict(self) -> dict[str, object]:
        """Return the fields and `most_probable` as values that JSON can hold."""
        mappings = {"probabilities": dict(self.probabilities), "shares": dict(self.shares)}
        return asdict(self) | mappings | {"most_probable": self.most_probable}

    def to_row(self) -> dict[str, object]:
        """Return a row of a table.

        Its columns are patient_id, stage, most_probable, stage_set, `p_<class>`, used, missing, warnings,
        error.
        """
        return {
            "patient_id": self.patient,
            "stage": self.stage,
            "most_probable": self.most_probable,
            "stage_set": " ".join(self.stage_set),
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
        bars = [
            f"  {c:<{width}}  {p:6.1%}  {self._share(c, '({} in training)  ')}{'#' * round(30 * p)}"
            for c, p in self.probabilities.items()
        ]
        lines = [f"Patient {self.patient}: stage {self.stage}", *filter(None, [self.decided]), *bars]
        lines += filter(None, [self.not_excluded])
        lines.append(f"Read: {', '.join(self.used)}")
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
            f"<td>{self._share(c, '<small>{} in training</small>')}</td>"
            f"<td style='width:14em'><div style='{blue};width:{100 * p:.1f}%'></div></td></tr>"
            for c, p in self.probabilities.items()
        )
        genes = ", ".join(f"<i>{html.escape(g)}</i>&nbsp;{v:+.3f}" for g, v in self.top_genes)
        parts = [
            f"<h3>Patient {html.escape(self.patient)}: stage {html.escape(self.stage)}</h3>",
            f"<p>Read: {html.escape(', '.join(self.used))}."
            + (f" Missing: {html.escape(', '.join(self.missing))}." if self.missing else "")
            + "</p>",
            f"<p>{html.escape(self.decided)}</p>" if self.decided else "",
            f"<table border='0'>{bars}</table>",
            f"<p>{html.escape(self.not_excluded)}</p>" if self.stage_set else "",
            f"<p>Genes with the largest SHAP values (candidate associations): {genes}</p>" if genes else "",
            "".join(f"<p>&#9888; {html.escape(w)}</p>" for w in self.warnings),
            "".join(f"<p><small>{html.escape(n)}</small></p>" for n in self.notes),
        ]
        return "".join(parts)

    def _share(self, name: str, text: str) -> str:
        return text.format(f"{self.shares[name]:.1%}") if name in self.shares else ""
