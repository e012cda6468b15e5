"""The table `companies`: each company's own figures over its cutoffs."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np
import pyarrow as pa

from scale_eval.metrics import EffectScale, Metric
from scale_eval.results.customer_influence import small_sample_factor, squared, sums_by_company
from scale_eval.results.heterogeneity import company_effects, fitted
from scale_eval.results.panel import Panel
from scale_eval.results.ratio_terms import terms
from scale_eval.statistics.shrinkage import shrink
from scale_eval.statistics.undefined import Undefined


def companies_of(panel: Panel, metric: Metric, influence: np.ndarray | None) -> Iterator[pa.Table]:
    """The table `companies` of one metric: one row a (company, model).

    Over the evaluations of that model that are ok.

    `mean` is the company's figure: the mean over its defined cutoffs; for O:E the sum of observed
    over the sum of expected; for a skill 1 - mean loss / mean reference loss. `std_error` is what
    its customers' chance makes uncertain in it. `std` (ddof 1), `min` and `max` are of the cutoffs'
    values: time and noise, not differences between companies. `latest` is the value at the latest
    cutoff that is ok, `n_customers` and `n_positive` are of that cutoff.

    `shrunk` is the best prediction of the true figure (empirical Bayes): between the company's
    effect (`heterogeneity`) and the mean of all, as near to its own as `shrinkage_weight` =
    tau^2 / (tau^2 + v) says; for metrics with random effects, and companies that enter them.

    Yields
    ------
    Table
        Of one model each, sorted by company.
    """
    ids = pa.array(panel.company_ids, pa.string())
    for model, name in enumerate(panel.models):
        figures = _facts(panel, model) | _figures(panel, metric, model, influence)
        columns = {
            "company_id": ids,
            "model": pa.repeat(name, len(ids)),
            "metric": pa.repeat(metric.name, len(ids)),
            **{f: pa.array(values, from_pandas=True) for f, values in figures.items()},
        }
        yield pa.table(
            [
                columns[field.name].cast(field.type)
                if field.name in columns
                else pa.nulls(len(ids), field.type)
                for field in COMPANIES_SCHEMA
            ],
            schema=COMPANIES_SCHEMA,
        )


def _facts(panel: Panel, model: int) -> dict[str, np.ndarray]:
    """Counts of each company, whatever the metric; null where no evaluation is ok."""
    ok = np.flatnonzero(panel.ok[:, model])
    evaluated = np.flatnonzero(panel.status[:, model] >= 0)
    latest = _latest(panel, ok)
    return {
        **{
            name: _at(panel.columns[name][:, model], latest)
            for name in ("n_customers", "n_positive")
        },
        "n_evaluations": panel.count_by_company(evaluated),
        "n_cutoffs": panel.count_by_company(ok),
    }


def _figures(
    panel: Panel, metric: Metric, model: int, influence: np.ndarray | None
) -> dict[str, np.ndarray]:
    ok = panel.covered("own", model, panel.at(None))
    column = panel.columns[metric.name][:, model]
    of_model = terms(panel, metric, model, weighted=False)
    mean = of_model.over(panel, ok).figures
    figures = _spread(panel, column, ok) | {"mean": mean, "latest": _at(column, _latest(panel, ok))}
    if influence is not None:
        defined = ok[~np.isnan(column[ok])]
        error = _std_error(panel, metric, model, defined, influence, of_model.weight)
        figures["std_error"] = error * (mean if metric.pooling.log else 1.0)
        if metric.effects is not None:
            figures |= _shrunk(panel, metric, metric.effects, model, ok, influence)
    return figures


def _spread(panel: Panel, values: np.ndarray, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Number, standard deviation (ddof 1) and range of the cutoffs' values of each company."""
    n = np.zeros(panel.n_companies, np.int64)
    std, low, high = np.full((3, panel.n_companies), np.nan)
    _spread_into(panel.company, values, windows, n, std, low, high)
    return {"n_defined": n, "std": std, "min": low, "max": high}


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _spread_into(
    company: np.ndarray,
    values: np.ndarray,
    windows: np.ndarray,
    n: np.ndarray,
    std: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> None:
    begin = 0
    while begin < len(windows):
        of, end, total = company[windows[begin]], begin, 0.0
        while end < len(windows) and company[windows[end]] == of:
            value = values[windows[end]]
            if not np.isnan(value):
                n[of] += 1
                total += value
                low[of] = value if n[of] == 1 else min(low[of], value)
                high[of] = value if n[of] == 1 else max(high[of], value)
            end += 1
        if n[of] > 1:
            mean, squares = total / n[of], 0.0
            for window in windows[begin:end]:
                if not np.isnan(values[window]):
                    squares += (values[window] - mean) ** 2
            std[of] = np.sqrt(squares / (n[of] - 1))
        begin = end


def _std_error(
    panel: Panel,
    metric: Metric,
    model: int,
    windows: np.ndarray,
    influence: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Of the company's figure, or of its logarithm for O:E; NaN where it is not known.

    `weight` is how much each window moves it.
    """
    windows = windows[~np.isnan(influence[windows, model, 0]) & (weight.take(windows) > 0)]
    few = small_sample_factor(panel, metric, model)
    moved = sums_by_company(panel, windows, influence[:, model], weight, few, own=True)
    return np.where(panel.count_by_company(windows) > 0, np.sqrt(squared(moved)), np.nan)


def _shrunk(
    panel: Panel,
    metric: Metric,
    scale: EffectScale,
    model: int,
    windows: np.ndarray,
    influence: np.ndarray,
) -> dict[str, np.ndarray]:
    shrunk, weight = np.full(panel.n_companies, np.nan), np.full(panel.n_companies, np.nan)
    effects = company_effects(panel, metric, model, windows, influence)
    try:
        fit = fitted(effects)
    except Undefined:  # one company has no others to be shrunk towards
        return {"shrunk": shrunk, "shrinkage_weight": weight}
    values, weights = shrink(effects.y, effects.v, fit.mu, fit.tau2)
    shrunk[effects.company] = scale.back(values)
    weight[effects.company] = weights
    return {"shrunk": shrunk, "shrinkage_weight": weight}


def _latest(panel: Panel, windows: np.ndarray) -> np.ndarray:
    """The last of these windows of each company; -1 without one."""
    latest = np.full(panel.n_companies, -1)
    latest[panel.company[windows]] = windows  # in order of time
    return latest


def _at(column: np.ndarray, windows: np.ndarray) -> np.ndarray:
    if not len(column):
        return np.full(len(windows), np.nan)
    return np.where(windows >= 0, column[windows], np.nan)


COMPANIES_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("model", pa.string()),
        ("metric", pa.string()),
        ("n_customers", pa.int64()),  # at the latest cutoff that is ok
        ("n_positive", pa.int64()),
        ("n_evaluations", pa.int64()),  # planned or refused, whatever came of them
        ("n_cutoffs", pa.int64()),  # evaluations that are ok
        ("n_defined", pa.int64()),  # of these, where the metric is defined
        ("mean", pa.float64()),
        ("std_error", pa.float64()),  # of `mean`: customers' chance, clustered by customer
        ("std", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("latest", pa.float64()),
        ("shrunk", pa.float64()),
        ("shrinkage_weight", pa.float64()),
    ]
)
