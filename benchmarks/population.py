"""Simulated companies with known true effects, by which intervals are judged.

Sizes are log-normal, so that some companies are tiny, some have buyers only or none, and a few are
most of all customers. Customers who will buy have scores x ~ N(d/2, 1), others N(-d/2, 1): the AUC
of a company is Phi(d / sqrt(2)), its logit normal over companies and higher at larger ones. The
models say logit p = shift + stretch (logit rate + d x), each company with its own stretch, so that
the true slope is 1 / stretch, normal over companies, and its own shift, so that log O:E is; losses
are integrals over normal densities. The customers of a company are the same at both cutoffs, with
correlated luck and scores, and seen by both models, whose scores are correlated.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr, ndtri

from scale_eval.evaluation.schema import SCORES_SCHEMA, evaluations_schema
from scale_eval.metrics import METRICS, STANDARD_ERRORS, Scores, histogram
from scale_eval.metrics.compiled.scoring import score_compiled
from scale_eval.planning.plan import company_groups
from scale_eval.results.panel import Panel, parts_of
from scale_eval.results.pooled_histograms import PooledHistograms

CUTOFFS = pd.DatetimeIndex(["2020-01-01", "2020-07-01"], tz="UTC").as_unit("us")
MODELS = ("model_a", "model_b")
SAME_CUSTOMERS = 0.6
"""Correlation of a customer's luck, and of their scores, from cutoff to cutoff."""

SAME_SCORES = 0.8
"""Correlation of the two models' scores of a customer."""

LARGEST = 5_000

NODE, WEIGHT = np.polynomial.hermite_e.hermegauss(60)
WEIGHT = WEIGHT / WEIGHT.sum()
"""Quadrature weights of expectations over a standard normal."""


@dataclass(frozen=True)
class Population:
    """The distribution of companies; `sigma` is that of the logarithm of their sizes."""

    sigma: float = 1.4
    median_size: float = 109.0
    mean_ability: float = 0.9  # logit AUC of model_a
    tau: float = 0.25  # its standard deviation between companies
    tau_difference: float = 0.08  # of logit AUC of model_b less that of model_a


class Bank:
    """Many evaluated companies, of which samples are drawn as a run would hold them.

    Attributes
    ----------
    truth : DataFrame
        A row a company, and a column an (effect, model) with the true effect, a mean over cutoffs.
    """

    def __init__(self, evaluations: pa.Table, scores: pa.Table, truth: pd.DataFrame) -> None:
        self._evaluations, self._scores, self.truth = evaluations, scores, truth
        self._first_row = _starts(_number(evaluations["company_id"]), len(truth))
        self._first_score = _starts(scores["company_group"].to_numpy(), len(truth))

    def __len__(self) -> int:
        return len(self.truth)

    def sample(self, companies: np.ndarray) -> tuple[Panel, PooledHistograms]:
        """Return the panel and the scores of these companies, numbers in ascending order."""
        rows = self._evaluations.take(_slices(self._first_row, companies))
        scores = self._scores.take(_slices(self._first_score, companies))
        panel = Panel.of(parts_of(rows)).holding([*METRICS, *STANDARD_ERRORS])
        groups = company_groups(list(panel.company_ids))
        if len(companies) == len(self):  # all of them: the truth, each company apart
            groups = {company: i for i, company in enumerate(panel.company_ids)}
        by_number = np.zeros(len(self), dtype=np.int32)
        by_number[companies] = [groups[_name(i)] for i in companies.tolist()]
        regrouped = by_number[scores["company_group"].to_numpy()]
        at = scores.schema.get_field_index("company_group")
        scores = scores.set_column(at, SCORES_SCHEMA.field(at), pa.array(regrouped))
        return panel, PooledHistograms([scores], panel, groups)

    @cached_property
    def everything(self) -> tuple[Panel, PooledHistograms]:
        """Return panel and scores of the whole population, to which samples are compared."""
        return self.sample(np.arange(len(self)))


