"""Chance among customers in the metrics of the top tenth, against the truth of many samples.

    python -m benchmarks.top_tenth [--samples 4000]

Customers of one population are drawn again and again, with continuous scores and log-normal spend
or with tied scores and Pareto spend, and scored by the product's own code. Printed are, as a
Markdown table, the mean of the estimated variances over the true one, and how often Student's
interval with 15 degrees of freedom holds the figure of the population: of one model, and of the
difference of two.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import t

from scale_eval.metrics import METRICS, N_GROUPS, Scores
from scale_eval.metrics.compiled.scoring import score_compiled

NAMES = ("gain_at_10", "value_captured_at_10")
T = float(t.ppf(0.975, N_GROUPS - 1))
LEVEL = {0.03: -4.05, 0.2: -1.62}
"""The logit of a customer of mean score, by the rate of buyers."""

CASES = [
    *((n, rate, 1) for n in (100, 1_000, 5_000) for rate in LEVEL),
    (50, 0.2, 1),
    *((200, 0.03, windows) for windows in (1, 4)),
    *((300, 0.03, windows) for windows in (1, 4)),
]
"""Customers, rate of buyers, and half-years, of which the company's figure is the mean."""


class Chance(NamedTuple):
    """Figures of many samples, with their estimated variances; arrays of shape (n_samples, 4).

    The columns are gain, difference of gains, value captured and its difference; NaN where a sample
    has no sums of influence. `n_positive` has shape (n_samples,).
    """

    figures: np.ndarray
    variances: np.ndarray
    n_positive: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """Return the mean of the estimated variances over the true one; shape (4,)."""
        kept = np.isfinite(self.figures + self.variances).all(axis=1)
        return np.asarray(
            self.variances[kept].mean(axis=0) / self.figures[kept].var(axis=0, ddof=1)
        )

    def coverage(self, truth: np.ndarray) -> np.ndarray:
        """Return how often the interval holds the truth, where there is one; shape (4,)."""
        kept = np.isfinite(self.figures + self.variances).all(axis=1)
        missed = np.abs(self.figures - truth)[kept]
        return np.asarray((missed <= T * np.sqrt(self.variances[kept])).mean(axis=0))


def drawn(rng: np.random.Generator, n: int, rate: float, *, ties: bool) -> tuple[Scores, Scores]:
    """Draw customers of the population, as two models score them."""
    z = rng.normal(size=n)
    y = rng.random(n) < expit(LEVEL[rate] + z)
    spend = rng.pareto(1.6, n) + 1 if ties else rng.lognormal(0, 1.5, n) * np.exp(0.3 * z)
    spend = np.where(y, spend, 0)
    scores = (z + noise * rng.normal(size=n) for noise in (0.5, 1.0))
    one, other = (
        Scores(y, expit(LEVEL[rate] + 0.7 * (np.round(x) if ties else x)), spend) for x in scores
    )
    return one, other


def figures_of(models: tuple[Scores, Scores], groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the four figures, and the sums of influence on them, shape (4, N_GROUPS)."""
    (a, _, moved_a), (b, _, moved_b) = (score_compiled(scores, groups) for scores in models)
    figures, moved = np.full(4, np.nan), np.full((4, N_GROUPS), np.nan)
    m = np.array([models[0].n_positive])
    for i, name in enumerate(NAMES):
        value, other, sums, other_sums = a[name], b[name], moved_a[name], moved_b[name]
        if value is None or other is None or sums is None or other_sums is None:
            continue
        influence = METRICS[name].influence
        assert influence is not None
        factor = influence.small_sample_factor(lambda _: m)
        figures[2 * i : 2 * i + 2] = value, value - other
        moved[2 * i : 2 * i + 2] = factor * sums, factor * (sums - other_sums)
    return figures, moved


def truth_of(rate: float, *, ties: bool, n: int = 1_000_000) -> np.ndarray:
    """Return the figures of the population, from four times n customers; shape (4,)."""
    rng, groups = np.random.default_rng(99), np.arange(n) % N_GROUPS
    parts = [figures_of(drawn(rng, n, rate, ties=ties), groups)[0] for _ in range(4)]
    return np.asarray(np.mean(parts, axis=0))


def chance(n: int, rate: float, samples: int, *, ties: bool, windows: int = 1) -> Chance:
    """Draw samples of n customers at each of some half-years, and average over these."""
    rng = np.random.default_rng([n, windows])
    made, sums = np.zeros((samples, 4)), np.zeros((samples, 4, N_GROUPS))
    n_positive = np.zeros(samples)
    for sample in range(samples):
        for _ in range(windows):
            models = drawn(rng, n, rate, ties=ties)
            figures, moved = figures_of(models, rng.integers(0, N_GROUPS, n))
            made[sample] += figures / windows
            sums[sample] += moved / windows
            n_positive[sample] += models[0].n_positive
    variances = N_GROUPS / (N_GROUPS - 1) * np.square(sums).sum(axis=2)
    return Chance(made, variances, n_positive)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4_000)
    samples = parser.parse_args().samples
    print("| customers | half-years | buyers | scores | gain | difference | value | difference |")
    print("|---|---|---|---|---|---|---|---|")
    truths = {(rate, ties): truth_of(rate, ties=ties) for rate in LEVEL for ties in (False, True)}
    for n, rate, windows in CASES:
        for ties in (False, True):
            found = chance(n, rate, samples, ties=ties, windows=windows)
            both = zip(found.ratio, found.coverage(truths[rate, ties]), strict=True)
            cells = [f"{ratio:.2f}, {held:.3f}".replace("0.", ".") for ratio, held in both]
            kind = "tied" if ties else "continuous"
            size = f"{n:,} | {windows} | {found.n_positive.mean():.0f}"
            print(f"| {size} | {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
