"""Gene sets by name: of the package, of a mapping, of files."""

from pathlib import Path

import pytest

from mmfusion.data.gene_sets import gene_sets, signature_sources
from mmfusion.data.tables.gene_set_columns import read_gene_set_columns
from mmfusion.data.tables.notes import TableNotes
from mmfusion.errors import DataError, TableWarning


def test_every_signature_of_the_package_has_a_source_and_plausible_symbols():
    sets = gene_sets()
    assert set(sets) == set(signature_sources()) == {"hypoxia", "t_cell_exhaustion", "cytolytic_activity"}
    for genes in sets.values():
        assert genes == sorted(set(genes)) and all(g == g.upper() and g.isalnum() for g in genes)
    assert len(sets["hypoxia"]) == 49 and {"CA9", "VEGFA", "SLC2A1", "NDRG1"} <= set(sets["hypoxia"])
    assert sets["cytolytic_activity"] == ["GZMA", "PRF1"]
    sets["hypoxia"].clear()  # the caller's copy
    assert gene_sets()["hypoxia"]


def test_names_files_and_mappings(tmp_path: Path):
    assert list(gene_sets("hypoxia, cytolytic_activity")) == ["hypoxia", "cytolytic_activity"]
    gmt, table = tmp_path / "sets.gmt", tmp_path / "groups.csv"
    gmt.write_text("RAS\tNA\tKRAS\tNRAS\n")
    table.write_text("Oncogenes,Cytokines\nKRAS,IL6\nEGFR,\n")
    assert gene_sets(gmt) == gene_sets(str(gmt)) == {"RAS": ["KRAS", "NRAS"]}
    assert gene_sets(table) == {"Oncogenes": ["KRAS", "EGFR"], "Cytokines": ["IL6"]}
    assert gene_sets({"one": ("A", "B", "A")}) == {"one": ["A", "B"]}


@pytest.mark.parametrize(
    ("sets", "match"),
    [
        ("hypoxa", "did you mean hypoxia"),
        ({}, "not gene sets"),
        (["EGFR"], "not gene sets"),
        ({"one": []}, r"sets\['one'\]"),
        ({"one": "EGFR"}, r"sets\['one'\]"),
        ({"one": ["EGFR", 5]}, r"sets\['one'\]"),
    ],
)
def test_what_is_no_gene_set(sets, match):
    with pytest.raises(DataError, match=match):
        gene_sets(sets)


def test_a_table_with_a_column_per_set(tmp_path: Path):
    file = tmp_path / "groups.csv"
    file.write_text("Oncogenes,Empty,Cytokines\nKRAS,,IL6\nKRAS,,1-Dec\nSEPT2,,\n")
    notes = TableNotes()
    sets = read_gene_set_columns(file, notes=notes)
    assert sets == {"Oncogenes": ["KRAS", "SEPT2"], "Cytokines": ["IL6", "DELEC1"]}
    assert any("Empty" in text for text in notes.texts)
    file.write_text("Oncogenes,Empty,Cytokines\nKRAS,,IL6\n")
    with pytest.warns(TableWarning, match="without genes"):
        read_gene_set_columns(file)
    file.write_text("Oncogenes,Cytokines\n,\n")
    with pytest.raises(DataError):
        read_gene_set_columns(file, notes=TableNotes())


def test_the_groups_of_mcat(shared_data: Path):
    sets = gene_sets(shared_data / "gene_sets" / "mcat_signatures.csv")
    assert list(sets)[:2] == ["Tumor Suppressor Genes", "Oncogenes"]
    assert [len(genes) for genes in sets.values()] == [82, 328, 513, 443, 1536, 452]


def test_a_text_file_could_be_either_form(tmp_path: Path):
    file = tmp_path / "library.txt"
    file.write_text("RAS\t\tKRAS\tNRAS\n")
    with pytest.raises(DataError, match=r"library.txt: the form .* is not clear .*rename it to .gmt"):
        gene_sets(file)
