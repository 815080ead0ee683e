"""Files of a user's folder, and what was found in it."""

from pathlib import Path

from tests.imaging.dicoms import phantom_hu, write_series

EHR = "Patient ID,Age,Sex,Overall Stage\nP-001,60,M,IA\nP-002,70,F,IIB\nP-003,65,F,IIIA\n"
RNA = "symbol,P-001,P-002\nTP53,600000,250000\nEGFR,300000,250000\nKRAS,100000,500000\n"


def dicom(folder: Path, n=3, patient="", **options):
    """A series of `n` slices, whose files have the series' name."""

    def change(header, k):
        header.PatientID = patient

    return write_series(folder, phantom_hu((n, 16, 20)), change=change, **options)


def row(found, name):
    return found.account.set_index("path").loc[name]


def parts(found):
    manifest = found.manifest
    return {
        (r.path, f"{r.modality} {r.role}"): r.part
        for r in manifest.itertuples()
        if r.role in ("volume", "mask")
    }


RSEM = "gene_id\texpected_count\tTPM\tFPKM\nEGFR\t5\t{n}\t1\nKRAS\t6\t5\t2\nTP53\t1\t2\t3\n"
