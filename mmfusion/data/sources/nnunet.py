"""A folder in the raw data format of nnU-Net, version 2: `Dataset<number>_<name>`.

Format: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, and the documentation of nnU-Net 2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from mmfusion.data.cohort import Cohort
from mmfusion.data.lesion_cohort import files_beside, lesion_cohort, listed_file, read_listing, shown
from mmfusion.data.sources import Folder, register_source
from mmfusion.errors import DataError
from mmfusion.imaging.files import IMAGE_SUFFIXES
from mmfusion.modalities import IMAGING, MODALITIES, scan_modality


@register_source("nnunet")
def nnunet(
    root: str | Path | None = None,
    *,
    label: str | Sequence[str] | None = None,
    channels: Sequence[str] | None = None,
) -> Cohort:
    """Read the scans and masks of a data set that was prepared for nnU-Net.

    Parameters
    ----------
    root : path
        Folder of the data set, with `dataset.json`.
    label : str or sequence of str, optional
        Names of the labels that are the lesion. Needed if the data set has several besides the background.
    channels : sequence of str, optional
        Modality of each channel ("ct" or "pet"). Default: by the names of the channels. A PET must be in
        SUVbw.

    Returns
    -------
    Cohort
        Target "lesion". The mask belongs to the first channel. Cases of `imagesTs` have a mask if `labelsTs`
        exists. If `dataset.json` states the person of each case, as `write_nnunet` does, the cases of one
        person stay together.

    Raises
    ------
    DataError
        If the list is absent, damaged or of version 1; if a channel is neither CT nor PET; if the lesion's
        label is not clear; if a channel or a mask of a case is absent, or the number of cases is wrong.
    """
    folder = Folder(root, "a data set of nnU-Net")
    listing = folder.find("dataset.json", "list of the data set", required=True)
    found = read_listing(listing)
    if "modality" in found and "channel_names" not in found:
        hint = 'convert it with nnUNetv2_convert_MSD_dataset; for MSD Task06: load_cohort("msd_lung", root)'
        raise DataError("not version 2 of the format", file=listing, expected="channel_names", hint=hint)
    found = read_listing(listing, "channel_names", "labels", "numTraining", "file_ending")
    names = _modalities(found["channel_names"], channels, listing)
    part = _lesion(found["labels"], label, listing)
    ending = found["file_ending"]
    if ending not in IMAGE_SUFFIXES:
        expected = ", ".join(IMAGE_SUFFIXES)
        raise DataError("unknown file ending", file=listing, expected=expected, got=ending)
    rows: dict[str, dict[tuple[str, str], str]] = {}
    for kind in ("Tr", "Ts"):
        cases = _cases(listing.parent / f"images{kind}", ending, len(names))
        if kind == "Tr" and len(cases) != found["numTraining"]:
            expected, got = f"{found['numTraining']} training cases", len(cases)
            raise DataError("cases are missing or too many", file=listing, expected=expected, got=got)
        for case, files in cases.items():
            if case in rows:
                raise DataError("a case of training and test", patient=case, file=listing.parent)
            rows[case] = {(m, "volume"): str(file) for m, file in zip(names, files)}
            mask = listing.parent / f"labels{kind}" / f"{case}{ending}"
            if kind == "Tr" or mask.is_file():
                checked = listed_file(listing.parent, mask.relative_to(listing.parent), listing)
                rows[case] |= {
                    (names[0], "mask"): str(checked),
                    **({} if part is None else {(names[0], "mask_part"): part}),
                }
    parts = ("imagesTr", "imagesTs", "labelsTr", "labelsTs")
    if unused := files_beside(listing.parent, parts, rows.values()):
        folder.note(f"{len(unused)} files belong to no case, and are left out: {shown(unused)}")
    persons = _persons(found, list(rows), folder)
    facts = folder.provenance(license=str(found.get("licence", "")))
    return lesion_cohort(str(found.get("name") or "nnunet"), rows, facts, persons=persons)


def _persons(found: dict[str, object], cases: Sequence[str], folder: Folder) -> dict[str, str] | None:
    """Return the person of each case, if the list states persons; a note says for whom it does not."""
    persons = found.get("persons")
    if not isinstance(persons, dict):
        folder.note("the data set does not state persons: each case counts as a person of its own")
        return None
    if unknown := [case for case in cases if case not in persons]:
        folder.note(f"persons of {len(unknown)} cases are not stated: each counts as one: {shown(unknown)}")
    return persons


def _modalities(stated: object, channels: Sequence[str] | None, listing: Path) -> list[str]:
    if not isinstance(stated, dict) or sorted(stated) != sorted(map(str, range(len(stated)))) or not stated:
        raise DataError("damaged list", file=listing, column="channel_names", expected='"0", "1", ...')
    titles = [str(stated[str(k)]) for k in range(len(stated))]
    if channels is not None:
        given = [channels] if isinstance(channels, str) or not isinstance(channels, Sequence) else channels
        if len(given) != len(titles):
            expected = f"{len(titles)} channels, as {listing.name} has"
            raise DataError("wrong number of channels", file=listing, expected=expected, got=len(given))
        named = [scan_modality(channel).name for channel in given]
        if len(set(named)) < len(named):
            raise DataError("two channels of one modality", parameter="channels", expected="each once",
                            got=", ".join(named))  # fmt: skip
        return named
    names = [next((m for m in IMAGING if MODALITIES[m].named_in(title)), None) for title in titles]
    if None in names or len(set(names)) < len(names):
        expected, hint = "one CT and at most one PET", "give channels=, such as ['ct', 'pet']"
        raise DataError("unclear channels", file=listing, expected=expected, got=", ".join(titles), hint=hint)
    return names


def _lesion(labels: object, wanted: str | Sequence[str] | None, listing: Path) -> str | None:
    """Return the lesion's label for `mask_part`; None if there is no other label, as a mask may be empty."""
    if not isinstance(labels, dict) or not all(type(v) is int and v >= 0 for v in labels.values()):
        expected = "a number for each label"
        raise DataError("labels that are regions", file=listing, column="labels", expected=expected)
    if labels.get("background", 0) != 0:
        raise DataError("the background is not 0", file=listing, column="labels", got=labels["background"])
    if not isinstance(wanted, str | Sequence | None):
        expected = "a name, or a list of names"
        raise DataError("not a label", parameter="label", expected=expected, got=repr(wanted))
    names = [name for name, value in labels.items() if value != 0]
    chosen = names if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    if len(chosen) != 1 and wanted is None:
        hint = "give label=, or a list of labels"
        raise DataError("several labels", file=listing, expected="one", got=", ".join(names), hint=hint)
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise DataError("no such label", file=listing, expected=", ".join(names), got=", ".join(unknown))
    values = [labels[name] for name in chosen]
    if len(names) == 1:
        return None
    if len(values) == len(names):
        return "*"
    if len(values) > 1:
        raise DataError(
            "some of several labels", file=listing, expected="one label or all", got=", ".join(chosen)
        )
    return str(values[0])


def _cases(images: Path, ending: str, n_channels: int) -> dict[str, list[Path]]:
    """Return the files of each case, in the order of the channels."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for file in sorted(images.glob(f"*{ending}")) if images.is_dir() else ():
        case, _, digits = file.name.removesuffix(ending).rpartition("_")
        if file.name.startswith("."):
            continue
        if not (case and len(digits) == 4 and digits.isdecimal()):
            raise DataError("not a file of a channel", file=file, expected=f"<case>_0000{ending}")
        found[case][int(digits)] = file
    for case, files in found.items():
        if sorted(files) != list(range(n_channels)):
            got = ", ".join(f"{k:04d}" for k in sorted(files))
            raise DataError(
                "channels of a case are missing or too many",
                patient=case,
                file=images,
                expected=f"{n_channels} channels from 0000",
                got=got,
            )
    return {case: [files[k] for k in range(n_channels)] for case, files in found.items()}
