"""Transform a cohort's frame to the inputs of encoders: one array per stream, and presence masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.tables.notes import listed
from mmfusion.errors import DataError, TableWarning, warn
from mmfusion.modalities import IMAGING, MODALITIES
from mmfusion.preprocessing.base import FoldFitted, Stateful
from mmfusion.preprocessing.blocks import check_cohort, site_of, stream_blocks
from mmfusion.preprocessing.gene_graph import GeneGraph
from mmfusion.preprocessing.genes import GeneTransformer
from mmfusion.preprocessing.harmonisation import SITE, ComBat, encoded_frame, harmonised, numeric_columns
from mmfusion.preprocessing.hu_only import without_hu_only
from mmfusion.preprocessing.scans import ScanTransformer
from mmfusion.preprocessing.tables import TableTransformer
from mmfusion.storage.hashing import hash_ids
from mmfusion.streams import StreamInputs, StreamSpec

CLIP = 5.0  # z-scores are cut off here

HARMONISE = (None, "combat", "histogram")


class CohortTransformer(TransformerMixin, Stateful):
    """Transformer of a cohort's frame; it fits one transformer per stream, and the gene graph.

    Scans are the stream "ct" or "pet" (a cube), their features "ct_table" or "pet_table" (a table), "rna" is
    a stream of genes, "ehr" a table. A stream exists if a patient in `fit` has it. The streams have the order
    ct, pet, rna, ehr, which does not depend on the order of the columns. A PET is cropped around its own
    seed. Lung crops, restorers and histogram matching are for CT only; if they are chosen, PET is read
    without them and one `HUOnlyWarning` says so.

    Parameters
    ----------
    modalities : sequence of str, optional
        Modalities to read. Default: all blocks except `meta`.
    n_genes : int or None
        Number of genes; see `GeneTransformer`.
    graph, graph_k, graph_edges
        `kind`, `k` and `edges` of `GeneGraph`.
    crop_side, crop_spacing, crop_mode
        `side`, `spacing` (mm) and `mode` of `ScanTransformer`.
    restore : str or mapping
        Restorer of scans; see `ScanTransformer`.
    harmonise : {None, "combat", "histogram"}
        "combat": harmonise the expression and the numeric features of scans by site, `X["meta"]["site"]`
        (`ComBat`). Health records are not harmonised, because there sites differ in their patients.
        "histogram": match the grey values of CT scans (`HistogramMatching`), independent of the site.
    clip : float
        Limit of the absolute z-scores, in SD.
    random_state : int
        Seed of a random gene graph.

    Attributes
    ----------
    transformers_ : dict of str to FoldFitted
        Stream -> fitted transformer.
    graphs_ : dict of str to GeneGraph
        Stream of genes -> gene graph.
    harmonisers_ : dict of str to ComBat
        Stream -> fitted ComBat.
    specs_ : list of StreamSpec
        Specifications of the streams, from which encoders are built.
    units_ : dict of str to str
        Stream of genes -> unit of the expression in `fit`.
    blocks_ : tuple of str
        Modalities that X had in `fit`.
    n_fitted_ : int
        Number of patients in `fit`.
    fitted_ids_hash_ : str
        SHA-256 hash of their sorted ids.

    Examples
    --------
    >>> index = pd.Index(["p1", "p2", "p3"], name="patient_id")
    >>> X = pd.concat({"ehr": pd.DataFrame({"age": [61.0, 70.0, 55.0]}, index=index)}, axis=1)
    >>> inputs = CohortTransformer().fit(X).transform(X)
    >>> inputs.arrays["ehr"].shape, inputs.present.all()
    ((3, 2, 1), np.True_)
    """

    _unsaved = ("graph_edges",)

    def __init__(
        self,
        modalities: Sequence[str] | None = None,
        *,
        n_genes: int | None = 500,
        graph: str = "coexpression",
        graph_k: int = 10,
        graph_edges: object = None,
        crop_side: int = 32,
        crop_spacing: float = 3.0,
        crop_mode: str = "tumour",
        restore: str | Mapping[str, object] = "identity",
        harmonise: str | None = None,
        clip: float = CLIP,
        random_state: int = 0,
    ) -> None:
        self.modalities = modalities
        self.n_genes = n_genes
        self.graph = graph
        self.graph_k = graph_k
        self.graph_edges = graph_edges
        self.crop_side = crop_side
        self.crop_spacing = crop_spacing
        self.crop_mode = crop_mode
        self.restore = restore
        self.harmonise = harmonise
        self.clip = clip
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: object = None) -> CohortTransformer:
        """Fit the transformers of all streams to training rows.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Training rows of `Cohort.X`: columns (modality, feature), index patient_id.
        y : ignored

        Raises
        ------
        DataError
            If X is not such a frame, has an unknown modality or lacks one of `modalities`, or if no patient
            has any of them.

        Warns
        -----
        TableWarning
            If no patient has one of the modalities.
        """
        blocks = check_cohort(X)
        wanted = list(self.modalities) if self.modalities is not None else blocks
        if self.modalities is not None and (not wanted or len(set(wanted)) < len(wanted)):
            expected = f"each once, at least one of {', '.join(blocks)}"
            raise DataError("unusable modalities", expected=expected, got=", ".join(wanted) or "none")
        if absent := sorted(set(wanted) - set(blocks)):
            raise DataError("no such modality in X", got=", ".join(absent), expected=", ".join(blocks))
        if self.harmonise not in HARMONISE:
            raise DataError(
                "unknown way to harmonise", expected=", ".join(map(str, HARMONISE)), got=self.harmonise
            )
        transformers, graphs, harmonisers = {}, {}, {}
        for modality in [m for m in MODALITIES if m in wanted]:
            for name, block in stream_blocks(X, modality):
                with _naming(modality):
                    transformers[name] = transformer = self._new(name, modality).fit(block)
                    tabular = modality != "ehr" and name not in IMAGING
                    if self.harmonise == "combat" and tabular and numeric_columns(transformer)[0]:
                        harmonisers[name] = self._combat(transformer, block, site_of(X))
                    if modality == "rna":
                        graphs[name] = self._graph(transformer, block, harmonisers.get(name), site_of(X))
        if not transformers:
            raise DataError(
                "no patient has any of these modalities", expected="at least one value", got=", ".join(wanted)
            )
        learned = {name.removesuffix("_table") for name in transformers}
        if absent := [m for m in wanted if m not in learned]:
            text = f"none of the {len(X)} patients has {' or '.join(absent)}: nothing is learned from it"
            warn(text, TableWarning, stacklevel=2)
        self.transformers_, self.graphs_, self.harmonisers_ = transformers, graphs, harmonisers
        self.units_ = {name: transformers[name].unit_ for name in graphs}
        self.blocks_ = tuple(blocks)
        self.n_features_in_ = X.shape[1]
        self.n_fitted_, self.fitted_ids_hash_ = len(X), hash_ids(X.index)
        return self

    def _combat(self, transformer: FoldFitted, block: pd.DataFrame, site: pd.Series) -> ComBat:
        values = transformer.transform(block)
        return ComBat(site=SITE).fit(encoded_frame(transformer, values, transformer.present(block), site))

    def _graph(
        self, transformer: GeneTransformer, block: pd.DataFrame, combat: ComBat | None, site: pd.Series
    ) -> GeneGraph:
        graph = GeneGraph(self.graph, k=self.graph_k, edges=self.graph_edges, random_state=self.random_state)
        rows = block.loc[transformer.present(block)]
        rows = rows.iloc[np.argsort(rows.index.astype(str), kind="stable")]
        values = transformer.transform(rows)
        if combat is not None:
            values = harmonised(
                combat, transformer, values, np.ones(len(rows), dtype=bool), site.loc[rows.index]
            )
        return graph.fit(values, transformer.genes_)

    def _new(self, name: str, modality: str) -> FoldFitted:
        if modality == "rna":
            return GeneTransformer(n_genes=self.n_genes, clip=self.clip)
        if name in IMAGING:
            matched = self.harmonise if self.harmonise == "histogram" else None
            crop = {"side": self.crop_side, "spacing": self.crop_spacing}
            settings = {"mode": self.crop_mode, "restore": self.restore, "harmonise": matched}
            return ScanTransformer(**crop, **without_hu_only(name, **settings), modality=name)
        return TableTransformer(clip=self.clip)

    def transform(self, X: pd.DataFrame) -> StreamInputs:
        """Return the arrays of all streams, and the mask of patients who have them.

        Raises
        ------
        DataError
            If X has a modality that was not in `fit`, another unit of expression or malformed values, or if a
            patient has none of the streams.
        """
        check_is_fitted(self, "transformers_")
        blocks = check_cohort(X)
        unknown = [] if self.modalities is not None else sorted(set(blocks) - set(self.blocks_))
        if unknown:
            raise DataError(
                "a modality that was not there in fit",
                got=", ".join(unknown),
                expected=", ".join(self.blocks_),
            )
        arrays, present = {}, np.zeros((len(X), len(self.transformers_)), dtype=bool)
        for column, (name, transformer) in enumerate(self.transformers_.items()):
            modality = name.removesuffix("_table")
            block = dict(stream_blocks(X, modality)).get(name) if modality in blocks else None
            with _naming(modality):
                if block is None:
                    # an empty frame gives the shape
                    block = pd.DataFrame(columns=transformer.feature_names_in_, dtype=object)
                    arrays[name] = np.zeros(
                        (len(X), *transformer.transform(block).shape[1:]), dtype=np.float32
                    )
                    continue
                _check_known(block, transformer)
                present[:, column] = transformer.present(block)
                arrays[name] = transformer.transform(block)
                if combat := getattr(self, "harmonisers_", {}).get(name):
                    arrays[name] = harmonised(
                        combat, transformer, arrays[name], present[:, column], site_of(X)
                    )
        if not present.any(axis=1).all():
            raise DataError(
                "has none of the model's modalities",
                patient=listed(X.index[~present.any(axis=1)]),
                expected="at least one of " + ", ".join(self.transformers_),
                hint="leave these patients out",
            )
        return StreamInputs(arrays=arrays, present=present, index=list(X.index))

    @property
    def specs_(self) -> list[StreamSpec]:
        """Specifications of the streams, in their order."""
        check_is_fitted(self, "transformers_")
        return [
            _spec(name, transformer, self.graphs_.get(name))
            for name, transformer in self.transformers_.items()
        ]


def _spec(name: str, transformer: FoldFitted, graph: GeneGraph | None) -> StreamSpec:
    modality = name.removesuffix("_table")
    if isinstance(transformer, ScanTransformer):
        return StreamSpec(name, modality, (1, *[transformer.side] * 3))
    if isinstance(transformer, TableTransformer):
        names = transformer.feature_names_out_
        return StreamSpec(name, modality, (2, len(names)), names)
    genes = transformer.genes_
    return StreamSpec(name, modality, (len(genes),), genes, graph.edge_index_, graph.edge_weight_)


def _check_known(block: pd.DataFrame, transformer: FoldFitted) -> None:
    known = transformer.feature_names_in_
    if not block.columns.isin(known).any():
        raise DataError(
            "none of the columns that the model was fitted on",
            patient=block.index[block.notna().any(axis=1)][0],
            expected=", ".join(known[:5]),
            got=", ".join(map(str, block.columns[:5])),
        )


@contextmanager
def _naming(modality: str) -> Iterator[None]:
    """Add the modality to the column of errors that are raised inside."""
    try:
        yield
    except DataError as error:
        if error.column != modality:
            error.column = modality if error.column is None else f"{modality}: {error.column}"
        raise
