"""Which evaluation is at fault where a task hangs or its workers die; without a cluster."""

from __future__ import annotations

from collections import Counter

import pytest

from scale_eval.execution import fault_attribution
from scale_eval.execution.fault_attribution import FaultAttribution
from scale_eval.planning.batches import Batch, CompanyBatch, EvaluationKey
from scale_eval.planning.calendar import PlannedWindow
from scale_eval.planning.global_fits import GlobalFit

WINDOWS = (PlannedWindow(0, 10, False), PlannedWindow(5, 15, True))
MODELS = ("x", "y")
KEY = ("evaluate-run", "c0", "and 199 more", "0")


def batch_of(n_companies: int, windows=WINDOWS, models=MODELS) -> Batch:
    companies = (CompanyBatch(f"c{i}", i, windows, models, 1) for i in range(n_companies))
    return Batch(tuple(companies), writes=True, cost=1.0)


def evaluations_of(tasks) -> list[EvaluationKey]:
    return [
        single.first
        for task in tasks
        for company in task.companies
        for single in company.single_evaluations()
    ]


def row_of(result) -> tuple[str, int, str, str, str]:
    rows = result.rows
    assert len(rows) == 1
    return (
        rows.company_id[0],
        int(rows.cutoff[0]),
        rows.model[0],
        rows.status[0],
        rows.reason[0],
    )


def search(faults: FaultAttribution, deadly: set[EvaluationKey]) -> tuple[list, int, int]:
    """Try the suspects alone: a part dies where it holds a deadly evaluation."""
    verdicts, done, n_deaths = [], 0, 0
    while faults.suspects:
        part = faults.suspects.popleft()
        if deadly & set(evaluations_of([part])):
            n_deaths += 1
            verdict = faults.settle(KEY, part, alone=True)
            verdicts += [verdict] if verdict is not None else []
        else:
            done += part.n_evaluations
    return verdicts, done, n_deaths


@pytest.fixture
def faults() -> FaultAttribution:
    return FaultAttribution(timeout=7.5)


class TestWorkersThatDie:
    def test_a_task_among_others_is_only_suspected_and_is_split_without_loss(self, faults):
        batch = batch_of(200)
        assert faults.settle(KEY, batch, alone=False) is None
        assert len(faults.suspects) == fault_attribution.SPLIT_INTO
        assert evaluations_of(faults.suspects) == evaluations_of([batch])
        assert not faults.retries

    def test_one_evaluation_alone_is_killed(self, faults):
        alone = batch_of(1, WINDOWS[:1], ("x",))
        verdict = faults.settle(KEY, alone, alone=True)
        assert row_of(verdict) == ("c0", 0, "x", "killed", "worker_died")
        assert verdict.statuses == Counter(killed=1)
        assert "nothing else beside it" in verdict.rows.note[0]
        assert not faults.suspects

    def test_one_evaluation_among_others_is_tried_alone_before_it_is_blamed(self, faults):
        single = batch_of(1, WINDOWS[:1], ("x",))
        assert faults.settle(KEY, single, alone=False) is None
        assert list(faults.suspects) == [single]

    def test_the_parts_of_a_suspect_are_tried_before_the_next_suspect(self, faults):
        first, second = batch_of(1), batch_of(3)
        faults.suspects.append(second)
        assert faults.settle(KEY, first, alone=True) is None
        assert evaluations_of(faults.suspects) == evaluations_of([first]) + evaluations_of([second])

    @pytest.mark.parametrize("deadly", [{("c77", 5, "y")}, {("c6", 0, "x"), ("c9", 5, "x")}])
    def test_the_search_ends_with_the_guilty_and_does_all_others(self, faults, deadly):
        batch = batch_of(300)
        faults.settle(KEY, batch, alone=False)
        verdicts, done, n_deaths = search(faults, {EvaluationKey(*each) for each in deadly})
        assert {row_of(verdict)[:3] for verdict in verdicts} == deadly
        assert {verdict.rows.status[0] for verdict in verdicts} == {"killed"}
        assert done == batch.n_evaluations - len(deadly)
        assert n_deaths <= 3 * len(deadly)  # a part of companies, the company, the evaluation

    def test_a_fit_that_kills_alone_is_killed_and_says_that_it_is_one(self, faults):
        fit = GlobalFit("for_all", 5, 15, ("c0", "c1"))
        assert faults.settle(KEY, fit, alone=False) is None
        assert list(faults.suspects) == [fit]
        verdict = faults.settle(KEY, faults.suspects.popleft(), alone=True)
        (fitted,) = verdict.fitted.values()
        assert list(verdict.fitted) == [fit.key]
        assert (fitted.digest, fitted.status, fitted.reason) == ("", "killed", "worker_died")
        assert fitted.note.startswith("fitting: ")
        assert not len(verdict.rows)