def make_bank(n_companies: int, population: Population, seed: int, n_processes: int = 2) -> Bank:
    """Evaluate `n_companies` companies drawn from the population."""
    shares = np.array_split(np.arange(n_companies), max(n_processes * 8, 1))
    tasks = [(share, population, seed) for share in shares if len(share)]
    if n_processes > 1:
        with ProcessPoolExecutor(n_processes) as processes:
            parts = list(processes.map(_evaluated, tasks))
    else:
        parts = list(map(_evaluated, tasks))
    evaluations, scores, truth = zip(*parts, strict=True)
    return Bank(pa.concat_tables(evaluations), pa.concat_tables(scores), pd.concat(truth))


@dataclass(frozen=True)
class Company:
    """The true parameters of a company; the arrays have one value a model."""

    number: int
    n: int
    rate: np.ndarray  # by cutoff
    distance: np.ndarray
    shift: np.ndarray
    stretch: np.ndarray

    @classmethod
    def drawn(cls, number: int, population: Population, seed: int) -> Company:
        rng = np.random.default_rng([seed, number])
        z = rng.normal()
        n = int(np.clip(np.exp(np.log(population.median_size) + population.sigma * z), 2, LARGEST))
        ability = population.mean_ability + population.tau * (0.3 * z + 0.954 * rng.normal())
        abilities = np.array([ability, ability - 0.1 + population.tau_difference * rng.normal()])
        company = cls(
            number,
            n,
            rate=expit(rng.normal(-1.6, 0.7) + np.array([0.0, 0.15])),
            distance=np.sqrt(2) * ndtri(expit(abilities)),
            shift=np.zeros(2),
            stretch=1 / rng.normal([1.1, 0.9], 0.1),
        )
        return replace(company, shift=company.shifts(rng.normal([-0.05, 0.05], 0.15)))

    def shifts(self, log_observed_expected: np.ndarray) -> np.ndarray:
        """Return each model's shift that gives it this log O:E, a mean over cutoffs."""
        possible = 0.7 * float(np.log(self.rate).mean())  # no expectation is above 1
        return np.array(
            [
                brentq(lambda shift, m=m, to=wanted: self.log_ratio(m, shift) - to, -30, 30)
                for m, wanted in enumerate(np.maximum(log_observed_expected, possible).tolist())
            ]
        )

    def log_ratio(self, model: int, shift: float) -> float:
        """Return the expected log O:E with a shift of the model."""
        p1, p0 = (
            expit(shift + self.logits(NODE + sign * self.distance[model] / 2, model)) @ WEIGHT
            for sign in (1, -1)
        )
        return float(np.log(self.rate / (self.rate * p1 + (1 - self.rate) * p0)).mean())

    def logits(self, x: np.ndarray, model: int) -> np.ndarray:
        """Return the logits that the model predicts for scores x."""
        known = logit(self.rate[0]) + self.distance[model] * x
        return np.asarray(self.shift[model] + self.stretch[model] * known)

    def customers(self, seed: int, draw: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Draw outcomes, (n_cutoffs, n), and probabilities, (n_cutoffs, n_models, n)."""
        rng = np.random.default_rng([seed, self.number, 1 + draw])
        c, n = len(self.rate), self.n

        def shared(share: float, *shape: int) -> np.ndarray:
            own = rng.normal(size=shape)
            return np.sqrt(share) * rng.normal(size=(1, *shape[1:])) + np.sqrt(1 - share) * own

        outcomes = shared(SAME_CUSTOMERS, c, n) < ndtri(self.rate)[:, np.newaxis]
        common, own = shared(SAME_CUSTOMERS, c, n), shared(SAME_CUSTOMERS, c, 2, n)
        noise = np.sqrt(SAME_SCORES) * common[:, np.newaxis] + np.sqrt(1 - SAME_SCORES) * own
        x = noise + self.distance[:, np.newaxis] * (outcomes[:, np.newaxis] - 0.5)
        probabilities = [expit(self.logits(x[:, model], model)) for model in range(len(MODELS))]
        return outcomes, np.stack(probabilities, axis=1)

    def truth(self) -> dict[str, float]:
        """Return, by "effect model", the logit AUC, slope, log O:E, and the expected losses."""
        truth: dict[str, float] = {}
        for model, name in enumerate(MODELS):
            p1, p0 = (
                expit(self.logits(NODE + sign * self.distance[model] / 2, model))
                for sign in (1, -1)
            )
            rate = self.rate[:, np.newaxis]
            truth |= {
                f"roc_auc {name}": float(logit(ndtr(self.distance[model] / np.sqrt(2)))),
                f"calibration_slope {name}": 1 / float(self.stretch[model]),
                f"observed_expected_ratio {name}": self.log_ratio(model, 0.0),
                f"log_loss {name}": float(
                    ((-rate * np.log(p1) - (1 - rate) * np.log1p(-p0)) @ WEIGHT).mean()
                ),
                f"brier_score {name}": float(
                    ((rate * (1 - p1) ** 2 + (1 - rate) * p0**2) @ WEIGHT).mean()
                ),
            }
        return truth

    def evaluations(self, seed: int, draw: int = 0) -> list[tuple[dict[str, Any], pa.Table]]:
        """Return rows of the table evaluations, each with its part of the table scores."""
        outcomes, probabilities = self.customers(seed, draw)
        groups = np.random.default_rng([seed, self.number, 0]).integers(0, 16, self.n)
        reference = float(np.clip(self.rate[0], 0.01, 0.99))
        rows = []
        for t, cutoff in enumerate(CUTOFFS):
            for model, name in enumerate(MODELS):
                scores = Scores(outcomes[t], probabilities[t, model], 10.0 * outcomes[t], reference)
                values, undefined, sums = score_compiled(scores, groups)
                row = {
                    "company_id": _name(self.number),
                    "cutoff": cutoff,
                    "model": name,
                    "status": "ok",
                    "undefined": ";".join(f"{m}:{why}" for m, why in sorted(undefined.items())),
                    "overlaps": False,
                    "attempts": 1,
                    "n_customers": self.n,
                    "n_positive": scores.n_positive,
                    "n_lapsed": 0,
                    "observed_rate": scores.n_positive / self.n,
                    "mean_prediction": float(scores.probabilities.mean()),
                    "future_spend": 10.0 * scores.n_positive,
                    "reference_log_loss": scores.reference_log_loss,
                    "reference_brier_score": scores.reference_brier_score,
                    "known_rate": reference,
                    "recalibrated_log_loss": scores.recalibrated_log_loss,
                    "n_distinct": len(scores.block_rows),
                    **values,
                    **{f"{metric}_influence": moved for metric, moved in sums.items()},
                }
                kept = histogram(scores)
                n_bins = len(kept.bin)
                columns = {
                    "model": [name] * n_bins,
                    "cutoff": [cutoff] * n_bins,
                    "company_group": np.full(n_bins, self.number),
                    "answered_by": [";".join(sorted(MODELS))] * n_bins,
                    "bin": kept.bin,
                    "n_positive": kept.n_positive,
                    "n_negative": kept.n_negative,
                    "spend_minor": kept.spend_minor,
                }
                rows.append((row, pa.table(columns).cast(SCORES_SCHEMA)))
        return rows


def _evaluated(
    task: tuple[np.ndarray, Population, int],
) -> tuple[pa.Table, pa.Table, pd.DataFrame]:
    numbers, population, seed = task
    companies = [Company.drawn(i, population, seed) for i in numbers.tolist()]
    rows, scores = zip(*(e for c in companies for e in c.evaluations(seed)), strict=True)
    return (
        pa.Table.from_pylist(list(rows), schema=evaluations_schema()),
        pa.concat_tables(scores),
        pd.DataFrame([c.truth() for c in companies], index=numbers),
    )


def _name(number: int) -> str:
    return f"company-{number:06}"


def _number(company_ids: pa.ChunkedArray) -> np.ndarray:
    return np.array([int(c[-6:]) for c in company_ids.to_pylist()])


def _starts(company: np.ndarray, n_companies: int) -> np.ndarray:
    return np.searchsorted(company, np.arange(n_companies + 1))


def _slices(starts: np.ndarray, companies: np.ndarray) -> np.ndarray:
    return np.concatenate([np.arange(starts[i], starts[i + 1]) for i in companies.tolist()])
