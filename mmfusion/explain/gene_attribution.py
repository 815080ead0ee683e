"""Which genes a prediction leans on: expected gradients (SHAP), integrated gradients, permutation.

What comes out are candidate associations of a fitted model, not biomarkers: read them with their stability over
folds and against a null of permuted labels (`mmfusion.explain.stability`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from mmfusion.errors import DataError
from mmfusion.explain.conditional import (
    FittedModel,
    OneStream,
    as_inputs,
    find_stream,
    quiet_model,
    rows_with,
)
from mmfusion.streams import GENES, StreamInputs

CONDITIONING = ("observed", "mean")


@dataclass(frozen=True, repr=False)
class GeneAttribution:
    """Signed contribution of each gene to each class's probability, for each patient.

    Parameters
    ----------
    values : ndarray, shape (n, G, K)
        Contributions, in units of probability. Over genes they sum to about `output - base`.
    expression : ndarray, shape (n, G)
        What the model read, z-scores.
    output, base : ndarray, shape (n, K)
        Probability with the patient's own genes, and its mean over the background's genes.
    patients, genes, classes : tuple of str
        What the axes are. Patients without the modality are not among them.
    """

    values: np.ndarray
    expression: np.ndarray
    output: np.ndarray
    base: np.ndarray
    patients: tuple[str, ...]
    genes: tuple[str, ...]
    classes: tuple[str, ...]

    def values_of(self, class_: str) -> pd.DataFrame:
        """Contributions to one class: patients down, genes across."""
        if class_ not in self.classes:
            raise DataError(f"no attribution to class {class_!r}", expected=", ".join(self.classes))
        k = self.classes.index(class_)
        return pd.DataFrame(self.values[:, :, k], pd.Index(self.patients, name="patient_id"), self.genes)

    def mean_abs(self, class_: str | None = None) -> pd.Series:
        """Mean |contribution| over patients of each gene, to one class or averaged over classes; largest first."""
        size = (
            np.abs(self.values).mean(axis=0)
            if class_ is None
            else self.values_of(class_).abs().to_numpy().mean(axis=0)
        )
        size = size.mean(axis=1) if class_ is None else size
        return pd.Series(size, index=pd.Index(self.genes, name="gene"), name="mean_abs").sort_values(
            ascending=False, kind="stable"
        )

    def table(self) -> pd.DataFrame:
        """Genes down, largest first; columns (mean_abs | direction, class).

        `direction` is the correlation over patients of the gene's expression and its contribution: +1 where more
        of it always speaks for the class, NaN where either does not vary.
        """
        size = pd.DataFrame(np.abs(self.values).mean(axis=0), self.genes, self.classes)
        x = self.expression[:, :, None] - self.expression.mean(axis=0)[:, None]
        v = self.values - self.values.mean(axis=0)
        scale = np.sqrt((x**2).sum(axis=0) * (v**2).sum(axis=0))
        r = np.divide((x * v).sum(axis=0), scale, out=np.full(scale.shape, np.nan), where=scale > 1e-12)
        direction = pd.DataFrame(r, self.genes, self.classes)
        both = pd.concat({"mean_abs": size, "direction": direction}, axis=1).rename_axis("gene")
        return both.loc[self.mean_abs().index]

    def gap(self) -> float:
        """Largest |base + sum of contributions - output| over patients and classes: how exact the values are."""
        return float(np.abs(self.base + self.values.sum(axis=1) - self.output).max())

    def __repr__(self) -> str:
        top = ", ".join(self.mean_abs().index[:5])
        return f"GeneAttribution: {len(self.patients)} patients, {len(self.genes)} genes, led by {top}"


def gene_shap(
    model: FittedModel,
    X: object,
    background: StreamInputs | np.ndarray | None = None,
    *,
    conditioning: str = "observed",
    classes: Sequence[str] | None = None,
    n_samples: int = 100,
    random_state: int = 0,
) -> GeneAttribution:
    """Expected gradients of the class probabilities with respect to genes (`shap.GradientExplainer`).

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or stream inputs
        Patients to explain, rows of a cohort; those without the modality are left out.
    background : stream inputs or ndarray, shape (b, G), optional
        Genes to compare with; default the model's synthetic background, in which no patient stands.
    conditioning : {"observed", "mean"}
        Other modalities as each patient has them, or all at the mean vector of the background: the latter is
        no patient's, but the same for all.
    classes : sequence of str, optional
        Explain only these; time grows with their number.
    n_samples : int
        Gradients a patient and class.
    random_state : int
        Seed.

    Raises
    ------
    DataError
        If the model reads no genes, nobody has them, or an argument is unknown.

    References
    ----------
    Erion et al. 2021, Nature Machine Intelligence 3; Lundberg and Lee 2017, NeurIPS.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own dependencies, at import
        from shap import GradientExplainer

    case = _Case(model, X, background, conditioning, classes)
    values, base = [], []
    with quiet_model(model) as members:
        for function, x in case.functions(members):
            explainer = GradientExplainer(function, case.background)
            phi = explainer.shap_values(torch.as_tensor(x), nsamples=n_samples, rseed=random_state)
            values.append(np.asarray(phi).reshape(*x.shape, len(case.classes)))
            base.append(
                np.repeat(_values(function, case.background).mean(axis=0, keepdims=True), len(x), axis=0)
            )
        output = case.output(members)
    return replace(case.blank(), values=np.concatenate(values), output=output, base=np.concatenate(base))


