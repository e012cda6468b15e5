"""The true figures of simulated companies, from their parameters alone.

Nothing here knows how the product estimates: a company's figures are integrals over normal
densities, those of a population are means and sums of them over all of its companies, whatever
happened there. A figure of ranks over all customers comes from the distribution of what the models
say to buyers and to others, a mixture of normals. Average precision and gain of a company depend on
its number of customers: they are means over draws of as many customers of whom some buy, ranked by
plain NumPy.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.special import expit, log_expit, logit, ndtr

from benchmarks.population import MODELS, NODE, WEIGHT, Companies

EXPECTED_OF_EACH = {"calibration_slope": 100}
"""Buyers, and others, to be expected at a window by the rate known at its cutoff, from which on
sentences about the next company's ranking and calibration are about it; 10 for other metrics."""

LOSSES = ("log_loss", "brier_score")
"""Metrics that need no buyers: sentences about their differences are about all companies."""

FEW_NODES, FEW_WEIGHT = np.polynomial.hermite_e.hermegauss(20)
FEW_WEIGHT = FEW_WEIGHT / FEW_WEIGHT.sum()
"""Quadrature of smooth means, in equations that are solved by iteration."""

DRAWS, MOST_DRAWN = 20, 20_000
"""Draws of a company's customers, and the most customers drawn for it."""

SAID = np.arange(-14, 14, 1 / 64)
"""Logits at which the distribution of what models say is computed."""


