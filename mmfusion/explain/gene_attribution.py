"""Attribution of predictions to genes: expected gradients (SHAP) and integrated gradients.

The results are candidate associations of a fitted model, not biomarkers. Check their stability over folds,
and compare them with models fitted to permuted labels (`mmfusion.explain.stability`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from mmfusion.errors import DataError, check_seed, check_whole
from mmfusion.exclusive import own_filters
from mmfusion.explain.attributions import GeneAttribution
from mmfusion.explain.conditional import (
    FittedModel,
    OneStream,
    as_inputs,
    check_model,
    evaluation_mode,
    find_stream,
    rows_with,
)
from mmfusion.streams import GENES, StreamInputs

CONDITIONING = ("observed", "mean")


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
    """Return expected gradients of the class probabilities with respect to genes (`shap.GradientExplainer`).

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        Patients to explain: rows of a cohort, or stream inputs. Patients without genes are left out.
    background : StreamInputs or ndarray, shape (b, G), optional
        Gene expression to compare with. Default: the model's synthetic background, which contains no patient.
    conditioning : {"observed", "mean"}
        "observed": the other modalities of each patient are used. "mean": the mean vectors of the background
        replace the other modalities. They are the same for all patients, but no real patient has them.
    classes : sequence of str, optional
        Classes to explain. Default: all. The time grows with their number.
    n_samples : int
        Number of gradients per patient and class.
    random_state : int
        Seed.

    Returns
    -------
    GeneAttribution
        Contributions of n patients, G genes and K classes, in units of probability.

    Raises
    ------
    DataError
        If the model reads no genes, no patient has them, or an argument is unknown.

    References
    ----------
    Erion et al. 2021, Nature Machine Intelligence 3; Lundberg and Lee 2017, NeurIPS.
    """
    with own_filters("ignore"):  # shap's dependencies warn at import
        from shap import GradientExplainer

    check_whole("n_samples", n_samples)
    check_seed(random_state)
    case = _Case(model, X, background, conditioning, classes)
    values, base = [], []
    with evaluation_mode(model) as members:
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
    """Return integrated gradients of the class probabilities with respect to genes (`captum`).

    The path of integration starts at the mean expression of the background. The method uses no random
    numbers. It is a check of `gene_shap`. `base` of the result is the probability at the mean expression.

    Parameters
    ----------
    model, X, background, conditioning, classes
        As in `gene_shap`, which also lists the errors.
    n_steps : int
        Number of points on the path from the mean expression to the patient's expression.

    Returns
    -------
    GeneAttribution
        Contributions of n patients, G genes and K classes, in units of probability.

    References
    ----------
    Sundararajan et al. 2017, ICML.
    """
    from captum.attr import IntegratedGradients

    check_whole("n_steps", n_steps)

    case = _Case(model, X, background, conditioning, classes)
    start = case.background.mean(0, keepdim=True)
    with evaluation_mode(model) as members:
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
    """Checked arguments of one explanation: patients, background, fixed inputs and classes."""

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
        check_model(model)
        if isinstance(classes, str):
            expected, got = f"[{classes!r}]", repr(classes)
            raise DataError("not a list of classes", parameter="classes", expected=expected, got=got)
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
        """Yield functions of genes only, each with the gene expression of the patients that it explains."""
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
    """Function that returns only some outputs of another function."""

    def __init__(self, function: torch.nn.Module, columns: Sequence[int]) -> None:
        super().__init__()
        self.function, self.columns = function, list(columns)

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        return self.function(*args)[:, self.columns]


def _values(function: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return function(x).double().numpy()
