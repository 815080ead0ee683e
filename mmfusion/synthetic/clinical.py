"""Health records of the phantom: numbers and categories, some of which depend on the clinical risk.

The columns are independent given the risk `R` ~ N(0, 1), with one exception: pack-years and years since
quitting depend on the smoking status. Cells are missing completely at random, independent of their value.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm

CELL_MISSING = 0.08

# column: (mean, sd, correlation with the risk, logarithmic?)
NUMBERS = {"age": (67.0, 9.0, 0.78, False), "weight": (4.36, 0.20, -0.65, True)}
# column: {level: (log weight, slope on the risk)}
CATEGORIES = {
    "ground_glass": {
        "0%": (1.2, 0.7), ">0 - 25%": (0.4, 0.0), "25 - 50%": (-0.8, -0.6), "50 - 75%": (-0.9, -0.9),
        "75 - < 100%": (-1.2, -1.1), "100%": (-1.8, -1.3),
    },
    "histology": {
        "adenocarcinoma": (1.2, -0.5), "squamous cell": (0.1, 0.5), "large cell": (-1.6, 0.6),
        "nos": (-1.8, 0.2),
    },
    "egfr": {"wildtype": (0.6, 0.4), "mutant": (-0.6, -0.4)},
    "kras": {"wildtype": (0.6, -0.2), "mutant": (-0.6, 0.2)},
    "sex": {"male": (0.3, 0.0), "female": (-0.3, 0.0)},
    "ethnicity": {
        "Caucasian": (1.5, 0.0), "Asian": (0.2, 0.0), "African-American": (-0.8, 0.0),
        "Hispanic/Latino": (-0.9, 0.0),
    },
    "alk": {"wildtype": (2.0, 0.0), "translocated": (-2.0, 0.0)},
}  # fmt: skip
SMOKING = {"never": (-0.5, -1.2), "former": (0.8, 0.1), "current": (-0.3, 1.1)}
PACK_YEARS = (3.4, 0.5, 0.75)  # of smokers: mean and SD of the logarithm, correlation with the risk
YEARS_SINCE_QUIT = (2.5, 0.6, -0.50)  # the same for former smokers
LOBES = {
    "rul": 0.32,
    "rml": 0.06,
    "rll": 0.18,
    "lul": 0.24,
    "lll": 0.16,
    "lingula": 0.04,
}  # independent of the risk
COMPLETE = ("sex", *(f"lobe_{name}" for name in LOBES), "lobe_unknown")  # never missing
COLUMNS = (
    "age", "sex", "ethnicity", "weight", "smoking_status", "pack_years", "years_since_quit", "ground_glass",
    *(f"lobe_{name}" for name in LOBES), "lobe_unknown", "histology", "egfr", "kras", "alk",
)  # fmt: skip


def sample(risk: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Draw one health record per risk; some cells are missing at random.

    Parameters
    ----------
    risk : ndarray, shape (n,)
        Clinical risk of each patient, standard normal.
    rng : Generator
        Random generator.

    Returns
    -------
    DataFrame, shape (n, 19)
        Columns `COLUMNS`.

    Examples
    --------
    >>> sample(np.zeros(3), np.random.default_rng(0)).shape
    (3, 19)
    """
    n = len(risk)
    out: dict[str, object] = {}
    for name, (mean, sd, c, logarithmic) in NUMBERS.items():
        value = mean + sd * _gaussian(risk, c, rng)
        out[name] = np.exp(value) if logarithmic else value
    for name, levels in CATEGORIES.items():
        out[name] = _choose(levels, risk, rng)
    status = out["smoking_status"] = _choose(SMOKING, risk, rng)
    smoked, quit_years = (
        np.exp(m + s * _gaussian(risk, c, rng)) for m, s, c in (PACK_YEARS, YEARS_SINCE_QUIT)
    )
    out["pack_years"] = np.where(status == "never", 0.0, smoked)
    out["years_since_quit"] = np.where(status == "former", quit_years, np.nan)
    lobe = rng.choice(list(LOBES), n, p=list(LOBES.values()))
    out |= {f"lobe_{name}": (lobe == name).astype(float) for name in [*LOBES, "unknown"]}
    frame = pd.DataFrame(out)[list(COLUMNS)]
    frame[frame.select_dtypes("number").columns] = frame.select_dtypes("number").round(1)
    gone = pd.DataFrame(rng.random(frame.shape) < CELL_MISSING, columns=frame.columns)
    gone[list(COMPLETE)] = False
    return frame.mask(gone)