class TrueFigures:
    """The true figures of companies, and of all of them together.

    Attributes
    ----------
    companies : Companies
    by_window : dict of ndarray, shape (k, n_cutoffs, n_models)
        By metric.
    prediction, reference_log_loss, reference_brier_score : of the same shape
    """

    def __init__(self, companies: Companies) -> None:
        self.companies = companies
        rate = companies.rate[:, :, None]
        shape = (*companies.rate.shape, len(MODELS))
        of_buyers, of_others = companies.logits(NODE)

        def mean(buyers: np.ndarray, others: np.ndarray) -> np.ndarray:
            """Return the mean over customers of what buyers and others have."""
            return rate * (buyers @ WEIGHT)[:, None] + (1 - rate) * (others @ WEIGHT)[:, None]

        self.prediction = mean(expit(of_buyers), expit(of_others))
        known = companies.known_rate[:, :, None]
        self.reference_log_loss = np.broadcast_to(
            -rate * np.log(known) - (1 - rate) * np.log1p(-known), shape
        )
        self.reference_brier_score = np.broadcast_to(
            rate * (1 - known) ** 2 + (1 - rate) * known**2, shape
        )
        self.by_window = {
            "log_loss": mean(-log_expit(of_buyers), -log_expit(-of_others)),
            "brier_score": mean(expit(-of_buyers) ** 2, expit(of_others) ** 2),
            "roc_auc": np.broadcast_to(ndtr(companies.distance / np.sqrt(2))[:, None], shape),
            **self._of_as_many(),
            "observed_expected_ratio": rate / self.prediction,
            "calibration_slope": np.broadcast_to(1 / companies.stretch[:, None], shape),
            "calibration_intercept": self._intercepts(),
        }

    def foreseen(self, metric: str) -> np.ndarray:
        """Return the windows that sentences about the next company are about; (k, n_cutoffs)."""
        known, size = self.companies.known_rate, self.companies.size[:, None]
        return np.asarray(size * np.minimum(known, 1 - known) >= EXPECTED_OF_EACH.get(metric, 10))

    def effects(self, metric: str) -> np.ndarray:
        """Return each company's true effect, a mean over foreseen windows; (k', n_models).

        On the scale of random effects: logit AUC, log O:E, slope; losses as they are.
        """
        return _means(
            _SCALES.get(metric, np.asarray)(self.by_window[metric]), self.foreseen(metric)
        )

    def differences(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the companies that sentences about the next difference are about, and theirs.

        Returns
        -------
        about : ndarray of bool, shape (k,)
        differences : ndarray, shape (k',)
            Of model a and model b, a mean over foreseen windows; of losses, over all windows.
        """
        counted = self.foreseen(metric)
        counted = np.ones_like(counted) if metric in LOSSES else counted
        values = _means(self.by_window[metric], counted)
        return counted.any(axis=1), np.asarray(values[:, 0] - values[:, 1])

    def pooled(self, metric: str, estimand: str) -> np.ndarray:
        """Return the true figure of each model over all companies; shape (n_models,)."""
        size = self.companies.size[:, None, None].astype(float)
        rate = self.companies.rate[:, :, None]
        if estimand == "equal_company":
            return self._average(metric, np.ones(len(self.companies), dtype=bool))
        values = self.by_window.get(metric)
        if metric.endswith("_skill"):
            loss, reference = self._losses(metric)
            return 1 - (size * loss).sum(axis=(0, 1)) / (size * reference).sum(axis=(0, 1))
        if metric == "observed_expected_ratio":
            return (size * rate).sum() / (size * self.prediction).sum(axis=(0, 1))
        assert values is not None
        if metric in LOSSES:
            return (size * values).sum(axis=(0, 1)) / (size.sum() * values.shape[1])
        if estimand == "row":
            return np.array([_of_rows(metric, *self._said[m]) for m in range(len(MODELS))])
        if metric == "calibration_slope":
            return self._slope_within()
        if metric in self._by_buyer:
            return self._by_buyer[metric]
        pairs = size * (size - 1) * rate * (1 - rate)
        return np.asarray((pairs * values).sum(axis=(0, 1)) / pairs.sum())

    def difference(self, metric: str, estimand: str, among: np.ndarray | None = None) -> float:
        """Return the true difference a - b of two models, among some companies or all of them.

        Of the calibration slope at ``equal_company`` it is that of the distances of the means from
        1. Other differences of distances from a target have no interval, and no truth here: NaN.
        """
        figures = self.pooled(metric, estimand) if among is None else self._average(metric, among)
        a, b = figures
        if metric in _WITH_TARGET:
            if metric != "calibration_slope" or estimand != "equal_company":
                return np.nan
            a, b = abs(a - 1), abs(b - 1)
        return float(a - b)

    def _average(self, metric: str, among: np.ndarray) -> np.ndarray:
        """Return the figure of each model at the average company of some; shape (n_models,)."""
        if metric.endswith("_skill"):
            loss, reference = (losses[among].mean(axis=(0, 1)) for losses in self._losses(metric))
            return np.asarray(1 - loss / reference)
        if metric == "observed_expected_ratio":
            rate = self.companies.rate[among].mean()
            return np.asarray(rate / self.prediction[among].mean(axis=(0, 1)))
        values = self.by_window[metric][among]
        if metric == "calibration_slope":  # the mean of effects
            effects = _means(values, self.foreseen(metric)[among])
            return effects.mean(axis=0) if len(effects) else np.full(len(MODELS), np.nan)
        if metric in self._by_buyer:  # of companies where anybody buys
            anybody = self._anybody[among]
            shares = anybody / anybody.sum(axis=1, keepdims=True)
            own = (values * shares[..., None]).sum(axis=1)
            weights = 1 - (1 - anybody).prod(axis=1)
            return np.asarray(np.average(own, axis=0, weights=weights))
        return np.asarray(values.mean(axis=(0, 1)))

    def _losses(self, skill: str) -> tuple[np.ndarray, np.ndarray]:
        loss = {"log_loss_skill": "log_loss", "brier_skill": "brier_score"}[skill]
        return self.by_window[loss], getattr(self, f"reference_{loss}")

    def _of_as_many(self) -> dict[str, np.ndarray]:
        """Return the mean average precision and gain over draws of as many, where anybody buys.

        `_by_buyer` are sums over windows and draws, by the number who buy; `_anybody` is the
        probability that anybody does, shape (k, n_cutoffs).
        """
        companies, rng = self.companies, np.random.default_rng(len(self.companies))
        c, m = companies.rate.shape[1], len(MODELS)
        values, sums, n_buyers = np.zeros((2, len(companies), c, m)), np.zeros((2, m)), 0.0
        self._anybody = -np.expm1(companies.size[:, None] * np.log1p(-companies.rate))
        for i, (n, rates) in enumerate(zip(companies.size.tolist(), companies.rate, strict=True)):
            draws = int(np.clip(MOST_DRAWN // n, 1, DRAWS))
            d = companies.distance[i]
            for t, rate in enumerate(rates):
                buys = rng.random((draws, n)) < rate
                buys = buys[buys.any(axis=1)]
                while not len(buys):  # somebody buys in one of many draws
                    buys = rng.random((DRAWS, n)) < rate
                    buys = buys[buys.any(axis=1)]
                z = rng.normal(size=buys.shape)
                for model in range(m):
                    score = z + d[model] * (buys - 0.5)
                    ranked = np.take_along_axis(buys, np.argsort(-score, axis=1), axis=1)
                    figures = np.stack(_of_ranked(ranked))
                    values[:, i, t, model] = figures.mean(axis=1)
                    by_buyer = (figures * buys.sum(axis=1)).mean(axis=1)
                    sums[:, model] += self._anybody[i, t] * by_buyer
                n_buyers += n * rate
        names = ("average_precision", "gain_at_10")
        self._by_buyer = dict(zip(names, sums / n_buyers, strict=True))
        return dict(zip(names, values, strict=True))

    def _intercepts(
        self, slope: np.ndarray | None = None, from_: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the a at which the mean of expit(a + slope logit p) is the rate, by Newton.

        `slope` is 1 or that of each model; `from_` are values next to a.
        """
        rate = self.companies.rate[:, :, None]
        a = np.zeros((*rate.shape[:2], len(MODELS))) if from_ is None else from_
        by_model = np.ones((1, 1)) if slope is None else slope[:, None]
        of_buyers, of_others = (by_model * said[:, None] for said in self._few)
        for _ in range(12 if from_ is None else 3):
            buyers, others = expit(a[..., None] + of_buyers), expit(a[..., None] + of_others)
            miss = rate * (1 - buyers @ FEW_WEIGHT) - (1 - rate) * (others @ FEW_WEIGHT)
            weight = rate * ((buyers * (1 - buyers)) @ FEW_WEIGHT)
            weight += (1 - rate) * ((others * (1 - others)) @ FEW_WEIGHT)
            a = a + np.clip(miss / weight, -1, 1)
        return np.asarray(a)

    def _slope_within(self) -> np.ndarray:
        """Return the slope of one regression with an intercept for each window, by secants."""
        size, rate = self.companies.size[:, None, None], self.companies.rate[:, :, None]
        of_buyers, of_others = (said[:, None] for said in self._few)
        a = self._intercepts()
        slopes, scores = [np.full(len(MODELS), 0.9), np.ones(len(MODELS))], []
        for i in range(8):
            slope = slopes[i]
            a = self._intercepts(slope, a)
            at = a[..., None]
            score = rate * ((of_buyers * expit(-at - slope[:, None] * of_buyers)) @ FEW_WEIGHT)
            score -= (1 - rate) * (
                (of_others * expit(at + slope[:, None] * of_others)) @ FEW_WEIGHT
            )
            scores.append((size * score).sum(axis=(0, 1)))
            if i:
                rise = (scores[i] - scores[i - 1]) / (slopes[i] - slopes[i - 1] + 1e-15)
                slopes.append(slopes[i] - scores[i] / np.where(rise == 0, -np.inf, rise))
        return slopes[-1]

    @cached_property
    def _few(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what models say of buyers and of others, at few scores; (k, n_models, n)."""
        return self.companies.logits(FEW_NODES)

    @cached_property
    def _said(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return, by model, how many buyers and others are told a logit next to each of `SAID`."""
        edges = np.append(SAID[:-1] + 1 / 128, np.inf)
        rate, size = self.companies.rate, self.companies.size[:, None]
        n = np.stack([(size * rate).sum(axis=1), (size * (1 - rate)).sum(axis=1)])
        centre = np.stack([said[..., 0] for said in self.companies.logits(np.zeros(1))])
        spread = np.maximum(self.companies.stretch * self.companies.distance, 1e-6)
        counted = []
        for m in range(len(MODELS)):
            below = np.zeros((2, len(edges)))
            for part in np.array_split(np.arange(len(self.companies)), 50):
                z = (edges - centre[:, part, m, None]) / spread[part, m, None]
                below += np.einsum("ck,cke->ce", n[:, part], ndtr(z))
            buyers, others = np.diff(below, axis=1, prepend=0)
            counted.append((buyers, others))
        return counted


_SCALES = {"roc_auc": logit, "observed_expected_ratio": np.log}
_WITH_TARGET = ("observed_expected_ratio", "calibration_slope", "calibration_intercept")
_CALIBRATION = ("calibration_slope", "calibration_intercept")


def _means(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return means over the counted windows of the companies that have any; (k', n_models)."""
    n = counted.sum(axis=1)
    sums = (values * counted[..., None]).sum(axis=1)
    return np.asarray(sums[n > 0] / n[n > 0, None])


def _of_ranked(buys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return average precision and gain at a tenth of customers in descending order of scores.

    Both of shape (n_draws,), of outcomes of shape (n_draws, n).
    """
    n = buys.shape[1]
    found = np.cumsum(buys, axis=1)
    precision = np.where(buys, found / np.arange(1, n + 1), 0).sum(axis=1) / found[:, -1]
    whole, part = divmod(n / 10, 1)
    before = found[:, int(whole) - 1] if whole else 0
    gain = (before + part * buys[:, int(whole)]) / found[:, -1]
    return precision, gain


def _of_rows(metric: str, buyers: np.ndarray, others: np.ndarray) -> float:
    """Return a figure of all customers, from how many were told each of `SAID`."""
    if metric == "roc_auc":
        below = np.cumsum(others) - others / 2
        return float((buyers * below).sum() / (buyers.sum() * others.sum()))
    if metric in _CALIBRATION:
        return _regression(buyers, others, with_slope=metric == "calibration_slope")
    buyers, both = buyers[::-1], (buyers + others)[::-1]
    found, reached = np.cumsum(buyers), np.cumsum(both)
    if metric == "gain_at_10":
        return float(np.interp(reached[-1] / 10, reached, found) / found[-1])
    precision = (found - buyers / 2) / np.maximum(reached - both / 2, 1e-300)
    return float((buyers * precision).sum() / found[-1])


def _regression(buyers: np.ndarray, others: np.ndarray, *, with_slope: bool) -> float:
    """Return the calibration slope, or the intercept where the slope is 1, by Newton."""
    a, b = 0.0, 1.0
    for _ in range(50):
        p = expit(a + b * SAID)
        miss, weight = buyers - (buyers + others) * p, (buyers + others) * p * (1 - p)
        if not with_slope:
            a += miss.sum() / weight.sum()
            continue
        x = np.stack([np.ones(len(SAID)), SAID])
        step = np.linalg.solve((x * weight) @ x.T, x @ miss)
        a, b = a + step[0], b + step[1]
    return b if with_slope else a
