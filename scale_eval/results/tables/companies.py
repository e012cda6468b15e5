"""The table `companies`: each company's own figures over its cutoffs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from scale_eval.compiling import compiled_for_many
from scale_eval.evaluation.schema import coded
from scale_eval.metrics import EffectScale, Metric
from scale_eval.results.customer_influence import (
    company_variances,
    sampling_factor,
    sums_by_company,
)
from scale_eval.results.heterogeneity import company_effects, fit_effects, mean_of_effects
from scale_eval.results.panel import Panel
from scale_eval.results.ratio_terms import terms
from scale_eval.results.tables.base import MetricInputs, MetricTable
from scale_eval.statistics.shrinkage import shrink
from scale_eval.statistics.undefined import Undefined
from scale_eval.storage.columns import COUNT, NUMBER, TEXT, Column


def companies_of(inputs: MetricInputs, model: int) -> pa.Table:
    """Make the rows of one metric and model: of the common windows, then of its own.

    Both are sorted by company. Where all windows of the model are common there are no rows of its
    own: they would be the same. Texts are dictionary codes, since few of them differ.
    """
    panel = inputs.panel
    ok = np.flatnonzero(panel.ok[:, model])
    common = panel.covered("common", model, panel.at(None))
    parts = [_rows(inputs, model, "common", common)]
    if len(common) < len(ok):
        parts.append(_rows(inputs, model, "own", ok))
    return pa.concat_tables(parts)


def _rows(inputs: MetricInputs, model: int, coverage: str, windows: np.ndarray) -> pa.Table:
    """Make the rows of one coverage: of these windows, which ascend."""
    panel, metric, shared = inputs.panel, inputs.metric, inputs.run.company_columns
    n = panel.n_companies
    if (model, coverage) not in shared:
        ids, facts = pa.array(panel.company_ids, pa.string()), _facts(panel, model, windows)
        shared[model, coverage] = {
            "company_id": pa.DictionaryArray.from_arrays(np.arange(n, dtype=np.int32), ids),
            "model": _repeated(panel.models[model], n),
            "coverage": _repeated(coverage, n),
            **{name: _typed(name, of) for name, of in facts.items()},
        }
    figures = _figures(panel, metric, model, windows, inputs.influence)
    columns = {
        "metric": _repeated(metric.name, n),
        **shared[model, coverage],
        **{name: _typed(name, of) for name, of in figures.items()},
    }
    schema = coded(COMPANIES.schema)
    arrays = [
        columns[field.name] if field.name in columns else pa.nulls(n, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _typed(name: str, values: np.ndarray) -> pa.Array:
    return pa.array(values, from_pandas=True).cast(COMPANIES.schema.field(name).type)


def _repeated(text: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array([text], pa.string()))


def _facts(panel: Panel, model: int, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns that do not depend on the metric; null where no window is counted."""
    evaluated = np.flatnonzero(panel.status[:, model] >= 0)
    latest = _latest(panel, windows)
    return {
        **{
            name: _at(panel.columns[name][:, model], latest)
            for name in ("n_customers", "n_positive")
        },
        "n_evaluations": panel.count_by_company(evaluated),
        "n_cutoffs": panel.count_by_company(windows),
    }


def _figures(
    panel: Panel,
    metric: Metric,
    model: int,
    windows: np.ndarray,
    influence: np.ndarray | None,
) -> dict[str, np.ndarray]:
    column = panel.columns[metric.name][:, model]
    own = terms(panel, metric, model, weighted=False)
    mean = own.over(panel, windows).figures
    latest = _at(column, _latest(panel, windows))
    figures = _spread(panel, column, windows) | {"mean": mean, "latest": latest}
    if influence is not None:
        defined = windows[~np.isnan(column[windows])]
        error = _std_error(panel, metric, model, defined, influence, own.weight)
        figures["std_error"] = error * (mean if metric.pooling.log else 1.0)
        if metric.effects is not None:
            figures |= _shrunk(panel, metric, metric.effects, model, windows, influence)
    return figures


