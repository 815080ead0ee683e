"""`mmfusion demo`, `mmfusion init` and `mmfusion validate`."""

from __future__ import annotations

import filecmp
import shlex
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmfusion.errors import DataError, MMFusionError, ScanError, ScanWarning, gathered
from mmfusion.storage.atomic import check_writable, saved, scratch_folder, take_place, writing

if TYPE_CHECKING:
    from mmfusion.data.cohort import Cohort

PATIENT = "new_patient"


def demo(arguments: Namespace) -> int:
    """Write the demo cohort and one new patient; with --model, fit and save a model."""
    from mmfusion.data.export import write_cohort
    from mmfusion.synthetic import phantom

    folder, model = arguments.folder, arguments.model
    if model is not None and model.exists():
        raise DataError("the model exists already", file=model, hint="choose another name for the model")
    if model is not None:
        check_writable(model)
    _check_demo_place(folder)
    with writing(folder), scratch_folder(folder) as draft, scratch_folder(folder) as scratch:
        cohort, optimum = phantom(arguments.n, arguments.random_seed, root=scratch / "cohort")
        write_cohort(cohort, draft)
        seed = _new_patient(draft / PATIENT, scratch / "other", arguments.random_seed + 1)
        _complete_demo(draft, folder)
    manifest = folder / "manifest.csv"
    best = optimum["macro_auc"].iloc[-1]
    sys.stdout.write(f"{cohort}\nbest possible macro-AUC: {best:.3f}\nmanifest: {manifest}\n")
    new = folder / PATIENT
    if model is None:
        sys.stdout.write(f"next: mmfusion validate {manifest}\n")
        return 0
    from mmfusion.data.load import load_cohort
    from mmfusion.staging import StageClassifier

    cohort = load_cohort(manifest)
    StageClassifier.from_preset("demo", verbose=True).fit(cohort.X, cohort.y).save(model)
    files = f"--ct {new / 'scan.zip'} --seed {seed} --rna {new / 'rna.csv'} --ehr {new / 'ehr.csv'}"
    sys.stdout.write(f"model: {model}\nnext: mmfusion predict --model {model} {files}\n")
    return 0


def _check_demo_place(folder: Path) -> None:
    """Raise `DataError` if a folder holds other files than those of a demo cohort."""
    with writing(folder):
        if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not _has_manifest(folder))):
            raise DataError("the folder is not empty", file=folder, hint="give a new one")


def _has_manifest(folder: Path) -> bool:
    return (folder / "manifest.csv").is_file()


