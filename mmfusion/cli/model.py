"""`mmfusion predict`."""

from __future__ import annotations

import sys
from argparse import Namespace

from mmfusion.errors import DataError, MMFusionError
from mmfusion.escaping import write_csv
from mmfusion.modalities import MODALITIES
from mmfusion.storage.atomic import check_writable, saved

_FILES = tuple(MODALITIES)
_OPTIONS = ("patient", "seed", "series", "pet_seed", "pet_series", "rna_unit", "site")


def predict(arguments: Namespace) -> int:
    """Stage one patient from files, or every patient of a manifest."""
    given = [
        f"--{name.replace('_', '-')}" for name in (*_FILES, *_OPTIONS) if getattr(arguments, name) is not None
    ]
    if arguments.manifest is not None:
        if given:
            raise DataError(
                "--manifest does not go with other inputs", got=", ".join(given), hint="leave these out"
            )
        return _predict_manifest(arguments)
    if not any(getattr(arguments, name) is not None for name in _FILES):
        raise DataError(
            "nothing to read", expected="at least one of --ct, --pet, --rna, --ehr; or --manifest"
        )
    if arguments.out is not None:
        raise DataError("-o goes with --manifest", hint="for one patient, redirect the output to a file")
    from mmfusion.bundle import load

    prediction = load(arguments.model).predict_patient(
        **{name: getattr(arguments, name) for name in (*_FILES, *_OPTIONS)}, coverage=arguments.coverage
    )
    sys.stdout.write((prediction.to_json() if arguments.json else str(prediction)) + "\n")
    return 0


def _predict_manifest(arguments: Namespace) -> int:
    import pandas as pd

    from mmfusion.bundle import load
    from mmfusion.data.load import load_cohort

    if arguments.out is None:
        raise DataError("no file for the predictions", expected="-o predictions.csv")
    check_writable(arguments.out)
    model = load(arguments.model)
    cohort = load_cohort(arguments.manifest, root=arguments.root)
    found = model.predict_each(cohort.table, top_genes=0, coverage=arguments.coverage)
    results = dict(zip(cohort.table.index, found, strict=True))
    failed = {patient: r for patient, r in results.items() if isinstance(r, MMFusionError)}
    rows = [
        {"patient_id": patient, "error": str(failed[patient])} if patient in failed else result.to_row()
        for patient, result in results.items()
    ]
    with saved(arguments.out) as draft:
        write_csv(pd.DataFrame(rows), draft, index=False)
    for error in failed.values():
        sys.stderr.write(f"not staged: {error}\n")
    sys.stdout.write(f"{len(results) - len(failed)} of {len(results)} patients staged: {arguments.out}\n")
    return 1 if failed else 0
