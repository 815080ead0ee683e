"""RNA of the phantom: a gene programme in planted genes, among modules of co-expressed genes.

On the log2(TPM + 1) scale the genes of a patient are Gaussian:

    g_i = mean_i + sd_i (loading_i P + module_i F[module of i] + noise_i e_i)

The programme `P` and all module factors `F` are standard normal and independent. Only `P` influences the
stage. The posterior of `P` given all genes is therefore Gaussian and known exactly. Other genes of a module
help to separate its factor from `P`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pandas as pd

from mmfusion.errors import DataError

GENE_SETS = {
    "hypoxia": "CA9 VEGFA SLC2A1 LDHA PGK1 ENO1 NDRG1 ADM BNIP3 P4HA1 ANGPTL4 DDIT4 EGLN3 KDM3A PDK1 TPI1 "
    "HK2 PFKFB3",
    "exhaustion": "PDCD1 LAG3 HAVCR2 TIGIT CTLA4 TOX ENTPD1 EOMES BATF ICOS CD27 PRDM1 IKZF2 CD244 SIRPG "
    "TNFRSF9",
    "proliferation": "MKI67 TOP2A CCNB1 CDK1 AURKA AURKB BUB1 PLK1 CCNA2 CDC20 UBE2C BIRC5 FOXM1 TPX2 KIF11 "
    "MCM2",
    "interferon": "ISG15 IFIT1 IFIT2 IFIT3 MX1 OAS1 OAS2 STAT1 IRF7 IRF9 IFI44 IFI44L IFI6 CXCL10 GBP1 USP18 "
    "RSAD2",
}  # each set is part of one module and independent of the stage
STROMA = (
    "FN1 POSTN COL1A1 COL1A2 COL3A1 COL5A1 COL5A2 COL11A1 SPARC THBS2 FAP LOX LOXL2 MMP2 MMP9 MMP11 MMP14 "
    "TGFBI CTHRC1 INHBA VCAN SNAI2 ZEB1 TWIST1 VIM ITGA5 ITGB1 SPP1 TNC VEGFC CCR7 CXCR4 CXCL12 PDPN PDGFRB "
    "ACTA2 TAGLN LUM"
)  # planted genes are taken from this list first
MODULE_SIZE = 50
DESIGN_SEED = 20_240_101  # seed of the programme: all cohorts share one programme


@dataclass(frozen=True)
class GeneProgramme:
    """Parameters of all genes; arrays have shape (n_genes,), genes are in alphabetical order.

    Attributes
    ----------
    symbols : tuple of str
        Names of the genes.
    module : ndarray of int
        Number of each gene's module.
    mean, sd : ndarray
        Mean and standard deviation on the log2(TPM + 1) scale.
    loading, module_loading, noise : ndarray
        Weights of the programme, the module factor and the noise; their squares sum to 1 per gene.

    Examples
    --------
    >>> len(gene_programme(100, 10).planted)
    10
    """

    symbols: tuple[str, ...]
    module: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    loading: np.ndarray
    module_loading: np.ndarray
    noise: np.ndarray

    @property
    def planted(self) -> list[str]:
        """Genes that carry the programme."""
        return [s for s, weight in zip(self.symbols, self.loading) if weight]

    @property
    def gene_sets(self) -> dict[str, list[str]]:
        """Named sets of genes; the set "programme" has the planted genes."""
        known = {name: [s for s in text.split() if s in self.symbols] for name, text in GENE_SETS.items()}
        return {**known, "programme": self.planted}

    def sample(self, programme: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        """Draw the gene expression of n patients, given their programme.

        Parameters
        ----------
        programme : ndarray, shape (n,)
            Value of the programme per patient, standard normal.
        rng : Generator
            Random generator.

        Returns
        -------
        DataFrame, shape (n, n_genes)
            TPM, rounded to three decimals; one column per gene.
        """
        n, n_modules = len(programme), int(self.module.max()) + 1
        factors = rng.standard_normal((n, n_modules))
        z = np.outer(programme, self.loading) + factors[:, self.module] * self.module_loading
        z += rng.standard_normal(z.shape) * self.noise
        log = np.maximum(self.mean + self.sd * z, 0.0)  # 0 is more than 6 SD below every mean
        return pd.DataFrame(np.round(np.exp2(log) - 1.0, 3), columns=list(self.symbols))

    def score(self, tpm: pd.DataFrame) -> np.ndarray:
        """Return the posterior mean of the programme given all genes, shape (n,); variance `1 - r2`."""
        z = (np.log2(tpm[list(self.symbols)].to_numpy() + 1.0) - self.mean) / self.sd
        return z @ self._solution()[0]

    @property
    def r2(self) -> float:
        """Share of the programme's variance that all genes together explain, in [0, 1]."""
        return self._solution()[1]

    def log_likelihood(self, score: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """Return log p(genes | programme = grid) up to a constant, shape (n, n_grid), from `score`."""
        # posterior over prior: N(P; score, 1 - r2) / N(P; 0, 1)
        return -0.5 * (grid - score[:, None]) ** 2 / (1 - self.r2) + 0.5 * grid**2

    def sample_score(self, programme: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw `score` without drawing genes: it is Gaussian with mean r2 P and variance r2 (1 - r2)."""
        return self.r2 * programme + np.sqrt(self.r2 * (1 - self.r2)) * rng.standard_normal(len(programme))

    def _solution(self) -> tuple[np.ndarray, float]:
        """Return the weights of the posterior mean, shape (n_genes,), and the share of explained variance."""
        design = np.zeros((len(self.symbols), int(self.module.max()) + 2))
        design[:, 0] = self.loading
        design[np.arange(len(self.symbols)), self.module + 1] = self.module_loading
        weighted = design / self.noise[:, None] ** 2
        covariance = np.linalg.inv(np.eye(design.shape[1]) + design.T @ weighted)
        return covariance[0] @ weighted.T, float(1 - covariance[0, 0])


@lru_cache(maxsize=8)
def gene_programme(n_genes: int = 500, n_planted: int = 20) -> GeneProgramme:
    """Return the gene programme for a number of genes; it does not depend on a cohort's seed.

    Parameters
    ----------
    n_genes : int
        Number of genes, at most the number of gene symbols in `symbols.txt`.
    n_planted : int
        Number of genes that carry the programme, 1 to `n_genes / 2`.

    Raises
    ------
    DataError
        If a number is out of range.

    Examples
    --------
    >>> programme = gene_programme(100, 10)
    >>> len(programme.symbols), round(programme.r2, 2)
    (100, 0.96)
    """
    listed = files("mmfusion.synthetic").joinpath("symbols.txt").read_text(encoding="utf-8").split()
    if not 1 <= n_planted <= n_genes // 2 or n_genes > len(listed):
        raise DataError(
            "number of genes out of range",
            expected=f"1 <= n_planted <= n_genes / 2, n_genes <= {len(listed)}",
            got=f"n_genes={n_genes}, n_planted={n_planted}",
        )
    rng = np.random.default_rng(DESIGN_SEED)
    named = {symbol for text in (STROMA, *GENE_SETS.values()) for symbol in text.split()}
    others = [str(s) for s in rng.permutation(listed) if s not in named]
    planted = [*STROMA.split(), *others][:n_planted]
    pool = [s for s in [*others, *STROMA.split()] if s not in planted]
    modules = _fill_modules(planted, pool, n_genes)
    symbols = sorted(modules)
    module = np.array([modules[s] for s in symbols])
    is_planted = np.isin(symbols, planted)
    loading = np.where(is_planted, rng.uniform(0.72, 0.80, n_genes), 0.0)
    module_loading = np.where(is_planted, 0.45, rng.uniform(0.55, 0.8, n_genes))
    return GeneProgramme(
        symbols=tuple(symbols),
        module=module,
        mean=rng.uniform(4.0, 8.0, n_genes),
        # planted genes have a high variance, so that a selection by variance keeps them
        sd=np.where(is_planted, rng.uniform(0.5, 0.65, n_genes), rng.uniform(0.35, 0.65, n_genes)),
        loading=loading,
        module_loading=module_loading,
        noise=np.sqrt(1 - loading**2 - module_loading**2),
    )


def _fill_modules(planted: list[str], pool: list[str], n_genes: int) -> dict[str, int]:
    """Return gene -> number of its module.

    Planted genes are spread over all modules in turn. Each of the first modules gets a named set. The other
    genes come from the pool and fill the smallest module.
    """
    n_modules = max(1, round(n_genes / MODULE_SIZE))
    module = {symbol: i % n_modules for i, symbol in enumerate(planted)}
    named = [
        (symbol, m) for m, text in enumerate(GENE_SETS.values()) if m < n_modules for symbol in text.split()
    ]
    for symbol, m in named[: max(0, n_genes - len(module))]:
        module[symbol] = m
    size = np.bincount(list(module.values()), minlength=n_modules)
    for symbol in pool[: n_genes - len(module)]:
        smallest = int(size.argmin())
        module[symbol] = smallest
        size[smallest] += 1
    return module


def gene_network(
    programme: GeneProgramme, neighbours: int = 6, noise: float = 0.1
) -> list[tuple[str, str, float]]:
    """Return the edges of a gene network of the modules, with some edges rewired at random.

    The weights are the true absolute correlations of the module parts, so that they rank edges as a curated
    network does. A rewired edge keeps the weight of the edge that it replaces. The edges do not depend on
    which genes are planted.

    Parameters
    ----------
    programme : GeneProgramme
        Genes and modules.
    neighbours : int
        Mean number of edges per gene, about.
    noise : float
        Share of the edges that are rewired, in [0, 1].

    Returns
    -------
    list of (str, str, float)
        Gene, gene, weight in (0, 1].

    Examples
    --------
    >>> len(gene_network(gene_programme(100, 10))) > 100
    True
    """
    rng = np.random.default_rng(DESIGN_SEED + 1)
    edges: dict[tuple[str, str], float] = {}
    for i, symbol in enumerate(programme.symbols):
        mates = np.flatnonzero(
            (programme.module == programme.module[i]) & (np.arange(len(programme.symbols)) != i)
        )
        for j in rng.choice(mates, min(neighbours // 2, len(mates)), replace=False):
            weight = float(programme.module_loading[i] * programme.module_loading[j])
            other = int(rng.integers(len(programme.symbols))) if rng.random() < noise else int(j)
            if other != i:
                edges[min(symbol, programme.symbols[other]), max(symbol, programme.symbols[other])] = round(
                    weight, 3
                )
    return [(a, b, weight) for (a, b), weight in sorted(edges.items())]
