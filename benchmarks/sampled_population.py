"""A population of evaluated companies that is large enough to draw samples of 1,000 from.

Companies of log-normal or Pareto sizes are evaluated for two models by drawing whole histograms of
scores: what a model ranks and how well it is calibrated differ by company, ability rises with size,
and rates go with how often customers come back, of which the manifest knows a little.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit, logit, ndtr, ndtri

from benchmarks.population import LogNormal, Pareto
from scale_eval.evaluation.schema import SCORES_SCHEMA, evaluations_schema
from scale_eval.metrics import METRICS, N_GROUPS, STANDARD_ERRORS, bin_of, mid_logit
from scale_eval.planning.plan import company_groups
from scale_eval.results.panel import Panel
from scale_eval.results.panel_columns import parts_of
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.statistics import logistic_many

MODELS = ("model_a", "model_b")
CUTOFF = pd.Timestamp("2024-01-01", tz="UTC").as_unit("us")
SIZES, LEAST = LogNormal(110.0, 1.39), 10
SPEND = LogNormal(20.0, 1.0)
"""What a buyer spends, on average, at each company; no manifest knows it."""

N_SCORES = 40
SCORES = np.linspace(-5.5, 3.5, N_SCORES)
"""Logits that a model can predict, in ascending order."""

PER_PART = 5_000
"""Companies that are evaluated at once."""


class Population(NamedTuple):
    """The evaluated companies; rows of the tables are grouped by company, in ascending order."""

    manifest: pa.Table
    evaluations: pa.Table
    scores: pa.Table
    first_score: np.ndarray  # of each company in `scores`, and their number

    def of(self, companies: np.ndarray) -> tuple[Panel, PooledHistograms]:
        """Return panel and scores of these companies, numbers in ascending order."""
        rows = (companies[:, np.newaxis] * len(MODELS) + np.arange(len(MODELS))).reshape(-1)
        evaluations = self.evaluations.take(pa.array(rows))
        panel = Panel.of(parts_of(evaluations)).holding([*METRICS, *STANDARD_ERRORS])
        if len(companies) == len(self.manifest):  # each a group of its own: it is the truth
            groups = {company: i for i, company in enumerate(panel.company_ids)}
            scores = self.scores
        else:
            groups = company_groups(list(panel.company_ids))
            low, high = self.first_score[companies], self.first_score[companies + 1]
            taken = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
            number = np.repeat(np.arange(len(companies)), high - low)
            of_number = np.array([groups[c] for c in panel.company_ids])
            at = SCORES_SCHEMA.get_field_index("company_group")
            group = pa.array(of_number[number].astype(np.int32))
            scores = self.scores.take(pa.array(taken)).set_column(
                at, SCORES_SCHEMA.field(at), group
            )
        return panel, PooledHistograms([scores], panel, groups)


def make_population(
    n_companies: int,
    seed: int = 1,
    sizes: LogNormal | Pareto = SIZES,
    spend: LogNormal | Pareto = SPEND,
) -> Population:
    """Draw and evaluate the companies of a population."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n_companies)
    size = np.maximum(LEAST, sizes.quantile(ndtr(z))).astype(np.int64)
    coming_back = rng.normal(size=n_companies)
    rate = expit(-1.6 + 0.6 * coming_back + 0.4 * rng.normal(size=n_companies) - 0.1 * z)
    years = np.exp(rng.normal(1.2, 0.6, n_companies))
    known = coming_back + 0.8 * rng.normal(size=n_companies)  # by the manifest, with noise
    n_rows = np.ceil(size * (1 + np.exp(0.4 * known) * years)).astype(np.int64)
    last = pd.Timestamp("2024-07-01", tz="UTC").value // 1_000
    ids = [f"company-{i:06}" for i in range(n_companies)]
    manifest = pa.table(
        {
            "company_id": ids,
            "n_customers": size,
            "n_rows": n_rows,
            "first_timestamp": last - (years * 365.25 * 86_400e6).astype(np.int64),
            "last_timestamp": np.full(n_companies, last),
        }
    )
    evaluations, scores = [], []
    for start in range(0, n_companies, PER_PART):
        part = slice(start, min(start + PER_PART, n_companies))
        evaluated = _evaluated(rng, start, ids[part], size[part], rate[part], z[part], spend)
        evaluations.append(evaluated[0])
        scores.append(evaluated[1])
    of_all = pa.concat_tables(scores).combine_chunks()
    of_company = of_all["company_group"].to_numpy()
    first = np.searchsorted(of_company, np.arange(n_companies + 1))
    return Population(manifest, pa.concat_tables(evaluations).combine_chunks(), of_all, first)


