"""Runs whose truth is planted: outcomes drawn at known rates, and models whose errors are known.

Windows are scored by the product's own scoring and reduced as a run is, so that figures and
sentences can be held against what was planted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.evaluation.schema import SCORES_SCHEMA, evaluations_schema
from scale_eval.metrics import N_GROUPS, ScoreHistogram, Scores, histogram
from scale_eval.metrics.compiled.scoring import score_compiled
from scale_eval.planning.plan import company_groups
from scale_eval.report.company_values import CompanyValues
from scale_eval.report.findings import Findings
from scale_eval.results.reduce import reduce_tables

CUTOFF = pd.Timestamp("2020-01-01", tz="UTC")


@dataclass(frozen=True)
class Planted:
    """One company at one cutoff: what its customers did, and what each model had said.

    Attributes
    ----------
    company : str
    outcomes : ndarray of bool, shape (n_customers,)
    probabilities : dict of ndarray, shape (n_customers,)
        By model. `base_rate` is added: it says `known_rate` of everybody.
    known_rate : float
        The rate known at the cutoff.
    cutoff : Timestamp
    customers : ndarray of int, shape (n_customers,), optional
        Who they are, where several windows have the same customers; 0, 1, ... by default.
    spend : ndarray, shape (n_customers,), optional
        What each spent afterwards; 10 for each buyer by default.
    """

    company: str
    outcomes: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    known_rate: float
    cutoff: pd.Timestamp = CUTOFF
    customers: np.ndarray | None = None
    spend: np.ndarray | None = None

    def evaluations(self, models: Iterable[str]) -> Iterator[tuple[dict[str, Any], ScoreHistogram]]:
        """Yield a row of the table evaluations, and the scores, of each of these models."""
        n = len(self.outcomes)
        customers = np.arange(n) if self.customers is None else self.customers
        seed = abs(int.from_bytes(self.company.encode()[-6:], "little"))
        groups = np.random.default_rng(seed).integers(
            0, N_GROUPS, int(customers.max(initial=0)) + 1
        )
        spend = 10.0 * self.outcomes if self.spend is None else self.spend
        said = {"base_rate": np.full(n, self.known_rate), **self.probabilities}
        for model in (model for model in said if model in models):
            scores = Scores(self.outcomes, said[model], spend, self.known_rate)
            values, undefined, sums = score_compiled(scores, groups[customers])
            row = {
                "company_id": self.company,
                "cutoff": self.cutoff,
                "horizon_end": self.cutoff + pd.DateOffset(months=6),
                "model": model,
                "status": "ok",
                "reason": "",
                "undefined": ";".join(f"{m}:{why}" for m, why in sorted(undefined.items())),
                "overlaps": False,
                "attempts": 1,
                "n_customers": n,
                "n_positive": scores.n_positive,
                "n_lapsed": 0,
                "observed_rate": scores.n_positive / n,
                "mean_prediction": float(scores.probabilities.mean()),
                "future_spend": float(spend.sum()),
                "reference_log_loss": scores.reference_log_loss,
                "reference_brier_score": scores.reference_brier_score,
                "known_rate": self.known_rate,
                "recalibrated_log_loss": scores.recalibrated_log_loss,
                "n_distinct": len(scores.block_rows),
                **values,
                **{f"{metric}_influence": moved for metric, moved in sums.items()},
            }
            yield row, histogram(scores)


def evaluated(
    windows: Iterable[Planted], models: Iterable[str], groups: Mapping[str, int]
) -> tuple[pa.Table, pa.Table]:
    """Return the tables evaluations and scores of these models; `groups` are of companies."""
    made = [
        (row, kept, groups[window.company])
        for window in windows
        for row, kept in window.evaluations(models)
    ]
    repeats = [len(kept.bin) for _, kept, _ in made]
    columns = {
        "model": np.repeat([row["model"] for row, _, _ in made], repeats),
        "cutoff": pa.array(
            np.repeat([row["cutoff"].value for row, _, _ in made], repeats) // 1_000
        ).cast(pa.timestamp("us", "UTC")),
        "company_group": np.repeat([group for _, _, group in made], repeats),
        "answered_by": np.repeat([";".join(sorted(models))] * len(made), repeats),
        **{
            name: np.concatenate([getattr(kept, name) for _, kept, _ in made])
            for name in ("bin", "n_positive", "n_negative", "spend_minor")
        },
        "score": pa.nulls(sum(repeats), pa.float64()),
    }
    evaluations = pa.Table.from_pylist([row for row, _, _ in made], schema=evaluations_schema())
    return evaluations, pa.table(columns).cast(SCORES_SCHEMA)


def planted_tables(
    windows: Iterable[Planted], margins: Mapping[str, float] | None = None
) -> dict[str, pa.Table]:
    """Reduce planted windows as a run is; the tables by name, `evaluations` among them."""
    windows = list(windows)
    models = {"base_rate", *(model for window in windows for model in window.probabilities)}
    groups = company_groups(sorted({window.company for window in windows}))
    evaluations, scores = evaluated(windows, models, groups)
    reduced = reduce_tables(evaluations, scores, [], groups, margins)
    return {**reduced, "evaluations": evaluations}


def companies_in(table: pa.Table) -> CompanyValues:
    """Return the figures of companies in a table `companies` that is in memory."""
    common = table.filter(pc.equal(table["coverage"], "common"))

    def read(metric: str, columns: Sequence[str]) -> pa.Table:
        rows = common.filter(pc.equal(common["metric"], metric))
        model = rows["model"].combine_chunks().dictionary_encode()
        return rows.set_column(rows.column_names.index("model"), "model", model).select(columns)

    return CompanyValues(read)


def planted_findings(
    windows: Iterable[Planted], margins: Mapping[str, float] | None = None
) -> Findings:
    """Return the findings on planted windows, from which verdicts and reports are written."""
    made = planted_tables(windows, margins)
    tables = {name: of.to_pandas() for name, of in made.items() if name != "companies"}
    evaluations = tables.pop("evaluations")
    statuses = evaluations.groupby(["model", "status", "reason", "overlaps"]).size()
    return Findings(
        **tables,
        statuses=statuses.rename("n").reset_index(),
        document={"settings": {"horizon": "6 months"}},
        _companies=companies_in(made["companies"]),
        _evaluations=made["evaluations"],
    )


def like_companies(
    n_companies: int,
    n_customers: int,
    rate: float,
    errors: Mapping[str, float],
    *,
    seed: int = 1,
    spread: float = 0.0,
) -> list[Planted]:
    """Draw companies alike: customers buy with a probability known to the model `truth` alone.

    Parameters
    ----------
    errors : dict
        By model, the factor by which it multiplies the odds of every customer's true probability.
    spread : float
        Standard deviation of the logits of customers' true probabilities.
    """
    rng = np.random.default_rng(seed)
    windows = []
    for i in range(n_companies):
        logits = np.log(rate / (1 - rate)) + spread * rng.normal(size=n_customers)
        truth = 1 / (1 + np.exp(-logits))
        said = {
            model: np.exp(np.log(factor) + logits) / (1 + np.exp(np.log(factor) + logits))
            for model, factor in errors.items()
        }
        outcomes = rng.random(n_customers) < truth
        windows.append(Planted(f"company-{i:06}", outcomes, said, rate))
    return windows
