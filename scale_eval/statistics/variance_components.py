"""Variance components of companies, cutoffs and the rest: crossed random effects.

value = mean + company + cutoff + residual. Restricted maximum likelihood as in lme4 (Bates et al.
2015), with the companies, which are many, eliminated analytically. The likelihood then depends on
sums over companies with the same number of values: they are computed once, and an evaluation of the
likelihood costs cutoffs^3, whatever the number of companies.

The intervals are those of Q (Viechtbauer 2007) for the least-squares effects of companies and
cutoffs, with the residual variance taken as known: with few cutoffs they are wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dposv
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scale_eval.statistics.random_effects import q_profile
from scale_eval.statistics.undefined import Undefined

MIN_RESIDUAL_DF = 3
"""Fewest degrees of freedom of the residual: with fewer it is hardly known apart from the rest."""

GRID = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Standard deviations relative to the residual's; the search starts at the best of this grid."""


@dataclass(frozen=True)
class VarianceComponents:
    """Fitted variance components.

    Attributes
    ----------
    mean : float
        By generalised least squares.
    company, cutoff, residual : float
        Variances, not standard deviations.
    n_companies, n_cutoffs : int
    company_interval, cutoff_interval : tuple of float or None
        95 % intervals of the variances; None where there is only one company or cutoff.
    """

    mean: float
    company: float
    cutoff: float
    residual: float
    n_companies: int
    n_cutoffs: int
    company_interval: tuple[float, float] | None
    cutoff_interval: tuple[float, float] | None


def variance_components(
    values: np.ndarray, company: np.ndarray, cutoff: np.ndarray
) -> VarianceComponents:
    """Fit the variance components of values of companies at cutoffs.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    company, cutoff : ndarray of shape (n,)
        The company and the cutoff of each value; any labels.

    Undefined: ``fewer_than_2_companies``; ``no_repeated_cutoffs``, where no company has two values,
    so that companies and noise cannot be told apart; ``cutoffs_not_shared``, where so few cutoffs
    are of several companies that cutoffs and noise cannot (lme4 refuses as many cutoffs as values).
    """
    companies, company = np.unique(company, return_inverse=True)
    cutoffs, cutoff = np.unique(cutoff, return_inverse=True)
    if len(companies) < 2:
        raise Undefined("fewer_than_2_companies")
    if len(values) == len(companies):
        raise Undefined("no_repeated_cutoffs")
    scale = float(np.std(values))
    if scale == 0:
        return VarianceComponents(
            float(values[0]), 0.0, 0.0, 0.0, len(companies), len(cutoffs), None, None
        )
    if len(cutoffs) > 1 and _residual_df(company, cutoff) < MIN_RESIDUAL_DF:
        raise Undefined("cutoffs_not_shared")
    layout = _Layout(values / scale, company, cutoff)
    company_ratio, cutoff_ratio = np.square(_best(layout, several=len(cutoffs) > 1)).tolist()
    mean, residual = layout.fit(company_ratio, cutoff_ratio)
    company_effects, company_v, cutoff_effects, cutoff_v = layout.effects()
    square = scale**2

    def interval(effects: np.ndarray, v: np.ndarray, estimate: float) -> tuple[float, float] | None:
        informative = v > 0  # v is 0 for a cutoff of a single company that has no other cutoff
        effects, v = effects[informative], v[informative]
        if len(effects) < 2 or residual <= 0:
            return None
        low, high = q_profile(effects, residual * v)  # extended to hold what REML says
        return min(low, estimate) * square, max(high, estimate) * square

    return VarianceComponents(
        mean=mean * scale,
        company=company_ratio * residual * square,
        cutoff=cutoff_ratio * residual * square,
        residual=residual * square,
        n_companies=len(companies),
        n_cutoffs=len(cutoffs),
        company_interval=interval(company_effects, company_v, company_ratio * residual),
        cutoff_interval=interval(cutoff_effects, cutoff_v, cutoff_ratio * residual),
    )


def _residual_df(company: np.ndarray, cutoff: np.ndarray) -> int:
    """Return the degrees of freedom that companies and cutoffs leave to the residual.

    They are values - companies - cutoffs + groups, where a group is of companies that cutoffs link.
    """
    k, c = int(company.max()) + 1, int(cutoff.max()) + 1
    links = coo_array((np.ones(len(company)), (company, k + cutoff)), shape=(k + c, k + c))
    n_groups, _ = connected_components(links, directed=False)
    return len(company) - k - c + int(n_groups)


