"""Calibration: probabilities that follow the shares of the classes and the errors on held-out rows."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import nn

from mmfusion.nn.losses import FocalLoss

SPREAD_OF_SLOPE, SPREAD_OF_BIAS = 1.0, 0.5  # prior standard deviations of log slope and of the biases


class Calibration(nn.Module):
    """Last step of a network: it turns the output that a loss asks for into calibrated logits.

    It first undoes what the loss did on purpose. A loss with class weights w makes the output follow w_k
    p_k, which is divided by w. The focal loss makes probabilities less extreme, by a known function, whose
    inverse is applied. Then every logit is multiplied by one slope, and each class gets a bias. A new
    calibration changes nothing.

    Parameters
    ----------
    n_classes : int
        Number of classes, K.
    gamma : float
        Focusing parameter of the focal loss; 0 for other losses.

    References
    ----------
    Charoenphakdee et al. 2021, "On focal loss for class-posterior probability estimation", CVPR, theorem 11.
    Alexandari et al. 2020, "Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift
    adaptation", ICML.

    Examples
    --------
    >>> step = Calibration(2)
    >>> step(torch.tensor([[0.8, 0.2]]).log()).exp().double().numpy().round(3).tolist()
    [[0.8, 0.2]]
    >>> step.undo(nn.CrossEntropyLoss(weight=torch.tensor([0.5, 2.0])))  # class 1 is rare
    >>> step(torch.tensor([[0.5, 0.5]]).log()).softmax(1).double().numpy().round(3).tolist()
    [[0.8, 0.2]]
    """

    def __init__(self, n_classes: int, gamma: float = 0.0) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("log_weights", torch.zeros(n_classes))
        self.register_buffer("slope", torch.ones(()))
        self.register_buffer("bias", torch.zeros(n_classes))

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Return calibrated logits, shape (b, K); their softmax gives the probabilities."""
        log_p = logits.log_softmax(-1)
        if self.gamma:
            log_p = undo_focal(log_p, self.gamma)
        return self.slope * (log_p - self.log_weights) + self.bias

    def undo(self, criterion: nn.Module, factors: torch.Tensor | None = None) -> None:
        """Undo the class weights and the focus of the loss that the network was trained with.

        Parameters
        ----------
        criterion : CrossEntropyLoss or FocalLoss
            The loss.
        factors : Tensor, shape (K,), optional
            How many times as often as in the data the rows of each class counted, apart from the loss.
        """
        focal = isinstance(criterion, FocalLoss)
        weights = criterion.weights if focal else criterion.weight
        self.gamma = float(criterion.gamma) if focal else 0.0
        weights = torch.ones_like(self.log_weights) if weights is None else weights
        self.log_weights.copy_((weights if factors is None else weights * factors).log())

    def set(self, slope: float, bias: np.ndarray) -> None:
        """Set the slope, and the bias of each class, shape (K,)."""
        self.slope.fill_(float(slope))
        self.bias.copy_(torch.as_tensor(bias))


def undo_focal(log_q: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return the logits of the classes whose focal loss is smallest at probabilities q.

    Parameters
    ----------
    log_q : Tensor, shape (b, K)
        Logarithm of the output of a network that was trained with the focal loss.
    gamma : float
        Focusing parameter of the loss.

    Examples
    --------
    >>> undo_focal(torch.tensor([[0.6, 0.4]]).log(), 2.0).softmax(1)[0, 0] > 0.6
    tensor(True)
    """
    q = log_q.exp()
    rest = (-torch.expm1(log_q)).clamp_min(1e-6)  # a power of 0 would not be finite
    slope = rest**gamma - gamma * rest ** (gamma - 1) * q * log_q
    return log_q - slope.log()


def fit_calibration(log_p: np.ndarray, codes: np.ndarray) -> tuple[float, np.ndarray]:
    """Find the slope and biases that make probabilities right on held-out rows.

    It maximises the likelihood of the rows times a normal prior: log slope has mean 0 and standard deviation
    1, each bias 0 and 0.5. A few rows therefore change little.

    Parameters
    ----------
    log_p : ndarray, shape (n, K)
        Logits of rows that the network was not trained on. n may be 0.
    codes : ndarray of int, shape (n,)
        Their classes.

    Returns
    -------
    slope : float
        Factor of the logits, above 0. Below 1, the network was too sure.
    bias : ndarray, shape (K,)
        Bias of each class.

    Examples
    --------
    >>> codes = np.repeat([0, 1], [75, 25])
    >>> slope, bias = fit_calibration(np.tile(np.log([0.5, 0.5]), (100, 1)), codes)
    >>> bool(bias[0] > bias[1])  # the first class is more common than predicted
    True
    """
    n, k = log_p.shape
    truth = np.eye(k)[codes]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        slope, bias = np.exp(theta[0]), theta[1:]
        log_q = log_softmax(slope * log_p + bias, axis=1)
        excess = np.exp(log_q) - truth
        gradient = np.r_[slope * (excess * log_p).sum(), excess.sum(axis=0)]
        spread = np.r_[SPREAD_OF_SLOPE, np.full(k, SPREAD_OF_BIAS)]
        value = -log_q[np.arange(n), codes].sum() + 0.5 * ((theta / spread) ** 2).sum()
        return value, gradient + theta / spread**2

    found = minimize(loss, np.zeros(1 + k), jac=True, method="L-BFGS-B").x
    return float(np.exp(found[0])), found[1:]
