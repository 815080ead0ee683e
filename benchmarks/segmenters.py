"""Time of the segmentation networks beside MONAI's U-Net and Swin UNETR at equal input, on one thread.

    python benchmarks/segmenters.py
    python benchmarks/segmenters.py --names resenc_unet unetpp --preset demo --side 64 --runs 5

A training step is forward, loss, backward and a step of AdamW. Inference is one forward pass. The input is
one patch: a cube for networks in 3D, a square for networks in 2D. For networks that read a slab of slices,
MONAI's 2D networks read each of its slices. The script prints medians of interleaved runs, in seconds of the
processor, and ratios: below 1 is faster than the network of MONAI.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from monai.networks.nets import SwinUNETR, UNet
from torch import nn

from mmfusion.nn.mask_losses import mask_loss, segmentation_criterion
from mmfusion.nn.segmenters import get_preset
from mmfusion.registry import SEGMENTERS, list_segmenters


def references(dims: int, channels: int) -> dict[str, nn.Module]:
    """MONAI's networks in the sizes that its tutorials use."""
    unet = UNet(dims, channels, 1, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
    return {"U-Net": unet, "Swin UNETR": SwinUNETR(channels, 1, feature_size=24, spatial_dims=dims)}


def cases(names: list[str], preset: str) -> list[tuple[str, int, nn.Module]]:
    """Each network in each of its numbers of axes, those in 2D first."""
    facts, found = list_segmenters(), []
    for name in names or list(facts.index):
        dims = [int(one) for one in facts.loc[name, "dims"].split(", ") if one in ("2", "3")]
        options = dict(get_preset(name, preset).options)
        for n in dims or [2]:  # a network of slabs has neither
            axes = {"spatial_dims": n} if len(dims) > 1 else {}
            found.append((name, n, SEGMENTERS.get(name)(**options | axes)))
    return sorted(found, key=lambda case: case[1])


def seconds(step: Callable[[], object]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def timed(network: nn.Module, loss: Callable[[], torch.Tensor], x: torch.Tensor) -> tuple[float, float]:
    """Seconds of a training step and of inference."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    network.train()
    training = seconds(step)
    network.eval()
    with torch.no_grad():
        return training, seconds(lambda: network(x))


def compare(dims: int, network: nn.Module, side: int, runs: int) -> dict[str, list[float]]:
    """Medians of both times, of the network and of the references."""
    space = (side,) * dims
    slab = (network.slab,) if network.slab else ()
    x = torch.rand(1, network.in_channels, *slab, *space)
    mask = torch.zeros(1, 1, *space, dtype=torch.uint8)
    mask[(..., *(slice(side // 3, side // 2),) * dims)] = 1
    criterion, plain = segmentation_criterion(network), mask_loss("dice_ce")
    jobs = {"ours": (network, lambda: criterion(network(x), {"mask": mask}), x)}
    each = x[0].transpose(0, 1).contiguous() if slab else x
    truth = mask.float().expand(len(each), *mask.shape[1:])
    for name, other in references(dims, network.in_channels).items():
        jobs[name] = (other, lambda other=other: plain(other(each), truth), each)
    times = {name: [] for name in jobs}
    for run in range(runs + 1):
        for name, job in jobs.items():
            found = timed(*job)
            if run:  # the first run warms up
                times[name].append(found)
    return {name: [statistics.median(kind) for kind in zip(*one, strict=True)] for name, one in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", nargs="*", default=[], help="networks; default: all")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--side", type=int, default=64, help="side of the patch, a multiple of 32 from 64 on")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| network | input | parameters, M | training step, s | / U-Net | / Swin UNETR "
          "| inference, s | / U-Net | / Swin UNETR |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for name, dims, network in cases(args.names, args.preset):
        medians = compare(dims, network, args.side, args.runs)
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        cells = [
            part
            for ours, unet, swin in zip(medians["ours"], medians["U-Net"], medians["Swin UNETR"], strict=True)
            for part in (f"{ours:.3f}", f"{ours / unet:.2f}", f"{ours / swin:.2f}")
        ]
        size = "x".join(map(str, (*([network.slab] if network.slab else []), *(args.side,) * dims)))
        print(f"| `{name}` | {size} | {millions:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
