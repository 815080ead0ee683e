"""`mmfusion features`."""

from __future__ import annotations

import sys
from argparse import Namespace

from mmfusion.errors import DataError
from mmfusion.storage.atomic import check_writable


def features(arguments: Namespace) -> int:
    """Encode each CT of a cohort and write the features; list each scan that fails."""
    if not arguments.out.name.lower().endswith((".csv", ".csv.gz", ".parquet")):
        raise DataError("unknown kind of table", file=arguments.out, expected=".csv, .csv.gz or .parquet")
    check_writable(arguments.out)
    from mmfusion.features import FoundationEncoder, extract

    encoder = FoundationEncoder(
        arguments.weights, random_weights=arguments.random_weights, device=arguments.device
    )
    result = extract(arguments.source, encoder, root=arguments.root, n_jobs=arguments.n_jobs)
    for patient, row in result.failures.iterrows():
        hint = f" -> {row['hint']}" if row["hint"] else ""
        sys.stderr.write(f"not encoded: patient {patient}, file {row['file']}: {row['error']}{hint}\n")
    out = result.write(arguments.out)
    done, total = len(result.features), len(result.features) + len(result.failures)
    if arguments.random_weights is not None:
        sys.stdout.write(
            f"RANDOM WEIGHTS, seed {arguments.random_weights}: a control, not foundation features\n"
        )
    sys.stdout.write(f"{done} of {total} scans encoded: {out}\n")
    sys.stdout.write("next: list it in the manifest with role features and modality ct\n")
    return 1 if len(result.failures) else 0
