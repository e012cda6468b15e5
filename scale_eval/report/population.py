"""Replace figures of a sample of companies by figures of the whole population."""

from __future__ import annotations

import pandas as pd

_POOLED = {"metric": "metric", "model": "model", "estimand": "estimand", "coverage": "coverage"}
_COMPARED = {"metric": "metric", "model_a": "model", "model_b": "model_b", "estimand": "estimand"}
"""Key columns of a table, with their names in the table `sampled`."""

_FIGURES = ["std_error", "ci_low", "ci_high", "ci_reason"]


def with_population_figures(
    pooled: pd.DataFrame, comparisons: pd.DataFrame, sampled: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables with figures of all companies where `sampled` has them.

    They replace the figures over all cutoffs and all sizes. The other rows, and the predictions for
    the next company, remain those of the companies in the sample.
    """
    values = sampled[sampled["figure"] == "value"]
    is_comparison = values["model_b"].notna()
    return (
        _replaced(pooled, pooled["cutoff"].isna(), values[~is_comparison], _POOLED, "value"),
        _replaced(
            comparisons,
            comparisons["stratum"] == "all",
            values[is_comparison],
            _COMPARED,
            "mean_difference",
        ),
    )


def _replaced(
    table: pd.DataFrame, rows: pd.Series, values: pd.DataFrame, keys: dict[str, str], value: str
) -> pd.DataFrame:
    """Return the table with `values` in those of its `rows` that have the same keys."""
    columns = [value, *_FIGURES]
    new = values[[*keys.values(), "value", *_FIGURES]]
    new.columns = pd.Index([*keys, *columns])
    matched = table[list(keys)].merge(new, how="left", on=list(keys))
    replaced = (rows & matched[value].notna().to_numpy()).to_numpy()
    table = table.copy()
    for column in columns:
        table.loc[replaced, column] = matched.loc[replaced, column].to_numpy()
    return table
