"""All streams as one flat table of numbers, for ridge and forest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mmfusion.preprocessing.base import Stateful
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.preprocessing.crop_features import crop_features
from mmfusion.preprocessing.tables import TableTransformer
from mmfusion.streams import CUBE, GENES, StreamInputs


class FlatTransformer(TransformerMixin, Stateful):
    """Flat table of all streams, for models that do not handle modalities.

    Genes and tables are encoded by `CohortTransformer` (z-scored, imputed, one-hot). Scans are described by
    the z-scored features of `crop_features`. If a patient lacks a stream, its columns are 0, the mean. If a
    patient in `fit` lacked a stream, a further column says which patients have it.

    Parameters
    ----------
    modalities, n_genes, crop_side, crop_spacing, crop_mode, restore, harmonise, clip
        As for `CohortTransformer`.

    Attributes
    ----------
    streams_ : CohortTransformer
        Transformer of the streams.
    scans_ : dict of str to TableTransformer
        Stream of scans -> transformer that scales its features.
    indicated_ : tuple of str
        Streams with a column that says which patients have them.

    Examples
    --------
    >>> index = pd.Index(["p1", "p2", "p3"], name="patient_id")
    >>> X = pd.concat({"ehr": pd.DataFrame({"age": [50.0, 60.0, 70.0]}, index=index)}, axis=1)
    >>> FlatTransformer().fit_transform(X)["ehr: age"].round(2).tolist()
    [-1.22, 0.0, 1.22]
    """

    def __init__(
        self,
        modalities: Sequence[str] | None = None,
        *,
        n_genes: int | None = 200,
        crop_side: int = 32,
        crop_spacing: float = 3.0,
        crop_mode: str = "tumour",
        restore: str | Mapping[str, object] = "identity",
        harmonise: str | None = None,
        clip: float = 5.0,
    ) -> None:
        self.modalities = modalities
        self.n_genes = n_genes
        self.crop_side = crop_side
        self.crop_spacing = crop_spacing
        self.crop_mode = crop_mode
        self.restore = restore
        self.harmonise = harmonise
        self.clip = clip

    def fit(self, X: pd.DataFrame, y: object = None) -> FlatTransformer:
        """Fit to training rows of `Cohort.X`; errors are those of `CohortTransformer`."""
        self._fit(X)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a float64 table without missing cells, shape (n, p).

        The columns are "<stream>: <feature>" and "<stream>: present".
        """
        check_is_fitted(self, "streams_")
        inputs = self.streams_.transform(X)
        return self._flatten(inputs, {name: self._describe(inputs, name) for name in self.scans_})

    def fit_transform(self, X: pd.DataFrame, y: object = None) -> pd.DataFrame:
        """Return `fit(X).transform(X)`, but read each scan only once."""
        return self._flatten(*self._fit(X))

    def _fit(self, X: pd.DataFrame) -> tuple[StreamInputs, dict[str, pd.DataFrame]]:
        self.streams_ = CohortTransformer(graph="none", **self.get_params(deep=False)).fit(X)
        inputs = self.streams_.transform(X)
        described = {s.name: self._describe(inputs, s.name) for s in self.streams_.specs_ if s.fits(CUBE)}
        self.scans_ = {name: TableTransformer(clip=self.clip).fit(table) for name, table in described.items()}
        self.indicated_ = tuple(n for n, has in zip(inputs.arrays, inputs.present.T) if not has.all())
        return inputs, described

    def _describe(self, inputs: StreamInputs, name: str) -> pd.DataFrame:
        options = {"spacing": self.crop_spacing, "modality": name}
        return crop_features(inputs.arrays[name], **options, index=inputs.index)

    def _flatten(self, inputs: StreamInputs, described: dict[str, pd.DataFrame]) -> pd.DataFrame:
        names, columns = [], []
        for spec, has in zip(self.streams_.specs_, inputs.present.T):
            features, values = spec.feature_names, inputs.arrays[spec.name]
            if spec.fits(CUBE):
                scale = self.scans_[spec.name]
                features, values = scale.feature_names_out_, scale.transform(described[spec.name])
            columns.append(values if spec.fits(GENES) else values[:, 0])
            names += [f"{spec.name}: {feature}" for feature in features]
            if spec.name in self.indicated_:
                columns.append(has[:, None].astype(np.float32))
                names.append(f"{spec.name}: present")
        return pd.DataFrame(np.hstack(columns).astype(np.float64), index=inputs.index, columns=names)