class TestTimeouts:
    def test_the_reported_evaluation_times_out_and_the_rest_is_done_again(self, faults):
        batch, guilty = batch_of(40), EvaluationKey("c7", 5, "y")
        assert not faults.has_fault(KEY)
        faults.report_timeout(KEY, guilty)
        assert faults.has_fault(KEY)
        verdict = faults.settle(KEY, batch, alone=False)
        assert row_of(verdict) == ("c7", 5, "y", "timeout", "too_long")
        assert verdict.rows.note[0] == "longer than 7.5 s"
        rest = Counter(evaluations_of(faults.retries))
        assert rest == Counter(evaluations_of([batch])) - Counter([guilty])
        assert not faults.suspects
        assert not faults.has_fault(KEY)

    def test_a_timeout_counts_before_the_death_that_follows_it_even_alone(self, faults):
        single = batch_of(1, WINDOWS[:1], ("x",))
        faults.report_timeout(KEY, single.first)
        verdict = faults.settle(KEY, single, alone=True)
        assert verdict.rows.status == ["timeout"]
        assert not faults.retries
        assert not faults.suspects

    def test_the_row_keeps_the_number_of_the_attempt_and_the_window(self, faults):
        (company,) = batch_of(1).companies
        again = Batch((company._replace(attempt=3),), writes=False, cost=1.0)
        faults.report_timeout(KEY, EvaluationKey("c0", 5, "x"))
        rows = faults.settle(KEY, again, alone=False).rows
        assert rows.attempt.tolist() == [3]
        assert rows.horizon_end.tolist() == [15]
        assert rows.overlaps.tolist() == [True]

    def test_a_fit_that_takes_too_long_leaves_nothing_to_do_again(self, faults):
        fit = GlobalFit("for_all", 5, 15, ("c0", "c1"))
        faults.report_timeout(KEY, fit.first)
        (fitted,) = faults.settle(KEY, fit, alone=False).fitted.values()
        assert (fitted.status, fitted.reason) == ("timeout", "too_long")
        assert not faults.retries


class TestWorkersThatAreToldToEnd:
    def test_nobody_is_blamed_until_it_happens_too_often_to_one_task(self, faults):
        other = ("evaluate-run", "c1")
        for _ in range(fault_attribution.MAX_ENDINGS):
            assert not faults.report_ending(KEY)
            assert not faults.report_ending(other)
        assert not faults.has_fault(KEY)
        assert faults.report_ending(KEY)
        assert faults.has_fault(KEY)
        assert not faults.has_fault(other)

    def test_a_task_that_ends_too_many_workers_is_searched_like_one_that_kills_them(self, faults):
        for _ in range(fault_attribution.MAX_ENDINGS + 1):
            faults.report_ending(KEY)
        assert faults.settle(KEY, batch_of(2), alone=False) is None
        assert len(faults.suspects) == 2
        assert not faults.has_fault(KEY)  # the parts begin with a clean record