def _best(layout: _Layout, *, several: bool) -> np.ndarray:
    """Return the square roots of the variance ratios that maximise the likelihood; shape (2,).

    There can be several local maxima, some at 0, so that the search starts at every point of a grid
    that is better than its neighbours, and the best of what is found counts.
    """
    others = GRID if several else (0.0,)
    deviance = np.array([[layout.deviance(np.array([a, b])) for b in others] for a in GRID])
    around = np.pad(deviance, 1, constant_values=np.inf)
    neighbours = [around[1 + i :, 1 + j :] for i, j in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    rows, columns = deviance.shape
    is_best = np.logical_and.reduce([deviance <= n[:rows, :columns] for n in neighbours])
    found = [
        _descend(layout, np.array([GRID[i], others[j]]), several=several)
        for i, j in np.argwhere(is_best).tolist()
    ]
    return min(found, key=layout.deviance)


def _descend(layout: _Layout, start: np.ndarray, *, several: bool) -> np.ndarray:
    bounds = [(0.0, 1e3), (0.0, 1e3) if several else (0.0, 0.0)]
    best = minimize(
        layout.deviance,
        start,
        method="Nelder-Mead",
        bounds=bounds,
        options={
            "xatol": 1e-7,
            "fatol": 1e-10,
            "maxiter": 2_000,
            "initial_simplex": start + 0.2 * np.array([[0, 0], [1, 0], [0, float(several)]]),
        },
    )
    return np.asarray(best.x if best.fun <= layout.deviance(start) else start)


class _Layout:
    """The sums that give the likelihood at any ratios of the variances to the residual's."""

    def __init__(self, values: np.ndarray, company: np.ndarray, cutoff: np.ndarray) -> None:
        k, c = int(company.max()) + 1, int(cutoff.max()) + 1
        self.counts = np.bincount(company * c + cutoff, minlength=k * c).reshape(k, c).astype(float)
        self.centre = values.mean()
        values = values - self.centre
        self.n = len(values)
        self.n_of_company, self.n_of_cutoff = self.counts.sum(axis=1), self.counts.sum(axis=0)
        self.sum_of_company = np.bincount(company, weights=values, minlength=k)
        self.sum_of_cutoff = np.bincount(cutoff, weights=values, minlength=c)
        self.squares = float(np.square(values).sum())
        self.counts_by_cutoff, self.unit = np.diag(self.n_of_cutoff), np.eye(c)
        self._sum_alike()

    def _sum_alike(self) -> None:
        """Sum over companies with the same number of values, in order of `size`; (n_sizes, ...)."""
        self.size, starts, self.alike = np.unique(
            np.sort(self.n_of_company), return_index=True, return_counts=True
        )
        order = np.argsort(self.n_of_company, kind="stable")
        sums, counts = self.sum_of_company[order], self.counts[order]
        self.sum_alike = np.add.reduceat(sums, starts)
        self.squares_alike = np.add.reduceat(np.square(sums), starts)
        c = counts.shape[1]
        self.seen = np.add.reduceat(counts, starts)  # values at each cutoff
        self.sums_seen = np.empty((len(starts), c))  # sums of the companies with a value there
        self.seen_together = np.empty((len(starts), c * c))  # companies with values at two cutoffs
        ends = np.append(starts[1:], len(order))
        for i, (first, last) in enumerate(zip(starts, ends, strict=True)):
            self.sums_seen[i] = sums[first:last] @ counts[first:last]
            self.seen_together[i] = (counts[first:last].T @ counts[first:last]).ravel()

    def deviance(self, ratios: np.ndarray) -> float:
        """Return the profiled restricted deviance at square roots of variance ratios (theta)."""
        company_ratio, cutoff_ratio = np.square([*ratios, 0.0][:2])
        log_determinant, one, _, rest = self._solved(company_ratio, cutoff_ratio)
        df = self.n - 1
        return float(log_determinant + np.log(one) + df * np.log(max(rest, 1e-300)))

    def fit(self, company_ratio: float, cutoff_ratio: float) -> tuple[float, float]:
        """Return the mean and the residual variance."""
        _, one, with_values, rest = self._solved(company_ratio, cutoff_ratio)
        return self.centre + with_values / one, max(rest, 0.0) / (self.n - 1)

    def _solved(
        self, company_ratio: float, cutoff_ratio: float
    ) -> tuple[float, float, float, float]:
        """Return log|V|, 1'V^-1 1, 1'V^-1 y, and y'V^-1 y of the residuals from the mean.

        V is for a residual variance of 1.
        """
        shrunk = company_ratio / (1 + company_ratio * self.size)
        # The companies are eliminated: W = (I + company_ratio Z Z')^-1.
        one = float(self.n - shrunk @ (self.alike * np.square(self.size)))
        with_values = float(self.sum_alike.sum() - shrunk @ (self.size * self.sum_alike))
        values_quadratic = self.squares - float(shrunk @ self.squares_alike)
        log_determinant = float(self.alike @ np.log1p(company_ratio * self.size))
        if cutoff_ratio > 0:
            inner = self.counts_by_cutoff - (shrunk @ self.seen_together).reshape(
                self.counts_by_cutoff.shape
            )
            ones = self.n_of_cutoff - (shrunk * self.size) @ self.seen
            values = self.sum_of_cutoff - shrunk @ self.sums_seen
            # The matrix is positive definite: the identity plus a positive semidefinite one.
            factor, by, _ = dposv(
                self.unit + cutoff_ratio * inner,
                cutoff_ratio * np.column_stack([ones, values]),
                lower=1,
            )
            log_determinant += 2 * float(np.log(np.diag(factor)).sum())
            one -= float(ones @ by[:, 0])
            with_values -= float(ones @ by[:, 1])
            values_quadratic -= float(values @ by[:, 1])
        return log_determinant, one, with_values, values_quadratic - with_values**2 / one

    def effects(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return least-squares effects of companies and cutoffs, and their relative variances."""
        share = self.counts / self.n_of_company[:, np.newaxis]
        normal = self.counts_by_cutoff - self.counts.T @ share
        right = self.sum_of_cutoff - share.T @ self.sum_of_company
        inverse = np.linalg.pinv(normal, hermitian=True)
        cutoff = inverse @ right
        company = (self.sum_of_company - self.counts @ cutoff) / self.n_of_company
        # Effects centred at their mean have less variance than each alone, by (c - 1) / c.
        cutoff_variance = np.diag(inverse) * len(cutoff) / max(len(cutoff) - 1, 1)
        apart = np.einsum("ij,jk,ik->i", share, inverse, share)
        return company, 1 / self.n_of_company + apart, cutoff - cutoff.mean(), cutoff_variance