def _evaluated(
    rng: np.random.Generator,
    start: int,
    ids: list[str],
    size: np.ndarray,
    rate: np.ndarray,
    z: np.ndarray,
    spends: LogNormal | Pareto,
) -> tuple[pa.Table, pa.Table]:
    """Return rows of the tables `evaluations` and `scores`, by company and then model."""
    k, m = len(ids), len(MODELS)
    positive = rng.binomial(size, rate)
    ability = 0.9 + 0.25 * (0.4 * z + 0.917 * rng.normal(size=k))
    abilities = ability[:, None] + np.array([0.0, -0.1]) + [0, 0.08] * rng.normal(size=(k, m))
    distance = np.sqrt(2) * ndtri(expit(abilities))
    stretch = 1 / np.maximum(rng.normal([1.1, 0.9], 0.12, (k, m)), 0.4)
    shift = rng.normal([-0.05, 0.05], 0.2, (k, m))
    spend_mean = spends.quantile(ndtr(rng.normal(size=k)))
    counts = np.zeros((2, k, m, N_SCORES), dtype=np.int64)
    edges = np.append((SCORES[:-1] + SCORES[1:]) / 2, np.inf)
    # logit p = shift + stretch (logit rate + d x), x ~ N(+-d / 2, 1): where p falls between edges
    x = ((edges - shift[..., None]) / stretch[..., None] - logit(rate)[:, None, None]) / (
        np.maximum(distance, 0.05)[..., None]
    )
    for of_class, n in ((1, positive), (0, size - positive)):
        below = ndtr(x - (of_class - 0.5) * distance[..., None])
        shares = np.diff(below, axis=-1, prepend=0)
        shares = np.clip(shares, 0, None) / shares.sum(axis=-1, keepdims=True)
        counts[of_class] = rng.multinomial(np.repeat(n[:, None], m, axis=1), shares)
    rows = {
        name: values.reshape(k * m)
        for name, values in _figures(counts, size, positive, rate).items()
    }
    spend = (100 * spend_mean[:, None, None] * counts[1]).astype(np.int64)
    share = np.linspace(0.5, 1.5, N_SCORES)  # who is likelier to buy spends more
    spend = (spend * share).astype(np.int64)
    rows["value_captured_at_10"] = _captured(spend, counts.sum(axis=0)).reshape(-1)
    rows["future_spend"] = spend.sum(axis=-1).reshape(-1) / 100.0
    n_rows = k * m
    columns: dict[str, Any] = {
        "company_id": np.repeat(np.array(ids, dtype=object), m),
        "cutoff": pa.array([CUTOFF] * n_rows, pa.timestamp("us", "UTC")),
        "model": np.tile(np.array(MODELS, dtype=object), k),
        "status": np.full(n_rows, "ok"),
        "undefined": np.full(n_rows, ""),
        "overlaps": np.zeros(n_rows, dtype=bool),
        "attempts": np.ones(n_rows, dtype=np.int32),
        "n_customers": np.repeat(size, m),
        "n_positive": np.repeat(positive, m),
        "n_lapsed": np.zeros(n_rows, dtype=np.int64),
        **{name: pa.array(values, from_pandas=True) for name, values in rows.items()},
    }
    together = rng.normal(size=(k, 1, N_GROUPS))
    noise = 0.8 * together + 0.6 * rng.normal(size=(k, m, N_GROUPS))
    for name in (
        "log_loss",
        "brier_score",
        "roc_auc",
        "log_observed_expected",
        "calibration_slope",
    ):
        error = rows[f"{name}_se"]
        sums = noise.reshape(n_rows, N_GROUPS) * (error / np.sqrt(N_GROUPS))[:, None]
        columns[f"{name}_influence"] = pa.FixedSizeListArray.from_arrays(
            pa.array(sums.astype(np.float32).reshape(-1)),
            N_GROUPS,
            mask=pa.array(~np.isfinite(error)),
        )
    schema = evaluations_schema()
    table = {
        name: columns[name] if name in columns else pa.nulls(n_rows, schema.field(name).type)
        for name in schema.names
    }
    return pa.table(table).cast(schema), _scores(counts, spend, start)


def _scores(counts: np.ndarray, spend: np.ndarray, start: int) -> pa.Table:
    company, model, at = np.nonzero(counts.sum(axis=0))
    return pa.table(
        {
            "model": pa.DictionaryArray.from_arrays(pa.array(model), list(MODELS)).cast(
                pa.string()
            ),
            "cutoff": pa.array([CUTOFF] * len(at), pa.timestamp("us", "UTC")),
            "company_group": start + company,
            "answered_by": pa.array([";".join(sorted(MODELS))] * len(at)),
            "bin": bin_of(expit(SCORES))[at],
            "n_positive": counts[1][company, model, at],
            "n_negative": counts[0][company, model, at],
            "spend_minor": spend[company, model, at],
            "score": pa.nulls(len(at), pa.float64()),
        }
    ).cast(SCORES_SCHEMA)


