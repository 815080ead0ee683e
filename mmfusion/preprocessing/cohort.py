"""From a cohort's frame to what encoders read: one array per stream, and who has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.cohort import feature_names
from mmfusion.errors import DataError
from mmfusion.modalities import IMAGING, META, MODALITIES, RESERVED
from mmfusion.preprocessing.base import FoldFitted, Stateful, check_ids
from mmfusion.preprocessing.gene_graph import GeneGraph
from mmfusion.preprocessing.genes import GeneTransformer
from mmfusion.preprocessing.harmonisation import SITE, ComBat, encoded_frame, harmonised, numeric_columns
from mmfusion.preprocessing.hu_only import without_hu_only
from mmfusion.preprocessing.scans import ScanTransformer
from mmfusion.preprocessing.tables import TableTransformer
from mmfusion.storage.hashing import hash_ids
from mmfusion.streams import StreamInputs, StreamSpec

HARMONISE = (None, "combat", "histogram")


class CohortTransformer(TransformerMixin, Stateful):
    """Fit one transformer per stream, and the gene graph, on the patients given.

    A scan is stream "ct" (a cube), its features "ct_table" (a table), "rna" is genes, "ehr" a table. A stream
    exists if any patient in `fit` has it. Streams come in the order ct, pet, rna, ehr, whatever that of the columns.
    A PET is read round its own seed, whatever the CT is: lung crops, restorers and histograms are for CT alone, and one
    `HUOnlyWarning` says that PET is read without.

    Parameters
    ----------
    modalities : sequence of str, optional
        Read only these; default all blocks but `meta`.
    n_genes : int or None
        See `GeneTransformer`.
    graph, graph_k, graph_edges
        `kind`, `k` and `edges` of `GeneGraph`.
    crop_side, crop_spacing, crop_mode
        `side`, `spacing` (mm) and `mode` of `ScanTransformer`.
    restore : str or mapping
        Restorer of scans, as of `ScanTransformer`.
    harmonise : {None, "combat", "histogram"}
        "combat": expression and the numeric features of scans by site, `X["meta"]["site"]` (`ComBat`; health records
        are left alone, for there a difference between sites is the patients'). "histogram": the grey values of scans
        (`HistogramMatching`), whatever the site.
    clip : float
        Bound of z-scores, in SD.
    random_state : int
        Seed of a random gene graph.

    Attributes
    ----------
    transformers_ : dict of str to FoldFitted
        By stream.
    graphs_ : dict of str to GeneGraph
        By stream of genes.
    harmonisers_ : dict of str to ComBat
        By stream.
    specs_ : list of StreamSpec
        What encoders are built from.
    units_ : dict of str to str
        Unit of the expression in `fit`.
    blocks_ : tuple of str
        Blocks that X had in `fit`.
    n_fitted_, fitted_ids_hash_
        How many patients were seen, and a hash of their ids.
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
        clip: float = 5.0,
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
        """Learn every stream from these patients.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Rows of `Cohort.X`: columns (modality, feature), index patient_id.
        y : ignored

        Raises
        ------
        DataError
            If X is no such frame, has an unknown block, lacks one of `modalities`, or nobody has any of them.
        """
        blocks = _check_cohort(X)
        wanted = list(self.modalities) if self.modalities is not None else blocks
        if absent := sorted(set(wanted) - set(blocks)):
            raise DataError("no such modality in X", got=", ".join(absent), expected=", ".join(blocks))
        if self.harmonise not in HARMONISE:
            raise DataError(
                "unknown way to harmonise", expected=", ".join(map(str, HARMONISE)), got=self.harmonise
            )
        transformers, graphs, harmonisers = {}, {}, {}
        for modality in [m for m in MODALITIES if m in wanted]:
            for name, block in _blocks(X, modality):
                with _naming(modality):
                    transformers[name] = transformer = self._new(name, modality).fit(block)
                    tabular = modality != "ehr" and name not in IMAGING
                    if self.harmonise == "combat" and tabular and numeric_columns(transformer)[0]:
                        harmonisers[name] = self._combat(transformer, block, _site(X))
                    if modality == "rna":
                        graphs[name] = self._graph(transformer, block, harmonisers.get(name), _site(X))
        if not transformers:
            raise DataError(
                "nobody has any of these modalities", expected="a value somewhere", got=", ".join(wanted)
            )
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
        """Arrays of every stream, and who has it.

        Raises
        ------
        DataError
            On a block that the model does not know, another unit of expression, malformed values, or a patient who
            has none of the streams.
        """
        check_is_fitted(self, "transformers_")
        blocks = _check_cohort(X)
        alien = [] if self.modalities is not None else sorted(set(blocks) - set(self.blocks_))
        if alien:
            raise DataError(
                "a modality that was not there in fit", got=", ".join(alien), expected=", ".join(self.blocks_)
            )
        arrays, present = {}, np.zeros((len(X), len(self.transformers_)), dtype=bool)
        for column, (name, transformer) in enumerate(self.transformers_.items()):
            modality = name.removesuffix("_table")
            block = dict(_blocks(X, modality)).get(name) if modality in blocks else None
            with _naming(modality):
                if block is None:
                    block = pd.DataFrame(
                        columns=transformer.feature_names_in_, dtype=object
                    )  # the shape alone
                    arrays[name] = np.zeros(
                        (len(X), *transformer.transform(block).shape[1:]), dtype=np.float32
                    )
                    continue
                _check_known(block, transformer)
                present[:, column] = transformer.present(block)
                arrays[name] = transformer.transform(block)
                if combat := getattr(self, "harmonisers_", {}).get(name):
                    arrays[name] = harmonised(combat, transformer, arrays[name], present[:, column], _site(X))
        if not present.any(axis=1).all():
            raise DataError(
                "has none of the model's modalities",
                patient=", ".join(map(str, X.index[~present.any(axis=1)][:5])),
                expected="at least one of " + ", ".join(self.transformers_),
            )
        return StreamInputs(arrays=arrays, present=present, index=list(X.index))

    @property
    def specs_(self) -> list[StreamSpec]:
        """A spec per stream, in order."""
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


def _check_cohort(X: pd.DataFrame) -> list[str]:
    """Raise `DataError` unless X is rows of a cohort; else its blocks, `meta` left out."""
    if not isinstance(X, pd.DataFrame) or X.columns.nlevels != 2:
        got = type(X).__name__ if not isinstance(X, pd.DataFrame) else f"{X.columns.nlevels} column level"
        raise DataError(
            "not a cohort's frame", expected="columns (modality, feature)", got=got, hint="give cohort.X"
        )
    check_ids(X.index)
    blocks = [m for m in X.columns.unique(0) if m != META]
    if alien := [str(m) for m in blocks if m not in MODALITIES]:
        raise DataError(
            "unknown modality",
            column=", ".join(alien),
            expected=", ".join((*MODALITIES, META)),
            hint="put further clinical columns under ehr",
        )
    return blocks


def _site(X: pd.DataFrame) -> pd.Series:
    """Site of each patient, missing where it is not known."""
    known = (META, "site") in X.columns
    return X[(META, "site")] if known else pd.Series(None, index=X.index, dtype=object)


def _blocks(X: pd.DataFrame, modality: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Streams of a modality that anybody has, with their part of its block."""
    block = X[modality]
    block.attrs = dict(X.attrs)
    if modality not in IMAGING:
        parts = {modality: block}
    else:
        scans = [c for c in RESERVED if c in block and not c.startswith("mask")] if "volume" in block else []
        parts = {modality: block[scans], f"{modality}_table": block[feature_names(block, modality)]}
        if scans and not block["volume"].notna().any():  # seeds alone are no scan
            del parts[modality]
    yield from ((name, part) for name, part in parts.items() if part.notna().to_numpy().any())


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
    """Errors from within name the modality beside the column."""
    try:
        yield
    except DataError as error:
        if error.column != modality:
            error.column = modality if error.column is None else f"{modality}: {error.column}"
        raise
