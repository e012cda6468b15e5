"""Collect rows of the table `evaluations` as columns that are filled one evaluation at a time.

A run makes millions of rows, so a row is not an object of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.instants import NEVER
from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.metrics import INFLUENCED, N_GROUPS, PLAIN
from scale_eval.metrics.compiled.values import COUNTS, N_SCORED, VALUES, undefined_text
from scale_eval.metrics.uncertainty import influence_column
from scale_eval.storage.columns import TIME

SECONDS = ("history_seconds", "fit_seconds", "predict_seconds", "score_seconds")
HISTORY_SECONDS, FIT_SECONDS, PREDICT_SECONDS, SCORE_SECONDS = range(len(SECONDS))
_POPULATION = ("n_customers", "n_lapsed")
_TEXTS = ("company_id", "model", "status", "reason", "note", "worker")
_LISTS = (*_TEXTS, "plain_undefined")
_KEYS = ("cutoff", "horizon_end", "overlaps", "attempt")
_ARRAYS = (
    "values",
    "reasons",
    "counts",
    "population",
    "influence",
    "seconds",
    "plain_values",
    "user_influence",
    *_KEYS,
)
NULL = -1
"""Stands for a count that is null in the table."""


class EvaluationRows:
    """Evaluations by column, in arrays of shape (n, ...); the first `len(self)` entries are rows.

    Attributes
    ----------
    values : ndarray of float64, shape (n, len(VALUES))
        The values of `score_windows_into`; NaN is null.
    reasons : ndarray of uint8, shape (n, len(VALUES))
        The codes of the reasons why values are null.
    counts : ndarray of int64, shape (n, len(COUNTS))
    population : ndarray of int64, shape (n, 2)
        The number of customers, and of those who have lapsed.
    influence : ndarray of float32, shape (n, len(INFLUENCED), N_GROUPS)
    seconds : ndarray of float64, shape (n, len(SECONDS))
    plain_values : ndarray of float64, shape (n, len(plain_metrics))
        The values of metrics without a compiled twin; NaN is null.
    plain_metrics : tuple of str
        Their names; the user's are last.
    user_influence : ndarray of float32, shape (n, len(user_metrics), N_GROUPS)
        The sums of influence on the user's metrics; NaN where there are none.
    """

    def __init__(self, n: int, user_metrics: Sequence[str] = ()) -> None:
        self.user_metrics = tuple(user_metrics)
        self.plain_metrics = (*(metric.name for metric in PLAIN), *user_metrics)
        self.values = np.full((n, len(VALUES)), np.nan)
        self.reasons = np.zeros((n, len(VALUES)), np.uint8)
        self.counts = np.full((n, len(COUNTS)), NULL, np.int64)
        self.population = np.full((n, len(_POPULATION)), NULL, np.int64)
        self.influence = np.full((n, len(INFLUENCED), N_GROUPS), np.nan, np.float32)
        self.seconds = np.full((n, len(SECONDS)), np.nan)
        self.plain_values = np.full((n, len(self.plain_metrics)), np.nan)
        self.user_influence = np.full((n, len(user_metrics), N_GROUPS), np.nan, np.float32)
        self.cutoff = np.zeros(n, np.int64)
        self.horizon_end = np.zeros(n, np.int64)
        self.overlaps = np.zeros(n, np.bool_)
        self.attempt = np.ones(n, np.int32)
        self.company_id: list[str] = []
        self.model: list[str] = []
        self.status: list[str] = []
        self.reason: list[str] = []
        self.note: list[str] = []
        self.plain_undefined: list[str] = []  # "metric:reason;..." of `plain_metrics`
        self.worker: list[str | None] = []

    def __len__(self) -> int:
        return len(self.status)

    def add(
        self,
        company_id: str,
        window: tuple[int, int, bool],
        model: str,
        attempt: int,
        status: str = "",
        reason: str = "",
        note: str = "",
    ) -> int:
        """Begin a row and return its position; status, reason and note can be set later.

        `window` is the cutoff, the end of the horizon (both in microseconds since 1970 UTC), and
        True where it overlaps another one.
        """
        position = self.add_all([(company_id, *window, attempt)], [model])
        self.set_status(position, status, reason, note)
        return position

    def set_status(self, position: int, status: str, reason: str = "", note: str = "") -> None:
        """Set the status, the reason and the note of the row at `position`."""
        self.status[position], self.reason[position], self.note[position] = status, reason, note

    def add_all(
        self, windows: Sequence[tuple[str, int, int, bool, int]], models: Sequence[str]
    ) -> int:
        """Begin the rows of each model at each window; return the position of the first.

        A window is its company, its cutoff and the end of its horizon (in microseconds since 1970
        UTC), whether it overlaps another one, and the number of the attempt. Their statuses are set
        later.
        """
        first, n_models = len(self.status), len(models)
        n = len(windows) * n_models
        last = first + n
        company_ids, *columns = zip(*windows, strict=True)
        for name, column in zip(_KEYS, columns, strict=True):
            array = getattr(self, name)
            array[first:last] = np.repeat(np.array(column, array.dtype), n_models)
        self.company_id += [company_id for company_id in company_ids for _ in range(n_models)]
        self.model += list(models) * len(windows)
        for texts in (self.status, self.reason, self.note, self.plain_undefined):
            texts += [""] * n
        self.worker += [None] * n  # the worker that runs the evaluations sets it
        return first

    def table(self) -> pa.Table:
        """Return the rows as a table by `evaluations_schema`; only `ok` rows hold figures."""
        n = len(self)
        columns: dict[str, Any] = {
            name: pa.array(getattr(self, name), pa.string()) for name in _TEXTS
        }
        ok = pc.equal(columns["status"], "ok").to_numpy(zero_copy_only=False)
        columns["undefined"] = self._undefined()
        for name, instants in (("cutoff", self.cutoff[:n]), ("horizon_end", self.horizon_end[:n])):
            columns[name] = pa.array(instants, mask=instants == NEVER).cast(TIME)
        columns["overlaps"] = self.overlaps[:n]
        columns["attempts"] = self.attempt[:n]
        now = pa.scalar(datetime.now(UTC), TIME)
        columns["evaluated_at"] = pa.repeat(now, n)
        integers: list[tuple[tuple[str, ...], np.ndarray]] = [
            (_POPULATION, self.population),
            (COUNTS, self.counts),
        ]
        for names, counts in integers:
            for name, column in zip(names, counts[:n].T, strict=True):
                columns[name] = pa.array(column, mask=column == NULL)
        for names, floats in (
            (VALUES, self.values),
            (SECONDS, self.seconds),
            (self.plain_metrics, self.plain_values),
        ):
            for name, column in zip(names, floats[:n].T, strict=True):
                columns[name] = pa.array(column, from_pandas=True)
        with np.errstate(invalid="ignore"):
            observed = self.counts[:n, 0] / self.population[:n, 0]
        columns["observed_rate"] = pa.array(observed, mask=self.counts[:n, 0] == NULL)
        for kept_for, influence in (
            (INFLUENCED, self.influence),
            (self.user_metrics, self.user_influence),
        ):
            for k, name in enumerate(kept_for):
                sums = influence[:n, k]
                columns[influence_column(name)] = pa.FixedSizeListArray.from_arrays(
                    pa.array(sums.reshape(-1)), N_GROUPS, mask=pa.array(np.isnan(sums[:, 0]) | ~ok)
                )
        return pa.table(columns).select(self.schema.names).cast(self.schema)

    def _undefined(self) -> pa.Array:
        """Return each row's text of the figures that are null for a reason, "metric:reason;..."."""
        n = len(self)
        codes = pa.Array.from_buffers(
            pa.binary(N_SCORED),
            n,
            [None, pa.py_buffer(np.ascontiguousarray(self.reasons[:n, :N_SCORED]))],
        )
        distinct = codes.dictionary_encode()  # few, among millions of rows
        texts = pa.array(
            [undefined_text(np.frombuffer(c, np.uint8)) for c in distinct.dictionary.to_pylist()],
            pa.string(),
        ).take(distinct.indices)
        if not any(self.plain_undefined):
            return texts
        both = zip(texts.to_pylist(), self.plain_undefined, strict=True)
        merged = (filter(None, [*one.split(";"), *other.split(";")]) for one, other in both)
        return pa.array([";".join(sorted(reasons)) for reasons in merged], pa.string())

    @property
    def schema(self) -> pa.Schema:
        """Return the schema of `table`."""
        return evaluations_schema(self.user_metrics)

    @classmethod
    def concatenated(cls, parts: Sequence[EvaluationRows]) -> EvaluationRows:
        """Return the rows of `parts`, one after the other."""
        whole = cls(0, parts[0].user_metrics if parts else ())
        for name in _ARRAYS:
            kept = [getattr(whole, name), *(getattr(part, name)[: len(part)] for part in parts)]
            setattr(whole, name, np.concatenate(kept))
        for name in _LISTS:
            setattr(whole, name, [text for part in parts for text in getattr(part, name)])
        return whole
