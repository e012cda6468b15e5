"""The same evaluation as queries of Polars, lazily over Parquet files, for all companies at once.

Summaries, outcomes, the two formulas and the metrics are expressions. What no expression can do is
left to compiled functions, called once a (company, cutoff) on slices of the columns: the fits of
`rfm_logistic` and `bgnbd`, for which scale_eval's own are taken. Intercept and slope of the
calibration, which need a fit for every score, are left out, and so are sums of influence by groups
of customers and histograms of scores.

It was written to be fast: customers and evaluations are numbered, rows are grouped once for all
windows of a company, and ranks are taken twice a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.analyst import HALF_YEAR
from scale_eval.models import bgnbd_compiled, ridge_logistic
from scale_eval.models.bgnbd import PRIOR_CENTRE

MIN_CUSTOMERS = 10
RIDGE = 0.1
PRIOR_SD = 2.0
COMPILED = ("rfm_logistic", "bgnbd")
DAY_US = 86_400_000_000
FEATURES = ("recency_days", "log_purchase_days", "mean_log_value", "log_refunds")

SUMMED = ("n", "days", "log_value", "spend", "refunds")
"""Columns that are summed over a customer's rows between two bounds of windows."""


def bounds_of(company_ids: Sequence[str], begins: np.ndarray, ends: np.ndarray) -> pl.DataFrame:
    """Return the bounds of windows for `evaluate`, with a half-year to train on before the first.

    Parameters
    ----------
    company_ids : sequence of str
    begins, ends : ndarray
        Microseconds since 1970 UTC, (n_companies, n_windows).
    """
    first = pd.to_datetime(begins[:, 0], unit="us")
    before = (first - HALF_YEAR).as_unit("us").asi8
    edges = np.column_stack([before, begins, ends[:, -1]])
    times = {f"b{k}": pl.Series(column) for k, column in enumerate(edges.T)}
    return pl.DataFrame({"company_id": company_ids, **times}).with_columns(
        pl.col(list(times)).cast(pl.Datetime("us", "UTC"))
    )


def evaluate(files: Sequence[Path], bounds: pl.DataFrame, models: Sequence[str]) -> pl.DataFrame:
    """Return a row a (company, cutoff, model) with predictions.

    Parameters
    ----------
    files : sequence of Path
        Parquet: company_id, customer_id, timestamp, value; sorted.
    bounds : DataFrame
        company_id, and b0, b1, ... (datetime): where its half-years begin, one after another at
        midnights, and the end of the last. The first is to train on.
    models : sequence of str
    """
    customers = summaries(files, bounds)
    if set(models) & set(COMPILED):
        customers = with_fits(customers, models)
    index = ["evaluation", "bought", "spend", "reference"]
    number_of_model = pl.col("model").cast(pl.Enum(models)).to_physical()
    return (
        customers.lazy()
        .filter(pl.col("window") > 0)
        .with_columns(
            base_rate=pl.col("reference"),
            recency=(-pl.col("recency_us") / (pl.col("end") - pl.col("cutoff"))).exp(),
        )
        .unpivot(on=list(models), variable_name="model", value_name="p", index=index)
        .filter(pl.col("p").is_not_nan() & pl.col("p").is_not_null())
        .with_columns(key=pl.col("evaluation") * len(models) + number_of_model)
        .with_columns(**ranks())
        .group_by("key")
        .agg(pl.col("model", "evaluation", "reference").first(), **measures())
        .with_columns(**figures())
        .join(named(customers, bounds).lazy(), on="evaluation")
        .collect()
    )


