"""The companies of a run, one row each, for the page and for the file beside it."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from scale_eval.evaluation.schema import KEY
from scale_eval.report.findings import Findings
from scale_eval.report.plots.style import SHADES, styles
from scale_eval.report.wording import metric_label

SHOWN = (
    "log_loss_skill",
    "roc_auc",
    "gain_at_10",
    "value_captured_at_10",
    "observed_expected_ratio",
)
"""Metrics of a company beside the one that decides and the user's own."""

MOST_MODELS = 8
"""Largest number of models of a company on the page; the best are shown."""

MOST_COMPANIES = 5_000
"""Largest number of companies on the page; of more it holds the worst, the best and the largest."""

LARGEST = 1_000_000
"""Largest size of the companies on the page, in bytes; there are fewer where they need more."""

DECIMALS = 3
"""Decimals of the figures on the page, where they are kept as whole numbers of thousandths."""


@dataclass(frozen=True)
class CompanyTable:
    """Companies with their sizes and figures; arrays of shape (n_companies,), sorted by id.

    Attributes
    ----------
    ids : ndarray of object
    customers, buyers : ndarray of float64
        At the latest cutoff that every model predicted; NaN for a company that is not compared.
    n_windows : ndarray of int64
        Cutoffs that every model predicted.
    figures : dict
        By (metric, model): the figure over these cutoffs, NaN where undefined.
    shrunk : ndarray of float64
        The shrunk AUC of the model that ranks best; NaN for companies with few buyers.
    best : ndarray of int64
        Position of the best model by the metric that decides; -1 without one.
    """

    findings: Findings
    ids: np.ndarray
    customers: np.ndarray
    buyers: np.ndarray
    n_windows: np.ndarray
    figures: dict[tuple[str, str], np.ndarray]
    shrunk: np.ndarray
    best: np.ndarray

    @classmethod
    def of(cls, findings: Findings) -> CompanyTable:
        """Read the companies of findings that compare models, for the models on the page."""
        leader = findings.models[0]
        customers, buyers, n_windows = (
            findings.companies(findings.primary, column)[leader]
            for column in ("n_customers", "n_positive", "n_cutoffs")
        )
        models = findings.models[:MOST_MODELS]
        figures = {
            (metric, model): findings.companies(metric)[model].to_numpy()
            for metric in shown_metrics(findings)
            for model in models
        }
        ranking = findings.best_ranking_model
        shrunk = np.full(len(customers), np.nan)
        if ranking in models:
            shrunk = findings.companies("roc_auc", "shrunk")[ranking].to_numpy()
        distance = np.array(
            [
                findings.distance(findings.primary, pd.Series(figures[findings.primary, model]))
                for model in models
            ]
        )
        known = ~np.isnan(distance).any(axis=0)
        best = np.full(len(customers), -1)
        best[known] = distance[:, known].argmin(axis=0)
        return cls(
            findings,
            customers.index.to_numpy(object),
            customers.to_numpy(),
            buyers.to_numpy(),
            n_windows.fillna(0).to_numpy(np.int64),
            figures,
            shrunk,
            best,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def models(self) -> list[str]:
        """Return the models that have figures, best first."""
        return list(dict.fromkeys(model for _, model in self.figures))

    def taken(self, at: np.ndarray) -> CompanyTable:
        """Return the companies at some positions, which ascend."""
        arrays = ("ids", "customers", "buyers", "n_windows", "shrunk", "best")
        return replace(
            self,
            figures={key: values[at] for key, values in self.figures.items()},
            **{name: getattr(self, name)[at] for name in arrays},
        )

    def worst_best_and_largest(self, n: int) -> np.ndarray:
        """Return the positions of `n` companies: a third each, and more of the largest.

        Worst and best are those with the lowest and the highest shrunk AUC, which companies with
        buyers enough have.
        """
        by_size = np.argsort(-np.nan_to_num(self.customers, nan=-1.0), kind="stable")
        ranked = np.argsort(self.shrunk, kind="stable")[: np.isfinite(self.shrunk).sum()]
        third = min(n // 3, len(ranked) // 2)
        chosen = np.zeros(len(self), bool)
        chosen[ranked[:third]] = chosen[ranked[len(ranked) - third :]] = True
        others = by_size[~chosen[by_size]]
        chosen[others[: max(0, n - int(chosen.sum()))]] = True
        return np.flatnonzero(chosen)

    def csv(self) -> bytes:
        """Return all companies as CSV, with the columns that the page's own download has."""
        best = pa.array([*self.models, ""]).take(pa.array(self.best % (len(self.models) + 1)))
        window = self.findings.window.replace("-", "_")
        columns: dict[str, Any] = {
            "company": pa.array(self.ids, pa.string()),
            "customers": pa.array(self.customers, from_pandas=True).cast(pa.int64()),
            f"{window}s": pa.array(self.n_windows),
            "buyers": pa.array(self.buyers, from_pandas=True).cast(pa.int64()),
            "best_model": best,
        }
        for (metric, model), values in self.figures.items():
            columns[f"{metric} of {model}"] = pa.array(np.round(values, 6), from_pandas=True)
        out = io.BytesIO()
        pyarrow.csv.write_csv(pa.table(columns), out)
        return out.getvalue()


def shown_metrics(findings: Findings) -> list[str]:
    """Return the metrics of a company on the page: the one that decides first, the user's last."""
    return list(dict.fromkeys([findings.primary, *SHOWN, *findings.own_metrics]))


@dataclass(frozen=True)
class PageCompanies:
    """The companies of a page: all of the run, those that it holds, and these as text.

    Attributes
    ----------
    whole, shown : CompanyTable
    text : str
        JSON of `shown`, compressed by gzip, in base64.
    """

    whole: CompanyTable
    shown: CompanyTable
    text: str

    @classmethod
    def of(cls, whole: CompanyTable, largest: int = LARGEST) -> PageCompanies:
        """Choose at most 5,000 companies, and fewer where the text would exceed `largest`."""
        most = MOST_COMPANIES
        while True:
            shown = whole
            if len(whole) > most:
                shown = whole.taken(whole.worst_best_and_largest(most))
            text = json.dumps(_content(shown), separators=(",", ":"), allow_nan=False)
            packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
            if len(packed) <= largest or not most:
                return cls(whole, shown, packed)
            most = int(0.9 * len(shown) * largest / len(packed))

    @property
    def n_left_out(self) -> int:
        """Return the number of companies that the page does not hold."""
        return len(self.whole) - len(self.shown)


def _content(table: CompanyTable) -> dict[str, Any]:
    """Return what the script of the page reads, column by column."""
    findings, models = table.findings, table.models
    metrics, look = shown_metrics(findings), styles(findings)
    return {
        "models": models,
        "shades": [SHADES.index(look[model].color) for model in models],
        "window": findings.window,
        "primary": metric_label(findings.primary),
        "metrics": [
            {"name": metric, "label": metric_label(metric), "better": findings.better(metric)}
            for metric in metrics
        ],
        "company": table.ids.tolist(),
        "customers": _whole(table.customers),
        "buyers": _whole(table.buyers),
        "n_windows": table.n_windows.tolist(),
        "best": table.best.tolist(),
        "figures": [
            [_whole(10**DECIMALS * table.figures[metric, model]) for model in models]
            for metric in metrics
        ],
        "gains": _gains(table),
        "windows": _windows(table),
    }


def _gains(table: CompanyTable) -> dict[str, Any] | None:
    """Return the share of buyers that each company's customers hold, by depth and model."""
    rows = table.findings.company_gains
    rows = rows[rows["company_id"].isin(set(table.ids))]
    if rows.empty:
        return None
    depths = np.unique(rows["depth"])
    shares = np.full((len(table.models), len(depths), len(table)), np.nan)
    model = pd.Index(table.models).get_indexer(rows["model"])
    company = np.searchsorted(table.ids, rows["company_id"].to_numpy(object))
    depth, kept = np.searchsorted(depths, rows["depth"]), model >= 0
    share = rows["share_of_buyers"].to_numpy(float)
    shares[model[kept], depth[kept], company[kept]] = share[kept]
    return {
        "depths": (100 * depths).round().astype(int).tolist(),
        "buyers": [[_whole(1000 * column) for column in of_model] for of_model in shares],
    }


def _windows(table: CompanyTable) -> dict[str, Any] | None:
    """Return the evaluations of the companies, window by window, by the metric that decides."""
    findings = table.findings
    if findings.directory is None or not len(table):
        return None
    metric = findings.primary
    columns = [*KEY, "attempts", "status", "n_customers", "n_positive", metric]
    frame = findings.directory.evaluations_of(columns, table.ids.tolist()).to_pandas()
    frame = frame.sort_values("attempts", kind="stable").drop_duplicates(KEY, keep="last")
    frame = frame[frame["status"] == "ok"]
    shorter = {whole: short for short, whole in findings.names.items()}
    frame["model"] = frame["model"].map(lambda name: shorter.get(name, name))
    frame = frame[frame["model"].isin(table.models)]
    key = ["company_id", "cutoff"]
    windows = frame.groupby(key, as_index=False)[["n_customers", "n_positive"]].first()
    values = frame.pivot(index=key, columns="model", values=metric)
    values = values.reindex(index=pd.MultiIndex.from_frame(windows[key]), columns=table.models)
    cutoffs, at = np.unique(windows["cutoff"].dt.strftime("%Y-%m-%d"), return_inverse=True)
    return {
        "cutoffs": cutoffs.tolist(),
        "company": np.searchsorted(table.ids, windows["company_id"].to_numpy(object)).tolist(),
        "cutoff": at.tolist(),
        "customers": _whole(windows["n_customers"].to_numpy(float)),
        "buyers": _whole(windows["n_positive"].to_numpy(float)),
        "values": [_whole(10**DECIMALS * values[model].to_numpy(float)) for model in table.models],
    }


def _whole(values: np.ndarray) -> Sequence[int | None]:
    """Return values rounded to whole numbers, None for NaN or what is not finite."""
    return [round(value) if np.isfinite(value) else None for value in values.tolist()]
