"""Medical Segmentation Decathlon, Task06 Lung: 64 CTs with the tumour, and 32 without.

Source: Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9. The scans are from NSCLC-Radiogenomics.
"""

from __future__ import annotations

from pathlib import Path

from mmfusion.data.cohort import Cohort
from mmfusion.data.lesion_cohort import files_beside, lesion_cohort, listed_file, read_listing, shown
from mmfusion.data.sources import Folder, register_source
from mmfusion.errors import DataError


@register_source("msd_lung", "task06")
def msd_lung(root: str | Path | None = None) -> Cohort:
    """Read `dataset.json`, and list the scans and masks that it names.

    Parameters
    ----------
    root : path
        Folder `Task06_Lung`, or one above it.

    Returns
    -------
    Cohort
        Target "lesion". The scans of the test set (`imagesTs`) have no mask.

    Raises
    ------
    DataError
        If `dataset.json` is absent or damaged, or a file that it lists is absent.
    """
    folder = Folder(root, "MSD Task06 Lung")
    listing = folder.find("dataset.json", "list of the scans", required=True)
    found = read_listing(listing, "training", "test", "labels")
    place, rows = listing.parent, {}
    try:
        pairs = [(pair["image"], pair["label"]) for pair in found["training"]]
        pairs += [(name["image"] if isinstance(name, dict) else name, None) for name in found["test"]]
    except (TypeError, KeyError) as error:
        raise DataError("damaged list", file=listing, expected="image and label of each scan") from error
    for image, label in pairs:
        scan = listed_file(place, image, listing)
        row = scan.name.removesuffix(".gz").removesuffix(".nii")
        if row in rows:
            raise DataError("listed twice", patient=row, file=listing)
        rows[row] = {("ct", "volume"): str(scan)}
        if label is not None:
            rows[row]["ct", "mask"] = str(listed_file(place, label, listing))
    unlisted = files_beside(place, ("imagesTr", "imagesTs", "labelsTr"), rows.values())
    if unlisted:
        folder.note(f"{len(unlisted)} files are not in {listing.name}, and are left out: {shown(unlisted)}")
    folder.note("the patients are from NSCLC-Radiogenomics: compare with mmfusion.data.find_duplicates")
    return lesion_cohort("msd_lung", rows, folder.provenance(license="CC BY-SA 4.0"))
