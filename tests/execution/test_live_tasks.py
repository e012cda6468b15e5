"""The keys of tasks, as the dashboard shows them."""

from __future__ import annotations

from scale_eval.datasets.instants import as_utc, microseconds
from scale_eval.execution.live_tasks import task_key
from scale_eval.planning.batches import Batch, CompanyBatch
from scale_eval.planning.calendar import PlannedWindow
from scale_eval.planning.global_fits import GlobalFit

CUTOFFS = [microseconds(as_utc(date)) for date in ("2023-07-01", "2024-01-01")]
WINDOWS = tuple(PlannedWindow(cutoff, cutoff + 10, False) for cutoff in CUTOFFS)


def batch_of(*company_ids, windows=WINDOWS, models=("bgnbd", "recency"), writes=False) -> Batch:
    companies = (CompanyBatch(name, 0, windows, models, 1) for name in company_ids)
    return Batch(tuple(companies), writes, 1.0)


def test_one_evaluation_is_named_by_company_cutoff_and_model():
    single = batch_of("shop", windows=WINDOWS[:1], models=("bgnbd",))
    key = ("evaluate-run", "shop", "2023-07-01T00:00:00+00:00", "bgnbd")
    assert task_key("evaluate-run", single, 7) == key


def test_one_company_is_named_alone_and_a_batch_by_its_first_and_a_number():
    assert task_key("evaluate-run", batch_of("shop"), 7) == ("evaluate-run", "shop")
    many = batch_of("shop", "other", "third", writes=True)
    assert task_key("evaluate-run", many, 7) == ("evaluate-run", "shop", "and 2 more", "7")


def test_parts_of_a_batch_whose_results_are_written_have_numbers_down_to_one_evaluation():
    part = batch_of("shop", windows=WINDOWS[:1], models=("bgnbd",), writes=True)
    key = ("evaluate-alone-run", "shop", "and 0 more", "8")
    assert task_key("evaluate-alone-run", part, 8) == key


def test_a_fit_of_all_companies_says_that_it_is_one():
    fit = GlobalFit("global", CUTOFFS[1], CUTOFFS[1] + 10, ("shop",))
    key = ("fit-run", "all companies", "2024-01-01T00:00:00+00:00", "global")
    assert task_key("evaluate-run", fit, 9) == key
