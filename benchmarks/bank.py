"""Many evaluated companies, of which samples are drawn as a run would hold them."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pyarrow as pa

from benchmarks.population import MODELS, Companies, Population, company_name
from scale_eval.evaluation.schema import SCORES_SCHEMA
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.planning.plan import company_groups
from scale_eval.results.panel import Panel
from scale_eval.results.panel_columns import parts_of
from scale_eval.results.pooled_histograms import PooledHistograms
from tests.support.planted import evaluated


class Bank:
    """The evaluations and scores of companies, each in a group of its own, by number."""

    def __init__(self, companies: Companies, evaluations: pa.Table, scores: pa.Table) -> None:
        self.companies, self._evaluations, self._scores = companies, evaluations, scores
        per_company = len(evaluations) // len(companies)
        self._first_row = np.arange(len(companies) + 1) * per_company
        self._first_score = np.searchsorted(
            scores["company_group"].to_numpy(), np.arange(len(companies) + 1)
        )

    def __len__(self) -> int:
        return len(self.companies)

    def sample(self, numbers: np.ndarray) -> tuple[Panel, PooledHistograms]:
        """Return the panel and the scores of these companies, numbers in ascending order."""
        rows = self._evaluations.take(_slices(self._first_row, numbers))
        scores = self._scores.take(_slices(self._first_score, numbers))
        panel = Panel.of(parts_of(rows)).holding([*METRICS, *STANDARD_ERRORS])
        groups = company_groups(list(panel.company_ids))
        by_number = np.zeros(len(self), dtype=np.int32)
        by_number[numbers] = [groups[company_name(i)] for i in numbers.tolist()]
        regrouped = by_number[scores["company_group"].to_numpy()]
        at = scores.schema.get_field_index("company_group")
        scores = scores.set_column(at, SCORES_SCHEMA.field(at), pa.array(regrouped))
        return panel, PooledHistograms([scores], panel, groups)


def make_bank(n_companies: int, population: Population, seed: int, n_processes: int = 2) -> Bank:
    """Evaluate `n_companies` companies drawn from the population."""
    companies = Companies.drawn(n_companies, population, seed)
    shares = np.array_split(np.arange(n_companies), max(n_processes * 8, 1))
    tasks = [(share, companies, seed) for share in shares if len(share)]
    if n_processes > 1:
        with ProcessPoolExecutor(n_processes) as processes:
            parts = list(processes.map(_evaluated, tasks))
    else:
        parts = list(map(_evaluated, tasks))
    evaluations, scores = zip(*parts, strict=True)
    return Bank(companies, pa.concat_tables(evaluations), pa.concat_tables(scores).combine_chunks())


def _evaluated(task: tuple[np.ndarray, Companies, int]) -> tuple[pa.Table, pa.Table]:
    numbers, companies, seed = task
    windows = (window for i in numbers.tolist() for window in companies.windows(i, seed))
    groups = {company_name(i): i for i in numbers.tolist()}
    return evaluated(windows, MODELS, groups)


def _slices(starts: np.ndarray, companies: np.ndarray) -> np.ndarray:
    return np.concatenate([np.arange(starts[i], starts[i + 1]) for i in companies.tolist()])