def log_likelihood(record: pd.DataFrame, grid: np.ndarray) -> np.ndarray:
    """Return log p(observed cells | risk = grid) up to a constant; missing cells are ignored.

    Parameters
    ----------
    record : DataFrame, shape (n, 19)
        Health records, as `sample` returns them.
    grid : ndarray, shape (n_grid,)
        Values of the risk.

    Returns
    -------
    ndarray, shape (n, n_grid)
        Log-likelihoods.

    Examples
    --------
    >>> log_likelihood(sample(np.zeros(3), np.random.default_rng(0)), np.linspace(-4, 4, 5)).shape
    (3, 5)
    """
    total = np.zeros((len(record), len(grid)))
    for name, (mean, sd, c, logarithmic) in NUMBERS.items():
        value = np.log(record[name]) if logarithmic else record[name]
        total += _gaussian_term(value.to_numpy(dtype=float), mean, sd, c, grid)
    for name, levels in CATEGORIES.items():
        total += _level_term(record[name], levels, grid)
    return total + _smoking_term(record, grid)


def _smoking_term(record: pd.DataFrame, grid: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of the three smoking cells, summed over the statuses that they allow."""
    pack, quit_years = (record[c].to_numpy(dtype=float) for c in ("pack_years", "years_since_quit"))
    with np.errstate(divide="ignore"):
        smoked = _gaussian_term(np.where(pack > 0, np.log(pack), np.nan), *PACK_YEARS, grid)
        stopped = _gaussian_term(np.log(quit_years), *YEARS_SINCE_QUIT, grid)
    log_prior = _log_probabilities(SMOKING, grid)
    terms = []
    for k, status in enumerate(SMOKING):
        possible = (
            record["smoking_status"].isna().to_numpy() | (record["smoking_status"] == status).to_numpy()
        )
        term = np.tile(log_prior[:, k], (len(record), 1))
        if status == "never":
            possible &= ~(pack > 0)
        else:
            possible &= pack != 0
            term = term + smoked
        if status == "former":
            term = (
                term
                + stopped
                + np.where(np.isnan(quit_years), np.log(CELL_MISSING), np.log1p(-CELL_MISSING))[:, None]
            )
        else:
            possible &= np.isnan(quit_years)
        terms.append(np.where(possible[:, None], term, -np.inf))
    return logsumexp(terms, axis=0)


def _gaussian(latent: np.ndarray, c: float, rng: np.random.Generator) -> np.ndarray:
    return c * latent + np.sqrt(1 - c**2) * rng.standard_normal(len(latent))


def _gaussian_term(value: np.ndarray, mean: float, sd: float, c: float, grid: np.ndarray) -> np.ndarray:
    term = norm.logpdf((value[:, None] - mean) / sd, loc=c * grid, scale=np.sqrt(1 - c**2))
    return np.where(np.isnan(value)[:, None], 0.0, term)


def _log_probabilities(levels: dict[str, tuple[float, float]], latent: np.ndarray) -> np.ndarray:
    weight, slope = np.array(list(levels.values())).T
    return log_softmax(weight + np.outer(latent, slope), axis=1)


def _level_term(values: pd.Series, levels: dict[str, tuple[float, float]], grid: np.ndarray) -> np.ndarray:
    table = np.vstack([_log_probabilities(levels, grid).T, np.zeros(len(grid))])  # last row: missing cells
    codes = pd.Categorical(values, categories=list(levels)).codes
    return table[codes]


def _choose(
    levels: dict[str, tuple[float, float]], latent: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    cumulative = np.exp(_log_probabilities(levels, latent)).cumsum(axis=1)
    picked = (rng.random((len(latent), 1)) > cumulative[:, :-1]).sum(axis=1)
    return np.array(list(levels), dtype=object)[picked]
