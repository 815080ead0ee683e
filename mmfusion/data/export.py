"""Write a cohort as files: scans in folders, CSV tables, and a manifest from which it can be loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort, feature_names
from mmfusion.data.manifest import write_manifest
from mmfusion.data.manifest_schema import SCAN_ROLES
from mmfusion.data.targets.expression import PREFIX
from mmfusion.data.targets.stage import stated_editions
from mmfusion.errors import DataError
from mmfusion.escaping import write_csv
from mmfusion.modalities import IMAGING, META, SEED
from mmfusion.storage.atomic import atomic_folder, writing
from mmfusion.storage.detached import linked_files

_DETACHED = (".mhd", ".nhdr")


def write_cohort(cohort: Cohort, root: str | Path) -> Path:
    """Write a cohort as files like a user's own data, with a manifest that `load_cohort` reads.

    The files are `<modality>/<patient>/volume.*` and `mask.*`, which are copies; `<modality>_seeds.csv`
    (LPS mm); `rna.csv`, `ehr.csv` and `<modality>_features.csv` (one row per patient who has features);
    `meta.csv` (site, scanner); `labels.csv` (stage and other outcomes); and `manifest.csv`, whose rows of
    labels state the target and the AJCC editions of the stage. A patient who is
    the same person as another patient, and who has no scan, has a table of labels `labels/<patient>.csv`.

    Parameters
    ----------
    cohort : Cohort
        A cohort with scans that are files, folders or ZIPs, or without scans.
    root : path
        A new or empty folder.

    Returns
    -------
    Path
        Path of the manifest.

    Raises
    ------
    DataError
        If the folder is not empty or cannot be written, or a scan is absent or consists of two files (header
        and values).

    Examples
    --------
    >>> import tempfile
    >>> from mmfusion.data.load import load_cohort
    >>> ids = pd.Index(["p1", "p2"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB"]}, index=ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     manifest = write_cohort(cohort, Path(folder) / "files")
    ...     load_cohort(manifest).modalities
    ['ehr']
    """
    root = Path(root)
    with writing(root):
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise DataError("the folder is not empty", file=root, hint="give a new one")
    with writing(root), atomic_folder(root) as draft:
        write_manifest(_Writer(cohort, draft).rows(), draft / "manifest.csv", hashes=True)
    return root / "manifest.csv"


class _Writer:
    """Writer of a cohort's files, which collects the rows of the manifest."""

    def __init__(self, cohort: Cohort, root: Path) -> None:
        self.cohort, self.root = cohort, root
        self.site = (
            cohort.groups.get("site", pd.Series("", index=cohort.table.index)).fillna("").rename(index=str)
        )
        self.same_as = _same_as(cohort.groups["patient"].rename(index=str))
        editions = {"ajcc_edition": list(found)} if (found := stated_editions(cohort)) else {}
        self.stated = {**editions, "target": cohort.target}  # cell `parameters` of the rows of labels
        self.written: list[dict[str, str]] = []

    def rows(self) -> pd.DataFrame:
        """Write all files, and return the rows of the manifest."""
        table = self.cohort.table.rename(index=str)
        blocks = list(table.columns.unique(0))
        outcomes = self.cohort.outcomes.rename(index=str)
        if "rna" in blocks:  # expression outcomes are read from the RNA table again
            outcomes = outcomes[[c for c in outcomes if not str(c).startswith(PREFIX)]]
        if outcomes.columns.empty:
            outcomes = pd.DataFrame({"stage": pd.Series(index=outcomes.index, dtype="str")})
        for modality in blocks:
            if modality != META:
                self.block(modality, table[modality])
        meta = table[META] if META in blocks else pd.DataFrame(index=table.index)
        if "site" not in meta and self.site.ne("").any():
            meta = meta.assign(site=self.site)
        if meta.shape[1]:
            self.table(meta, "meta.csv", META, "features")
        own_table = outcomes.index.isin(set(self.same_as) - {row["patient_id"] for row in self.written})
        self.table(outcomes[~own_table], "labels.csv", "", "labels")
        # a patient without a row in the manifest has no cell `derived_from`, hence a table of labels
        for patient in outcomes.index[own_table]:
            self.table(outcomes.loc[[patient]], f"labels/{patient}.csv", "", "labels", patient)
        return pd.DataFrame(self.written).fillna("")

    def block(self, modality: str, block: pd.DataFrame) -> None:
        """Write scans, seeds and features of one modality."""
        features = block[feature_names(block, modality)].dropna(how="all")
        if modality in IMAGING:
            for patient, cells in block.iterrows():
                for role in SCAN_ROLES:
                    if pd.notna(cells.get(role)):
                        self.scan(modality, patient, role, cells)
            if set(SEED) <= set(block):
                self.table(block[list(SEED)].dropna(how="all"), f"{modality}_seeds.csv", modality, "seeds")
        if features.shape[1]:
            name = f"{modality}_features.csv" if modality in IMAGING else f"{modality}.csv"
            self.table(features, name, modality, "features")

    def table(self, frame: pd.DataFrame, name: str, modality: str, role: str, patient: str = "") -> None:
        """Write a table of all patients, or of one patient."""
        (self.root / name).parent.mkdir(exist_ok=True)
        write_csv(frame.rename_axis("patient_id"), self.root / name)
        unit = self.cohort.units.get(modality, "") if role == "features" else ""
        if any(str(c).startswith(PREFIX) for c in frame):
            unit = "zscore" if "z-scores" in str(self.cohort.provenance.get("expression_unit")) else "log"
        parameters = json.dumps(self.stated) if role == "labels" else ""
        self.row(modality, role, name, patient, unit=unit, parameters=parameters)

    def scan(self, modality: str, patient: str, role: str, cells: pd.Series) -> None:
        """Copy a volume or a mask."""
        source = Path(cells[role])
        if not source.exists():
            raise DataError(f"the {role} is absent", patient=patient, file=source)
        if source.suffix.lower() in _DETACHED or (source.is_file() and linked_files(source)):
            hint = "write it as one file: mmfusion.imaging.write_nifti"
            raise DataError(
                f"the {role} consists of two files, header and values",
                patient=patient,
                file=source,
                hint=hint,
            )
        kept = source.suffixes[-2:] if source.suffix.lower() == ".gz" else source.suffixes[-1:]
        name = f"{modality}/{patient}/{role}{'' if source.is_dir() else ''.join(kept)}"
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, self.root / name)
        part = cells.get(f"{role}_part")
        self.row(modality, role, name, patient, part="" if pd.isna(part) else str(part))

    def row(self, modality: str, role: str, path: str, patient: str, **more: str) -> None:
        """Add a row to the manifest."""
        common = {"dataset": self.cohort.name, "license": str(self.cohort.provenance.get("license", ""))}
        owner = {"patient_id": patient}
        if patient:
            owner |= {"site": str(self.site[patient]), "derived_from": self.same_as.get(patient, "")}
        self.written.append({**common, **owner, "modality": modality, "role": role, "path": path, **more})


def _same_as(person: pd.Series) -> dict[str, str]:
    """Return patient id -> another patient id of the same person, for all but one row per person.

    That other patient is the one whose id is the person's id, or if there is none, the person's first row.
    """
    person = person.where(person.notna(), person.index.to_series())
    first = {
        name: name if name in person.index else rows[0]
        for name, rows in person.groupby(person).groups.items()
    }
    return {row: first[name] for row, name in person.items() if row != first[name]}
