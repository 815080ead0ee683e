"""A batch of balls in noise, and training on this one batch until the network knows it by heart."""

from __future__ import annotations

import torch
from monai.losses import DiceCELoss

from mmfusion.nn.training import reproducible


def balls(sides: tuple[int, ...], channels: int = 1, b: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches (b, channels, *sides) with a bright ball each, and the masks of the balls (b, 1, *sides)."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in sides], indexing="ij"))
    size = torch.tensor(sides, dtype=torch.float32).reshape(-1, *[1] * len(sides))
    masks = []
    for _ in range(b):
        centre = size * (0.35 + 0.3 * torch.rand(size.shape, generator=generator))
        masks.append((((grid - centre) / size).square().sum(0) < 0.2**2).float())
    mask = torch.stack(masks)[:, None]
    noise = torch.rand(b, channels, *sides, generator=generator)
    return 0.5 * mask + 0.5 * noise, mask


def overfit(build, x, mask, *, steps: int, lr: float, cue=None, good: float = 0.97) -> float:
    """The Dice of the masks after training on one batch; ends early when it is `good`.

    Predictions come from the network in evaluation mode, so that running statistics are tested too.
    """
    with reproducible(0):
        net = build()
        optimizer, loss = torch.optim.AdamW(net.parameters(), lr=lr), DiceCELoss(sigmoid=True)
        for step in range(1, steps + 1):
            net.train()
            out = net(x, cue)
            total = loss(out["mask"], mask)
            for deep in out.get("deep", ()):
                total = total + 0.5 * loss(deep, torch.nn.functional.interpolate(mask, deep.shape[2:]))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            if step % 10 == 0 and (found := dice(net, x, mask, cue)) > good:
                break
    return found


def dice(net, x, mask, cue=None) -> float:
    """Dice of the predicted masks, over all patches together."""
    with torch.no_grad():
        found = net.eval()(x, cue)["mask"] > 0
    return float(2 * (found * mask).sum() / (found.sum() + mask.sum()))
