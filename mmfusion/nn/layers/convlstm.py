"""Convolutional LSTM: a recurrent layer that reads a series of maps, such as the slices of a scan."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn


class ConvLSTM(nn.Module):
    """Stacked convolutional LSTM, which reads the maps of a series in one or in both directions.

    Convolutions replace the matrix products of an LSTM. The states are zero before the first map. There are
    no peephole connections.

    Parameters
    ----------
    channels : int
        Channels of the maps, C.
    hidden : int
        Channels of the state of each layer and direction.
    layers : int
        Number of layers; each one reads the states of the one before.
    kernel : int
        Side of the convolutions, pixels, an odd number.
    bidirectional : bool
        Read the series in both directions. The states of the two directions are concatenated.

    Attributes
    ----------
    out_channels : int
        Channels of the output: `hidden`, or `2 * hidden` if bidirectional.

    References
    ----------
    Shi et al. 2015, "Convolutional LSTM network: a machine learning approach for precipitation nowcasting",
    NeurIPS, equation 3.

    Examples
    --------
    >>> ConvLSTM(3, 4, layers=2, bidirectional=True)(torch.zeros(2, 5, 3, 8, 8)).shape
    torch.Size([2, 5, 8, 8, 8])
    """

    def __init__(
        self, channels: int, hidden: int, *, layers: int = 1, kernel: int = 3, bidirectional: bool = False
    ) -> None:
        super().__init__()
        self.out_channels = 2 * hidden if bidirectional else hidden
        inputs = [channels] + [self.out_channels] * (layers - 1)
        self.ahead = nn.ModuleList(ConvLSTMLayer(c, hidden, kernel) for c in inputs)
        self.back = nn.ModuleList(ConvLSTMLayer(c, hidden, kernel) for c in inputs) if bidirectional else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the states of the last layer: (b, T, C, y, x) -> (b, T, out_channels, y, x)."""
        for k, ahead in enumerate(self.ahead):
            states = ahead(x)
            x = states if self.back is None else torch.cat([states, self.back[k](x.flip(1)).flip(1)], 2)
        return x


class ConvLSTMLayer(nn.Module):
    """One layer of a `ConvLSTM`, in one direction.

    Parameters
    ----------
    channels, hidden, kernel
        As for `ConvLSTM`.

    Examples
    --------
    >>> ConvLSTMLayer(3, 4)(torch.zeros(2, 5, 3, 8, 8)).shape
    torch.Size([2, 5, 4, 8, 8])
    """

    def __init__(self, channels: int, hidden: int, kernel: int = 3) -> None:
        super().__init__()
        # one convolution of [x; h] in two parts, so that the part of x is computed for all maps at once
        self.of_input = nn.Conv2d(channels, 4 * hidden, kernel, padding=kernel // 2)
        self.of_state = nn.Conv2d(hidden, 4 * hidden, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the state after each map, (b, T, C, y, x) -> (b, T, hidden, y, x)."""
        b = len(x)
        inputs = rearrange(
            self.of_input(rearrange(x, "b t c y x -> (b t) c y x")), "(b t) ... -> t b ...", b=b
        )
        state, cell, states = None, None, []
        for gates in inputs:
            if state is not None:
                gates = gates + self.of_state(state)
            enter, forget, new, leave = gates.chunk(4, dim=1)  # in the order of torch's LSTM
            cell = enter.sigmoid() * new.tanh() + (0 if cell is None else forget.sigmoid() * cell)
            state = leave.sigmoid() * cell.tanh()
            states.append(state)
        return torch.stack(states, dim=1)
