"""Train the network of one click on the lesion phantom, and write the weights that are in the package.

    python -m mmfusion.lesions.click.training -o click.safetensors

Every cube is drawn from the seed, so that nothing of a patient is used. The part that predicts the Dice is
trained a second time, alone and on other cubes: only masks of the finished network show it what to expect.
Drawing takes some minutes on two cores, training about an hour on one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from mmfusion.compute import run
from mmfusion.lesions.click.network import SIZE, ClickLoss, ClickNet, inputs
from mmfusion.nn.training import TrainingPlan, fit_network, reproducible
from mmfusion.storage.atomic import saved
from mmfusion.synthetic.chest.cubes import Cube, click_cubes

PATIENTS, SCALES = 2400, 3
PLAN = TrainingPlan(
    lr=2.5e-3, weight_decay=1e-3, max_epochs=6, batch_size=4, warmup_epochs=0, precision="bf16", patience=None
)
JUDGES = 1200  # patients of the second training
JUDGE_PLAN = PLAN.replace(lr=1e-3, max_epochs=4, batch_size=8, freeze={"unet": 4})
JUDGE_SHARES = (0.04, 2.5)  # diameter of a lesion relative to the cube; all that the six scales can show
_GROUP = 50  # patients that one task draws


class Cubes(torch.utils.data.Dataset):
    """Cubes with their masks, changed at random: mirrored, turned, with other noise and calibration.

    Parameters
    ----------
    cubes : sequence of Cube
        Cubes of one size.

    Examples
    --------
    >>> data = Cubes([Cube(np.zeros((8,) * 3, np.int16), np.ones((8,) * 3, np.uint8), 2.0, 4096.0)])
    >>> x, labels = data.__getitems__([0])
    >>> x.shape, labels["mask"].shape, labels["voxels"].tolist()
    (torch.Size([1, 4, 8, 8, 8]), torch.Size([1, 1, 8, 8, 8]), [512.0])
    """

    SCALE, OFFSET, NOISE = 0.05, 15.0, 30.0  # largest changes: factor, HU, HU

    def __init__(self, cubes: Sequence[Cube]) -> None:
        self.hu = torch.from_numpy(np.stack([cube.hu for cube in cubes]))
        self.mask = torch.from_numpy(np.stack([cube.mask for cube in cubes]))
        self.spacing = torch.tensor([cube.spacing for cube in cubes])
        self.voxels = torch.tensor([cube.volume_mm3 / cube.spacing**3 for cube in cubes])

    def __len__(self) -> int:
        return len(self.hu)

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        index = torch.as_tensor(rows)
        hu, mask = self.hu[index].float(), self.mask[index]
        for axis in (1, 2, 3):
            if torch.rand(()) < 0.5:
                hu, mask = hu.flip(axis), mask.flip(axis)
        if torch.rand(()) < 0.5:
            hu, mask = hu.transpose(2, 3), mask.transpose(2, 3)
        low, high = torch.rand(2).tolist()
        hu = hu * (1 + self.SCALE * (2 * low - 1)) + self.OFFSET * (2 * high - 1)
        if torch.rand(()) < 0.3:
            hu = hu + torch.randn(hu.shape) * self.NOISE * torch.rand(())
        labels = {"mask": mask[:, None].contiguous(), "voxels": self.voxels[index].float()}
        return inputs(hu.contiguous(), self.spacing[index].float()), labels

    def __getitem__(self, row: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        x, labels = self.__getitems__([row])
        return x[0], {name: one[0] for name, one in labels.items()}


def draw(
    seed: int,
    patients: int,
    shares: tuple[float, float] = (0.08, 1.2),
    *,
    n_jobs: int | None = None,
    progress: bool = True,
) -> list[Cube]:
    """Return the cubes of the first patients of a seed, in their order; shares as for `click_cubes`."""
    tasks = [(seed, first, min(first + _GROUP, patients), shares) for first in range(0, patients, _GROUP)]
    groups = dict(run(_group, tasks, n_jobs=n_jobs, description="cubes", progress=progress))
    return [cube for first in sorted(groups) for cube in groups[first]]


def _group(seed: int, first: int, last: int, shares: tuple[float, float]) -> tuple[int, list[Cube]]:
    found = [click_cubes(seed, n, size=SIZE, scales=SCALES, shares=shares) for n in range(first, last)]
    return first, [cube for cubes in found for cube in cubes]


def train(
    cubes: Sequence[Cube],
    *,
    plan: TrainingPlan = PLAN,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> tuple[ClickNet, list[dict[str, float]]]:
    """Train a new network on cubes; return it, and the loss of each epoch."""
    with reproducible(seed):
        network = ClickNet()
        return fit_network(
            network, ClickLoss(), Cubes(cubes), None, plan, progress=progress, checkpoint=checkpoint
        )


def train_judge(
    network: ClickNet,
    cubes: Sequence[Cube],
    *,
    plan: TrainingPlan = JUDGE_PLAN,
    seed: int = 0,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train the part that predicts the Dice from new weights; the rest of the network is not changed.

    In the first training it reads masks that are poor and all alike, and may stop to learn.

    Returns
    -------
    list of dict
        The loss of each epoch.
    """
    with reproducible(seed):
        for part in network.judge:
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
        return fit_network(network, ClickLoss(), Cubes(cubes), None, plan, progress=progress)[1]


def write_weights(network: ClickNet, path: str | Path) -> Path:
    """Write the weights in half precision, each once."""
    tensors = {name: one.detach().half().contiguous() for name, one in network.named_parameters()}
    with saved(Path(path)) as draft:
        save_file(tensors, draft)
    return Path(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, train, and write the weights and the losses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--judges", type=int, default=JUDGES, help="patients of the second training")
    parser.add_argument("--epochs", type=int, default=PLAN.max_epochs)
    parser.add_argument("--seed", type=int, default=0, help="of the phantom and of the training")
    parser.add_argument("--checkpoint", type=Path, help="folder, to go on after an interruption")
    parser.add_argument("--n-jobs", type=int, help="processes that draw; default, all cores")
    given = parser.parse_args(arguments)
    plan = PLAN.replace(max_epochs=given.epochs)
    cubes = draw(given.seed, given.patients, n_jobs=given.n_jobs)
    network, history = train(cubes, plan=plan, seed=given.seed, checkpoint=given.checkpoint)
    others = draw(given.seed + 1, given.judges, JUDGE_SHARES, n_jobs=given.n_jobs)
    judged = train_judge(network, others, seed=given.seed)
    write_weights(network, given.out)
    facts = {"patients": given.patients, "history": history, "judges": given.judges, "judged": judged}
    with saved(given.out.with_suffix(".json")) as draft:
        draft.write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
