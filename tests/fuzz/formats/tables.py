"""Tables: CSV, TSV, packed ones, workbooks, expression of many patients and of one sample, labels."""

from __future__ import annotations

import gzip
import io
import zipfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.tables.gmt import read_gmt
from mmfusion.data.tables.labels import read_outcomes
from mmfusion.data.tables.readers import read_ehr_table, read_features, read_rna
from tests.fuzz.mutate import Change
from tests.fuzz.registry import Format

STAGES = ("IA", "Stage IIIA", "3B", "pT2aN0M0", "Ⅳ", "", "not reported", "IIB")
GENES = ("TP53", "EGFR", "KRAS", "ALK", "MET", "STK11", "BRAF", "ROS1")


def records(rng: np.random.Generator) -> pd.DataFrame:
    """Return health records with stages, unknown values, quotes and line breaks."""
    n = int(rng.integers(4, 12))
    table = {
        "patient_id": [f"P{k:03}" for k in range(n)],
        "age": rng.integers(40, 80, n).astype(str),
        "sex": rng.choice(["M", "F"], n),
        "CRP\n(mg/L)": rng.choice(["0.5", "1e2", "'--", "#N/A", "12"], n),
        "remark": rng.choice(["a, b; c", 'she said "no"', "x\ny", "-", "Größe"], n),
        "stage": rng.choice(STAGES, n),
        "seed_x": rng.normal(0, 50, n).round(1),
    }
    return pd.DataFrame(table)


def expression(rng: np.random.Generator) -> pd.DataFrame:
    """Return counts with genes in rows, a summary row and a date."""
    n = int(rng.integers(3, 7))
    names = [*rng.permutation(GENES), "N_unmapped", "2-Sep", "ENSG00000000003.15"]
    counts = rng.integers(0, 5000, (len(names), n))
    return pd.DataFrame(counts, index=pd.Index(names, name="gene"), columns=[f"P{k:03}" for k in range(n)])


def sample(rng: np.random.Generator) -> str:
    """Return a file of one sample as the GDC writes it."""
    head = "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded"
    rows = ["N_unmapped\t\t\t900\t900\t900\t"]
    for k, gene in enumerate(GENES):
        count = int(rng.integers(0, 900))
        rows.append(
            f"ENSG{k:011d}.{k}\t{gene}\tprotein_coding\t{count}\t{count // 2}\t{count // 3}\t{count / 7:.4f}"
        )
    return "\n".join(["# gene-model: GENCODE v36", head, *rows, ""])


def make_records(separator: str, encoding: str, rng: np.random.Generator, folder: Path) -> Path:
    text = records(rng).to_csv(sep=separator, index=False).replace("Ⅳ", "IV" if encoding == "cp1252" else "Ⅳ")
    (folder / "ehr.csv").write_bytes(text.encode(encoding))
    return folder / "ehr.csv"


def make_gz(rng: np.random.Generator, folder: Path) -> Path:
    (folder / "ehr.csv.gz").write_bytes(gzip.compress(records(rng).to_csv(index=False).encode(), mtime=0))
    return folder / "ehr.csv.gz"


def make_zip(rng: np.random.Generator, folder: Path) -> Path:
    with zipfile.ZipFile(folder / "ehr.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("ehr.csv"), records(rng).to_csv(index=False))
    return folder / "ehr.csv.zip"


def make_workbook(rng: np.random.Generator, folder: Path) -> Path:
    records(rng).to_excel(folder / "ehr.xlsx", index=False)
    return folder / "ehr.xlsx"


def make_rna(wide: bool, rng: np.random.Generator, folder: Path) -> Path:
    table = expression(rng)
    (table.T.rename_axis("patient_id") if wide else table).to_csv(folder / "rna.csv")
    return folder / "rna.csv"


def make_sample(rng: np.random.Generator, folder: Path) -> Path:
    (folder / "P1.tsv").write_text(sample(rng))
    return folder / "P1.tsv"


def make_features(rng: np.random.Generator, folder: Path) -> Path:
    table = pd.DataFrame(rng.normal(0, 1, (5, 4)), columns=[f"pred_{k}" for k in range(4)])
    table.insert(0, "patient_id", [f"P{k}" for k in range(5)])
    table.to_csv(folder / "features.csv", index=False)
    return folder / "features.csv"


def make_gmt(rng: np.random.Generator, folder: Path) -> Path:
    rows = [
        "\t".join([f"SET_{k}", "https://example.org", *rng.choice(GENES, rng.integers(1, 6))])
        for k in range(5)
    ]
    (folder / "sets.gmt").write_text("\n".join(rows) + "\n")
    return folder / "sets.gmt"


def read_records(path: Path) -> object:
    ehr = read_ehr_table(path)
    return ehr.features, ehr.meta, list(ehr.left_out)


def all_text(name: str, data: bytes) -> int:
    return len(data)


def packed(change: Change) -> bool:
    """Return True if a checksum tells of a change; the header of gzip and the list of a ZIP have none."""
    return change.kind == "truncate"


def never(change: Change) -> bool:
    """Return False: a CSV has no checksum, so other numbers are other data."""
    return False


class Sheet:
    """The XML of the first sheet of a workbook, so that changes are made inside the ZIP."""

    name = "xl/worksheets/sheet1.xml"
    parts: dict[str, bytes] = {}

    @classmethod
    def unpack(cls, raw: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            cls.parts = {name: archive.read(name) for name in archive.namelist()}
        return cls.parts[cls.name]

    @classmethod
    def pack(cls, xml: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in {**cls.parts, cls.name: xml}.items():
                archive.writestr(name, data)
        return out.getvalue()


FORMATS = [
    Format("csv", partial(make_records, ",", "utf-8"), read_records, never, all_text),
    Format("tsv utf-16", partial(make_records, "\t", "utf-16"), read_records, never),
    Format("csv cp1252", partial(make_records, ";", "cp1252"), read_records, never, all_text),
    Format("csv.gz", make_gz, read_records, packed),
    Format("csv.zip", make_zip, read_records, packed),
    Format("rna long", partial(make_rna, False), partial(read_rna, unit="counts"), never, all_text),
    Format("rna wide", partial(make_rna, True), partial(read_rna, unit="counts"), never, all_text),
    Format("rna sample", make_sample, partial(read_rna, patient="P1", unit="tpm"), never, all_text),
    Format("features", make_features, read_features, never, all_text),
    Format("gmt", make_gmt, read_gmt, never, all_text),
    Format("labels", partial(make_records, ",", "utf-8"), read_outcomes, never, all_text),
]
if find_spec("openpyxl") is not None:
    FORMATS += [
        Format("xlsx", make_workbook, read_records, packed),
        Format("xlsx sheet", make_workbook, read_records, never, all_text, Sheet.unpack, Sheet.pack),
    ]
