"""State space layers: sequences of tokens (SS1D) and images (SS2D) through the selective scan."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from mmfusion.nn.layers.cross_scan import cross_merge, cross_scan
from mmfusion.nn.layers.scan import selective_scan


class SelectiveSSM(nn.Module):
    """Selective scan of groups of sequences, whose step sizes and weights B, C are linear maps of the input.

    Each group has its own parameters. A starts at -1, ..., -N, D at 1, and the step sizes between 0.001 and
    0.1.

    Parameters
    ----------
    groups : int
        Number of sequences per patient, g.
    width : int
        Channels, d.
    n_states : int
        Numbers in the state of each channel, N.
    dt_rank : int
        Rank of the map from the input to the step sizes.

    References
    ----------
    Gu & Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces".

    Examples
    --------
    >>> SelectiveSSM(groups=4, width=6, n_states=2, dt_rank=1)(torch.zeros(3, 9, 4, 6)).shape
    torch.Size([3, 9, 4, 6])
    """

    def __init__(self, groups: int, width: int, n_states: int, dt_rank: int) -> None:
        super().__init__()
        self.sizes = (dt_rank, n_states, n_states)
        self.x_proj = nn.Parameter(torch.empty(groups, width, dt_rank + 2 * n_states))
        self.dt_proj = nn.Parameter(torch.empty(groups, dt_rank, width))
        self.dt_bias = nn.Parameter(torch.empty(groups, width))
        self.A_log = nn.Parameter(torch.empty(groups, width, n_states))
        self.D = nn.Parameter(torch.ones(groups, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the initial weights of Mamba."""
        with torch.no_grad():
            nn.init.uniform_(self.x_proj, -(self.x_proj.shape[1] ** -0.5), self.x_proj.shape[1] ** -0.5)
            nn.init.uniform_(self.dt_proj, -(self.sizes[0] ** -0.5), self.sizes[0] ** -0.5)
            step = torch.empty_like(self.dt_bias).uniform_(math.log(1e-3), math.log(1e-1)).exp_()
            self.dt_bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus
            n = torch.arange(1.0, self.sizes[1] + 1, device=self.A_log.device)
            self.A_log.copy_(n.log().expand_as(self.A_log))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scanned sequences, shape (b, L, g, d) as `x`."""
        projected = torch.einsum("blgd,gdr->blgr", x, self.x_proj)
        dt, B, C = projected.split(self.sizes, -1)
        dt = F.softplus(torch.einsum("blgr,grd->blgd", dt, self.dt_proj) + self.dt_bias)
        return selective_scan(x, dt, -self.A_log.exp(), B, C, self.D)


class _Gated(nn.Module):
    """Base class of SS1D and SS2D: linear maps of input and output around a scan, and its gate."""

    def __init__(self, d: int, groups: int, n_states: int) -> None:
        super().__init__()
        width = 2 * d
        self.in_proj = nn.Linear(d, 2 * width, bias=False)
        self.ssm = SelectiveSSM(groups, width, n_states, dt_rank=math.ceil(d / 16))
        self.norm = nn.LayerNorm(width)
        self.out_proj = nn.Linear(width, d, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, gate = self.in_proj(x).chunk(2, -1)
        return self.out_proj(self.norm(self.scan(x)) * F.silu(gate))

    def scan(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class SS1D(_Gated):
    """Selective scan of a sequence of tokens, without the convolution that Mamba has before it.

    Parameters
    ----------
    d : int
        Width of the tokens.
    n_states : int
        Numbers in the state of each channel.

    Examples
    --------
    >>> SS1D(8)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, d: int, n_states: int = 16) -> None:
        super().__init__(d, groups=1, n_states=n_states)

    def scan(self, x: torch.Tensor) -> torch.Tensor:
        """Scan tokens (b, L, 2 d) from the first to the last."""
        return self.ssm(F.silu(x)[:, :, None])[:, :, 0]


class SS2D(_Gated):
    """Selective scan of a map in four directions, after a depthwise convolution.

    Parameters
    ----------
    d : int
        Channels.
    n_states : int
        Numbers in the state of each channel.

    References
    ----------
    Liu et al. 2024, "VMamba: visual state space model", NeurIPS.

    Examples
    --------
    >>> SS2D(8)(torch.zeros(2, 5, 7, 8)).shape  # channels last
    torch.Size([2, 5, 7, 8])
    """

    def __init__(self, d: int, n_states: int = 16) -> None:
        super().__init__(d, groups=4, n_states=n_states)
        self.conv = nn.Conv2d(2 * d, 2 * d, 3, padding=1, groups=2 * d)

    def scan(self, x: torch.Tensor) -> torch.Tensor:
        """Scan maps (b, h, w, 2 d)."""
        _, h, w, _ = x.shape
        x = F.silu(self.conv(rearrange(x, "b h w d -> b d h w")))
        x = self.ssm(cross_scan(rearrange(x, "b d h w -> b h w d")))
        return cross_merge(x, h, w)
