"""A cohort laid out as a user's own data: scans in folders, CSV tables, and a manifest that loads them again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort, feature_names
from mmfusion.data.manifest import SCAN_ROLES, write_manifest
from mmfusion.data.targets.expression import PREFIX
from mmfusion.errors import DataError
from mmfusion.modalities import IMAGING, META, SEED
from mmfusion.storage.atomic import atomic_folder

_DETACHED = (".mhd", ".nhdr")


def write_cohort(cohort: Cohort, root: str | Path) -> Path:
    """Write the files that a user would bring, with a manifest that `load_cohort` reads.

    `<modality>/<patient>/volume.*` and `mask.*`, copied as they are; `<modality>_seeds.csv` (LPS mm); `rna.csv`,
    `ehr.csv` and `<modality>_features.csv` (a row per patient who has any); `meta.csv` (site, scanner); `labels.csv`
    (stage and other outcomes), and `labels/<patient>.csv` of who is the same person as another and has no scan;
    `manifest.csv`.

    Parameters
    ----------
    cohort : Cohort
        Any whose scans are files, folders or ZIPs.
    root : path
        A new or empty folder.

    Returns
    -------
    Path
        Of the manifest.

    Raises
    ------
    DataError
        If the folder is not empty, or a scan is absent or no single file.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError("the folder is not empty", file=root, hint="give a new one")
    with atomic_folder(root) as draft:
        write_manifest(_Writer(cohort, draft).rows(), draft / "manifest.csv", hashes=True)
    return root / "manifest.csv"


class _Writer:
    """Writes file after file, and keeps their rows of the manifest."""

    def __init__(self, cohort: Cohort, root: Path) -> None:
        self.cohort, self.root = cohort, root
        self.site = (
            cohort.groups.get("site", pd.Series("", index=cohort.table.index)).fillna("").rename(index=str)
        )
        self.same_as = _same_as(cohort.groups["patient"].rename(index=str))
        self.written: list[dict[str, str]] = []

    def rows(self) -> pd.DataFrame:
        """Write everything."""
        table = self.cohort.table.rename(index=str)
        blocks = list(table.columns.unique(0))
        outcomes = self.cohort.outcomes.rename(index=str)
        if "rna" in blocks:  # a panel's expression is read from there again
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
        apart = outcomes.index.isin(set(self.same_as) - {row["patient_id"] for row in self.written})
        self.table(outcomes[~apart], "labels.csv", "", "labels")
        for patient in outcomes.index[apart]:  # only a row of one patient can say whose it is
            self.table(outcomes.loc[[patient]], f"labels/{patient}.csv", "", "labels", patient)
        return pd.DataFrame(self.written).fillna("")

    def block(self, modality: str, block: pd.DataFrame) -> None:
        """Scans, seeds and features of one modality."""
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
        """Write a table of all patients, or of one."""
        (self.root / name).parent.mkdir(exist_ok=True)
        frame.rename_axis("patient_id").to_csv(self.root / name, lineterminator="\n")
        unit = self.cohort.units.get(modality, "") if role == "features" else ""
        if any(str(c).startswith(PREFIX) for c in frame):
            unit = "zscore" if "z-scores" in str(self.cohort.provenance.get("expression_unit")) else "log"
        self.row(modality, role, name, patient, unit=unit)

    def scan(self, modality: str, patient: str, role: str, cells: pd.Series) -> None:
        """Copy a volume or a mask."""
        source = Path(cells[role])
        if not source.exists():
            raise DataError(f"no {role} there", patient=patient, file=source)
        if source.suffix.lower() in _DETACHED:
            hint = "write it as one: mmfusion.imaging.write_nifti"
            raise DataError(
                f"a {role} in two files, header and values", patient=patient, file=source, hint=hint
            )
        kept = source.suffixes[-2:] if source.suffix.lower() == ".gz" else source.suffixes[-1:]
        name = f"{modality}/{patient}/{role}{'' if source.is_dir() else ''.join(kept)}"
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, self.root / name)
        part = cells.get(f"{role}_part")
        self.row(modality, role, name, patient, part="" if pd.isna(part) else str(part))

    def row(self, modality: str, role: str, path: str, patient: str, **more: str) -> None:
        """A row of the manifest."""
        common = {"dataset": self.cohort.name, "license": str(self.cohort.provenance.get("license", ""))}
        whose = {"patient_id": patient}
        if patient:
            whose |= {"site": str(self.site[patient]), "derived_from": self.same_as.get(patient, "")}
        self.written.append({**common, **whose, "modality": modality, "role": role, "path": path, **more})


def _same_as(person: pd.Series) -> dict[str, str]:
    """Row -> an earlier one, or the one that bears the person's id, of those who are the same person."""
    person = person.where(person.notna(), person.index.to_series())
    first = {
        who: who if who in person.index else rows[0] for who, rows in person.groupby(person).groups.items()
    }
    return {row: first[who] for row, who in person.items() if row != first[who]}
