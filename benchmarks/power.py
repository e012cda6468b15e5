"""How often the stated number of companies settles a comparison of two models.

    python -m benchmarks.power [--pilots 100] [--processes 2]

Differences of companies are drawn around a true difference that owes nothing to the estimator:
normal, skewed (exponential; log-normal) and heavy-tailed (Student's t with 3 degrees of freedom),
with a standard deviation of 1. Pilots of n companies that do not settle the comparison are kept.
Each says how many companies settle it with a given probability; as many are drawn, and the share of
pilots whose comparison is then settled should be that probability. `any` draws the true difference
anew for each pilot, as likely inside the margin as outside: there the shares must agree. At a fixed
truth they cannot, because the pilot does not know which one it is.

Beside ours: other companies alone, without the pilot's (`ours, other companies`); a flat prior of
the true difference; and the estimate taken for the truth, as textbooks do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr, stdtrit

from benchmarks.machine import keep
from scale_eval.statistics.power import companies_to_settle, settled

Draw = Callable[[np.random.Generator, int], np.ndarray]

DIFFERENCES: dict[str, Draw] = {
    "normal": lambda rng, k: rng.normal(size=k),
    "skewed": lambda rng, k: rng.exponential(size=k) - 1,
    "heavy-tailed": lambda rng, k: rng.standard_t(3, size=k) / np.sqrt(3),
    "log-normal": lambda rng, k: (
        (np.exp(rng.normal(size=k)) - np.exp(0.5)) / np.sqrt(np.e * (np.e - 1))
    ),
}
"""Distributions of the companies' differences, with mean 0 and standard deviation 1."""

ANY = "any"
TRUTHS: tuple[float | str, ...] = (ANY, 0.0, 0.5, 1.0, 2.0)
"""True differences in margins."""

PROBABILITIES = (0.5, 0.8, 0.95)
OURS, OTHERS = "ours", "ours, other companies"
FLAT, PLUG_IN = "flat prior", "estimate as truth"
MOST_TRIES = 40
"""Pilots drawn for each that is wanted: most settle a comparison whose margin is wide."""


@dataclass(frozen=True)
class Case:
    """A kind of companies and a truth; `margin` in standard deviations of one company."""

    kind: str
    truth: float | str
    n: int
    margin: float

    def pilots(self, n_pilots: int) -> Iterator[tuple[float, np.ndarray, np.random.Generator]]:
        """Yield the true difference and the companies of each pilot that settles nothing."""
        truth = 99 if isinstance(self.truth, str) else int(10 * self.truth)
        kind = list(DIFFERENCES).index(self.kind)
        rng = np.random.default_rng([kind, truth, self.n, int(1_000 * self.margin)])
        found = 0
        for _ in range(MOST_TRIES * n_pilots):
            margins = rng.standard_cauchy() if isinstance(self.truth, str) else self.truth
            true = self.margin * margins
            values = true + DIFFERENCES[self.kind](rng, self.n)
            if not is_settled(values, self.margin):
                yield true, values, rng
                found += 1
            if found == n_pilots:
                return


def is_settled(values: np.ndarray, margin: float) -> bool:
    """Return whether the companies with these differences settle the comparison."""
    return settled(*_estimate(values), len(values) - 1, margin)


def flat_prior(
    difference: float, std_error: float, n: int, margin: float, probability: float
) -> float:
    """Return the number of companies where every true difference was as likely as any other."""
    ratio = np.sqrt((n - 1) / chdtri(n - 1, (np.arange(32) + 0.5) / 32))
    sigma, mean = ratio * std_error * np.sqrt(n), abs(difference)

    def missing(log_n: float) -> float:
        n_companies = np.exp(log_n)
        error, chance = sigma / np.sqrt(n_companies), sigma * np.sqrt(1 / n - 1 / n_companies)
        beyond = stdtrit(n_companies - 1, 0.975) * error
        within = np.maximum(margin - stdtrit(n_companies - 1, 0.95) * error, 0)
        shown = ndtr((mean - beyond) / chance) + ndtr((-beyond - mean) / chance)
        shown += ndtr((within - mean) / chance) - ndtr((-within - mean) / chance)
        return probability - float(np.where(within >= beyond, 1, shown).mean())

    low = np.log(n * 1.001)
    return n + 1 if missing(low) <= 0 else float(np.ceil(np.exp(brentq(missing, low, 30))))


