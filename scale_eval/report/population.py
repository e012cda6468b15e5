"""Replace figures of a sample of companies by figures of the whole population."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scale_eval.statistics.comparison import benjamini_hochberg, equivalence, t_test
from scale_eval.statistics.undefined import Undefined

_POOLED = {"metric": "metric", "model": "model", "estimand": "estimand", "coverage": "coverage"}
_COMPARED = {"metric": "metric", "model_a": "model", "model_b": "model_b", "estimand": "estimand"}
"""Key columns of a table, with their names in the table `sampled`."""

_FIGURES = ["std_error", "ci_low", "ci_high", "ci_reason", "ci_condition", "n_effective"]


def with_population_figures(
    pooled: pd.DataFrame, comparisons: pd.DataFrame, sampled: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables with figures of all companies where `sampled` has them.

    They replace the figures over all cutoffs and all sizes. The other rows, and the predictions for
    the next company, remain those of the companies in the sample.
    """
    values = sampled[sampled["figure"] == "value"]
    is_comparison = values["model_b"].notna()
    pooled, _ = _replaced(
        pooled, pooled["cutoff"].isna(), values[~is_comparison], _POOLED, "value", _FIGURES
    )
    comparisons, replaced = _replaced(
        comparisons,
        comparisons["stratum"] == "all",
        values[is_comparison],
        _COMPARED,
        "mean_difference",
        [*_FIGURES, "degrees_of_freedom"],
    )
    return pooled, _tested(comparisons, replaced).drop(columns="degrees_of_freedom")


def _replaced(
    table: pd.DataFrame,
    rows: pd.Series,
    values: pd.DataFrame,
    keys: dict[str, str],
    value: str,
    figures: list[str],
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the table with `values` in those of its `rows` that have the same keys, and which.

    `figures` are the columns that are taken beside `value`.
    """
    columns = [value, *figures]
    new = values[[*keys.values(), "value", *figures]]
    new.columns = pd.Index([*keys, *columns])
    matched = table[list(keys)].merge(new, how="left", on=list(keys))
    replaced = (rows & matched[value].notna().to_numpy()).to_numpy()
    table = table.reindex(columns=list(dict.fromkeys([*table.columns, *columns])))
    for column in columns:
        table.loc[replaced, column] = matched.loc[replaced, column].to_numpy()
    return table, replaced


def _tested(comparisons: pd.DataFrame, replaced: np.ndarray) -> pd.DataFrame:
    """Return the comparisons with the tests of the mean difference made anew where it is."""
    tests = [_tests_of(row) for row in comparisons[replaced].itertuples()]
    for at, column in enumerate(("equivalent", "mean_p_value")):
        comparisons.loc[replaced, column] = [test[at] for test in tests]
    adjusted = (
        comparisons[replaced]
        .groupby(["metric", "estimand"])["mean_p_value"]
        .transform(lambda p: benjamini_hochberg(p.to_numpy(dtype=float)))
    )
    comparisons.loc[replaced, "mean_p_adjusted"] = adjusted
    return comparisons


def _tests_of(row: Any) -> tuple[bool | None, float]:
    """Return whether two models are equivalent, and p of their mean difference."""
    if pd.isna(row.std_error) or pd.isna(row.degrees_of_freedom):
        return None, np.nan
    t = row.mean_difference, row.std_error, row.degrees_of_freedom
    equivalent = equivalence(*t, row.margin).equivalent
    try:
        return equivalent, t_test(*t)
    except Undefined:
        return equivalent, np.nan
