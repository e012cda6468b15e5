"""The part of the work that forecasting libraries do: losses of probabilities already predicted.

`utilsforecast` scores by series: an evaluation is a series, its customers are the times, and the
mean square of the error is the Brier score. `sktime` has the same as a metric of a panel.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.peer_work import Task, in_one_process
from scale_eval.evaluation.evaluate import WindowPredictions

KEY = ["company_id", "cutoff"]


def predictions_of(task: Task) -> pd.DataFrame:
    """Return a row a (company, cutoff, customer): outcome `y`, and a column for each model."""
    frames: dict[tuple[str, pd.Timestamp], dict[str, np.ndarray]] = {}

    def keep(found: WindowPredictions) -> None:
        window = found.company_window
        columns = frames.setdefault((window.company.company_id, window.window.cutoff), {})
        columns["y"] = window.outcomes.bought.astype(float)
        columns[found.model] = np.array(found.probabilities)

    in_one_process(task, keep)
    return pd.concat(
        [
            pd.DataFrame(columns).assign(
                company_id=company_id, cutoff=cutoff, customer=np.arange(len(columns["y"]))
            )
            for (company_id, cutoff), columns in frames.items()
        ],
        ignore_index=True,
    )


def by_utilsforecast(task: Task, predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute the Brier score by its `mse`, and the log loss by a metric of one's own."""
    from utilsforecast.evaluation import evaluate  # type: ignore[import-not-found]
    from utilsforecast.losses import mse  # type: ignore[import-not-found]

    models = list(task.job.models)
    found = evaluate(predictions, [mse, log_loss], models, id_col="company_id", time_col="customer")
    names = {"mse": "brier_score", "log_loss": "log_loss"}
    long = found.melt([*KEY, "metric"], models, var_name="model").dropna(subset="value")
    table = long.assign(metric=long["metric"].map(names)).pivot(
        index=[*KEY, "model"], columns="metric", values="value"
    )
    return table.reset_index()


def log_loss(
    df: pd.DataFrame,
    models: list[str],
    id_col: str = "unique_id",
    target_col: str = "y",
    cutoff_col: str = "cutoff",
) -> pd.DataFrame:
    """Return the mean log loss of each series, in the form of a loss of `utilsforecast`."""
    bought = df[target_col].to_numpy()[:, np.newaxis] > 0
    predicted = df[models].to_numpy()
    losses = pd.DataFrame(-np.log(np.where(bought, predicted, 1 - predicted)), columns=models)
    by = [df[cutoff_col].to_numpy(), df[id_col].to_numpy()]
    return losses.groupby(by).mean().rename_axis([cutoff_col, id_col]).reset_index()


def by_sktime(task: Task, predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute the Brier score by its mean square error of a panel, a model at a time."""
    from sktime.performance_metrics.forecasting import (  # type: ignore[import-not-found]
        MeanSquaredError,
    )

    brier = MeanSquaredError(multilevel="raw_values")
    series = predictions.groupby(KEY, sort=False).ngroup().rename("series")
    keys = predictions[KEY].groupby(series).first()
    panel = predictions.set_index([series, "customer"])
    tables = []
    for model in task.job.models:
        known = panel[panel[model].notna()]
        found = brier(known[["y"]], known[[model]].set_axis(["y"], axis=1))
        found = found.set_axis(["brier_score"], axis=1)
        tables.append(keys.join(found, how="inner").assign(model=model))
    return pd.concat(tables, ignore_index=True)
