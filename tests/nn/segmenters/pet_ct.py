"""Small networks for PET/CT, and a batch on which they are tested."""

import torch

SMALL = {"width": 8, "depths": (1, 1), "decoder_depth": 1}


def build(network, **options):
    torch.manual_seed(0)
    return network(**SMALL, **options)


def blobs(side=32, slab=0):
    """Two patches with a round lesion in CT and PET; in a slab, the lesion grows from slice to slice."""
    grid = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
    made, xs, ys = torch.Generator().manual_seed(0), [], []
    for centre in ((10.0, 13.0), (20.0, 16.0)):
        distance = (grid - torch.tensor(centre)[:, None, None]).square().sum(0).sqrt()
        slices = [distance < 5.5 + k - slab // 2 for k in range(max(slab, 1))]
        lesion = torch.stack(slices).float()
        noise = 0.1 * torch.rand(2, *lesion.shape, generator=made)
        xs.append(noise + torch.stack([0.3 + 0.4 * lesion, 0.1 + 0.6 * lesion]))
        ys.append(lesion[slab // 2][None])
    x, y = torch.stack(xs), torch.stack(ys)
    return (x if slab else x[:, :, 0]), y


def dice_after_training(network, x, y, steps):
    """Train on one batch, as with dice_ce; return the lowest Dice of its patches in evaluation mode."""
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=5e-3)
    for _ in range(steps):
        logits = network(x)["mask"]
        p = logits.sigmoid()
        dice = 1 - (2 * (p * y).sum((1, 2, 3)) + 1) / ((p + y).sum((1, 2, 3)) + 1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y) + dice.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = (network.eval()(x)["mask"] > 0).float()
    return (2 * (found * y).sum((1, 2, 3)) / (found + y).sum((1, 2, 3))).min().item()
