"""The evaluations of a run as arrays: one row a window, one column a model.

Every figure that is pooled over cutoffs or companies is a sum over a sum. What is summed depends on
the metric and is said here, once, in `terms`; how far it is summed is the business of the tables.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import Metric
from scale_eval.results.schemas import FAILED

FACTS = (
    "n_customers", "n_positive", "mean_prediction", "future_spend",
    "log_loss", "brier_score", "reference_log_loss", "reference_brier_score",
)  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """Evaluations by window and model.

    Attributes
    ----------
    windows : DataFrame
        company_id and cutoff of each (company, cutoff), sorted: n_windows rows.
    models : list of str
        Sorted: n_models.
    status : ndarray of object, shape (n_windows, n_models)
        None where a model was not evaluated for a window.
    columns : dict of ndarray of float64, shape (n_windows, n_models)
        Metrics and facts; NaN for null.
    undefined : ndarray of object, shape (n_windows, n_models)
        "metric:reason;..." of each evaluation.
    """

    windows: pd.DataFrame
    models: list[str]
    status: np.ndarray
    columns: dict[str, np.ndarray]
    undefined: np.ndarray

    @classmethod
    def of(cls, evaluations: pa.Table, metrics: list[Metric]) -> Panel:
        """From the table `evaluations`, refused windows included."""
        names = list(dict.fromkeys([*FACTS, *(metric.name for metric in metrics)]))
        keys = evaluations.select(["company_id", "cutoff", "model"]).to_pandas()
        windows = keys[["company_id", "cutoff"]].drop_duplicates()
        windows = windows.sort_values(["company_id", "cutoff"]).reset_index(drop=True)
        models = sorted(keys["model"].unique())
        index = pd.MultiIndex.from_frame(windows)
        rows = index.get_indexer(pd.MultiIndex.from_frame(keys[["company_id", "cutoff"]]))
        columns = pd.Index(models).get_indexer(keys["model"])

        def spread(values: np.ndarray, empty: object) -> np.ndarray:
            cells = np.full((len(windows), len(models)), empty, dtype=values.dtype)
            cells[rows, columns] = values
            return cells

        def text(name: str) -> np.ndarray:
            return spread(evaluations[name].to_numpy(zero_copy_only=False), None)

        def number(name: str) -> np.ndarray:
            values = evaluations[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            return spread(values, np.nan)

        return cls(
            windows=windows,
            models=models,
            status=text("status"),
            columns={name: number(name) for name in names},
            undefined=text("undefined"),
        )

    @cached_property
    def company_ids(self) -> np.ndarray:
        """Every company, sorted; shape (n_companies,)."""
        return np.unique(self.windows["company_id"].to_numpy(dtype=object))

    @cached_property
    def company(self) -> np.ndarray:
        """The company of each window, as a position in `company_ids`; never decreasing."""
        ids = self.windows["company_id"].to_numpy(dtype=object)
        return np.searchsorted(self.company_ids, ids)

    def count_by_company(self, windows: np.ndarray) -> np.ndarray:
        """How many of these windows each company has; shape (n_companies,)."""
        return np.bincount(self.company[windows], minlength=len(self.company_ids))

    @cached_property
    def ok(self) -> np.ndarray:
        """Which evaluations are `ok`; shape (n_windows, n_models)."""
        return self.status == "ok"

    @cached_property
    def skipped(self) -> np.ndarray:
        """Which evaluations were refused or skipped."""
        return self.status == "skipped"

    @cached_property
    def failed(self) -> np.ndarray:
        """Which evaluations failed."""
        return np.isin(self.status.astype(str), FAILED)

    @cached_property
    def common(self) -> np.ndarray:
        """Windows for which every model that answered anywhere is `ok`; shape (n_windows,)."""
        answering = self.ok.any(axis=0)
        return np.asarray(self.ok[:, answering].all(axis=1) & answering.any())

    def covered(self, coverage: str) -> np.ndarray:
        """Which evaluations a coverage counts: ``own``, or ``common`` to all models."""
        return self.ok if coverage == "own" else self.ok & self.common[:, np.newaxis]

    def undefined_reasons(self, metric: str, model: int, windows: np.ndarray) -> str:
        """Why `metric` is undefined in these evaluations: "reason:count;..." sorted by reason."""
        texts = Counter(self.undefined[windows, model].tolist())
        counts: Counter[str] = Counter()
        for text, count in texts.items():
            for name, _, reason in (entry.partition(":") for entry in (text or "").split(";")):
                if name == metric:
                    counts[reason] += count
        return ";".join(f"{reason}:{count}" for reason, count in sorted(counts.items()))


@dataclass(frozen=True)
class Terms:
    """What is summed to pool a metric: a numerator and a denominator a window.

    Attributes
    ----------
    numerator, denominator : ndarray of float64, shape (n_windows,)
        NaN where the window does not count.
    link : str
        What the quotient of sums becomes: ``"identity"``, or ``"one_minus"`` for a skill.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    link: str = "identity"

    @property
    def defined(self) -> np.ndarray:
        """Windows that count."""
        return ~np.isnan(self.numerator)

    def over(self, windows: np.ndarray) -> float:
        """The figure over all these windows at once; NaN where there is nothing to divide by."""
        windows = windows & self.defined
        total = float(np.add.reduce(self.denominator[windows], dtype=np.float64))
        if total == 0:
            return np.nan
        return self._linked(float(np.add.reduce(self.numerator[windows])) / total)

    def by_company(self, panel: Panel, windows: np.ndarray) -> np.ndarray:
        """Each company's own figure over its windows among these; NaN where it has none."""
        numerator, denominator = self.sums_by_company(panel, windows)
        figures = np.full(len(numerator), np.nan)
        np.divide(numerator, denominator, out=figures, where=denominator != 0)
        return self._linked(figures)

    def sums_by_company(self, panel: Panel, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator summed within companies; each of shape (n_companies,)."""
        windows = windows & self.defined
        company, n = panel.company[windows], len(panel.company_ids)
        return (
            np.bincount(company, weights=self.numerator[windows], minlength=n),
            np.bincount(company, weights=self.denominator[windows], minlength=n),
        )

    def _linked(self, quotient):  # type: ignore[no-untyped-def]
        return 1.0 - quotient if self.link == "one_minus" else quotient


def terms(panel: Panel, metric: Metric, model: int, *, weighted: bool) -> Terms:
    """What to sum for `metric` of one model.

    Parameters
    ----------
    weighted : bool
        Windows weigh by what the metric counts: customers (losses, skills), pairs of a positive and
        a negative (`roc_auc`), positives (`average_precision`, gain, lift), spend
        (`value_captured_at_10`). Otherwise each window weighs the same, as it does in a company's
        own figure. The ratio of observed to expected is a quotient of counts either way.
    """
    column = {name: cells[:, model] for name, cells in panel.columns.items()}
    value = column[metric.name]
    n, positive = column["n_customers"], column["n_positive"]
    if metric.pooling == "ratio":
        observed = np.where(panel.ok[:, model], positive, np.nan)
        return Terms(observed, n * column["mean_prediction"])
    defined = ~np.isnan(value)
    if metric.pooling == "skill":
        loss = metric.name.removesuffix("_skill")
        loss = {"brier": "brier_score"}.get(loss, loss)
        weight = n if weighted else np.ones_like(n)
        reference = weight * column[f"reference_{loss}"]
        return Terms(np.where(defined, weight * column[loss], np.nan), reference, "one_minus")
    weight = np.ones_like(n)
    if weighted:
        weight = {
            "roc_auc": positive * (n - positive),
            "average_precision": positive,
            "gain_at_10": positive,
            "lift_at_10": positive,
            "value_captured_at_10": column["future_spend"],
        }.get(metric.name, n)
    return Terms(np.where(defined, weight * value, np.nan), weight)