def _spread(panel: Panel, values: np.ndarray, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Return number, standard deviation (ddof 1) and range of each company's values."""
    n = np.zeros(panel.n_companies, np.int64)
    std, low, high = np.full((3, panel.n_companies), np.nan)
    _spread_into(panel.company, values, windows, n, std, low, high)
    return {"n_defined": n, "std": std, "min": low, "max": high}


@compiled_for_many
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
        c, end, total = company[windows[begin]], begin, 0.0
        while end < len(windows) and company[windows[end]] == c:
            value = values[windows[end]]
            if not np.isnan(value):
                n[c] += 1
                total += value
                low[c] = value if n[c] == 1 else min(low[c], value)
                high[c] = value if n[c] == 1 else max(high[c], value)
            end += 1
        if n[c] > 1:
            mean, squares = total / n[c], 0.0
            for i in range(begin, end):
                if not np.isnan(values[windows[i]]):
                    distance = values[windows[i]] - mean
                    squares += distance * distance
            std[c] = np.sqrt(squares / (n[c] - 1))
        begin = end


def _std_error(
    panel: Panel,
    metric: Metric,
    model: int,
    windows: np.ndarray,
    influence: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Return the standard error of each company's figure; NaN where one window kept no influence.

    For a ratio it is that of the logarithm. `weight` says how much each window moves the figure.
    """
    windows = windows[weight.take(windows) > 0]
    correction = sampling_factor(panel, metric, model)
    moved = sums_by_company(panel, windows, influence[:, model], weight, correction, own=True)
    return np.where(panel.count_by_company(windows) > 0, np.sqrt(company_variances(moved)), np.nan)


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
        fit = fit_effects(effects)
    except Undefined:  # a single company has no others to be shrunk towards
        return {"shrunk": shrunk, "shrinkage_weight": weight}
    mean = mean_of_effects(effects).value
    values, weights = shrink(effects.y, effects.v, mean, fit.tau2)
    shrunk[effects.company] = scale.back(values)
    weight[effects.company] = weights
    return {"shrunk": shrunk, "shrinkage_weight": weight}


def _latest(panel: Panel, windows: np.ndarray) -> np.ndarray:
    """Return the last of these windows of each company; -1 without one."""
    latest = np.full(panel.n_companies, -1)
    latest[panel.company[windows]] = windows  # in order of time
    return latest


def _at(column: np.ndarray, windows: np.ndarray) -> np.ndarray:
    if not len(column):
        return np.full(len(windows), np.nan)
    return np.where(windows >= 0, column[windows], np.nan)


COMPANIES = MetricTable(
    "companies",
    row="company, model, metric, coverage",
    doc="Each company's own figures over its cutoffs. To compare models, take the coverage "
    "`common`: figures of different windows do not compare models. Of a model whose windows are "
    "all common there are no rows of the coverage `own`; they would be the same.",
    columns=(
        Column("company_id", TEXT, "The company."),
        Column("model", TEXT, "The model."),
        Column("metric", TEXT, "The metric."),
        Column(
            "coverage",
            TEXT,
            "`common`: the windows that every model predicted (of those that predicted any); "
            "`own`: all windows that this model predicted.",
        ),
        Column(
            "n_customers",
            COUNT,
            "Customers at the latest cutoff that is counted.",
            null="no window is counted",
        ),
        Column("n_positive", COUNT, "Customers who bought, there.", null="no window is counted"),
        Column("n_evaluations", COUNT, "Evaluations that were planned or refused."),
        Column("n_cutoffs", COUNT, "Windows that are counted."),
        Column("n_defined", COUNT, "Windows that are counted and define the metric."),
        Column(
            "mean",
            NUMBER,
            "The company's figure: the mean over its defined cutoffs; for O:E the sum of observed "
            "over the sum of expected; for a skill 1 - mean loss / mean reference loss.",
            null="no cutoff defines the metric",
        ),
        Column(
            "std_error",
            NUMBER,
            "Standard error of `mean` from chance among its customers, clustered by customer.",
            null="one of its evaluations keeps no influence sums, or the figure is null, or fewer "
            "than ten customers bought and the metric is of the top tenth",
        ),
        Column(
            "std",
            NUMBER,
            "Standard deviation (ddof 1) of the values at its cutoffs: time and noise.",
            null="fewer than two cutoffs define the metric",
        ),
        Column("min", NUMBER, "Smallest value at a cutoff.", null="no cutoff defines the metric"),
        Column("max", NUMBER, "Largest value at a cutoff.", null="no cutoff defines the metric"),
        Column(
            "latest",
            NUMBER,
            "Value at the latest cutoff that is counted.",
            null="the metric is undefined there",
        ),
        Column(
            "shrunk",
            NUMBER,
            "Best prediction of the true figure (empirical Bayes): the company's own effect, "
            "shrunk towards the mean of all companies.",
            null="the metric has no random effects, or the company does not enter them",
        ),
        Column(
            "shrinkage_weight",
            NUMBER,
            "Weight of the company's own effect in `shrunk`: tau^2 / (tau^2 + v).",
            null="`shrunk` is null",
        ),
    ),
    shown=(
        "company_id",
        "model",
        "metric",
        "coverage",
        "n_customers",
        "n_defined",
        "mean",
        "std_error",
        "std",
        "shrunk",
    ),
    make=lambda inputs: companies_of(inputs, *inputs.models),
    by_model=True,
    conventions={
        "company figure": "mean over defined cutoffs; O:E: sum O / sum E; "
        "skill: 1 - mean loss / mean reference loss",
        "std": "ddof 1, of companies' own figures; in companies, of cutoffs' values",
        "shrunk": "mu + w (y - mu), w = tau^2 / (tau^2 + v)",
    },
)
