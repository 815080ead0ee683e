"""What a model finds of its inputs in another cohort: other genes, units, columns and categories."""

from dataclasses import replace

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.evaluation import transfer_table
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.preprocessing.genes import OutOfRangeWarning
from tests.cohorts import tiny_cohort


@pytest.fixture(scope="module")
def transformer():
    return CohortTransformer(n_genes=20).fit(tiny_cohort().X)


def renamed(cohort, modality, name):
    columns = [(m, name(f)) if m == modality else (m, f) for m, f in cohort.table.columns]
    table = cohort.table.copy()
    table.columns = table.columns.from_tuples(columns, names=table.columns.names)
    return replace(cohort, table=table)


def test_the_same_columns_lack_nothing(transformer):
    table = transfer_table(transformer, tiny_cohort(seed=1))
    assert (table[["absent", "not read", "new categories"]] == "none").all(axis=None)
    assert table.loc["rna", "read by the model"] == "20 genes, log" and table.loc["ehr", "patients"] == 60


def test_absent_genes_and_columns_are_counted_and_named(transformer):
    other = tiny_cohort(seed=1)
    genes = [("rna", g) for g in transformer.transformers_["rna"].genes_[:3]]
    table = other.table.drop(columns=[*genes, ("ehr", "pack_years")])
    table[("ehr", "bmi")] = 25.0
    table[("ehr", "sex")] = np.where(np.arange(len(table)) < 5, "diverse", table[("ehr", "sex")])
    found = transfer_table(transformer, replace(other, table=table))
    assert found.loc["rna", "absent"] == f"3 of 20: {', '.join(g for _, g in genes)}"
    assert found.loc["ehr", "absent"] == "1 of 3: pack_years" and found.loc["ehr", "not read"] == "1: bmi"
    assert found.loc["ehr", "new categories"] == "sex (diverse)"


def test_a_modality_that_a_cohort_lacks(transformer):
    other = tiny_cohort(seed=1)
    found = transfer_table(transformer, other.select(modalities=["ehr"]))
    assert found.loc["rna", "absent"] == "the whole input" and found.loc["rna", "patients"] == 0
    only = CohortTransformer().fit(other.select(modalities=["ehr"]).X)
    assert transfer_table(only, other).loc["rna", "not read"] == "the whole input"


def test_other_names_of_genes_are_refused(transformer):
    other = renamed(tiny_cohort(seed=1), "rna", lambda g: f"ENSG{int(g[4:]):011d}")
    with pytest.raises(
        DataError, match=r"file tiny, column rna: none of the 20 genes of the model .*ENSG0000"
    ):
        transfer_table(transformer, other)
    with pytest.raises(DataError, match="none of the columns"):  # and by the model itself
        transformer.transform(other.X)


def test_another_unit_is_refused(transformer):
    counts = replace(tiny_cohort(seed=1), units={"rna": "counts"})
    with pytest.raises(DataError, match=r"another unit of expression .*expected log; got counts"):
        transfer_table(transformer, counts)
    with pytest.raises(DataError, match=r"another unit of expression .*expected log; got counts"):
        transformer.transform(counts.X)


@pytest.mark.parametrize("base", ["ln", "log10", "log2"])
def test_a_logarithm_with_another_base_is_said(recwarn, base):
    rng = np.random.default_rng(0)
    level, n = rng.uniform(2, 12, 40), 60
    cohorts = [tiny_cohort(n, genes=40, seed=seed) for seed in (0, 1)]
    tables = []
    for cohort in cohorts:
        table = cohort.table.copy()
        table["rna"] = level + rng.normal(0, 1, (n, 40))
        tables.append(replace(cohort, table=table))
    transformer = CohortTransformer(n_genes=40).fit(tables[0].X)
    tables[1].table["rna"] = tables[1].table["rna"] * {"ln": np.log(2), "log10": np.log10(2), "log2": 1}[base]
    transfer_table(transformer, tables[1])
    said = [str(w.message) for w in recwarn if w.category is OutOfRangeWarning]
    if base == "log2":
        assert not said
    else:
        (text,) = said
        slope = {"ln": "0.69", "log10": "0.30"}[base]
        assert f"slope {slope}" in text and "another base of the logarithm" in text


def test_other_columns_of_health_records_are_refused(transformer):
    other = renamed(tiny_cohort(seed=1), "ehr", lambda c: f"x_{c}")
    with pytest.raises(DataError, match="none of the 3 columns of the model"):
        transfer_table(transformer, other)


def test_a_column_in_another_unit_is_said(transformer):
    other = tiny_cohort(seed=1)
    table = other.table.copy()
    table[("ehr", "age")] *= 12
    with pytest.warns(OutOfRangeWarning, match=r"tiny, age: 60 of 60 values are more .*another unit"):
        transfer_table(transformer, replace(other, table=table))
    table[("ehr", "age")] = "old"
    with pytest.raises(DataError, match="patient P1000, file tiny, column age: not a number"):
        transfer_table(transformer, replace(other, table=table))
