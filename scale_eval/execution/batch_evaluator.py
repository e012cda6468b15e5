"""Evaluate batches on a worker: read their companies, evaluate, write predictions."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import pyarrow as pa

from scale_eval.datasets import Transactions
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.evaluate import LoadedCompany, WindowPredictions, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts
from scale_eval.evaluation.no_prediction import row_text
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.windows import Window
from scale_eval.execution.company_cache import CompanyCache
from scale_eval.execution.global_fits import FittedModels
from scale_eval.execution.tasks import RunContext, TaskKey
from scale_eval.execution.watchdog import Watchdog
from scale_eval.planning.batches import Batch, CompanyBatch
from scale_eval.results.evaluation_parts import prediction_file
from scale_eval.storage import write_table

CACHE_BYTES = 256 * 2**20
"""Bytes of companies that a worker keeps in memory."""


class BatchEvaluator:
    """Evaluate batches; keep companies and fitted models in memory from one to the next."""

    def __init__(self, context: RunContext, watchdog: Watchdog) -> None:
        self._context, self._watchdog = context, watchdog
        self._companies = CompanyCache(context.dataset, CACHE_BYTES)
        self._fitted = FittedModels(context.run, context.fitted)
        self._window = functools.cache(_window)  # companies share windows; making one is slow

    def evaluate(self, key: TaskKey, batch: Batch) -> tuple[EvaluationRows, ScoreCounts]:
        """Do a batch's evaluations; a company that cannot be read gives `error` rows."""
        rows = EvaluationRows(batch.n_evaluations, self._context.rules.metric_names)
        counts = ScoreCounts()

        def announce(company_id: str, window: Window, model: str) -> None:
            self._watchdog.begin(key, company_id, window.cutoff_us, model)

        evaluate_companies(
            self._loaded(key, batch, rows),
            self._context.rules,
            rows,
            counts,
            announce=announce,
            catch=BaseException,
            fitted=self._fitted,
            keep=self._write_predictions if self._context.save_predictions else None,
        )
        return rows, counts

    def _loaded(self, key: TaskKey, batch: Batch, rows: EvaluationRows) -> Iterator[LoadedCompany]:
        """Yield the companies that can be read; add `error` rows for the others."""
        for company_batch, company in self._read(key, batch):
            if isinstance(company, Exception):
                self._add_unreadable(company_batch, company, rows)
                continue
            windows = [
                (self._window(cutoff, horizon_end), overlaps)
                for cutoff, horizon_end, overlaps in company_batch.windows
            ]
            models = [self._context.models[name] for name in company_batch.models]
            yield LoadedCompany(
                company, windows, models, company_batch.group, company_batch.attempt
            )

    def _read(
        self, key: TaskKey, batch: Batch
    ) -> Iterator[tuple[CompanyBatch, Transactions | Exception]]:
        """Read the companies of a batch one by one: a single one from the cache."""
        company_batches = batch.companies
        self._watchdog.begin(key, *batch.first)
        if len(company_batches) == 1:
            yield company_batches[0], self._companies.read(company_batches[0].company_id)
            return
        companies = self._context.dataset.read_many([each.company_id for each in company_batches])
        for company_batch, (_, company) in zip(company_batches, companies, strict=True):
            yield company_batch, company
            self._watchdog.begin(key, *company_batch.first)

    def _add_unreadable(
        self, company_batch: CompanyBatch, error: Exception, rows: EvaluationRows
    ) -> None:
        message = str(error).replace(str(self._context.dataset.store.root), "DATASET")
        note = row_text(re.sub(r"\s+", " ", message))
        for single in company_batch.single_evaluations():
            (window,), (model,) = single.windows, single.models
            reason = "data_unreadable"
            rows.add(single.company_id, window, model, single.attempt, "error", reason, note)

    def _write_predictions(self, predictions: WindowPredictions) -> None:
        """Write the probabilities of one evaluation."""
        window, model = predictions.company_window, predictions.model
        company_id, cutoff = window.company.company_id, window.window.cutoff
        frame = predictions.frame().assign(company_id=company_id, cutoff=cutoff, model=model)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        write_table(self._context.run, prediction_file(company_id, cutoff, model), table)


def _window(cutoff: int, horizon_end: int) -> Window:
    return Window(from_microseconds(cutoff), from_microseconds(horizon_end))