def summaries(files: Sequence[Path], bounds: pl.DataFrame) -> pl.DataFrame:
    """Return a row a (company, window, customer), sorted, with summaries and outcomes.

    `evaluation` numbers the first two. Instants are in microseconds.
    """
    edges = [name for name in bounds.columns if name != "company_id"]
    numbered = bounds.with_row_index("company").with_columns(
        pl.col(edges).dt.epoch("us").cast(pl.Int64)
    )
    when, day = pl.col("when"), pl.col("when") // DAY_US
    purchase = pl.col("value") >= 0
    slots = range(len(edges))  # slot k ends where window k begins

    def of_slot(name: str, k: int) -> pl.Expr:
        return pl.when(pl.col("slot") == k).then(pl.col(name)).otherwise(0).sum()

    rows = (
        pl.scan_parquet(list(files))
        .with_columns(
            customer=pl.struct("company_id", "customer_id").rle_id(),
            when=pl.col("timestamp").dt.epoch("us"),
        )
        .join(numbered.lazy(), on="company_id", maintain_order="left")
        .with_columns(
            slot=pl.sum_horizontal((when >= pl.col(edge)).cast(pl.Int8) for edge in edges),
            purchase=purchase,
            # Of the purchase before this row, whosever it is.
            day_before=pl.when(purchase).then(day).forward_fill().shift(1),
            customer_before=pl.when(purchase).then("customer").forward_fill().shift(1),
        )
        .with_columns(
            n=purchase.cast(pl.Int64),
            days=(
                purchase
                & (
                    pl.col("day_before").ne_missing(day)
                    | pl.col("customer_before").ne_missing(pl.col("customer"))
                )
            ).cast(pl.Int64),
            log_value=pl.when(purchase).then(pl.col("value").log1p()).otherwise(0.0),
            spend=pl.when(purchase).then("value").otherwise(0.0),
            refunds=(~purchase).cast(pl.Int64),
            bought_at=pl.when(purchase).then(when),
        )
    )
    wide = (
        rows.group_by("customer", maintain_order=True)
        .agg(
            pl.col("company", *edges).first(),
            first=pl.col("bought_at").min(),
            **{f"{name}{k}": of_slot(name, k) for name in SUMMED for k in slots},
            **{
                f"last{k}": pl.when(pl.col("slot") == k).then(pl.col("bought_at")).max()
                for k in slots
            },
        )
        .collect()
    )
    return (
        pl.concat([at_window(wide.lazy(), edges, k) for k in range(len(edges) - 1)])
        .sort("company", "window", maintain_order=True)
        .with_columns(evaluation=pl.struct("company", "window").rle_id())
        .with_columns(
            recency_us=pl.col("cutoff") - pl.col("last"),
            log_purchase_days=pl.col("days").log(),
            mean_log_value=pl.col("log_value") / pl.col("n"),
            log_refunds=pl.col("refunds").log1p(),
        )
        .with_columns(recency_days=pl.col("recency_us") / DAY_US)
        .collect()
        .pipe(with_reference)
    )


def at_window(wide: pl.LazyFrame, edges: Sequence[str], k: int) -> pl.LazyFrame:
    """Return the customers with a purchase before window `k`."""
    return wide.select(
        "company",
        "first",
        pl.lit(k).alias("window"),
        pl.col(edges[k]).alias("cutoff"),
        pl.col(edges[k + 1]).alias("end"),
        *(
            pl.sum_horizontal(f"{name}{i}" for i in range(k + 1)).alias(name)
            for name in SUMMED
            if name != "spend"
        ),
        pl.max_horizontal(f"last{i}" for i in range(k + 1)).alias("last"),
        (pl.col(f"n{k + 1}") > 0).alias("bought"),
        pl.col(f"spend{k + 1}").alias("spend"),
    ).filter(pl.col("n") > 0)


def with_reference(customers: pl.DataFrame) -> pl.DataFrame:
    """Add the prediction of `base_rate`, from the half-year before."""
    n, k = pl.len(), pl.col("bought").sum()
    rates = customers.group_by("company", "window").agg(
        reference=pl.when(n >= MIN_CUSTOMERS).then((k + 0.5) / (n + 1))
    )
    next_window = rates.with_columns(pl.col("window") + 1)
    return customers.join(next_window, on=["company", "window"], how="left", maintain_order="left")


def with_fits(customers: pl.DataFrame, models: Sequence[str]) -> pl.DataFrame:
    """Add the predictions of models fitted a (company, cutoff); NaN where there are none."""
    evaluation, window = customers["evaluation"].to_numpy(), customers["window"].to_numpy()
    cutoff, end = customers["cutoff"].to_numpy(), customers["end"].to_numpy()
    bought, days = customers["bought"].to_numpy(), customers["days"].to_numpy()
    first, last = customers["first"].to_numpy(), customers["last"].to_numpy()
    features = np.ascontiguousarray(customers.select(FEATURES).to_numpy(), dtype=np.float64)
    predicted = {name: np.full(len(window), np.nan) for name in models if name in COMPILED}
    starts = np.flatnonzero(np.diff(evaluation.astype(np.int64), prepend=-1)).tolist()
    centre = tuple(PRIOR_CENTRE)
    earlier = slice(0, 0)
    for start, stop in zip(starts, [*starts[1:], len(window)], strict=True):
        here = slice(start, stop)
        if window[start] > 0:
            n = earlier.stop - earlier.start if window[earlier.start] == window[start] - 1 else 0
            if "rfm_logistic" in predicted and n >= MIN_CUSTOMERS:
                k = int(np.count_nonzero(bought[earlier]))
                if 0 < k < n:
                    fitted = ridge_logistic.fit(features[earlier], bought[earlier], RIDGE)
                    predicted["rfm_logistic"][here] = ridge_logistic.probabilities_of(
                        fitted, features[here]
                    )
            if "bgnbd" in predicted:
                in_days = bgnbd_compiled.customers_in_days(
                    days[here], first[here], last[here], int(cutoff[start])
                )
                *params, _ = bgnbd_compiled.fit(*in_days, PRIOR_SD, centre)
                predicted["bgnbd"][here] = bgnbd_compiled.probability_of_purchase(
                    *params, *in_days, (end[start] - cutoff[start]) / DAY_US
                )
        earlier = here
    return customers.with_columns(**{name: pl.Series(p) for name, p in predicted.items()})