def integrated_gradients(
    model: FittedModel,
    X: object,
    background: StreamInputs | np.ndarray | None = None,
    *,
    conditioning: str = "observed",
    classes: Sequence[str] | None = None,
    n_steps: int = 50,
) -> GeneAttribution:
    """Integrated gradients from the background's mean expression (`captum`): a cross-check that draws nothing.

    Parameters are those of `gene_shap`; `n_steps` points lie on the path. `base` is the probability at its start.

    References
    ----------
    Sundararajan et al. 2017, ICML.
    """
    from captum.attr import IntegratedGradients

    case = _Case(model, X, background, conditioning, classes)
    start = case.background.mean(0, keepdim=True)
    with quiet_model(model) as members:
        function = _Pick(case.function(members), case.columns)
        x, rows = torch.as_tensor(case.x).requires_grad_(), torch.arange(len(case.x))
        ig = IntegratedGradients(function)
        phi = [
            ig.attribute(
                x, start, target=k, additional_forward_args=rows, n_steps=n_steps, internal_batch_size=64
            )
            for k in range(len(case.classes))
        ]
        with torch.no_grad():
            output, base = function(x, rows), function(start.expand(len(x), -1), rows)
    values = torch.stack(phi, dim=-1).detach().double().numpy()
    return replace(case.blank(), values=values, output=output.double().numpy(), base=base.double().numpy())


class _Case:
    """Whom to explain, against what, with what held."""

    def __init__(
        self,
        model: FittedModel,
        X: object,
        background: StreamInputs | np.ndarray | None,
        conditioning: str,
        classes: Sequence[str] | None,
    ) -> None:
        if conditioning not in CONDITIONING:
            raise DataError("unknown conditioning", expected=" or ".join(CONDITIONING), got=conditioning)
        self.classes = tuple(map(str, model.classes_ if classes is None else classes))
        known = [str(c) for c in model.classes_]
        unknown = [c for c in self.classes if c not in known]
        if unknown:
            raise DataError("the model has no such class", expected=", ".join(known), got=", ".join(unknown))
        self.columns = [known.index(c) for c in self.classes]
        position, self.spec = find_stream(model, GENES, "genes")
        inputs = as_inputs(model, X)
        rows = rows_with(inputs, position, "genes")
        self.inputs = inputs.rows(rows)
        self.x = np.asarray(self.inputs.arrays[self.spec.name], dtype=np.float32)
        self.mean_of = model.background_ if conditioning == "mean" else None
        source = model.background_ if background is None else background
        genes = (
            source.arrays[self.spec.name][source.present[:, position]]
            if hasattr(source, "arrays")
            else source
        )
        genes = np.asarray(genes, dtype=np.float32)
        if genes.ndim != 2 or genes.shape[1] != self.spec.shape[0] or not len(genes):
            raise DataError(
                "the background does not fit", expected=f"(rows, {self.spec.shape[0]})", got=genes.shape
            )
        self.background = torch.as_tensor(genes)

    def function(self, members: Sequence[torch.nn.Module]) -> OneStream:
        return OneStream(members, self.spec.name, self.inputs, self.mean_of)

    def functions(self, members: Sequence[torch.nn.Module]) -> Iterator[tuple[torch.nn.Module, np.ndarray]]:
        """Functions of genes alone, each with the patients that it is for."""
        if self.mean_of is not None:
            yield _Pick(self.function(members), self.columns), self.x
            return
        for i in range(len(self.x)):
            one = OneStream(members, self.spec.name, self.inputs.rows([i]))
            yield _Pick(one, self.columns), self.x[[i]]

    def output(self, members: Sequence[torch.nn.Module]) -> np.ndarray:
        with torch.no_grad():
            function = self.function(members)
            p = function(torch.as_tensor(self.x), torch.arange(len(self.x)))
        return p[:, self.columns].double().numpy()

    def blank(self) -> GeneAttribution:
        empty = np.empty(0)
        patients, genes = tuple(map(str, self.inputs.index)), tuple(map(str, self.spec.feature_names))
        return GeneAttribution(empty, self.x, empty, empty, patients, genes, self.classes)


class _Pick(torch.nn.Module):
    """Some of a function's outputs."""

    def __init__(self, function: torch.nn.Module, columns: Sequence[int]) -> None:
        super().__init__()
        self.function, self.columns = function, list(columns)

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        return self.function(*args)[:, self.columns]


def _values(function: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return function(x).double().numpy()