def _complete_demo(draft: Path, folder: Path) -> None:
    """Move the demo cohort to its folder; keep one that is there, and complete one that is half-made.

    Raises
    ------
    DataError
        If the folder holds another cohort.
    """
    made, there = (
        {path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (draft, folder)
    )
    if not all(filecmp.cmp(draft / name, folder / name, shallow=False) for name in made & there):
        raise DataError("the folder holds another cohort", file=folder, hint="give a new folder")
    if made <= there:
        return
    if there - made:
        raise DataError("the folder holds other files", file=folder, hint="give a new folder")
    take_place(draft, folder, replace=True)


def _new_patient(folder: Path, scratch: Path, seed: int) -> str:
    """Write the files of a new patient, a DICOM ZIP and two tables; return the seed as "x,y,z"."""
    from mmfusion.imaging import read
    from mmfusion.imaging.dicom.writer import write_dicom_zip
    from mmfusion.synthetic import phantom

    cohort, _ = phantom(1, seed, missing=0.0, root=scratch)
    patient = cohort.table.index[0]
    folder.mkdir()
    volume = read(cohort.table.loc[patient, ("ct", "volume")])
    write_dicom_zip(volume, folder / "scan.zip", patient, description="synthetic chest CT")
    for modality in ("rna", "ehr"):
        cohort.table[modality].to_csv(folder / f"{modality}.csv", lineterminator="\n")
    return ",".join(f"{cohort.table.loc[patient, ('ct', f'seed_{axis}')]:.1f}" for axis in "xyz")


def init(arguments: Namespace) -> int:
    """Write a manifest of a folder, and a page that lists each file with the reason why it is used or not."""
    from mmfusion.data.discovery.account import page, summary
    from mmfusion.data.discovery.discover import MANIFEST, discover

    found = discover(arguments.folder, dataset=arguments.dataset, rna_unit=arguments.rna_unit)
    if found.cohort is not None and len(found.cohort):
        found = replace(found, to_do=(*found.to_do, *_label_problems(found.cohort)))
    account = arguments.folder / "data_manifest.md"
    replaced = (arguments.folder / MANIFEST).exists()
    manifest = found.write(overwrite=arguments.overwrite)
    with saved(account) as draft:
        draft.write_text(page(found), encoding="utf-8")
    sys.stdout.write(f"{summary(found)}\nall files with reasons: {account}\nmanifest: {manifest}\n")
    if replaced:
        sys.stdout.write("the manifest that was there before was replaced\n")
    sys.stdout.write(f"next: mmfusion validate {shlex.quote(str(manifest))}\n")
    return 0


def validate(arguments: Namespace) -> int:
    """Check a manifest and its files; list all problems, and what was not used."""
    if arguments.rehash:
        from mmfusion.data.manifest import rehash

        changed = rehash(arguments.manifest, arguments.root)
        lines = [*(f"changed: {path}" for path in changed), f"changed files accepted: {len(changed)}"]
        sys.stdout.write("\n".join(lines) + "\n")
    cohort, problems = _loaded(arguments)
    if cohort is not None:
        sys.stdout.write(f"{cohort}\n")
        warned = cohort.provenance.get("warnings", ())
        problems += warned
        for note in (*(note for note in cohort.notes if note not in warned), *_without_seed(cohort)):
            sys.stdout.write(f"note: {note}\n")
        if not arguments.no_scans:
            scans, remarks = _scans(cohort)
            problems += scans
            for remark in remarks:
                sys.stdout.write(f"note: {remark}\n")
        problems += _label_problems(cohort)
    for problem in problems:
        sys.stdout.write(f"problem: {problem}\n")
    skipped = " (the scans were not opened)" if arguments.no_scans else ""
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    sys.stdout.write((count if problems else "all is well") + f"{skipped}\n")
    return 1 if problems else 0


def _loaded(arguments: Namespace) -> tuple[Cohort | None, list[str]]:
    """Load the cohort, and return it with the errors of files that were left out."""
    from mmfusion.data.checks import lines_of
    from mmfusion.data.load import load_cohort
    from mmfusion.data.sources import sources

    options = {} if arguments.edition is None else {"edition": arguments.edition}
    errors: list[MMFusionError] = []
    if arguments.manifest not in sources():
        options["problems"] = errors
    try:
        cohort = load_cohort(arguments.manifest, root=arguments.root, target=arguments.target, **options)
    except MMFusionError as error:
        if not errors:
            raise
        cohort, errors = None, [*errors, error]
    return cohort, lines_of(errors, arguments.root or Path(arguments.manifest).absolute().parent)


def _label_problems(cohort: Cohort) -> list[str]:
    """Return the reason why no patient has a label, or the columns that determine the label."""
    from mmfusion.data.tables.stage_headers import ACCEPTED
    from mmfusion.evaluation.leakage.probe import assert_no_leak

    if len(cohort):
        try:
            assert_no_leak(cohort.X, cohort.y)
        except MMFusionError as error:
            return [str(error)]
        return []
    staged = "stage" in cohort.outcomes and cohort.outcomes["stage"].notna().any()
    why = "none of the stages has a class in this target" if staged else f"give a column {ACCEPTED}"
    if cohort.targets:
        why += f"; there are labels for {', '.join(cohort.targets)}"
    return [f"no patient has a label ({cohort.target}): {why}"]


def _scans(cohort: Cohort) -> tuple[list[str], list[str]]:
    """Open every scan; return what is wrong, and what else to know, such as files that are not used."""
    from tqdm import tqdm

    from mmfusion.data.scans import open_scan
    from mmfusion.modalities import IMAGING

    scans = [
        (patient, modality)
        for modality in IMAGING
        if (modality, "volume") in cohort.table
        for patient in cohort.table.index[cohort.table[modality, "volume"].notna()]
    ]
    problems, notes = [], []
    for patient, modality in tqdm(scans, desc="scans", unit="scan", leave=False, disable=len(scans) < 2):
        who = f"patient {patient}, {modality}"
        with gathered() as given:
            try:
                scan = open_scan(cohort, patient, modality)
            except MMFusionError as error:
                error.patient = error.patient or patient
                problems.append(str(error))
                continue
        source = scan.volume.source
        if scan.seed is not None:
            try:
                scan.volume.expect_inside(scan.seed)
            except ScanError as error:
                problems.append(f"{who}: {error}")
        lost = [] if source is None else source.losses
        problems += [f"{who}: the scan may not be complete: {loss}" for loss in lost]
        said = [warning.text for warning in given if issubclass(warning.category, ScanWarning)]
        notes += [f"{who}: {text}" for text in said if not any(loss in text for loss in lost)]
        if source is not None and any(not part.lost for part in source.left_out):
            notes.append(f"{who}: {source}")
    return problems, notes


def _without_seed(cohort) -> list[str]:
    """Return a note per modality that has scans without a point in the tumour."""
    from mmfusion.data.scans import seeds_wanted
    from mmfusion.modalities import IMAGING, SEED

    notes = []
    for modality in [m for m in IMAGING if (m, "volume") in cohort.table]:
        scans = cohort.table[modality][lambda block: block["volume"].notna()]
        absent = int(scans.reindex(columns=list(SEED)).isna().any(axis=1).sum())
        notes += [seeds_wanted(absent, len(scans), modality)] if absent else []
    return notes