def named(customers: pl.DataFrame, bounds: pl.DataFrame) -> pl.DataFrame:
    """Add company_id and cutoff of each `evaluation`."""
    names = bounds.with_row_index("company").select("company", "company_id")
    return (
        customers.group_by("evaluation")
        .agg(pl.col("company", "cutoff").first())
        .join(names, on="company")
        .with_columns(pl.from_epoch("cutoff", time_unit="us").dt.replace_time_zone("UTC"))
        .drop("company")
    )


def ranks() -> dict[str, pl.Expr]:
    """Return where each customer's tie begins and ends, from the highest; in all, and by class."""
    p = pl.col("p")
    return {
        "worst": p.rank("max", descending=True).over("key"),
        "best": p.rank("min", descending=True).over("key"),
        "own_worst": p.rank("max", descending=True).over("key", "bought"),
        "own_best": p.rank("min", descending=True).over("key", "bought"),
    }


def measures() -> dict[str, pl.Expr]:
    """Return the sums from which the figures of a score are computed."""
    p, y, spend = pl.col("p"), pl.col("bought"), pl.col("spend")
    n = pl.len()
    worst, best = pl.col("worst").cast(pl.Float64), pl.col("best").cast(pl.Float64)
    own_worst, own_best = pl.col("own_worst").cast(pl.Float64), pl.col("own_best")
    loss = -pl.when(y).then(p).otherwise(1 - p).log()
    square = (p - y.cast(pl.Float64)).pow(2)
    share = ((n / 10 - (best - 1)) / (worst - best + 1)).clip(0, 1)
    of_others = (worst + best - own_worst - own_best) / 2  # of the other class, ranked above
    return {
        "n": n,
        "k": y.sum(),
        "log_loss": loss.mean(),
        "log_loss_se": loss.std() / n.sqrt(),
        "brier_score": square.mean(),
        "brier_score_se": square.std() / n.sqrt(),
        "expected": p.sum(),
        "expected_of_bought": p.filter(y).sum(),
        "expected_squared": (p * p).sum(),
        "average_precision": (own_worst / worst).filter(y).mean(),
        "outranked_by": of_others.filter(y).sum(),
        "var_10": of_others.filter(y).var(),
        "var_01": of_others.filter(~y).var(),
        "in_top_tenth": share.filter(y).sum(),
        "value_captured_at_10": (share * spend).sum() / spend.sum(),
    }


def figures() -> dict[str, pl.Expr]:
    """Compute the metrics from `measures`; NaN or null where one does not exist."""
    n, k, expected = pl.col("n"), pl.col("k"), pl.col("expected")
    others, reference = n - k, pl.col("reference")
    bought, pairs = k > 0, k.cast(pl.Float64) * others
    constant = -(k * reference.log() + others * (1 - reference).log()) / n
    constant_brier = (k * (1 - reference).pow(2) + others * reference.pow(2)) / n
    ratio = k / expected
    spread = (
        k - 2 * ratio * pl.col("expected_of_bought") + ratio.pow(2) * pl.col("expected_squared")
    )
    gain = pl.when(bought).then(pl.col("in_top_tenth") / k)
    return {
        "log_loss_skill": 1 - pl.col("log_loss") / constant,
        "brier_skill": 1 - pl.col("brier_score") / constant_brier,
        "roc_auc": pl.when(pairs > 0).then(1 - pl.col("outranked_by") / pairs),
        "roc_auc_se": pl.when((k > 1) & (others > 1)).then(
            (pl.col("var_10") / others.pow(2) / k + pl.col("var_01") / k.pow(2) / others).sqrt()
        ),
        "observed_expected_ratio": ratio,
        "log_observed_expected_se": pl.when(bought).then(spread.sqrt() / k),
        "gain_at_10": gain,
        "lift_at_10": 10 * gain,
    }
