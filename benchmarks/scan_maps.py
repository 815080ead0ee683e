"""Do maps of the CT point at the tumour? Measured on phantoms, for patients who were held out.

    python benchmarks/scan_maps.py --seeds 41 42 43

For each seed, the demo model is fitted on 120 patients, and the maps of 60 others with a CT are compared with
the true masks, which the model never reads. Occlusion is measured on the first 16 of them. "Ratio" is the
share of the map inside the tumour divided by the share of the crop that the tumour fills: 1 for a map that
does not depend on the tumour. "Hit" is the share of maps whose largest value lies in the tumour. Maps of
zeros are counted, and left out of the ratio and the hits. The steps from the former map to the present one
are shown in their order.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
import torch

import mmfusion as mf
from mmfusion import explain
from mmfusion.errors import gathered
from mmfusion.explain.conditional import OneStream, evaluation_mode
from mmfusion.explain.layer_maps import layer_gradcam, layer_hirescam
from mmfusion.explain.scan_target import WithSeverity, scan_target
from mmfusion.streams import StreamInputs

N, TRAINING = 180, 120
OCCLUDED = 16  # patients whose scans are occluded, which takes seconds per patient


def fitted(seed: int, members: int) -> tuple[mf.StageClassifier, StreamInputs, np.ndarray]:
    """Return a model, the inputs of held-out patients with a CT, and the masks on their crops."""
    cohort, _ = mf.phantom(N, seed)
    training, held_out = cohort.X.index[:TRAINING], cohort.X.index[TRAINING:]
    held_out = held_out[cohort.X.loc[held_out, ("ct", "volume")].notna()]
    model = mf.StageClassifier.from_preset("demo", n_members=members, random_state=seed)
    model.fit(cohort.X.loc[training], cohort.y[training])
    with gathered():  # categories that no training patient has
        inputs = model.transformer_.transform(cohort.X.loc[held_out])
    return model, inputs, explain.tumour_masks(model, cohort, list(held_out))


def at_stage(
    model: mf.StageClassifier,
    inputs: StreamInputs,
    stage: int,
    *,
    class_: str = "severity",
    gradcam: bool = False,
    signed: bool = False,
    placed: bool = False,
) -> np.ndarray:
    """Return maps at one stage of the encoder; the options are the steps to the present map."""
    target, maps = scan_target(model, inputs, class_, None), []
    with evaluation_mode(model) as members:
        for rows in target.batches():
            of = []
            for member in members:
                function = WithSeverity(OneStream([member], target.stream, target.inputs))
                layer = getattr(member.encoders[target.stream].trunk, f"layer{stage}")
                given = function, layer, target.crops[rows], target.outputs[rows]
                if gradcam:
                    of.append(layer_gradcam(*given, extra=rows))
                else:
                    one = layer_hirescam(*given, extra=rows, stride=2**stage if placed else None)
                    of.append(one if signed else one.clamp_min(0))
            maps.append(torch.stack(of).mean(0))
    return torch.cat(maps).clamp_min(0).numpy()


def every_map(model: mf.StageClassifier, inputs: StreamInputs, seed: int) -> dict[str, np.ndarray]:
    """Return the maps of each way to make them, shape (n, S, S, S); occlusion of the first patients only."""
    twin, some = explain.shuffled(model, seed), inputs.rows(slice(0, OCCLUDED))
    occluded, maps_of = explain.scan_occlusion, explain.scan_gradcam
    maps = {
        "Grad-CAM, predicted class (former)": at_stage(model, inputs, 2, class_="predicted", gradcam=True),
        "Grad-CAM, severity": at_stage(model, inputs, 2, gradcam=True),
        "HiResCAM, predicted class": at_stage(model, inputs, 2, class_="predicted"),
        "HiResCAM, severity": at_stage(model, inputs, 2),
        "and signs kept in the mean": at_stage(model, inputs, 2, signed=True),
        "and cells in place: scan_gradcam": maps_of(model, inputs).maps,
        "the same, predicted class": maps_of(model, inputs, class_="predicted").maps,
        "the same, cells of 6 mm": at_stage(model, inputs, 1, signed=True, placed=True),
        "the same, cells of 24 mm": at_stage(model, inputs, 3, signed=True, placed=True),
        "scan_occlusion": occluded(model, some).maps,
        "scan_occlusion, predicted class": occluded(model, some, class_="predicted").maps,
        "scan_gradcam, weights shuffled": maps_of(twin, inputs).maps,
        "scan_occlusion, weights shuffled": occluded(twin, some).maps,
    }
    shape = maps["Grad-CAM, severity"].shape
    return {**maps, "random map": np.random.default_rng(seed).random(shape)}


def judged(maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """Return the mean and median ratio, the hit rate, and the number of maps of zeros."""
    ratio, hit = explain.energy_in_tumour(maps, masks)["ratio"], explain.pointing_game(maps, masks)
    zeros = int((maps.max(axis=(1, 2, 3)) == 0).sum())
    return {"ratio": ratio.mean(), "median": ratio.median(), "hit": hit.mean(), "zeros": zeros}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[41, 42, 43])
    parser.add_argument("--members", type=int, default=1, help="networks of the model")
    args = parser.parse_args()
    tables, alike = {}, {}
    for seed in args.seeds:
        model, inputs, masks = fitted(seed, args.members)
        tables[seed] = pd.DataFrame(
            {name: judged(maps, masks[: len(maps)]) for name, maps in every_map(model, inputs, seed).items()}
        ).T
        alike[seed] = explain.randomisation_check(model, inputs, random_state=seed).mean()
        print(f"seed {seed}: {len(masks)} patients, the tumour fills {masks.mean():.1%} of the crop")
        print(tables[seed].round(2).to_string(), flush=True)
    mean = pd.concat(tables).groupby(level=1, sort=False).mean()
    print(f"mean of the seeds\n{mean.round(2).to_string()}")
    print(f"rank correlation with the map of shuffled weights: {pd.Series(alike).round(2).to_dict()}")
    print(f"ratio of scan_gradcam {mean.loc['and cells in place: scan_gradcam', 'ratio']:.1f} (>= 3)")


if __name__ == "__main__":
    main()