def estimate_as_truth(
    difference: float, std_error: float, n: int, margin: float, _: float
) -> float:
    """Return the number of companies that narrows the interval to what the estimate asks for."""
    half = float(stdtrit(n - 1, 0.975)) * std_error
    wanted = max(abs(difference), margin - abs(difference))
    return float(max(np.ceil(n * (half / wanted) ** 2), n + 1))


def judge(task: tuple[Case, int]) -> list[dict[str, Any]]:
    """Return a row for each method and probability: the share of pilots that is settled."""
    case, n_pilots = task
    draw = DIFFERENCES[case.kind]
    right: dict[tuple[str, float], list[tuple[float, bool]]] = {}
    for true, values, rng in case.pilots(n_pilots):
        pilot = (*_estimate(values), case.n, case.margin)
        needed = {(OURS, p): companies_to_settle(*pilot, p) for p in PROBABILITIES}
        needed[OTHERS, 0.8] = companies_to_settle(*pilot, 0.8, among_them=False)
        needed |= {(FLAT, p): flat_prior(*pilot, p) for p in PROBABILITIES}
        needed[PLUG_IN, 0.8] = estimate_as_truth(*pilot, 0.8)
        others = true + draw(rng, int(max(needed.values())))
        for (method, probability), n in needed.items():
            added = others[: int(n)] if method == OTHERS else others[: int(n) - case.n]
            seen = added if method == OTHERS else np.concatenate([values, added])
            shown = is_settled(seen, case.margin)
            right.setdefault((method, probability), []).append((n, shown))
    return [
        {
            "differences": case.kind,
            "truth": case.truth,
            "n": case.n,
            "margin": case.margin,
            "method": method,
            "probability": probability,
            "settled": float(np.mean([shown for _, shown in of])),
            "companies": float(np.median([n for n, _ in of])),
            "pilots": len(of),
        }
        for (method, probability), of in right.items()
    ]


def measure(
    n_pilots: int,
    *,
    kinds: tuple[str, ...] = tuple(DIFFERENCES),
    truths: tuple[float | str, ...] = TRUTHS,
    sizes: tuple[int, ...] = (10, 30, 100),
    margins: tuple[float, ...] = (0.05, 0.1, 0.2),
    n_processes: int = 2,
) -> pd.DataFrame:
    """Measure how often the stated numbers settle a comparison.

    Returns
    -------
    DataFrame
        Columns `differences`, `truth` (in margins), `n` companies of the pilot, `margin` (in
        standard deviations of one company), `method`, `probability` (stated), `settled` (share of
        pilots), `companies` (median of the stated numbers), `pilots`.
    """
    tasks = [
        (Case(kind, truth, n, margin), n_pilots)
        for kind in kinds
        for truth in truths
        for n in sizes
        for margin in margins
    ]
    if n_processes > 1:
        with multiprocessing.get_context("fork").Pool(n_processes) as pool:
            rows = pool.map(judge, tasks, chunksize=1)
    else:
        rows = list(map(judge, tasks))
    return pd.DataFrame([row for of_case in rows for row in of_case])


def show(table: pd.DataFrame, by: list[str]) -> str:
    """Return the shares of pilots whose comparison is settled, by method; means over the rest."""
    wide = table.pivot_table(
        index=by, columns=["method", "probability"], values="settled", sort=False
    )
    return str(wide.to_string(float_format="%.2f"))


def _estimate(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1)) / np.sqrt(len(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pilots", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    began = time.perf_counter()
    table = measure(arguments.pilots, n_processes=arguments.processes)
    figures = {
        "asked": vars(arguments),
        "seconds": time.perf_counter() - began,
        "settled": table.to_dict("list"),
    }
    kept = keep("power", figures)
    print(show(table, ["differences", "truth"]))
    print(show(table[table["truth"] == ANY], ["differences", "n"]))
    print(kept.name)


if __name__ == "__main__":
    main()