def _figures(
    counts: np.ndarray, size: np.ndarray, positive: np.ndarray, rate: np.ndarray
) -> dict[str, np.ndarray]:
    """Return metrics and standard errors from histograms; each of shape (k, n_models)."""
    negatives, positives = counts
    p = expit(mid_logit(bin_of(expit(SCORES))))
    n, n_positive = size[:, None], np.repeat(positive[:, None], len(MODELS), axis=1)
    n_negative = n - n_positive
    figures: dict[str, np.ndarray] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, of_positive, of_negative in (
            ("log_loss", -np.log(p), -np.log1p(-p)),
            ("brier_score", np.square(1 - p), np.square(p)),
        ):
            first = (positives @ of_positive + negatives @ of_negative) / n
            second = (positives @ of_positive**2 + negatives @ of_negative**2) / n
            figures[name] = first
            figures[f"{name}_se"] = np.sqrt(np.maximum(second - first**2, 1e-12) / (n - 1))
        q = np.clip(rate, 0.01, 0.99)[:, None]
        figures["reference_log_loss"] = -(n_positive * np.log(q) + n_negative * np.log1p(-q)) / n
        figures["reference_brier_score"] = (n_positive * (1 - q) ** 2 + n_negative * q**2) / n
        figures["known_rate"] = q + np.zeros_like(figures["reference_log_loss"])
        figures["log_loss_skill"] = 1 - figures["log_loss"] / figures["reference_log_loss"]
        figures["brier_skill"] = 1 - figures["brier_score"] / figures["reference_brier_score"]
        below = np.cumsum(negatives, axis=-1) - negatives / 2
        above = np.cumsum(positives[..., ::-1], axis=-1)[..., ::-1] - positives / 2
        auc = (positives * below).sum(axis=-1) / (n_positive * n_negative)
        v10, v01 = below / n_negative[..., None], above / n_positive[..., None]
        s10 = (positives * np.square(v10 - auc[..., None])).sum(axis=-1) / (n_positive - 1)
        s01 = (negatives * np.square(v01 - auc[..., None])).sum(axis=-1) / (n_negative - 1)
        figures["roc_auc"] = auc
        figures["roc_auc_se"] = np.sqrt(s10 / n_positive + s01 / n_negative)
        expected = (positives + negatives) @ p
        figures["mean_prediction"] = expected / n
        figures["observed_expected_ratio"] = n_positive / expected
        variance = n_positive - 2 * n_positive / expected * (positives @ p)
        variance += np.square(n_positive / expected) * ((positives + negatives) @ p**2)
        figures["log_observed_expected_se"] = np.sqrt(variance) / n_positive
        held = np.cumsum(positives[..., ::-1], axis=-1)
        ranked = np.cumsum((positives + negatives)[..., ::-1], axis=-1)
        precision = held / np.maximum(ranked, 1)
        figures["average_precision"] = (positives[..., ::-1] * precision).sum(axis=-1) / n_positive
        figures["gain_at_10"] = _captured(positives, positives + negatives)
        figures["lift_at_10"] = 10 * figures["gain_at_10"]
        flat = positives.reshape(-1, N_SCORES), negatives.reshape(-1, N_SCORES)
        logits = mid_logit(bin_of(expit(SCORES)))
        figures["calibration_slope"] = logistic_many.slopes(logits, *flat).reshape(n_positive.shape)
        figures["calibration_intercept"] = logistic_many.intercepts(logits, *flat).reshape(
            n_positive.shape
        )
        slope = figures["calibration_slope"]
        weight = (positives + negatives) * (p * (1 - p))
        centre = (weight @ logits) / weight.sum(axis=-1)
        spread = (weight @ logits**2) - weight.sum(axis=-1) * centre**2
        figures["calibration_slope_se"] = np.where(np.isfinite(slope), 1 / np.sqrt(spread), np.nan)
    for name in (
        "roc_auc",
        "average_precision",
        "gain_at_10",
        "lift_at_10",
        "log_observed_expected_se",
    ):
        figures[name] = np.where(n_positive > 0, figures[name], np.nan)
    for name in ("roc_auc", "calibration_slope", "roc_auc_se", "calibration_slope_se"):
        figures[name] = np.where(np.isfinite(figures[name]), figures[name], np.nan)
    return figures


def _captured(amounts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the share of the amounts in the top tenth of the rows, of many histograms at once."""
    amounts, rows = amounts[..., ::-1], rows[..., ::-1]
    ends = np.cumsum(rows, axis=-1)
    tenth = ends[..., -1:] / 10
    inside = np.clip((tenth - (ends - rows)) / np.maximum(rows, 1), 0, 1)
    total = amounts.sum(axis=-1)
    share = (amounts * inside).sum(axis=-1) / np.maximum(total, 1)
    return np.asarray(np.where(total > 0, share, np.nan))
