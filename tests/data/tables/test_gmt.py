"""Gene sets from GMT files: real files, files of other programs, files that are no GMT."""

import gzip

import pytest

from mmfusion.data.tables.gmt import read_gmt
from mmfusion.data.tables.notes import TableNotes
from mmfusion.errors import DataError, TableWarning


def write(tmp_path, text):
    (tmp_path / "sets.gmt").write_text(text)
    return tmp_path / "sets.gmt"


def test_the_hallmark_sets_are_read_whole(shared_data):
    sets = read_gmt(shared_data / "gene_sets" / "h.all.v7.0.symbols.gmt")
    assert len(sets) == 50  # Liberzon et al. 2015, Cell Systems 1:417: 50 sets
    assert len(sets["HALLMARK_KRAS_SIGNALING_UP"]) == 200
    assert sets["HALLMARK_TNFA_SIGNALING_VIA_NFKB"][:2] == ["JUNB", "CXCL2"]


def test_reactome_is_read_whole(shared_data):
    file = shared_data / "gene_sets" / "ReactomePathways.gmt"
    sets = read_gmt(file)
    assert len(sets) == sum(bool(line.strip()) for line in file.read_text().splitlines())
    assert sets["5-Phosphoribose 1-diphosphate biosynthesis"] == ["PRPS1", "PRPS1L1", "PRPS2"]


def test_weights_repeats_blank_lines_and_trailing_tabs(tmp_path):
    file = write(tmp_path, "A\t\tEGFR,1.0\tKRAS,0.5\tEGFR,1.0\t\r\n\r\nB\thttp://x\tTP53\t\t\r\n")
    assert read_gmt(file) == {"A": ["EGFR", "KRAS"], "B": ["TP53"]}


def test_a_gzipped_file(tmp_path):
    (tmp_path / "sets.gmt.gz").write_bytes(gzip.compress(b"A\tx\tEGFR\n"))
    assert read_gmt(tmp_path / "sets.gmt.gz") == {"A": ["EGFR"]}


def test_dates_of_a_spreadsheet_are_repaired_or_left_out(tmp_path):
    notes = TableNotes()
    file = write(tmp_path, "A\tx\t2-Sep\tEGFR\nB\tx\t1-Mar\nC\tx\t2-Sep\n")
    assert read_gmt(file, notes=notes) == {"A": ["SEPTIN2", "EGFR"], "C": ["SEPTIN2"]}
    assert any("2-Sep as SEPTIN2" in text for text in notes.texts)
    assert any("1-Mar" in text and "not read" in text for text in notes.texts)
    assert any("without genes" in text and "B" in text for text in notes.texts)


def test_sets_without_genes_are_named(tmp_path):
    file = write(tmp_path, "A\tx\tEGFR\nB\tx\t\n")
    with pytest.warns(TableWarning, match="sets.gmt: gene sets without genes were not read: B"):
        assert read_gmt(file) == {"A": ["EGFR"]}


@pytest.mark.parametrize(
    ("text", "match", "got"),
    [
        ("EGFR\nKRAS\n", "not a gene set", "1 cell in line 1"),
        ("A\tx\tEGFR\nB,x,KRAS\n", "not a gene set", "1 cell in line 2"),
        ("A\tx\tEGFR\nB\tx\n", "not a gene set", "2 cells in line 2"),
        ("\tx\tEGFR\n", "without a name", "line 1"),
        ("A\tx\tEGFR\nA\tx\tKRAS\n", "the same name", "A, again in line 2"),
        ("\n\n", "no gene set", None),
    ],
)
def test_what_is_no_gmt_is_refused(tmp_path, text, match, got):
    with pytest.raises(DataError, match=match) as raised:
        read_gmt(write(tmp_path, text))
    assert raised.value.got == got
    assert raised.value.file == tmp_path / "sets.gmt"


def test_a_file_that_is_absent(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_gmt(tmp_path / "sets.gmt")
