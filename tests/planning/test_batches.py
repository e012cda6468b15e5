"""Batches, costs, and what is done: evaluations dealt into tasks, each once, longest first."""

from __future__ import annotations

import itertools
import tracemalloc
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.instants import DAY, NEVER, from_microseconds
from scale_eval.evaluation.schema import KEY
from scale_eval.planning import batches
from scale_eval.planning.batches import (
    Batch,
    CompanyBatch,
    EvaluationKey,
    choose_granularity,
    make_batches,
)
from scale_eval.planning.calendar import ObservedSpans, PlannedWindow, PlannedWindows
from scale_eval.planning.completion import COLUMNS, completed
from scale_eval.planning.cost_model import Costs, ModelCost
from scale_eval.planning.plan import Plan, company_groups

MODELS = ("base_rate", "bgnbd", "recency")
COSTS = Costs({name: ModelCost(1e-4, 1e-6) for name in MODELS})
GRANULARITIES = ("evaluation", "company", "batch")


def plan_of(n_windows: list[int], n_customers: list[int] | None = None) -> Plan:
    """Companies with so many windows each; of these every third is refused."""
    n = len(n_windows)
    names = [f"c{i:07}" for i in range(n)]
    customers = np.array(n_customers or [100] * n, np.int64)
    company = np.repeat(np.arange(n), n_windows)
    place = np.concatenate([np.arange(w) for w in n_windows]).astype(np.int64)
    begin = place * 180 * DAY
    refusal = np.where(np.arange(len(company)) % 3 == 2, 1, 0)
    nothing = np.full(n, NEVER, np.int64)
    return Plan(
        names,
        ObservedSpans(nothing, nothing, nothing, nothing),
        customers * 10,
        customers,
        np.array(list(company_groups(names).values()), np.int64),
        PlannedWindows(company, begin, begin + 180 * DAY, refusal, np.zeros(len(company), bool)),
        MODELS,
    )


def singles(tasks) -> list[tuple[str, int, str, int]]:
    """The evaluations of batches: company, cutoff, model, attempt."""
    return [
        (company.company_id, window.cutoff, model, company.attempt)
        for batch in tasks
        for company in batch.companies
        for window in company.windows
        for model in company.models
    ]


def wanted(plan, todo, attempts) -> Counter:
    return Counter(
        (
            plan.company_ids[plan.windows.company[w]],
            int(plan.windows.cutoff[w]),
            plan.models[m],
            int(attempts[w, m]) + 1,
        )
        for w, m in np.argwhere(todo).tolist()
    )


@st.composite
def plans(draw):
    n_windows = draw(st.lists(st.integers(0, 5), min_size=1, max_size=30))
    customers = draw(
        st.lists(st.integers(10, 10**6), min_size=len(n_windows), max_size=len(n_windows))
    )
    plan = plan_of(n_windows, customers)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (len(plan.is_planned), len(MODELS))
    todo = (rng.random(shape) < draw(st.sampled_from([0.1, 0.7, 1.0]))) & plan.is_planned[:, None]
    attempts = rng.integers(0, draw(st.sampled_from([1, 3])), shape)
    return plan, todo, attempts, rng.permutation(len(n_windows))


class TestPacks:
    @pytest.mark.parametrize("granularity", GRANULARITIES)
    @settings(max_examples=60, deadline=None)
    @given(asked=plans())
    def test_hold_each_evaluation_that_is_to_do_once_and_no_other(self, granularity, asked):
        plan, todo, attempts, order = asked
        tasks = make_batches(plan, todo, attempts, COSTS, granularity, order)
        assert Counter(singles(tasks)) == wanted(plan, todo, attempts)

    @pytest.mark.parametrize("granularity", GRANULARITIES)
    def test_come_longest_first(self, granularity):
        plan = plan_of([4] * 50, np.random.default_rng(1).integers(10, 10**5, 50).tolist())
        todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        order = np.random.default_rng(2).permutation(50)
        tasks = make_batches(plan, todo, np.zeros(todo.shape, int), COSTS, granularity, order)
        costs = np.array([task.cost for task in tasks])
        # One by one they are sorted by company, whose evaluations cost about the same.
        assert (np.diff(costs) <= 1e-4 * costs[:-1]).all()

    def test_cost_together_what_the_plan_costs(self):
        plan = plan_of([4] * 50)
        todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        seconds = plan.costs(COSTS).sum() + 50 * batches.PER_COMPANY
        for granularity in GRANULARITIES:
            tasks = make_batches(
                plan, todo, np.zeros(todo.shape, int), COSTS, granularity, np.arange(50)
            )
            assert sum(task.cost for task in tasks) == pytest.approx(seconds)

    def test_are_bounded_in_seconds_and_in_evaluations(self, monkeypatch):
        monkeypatch.setattr(batches, "BATCH_SECONDS", 0.01)
        monkeypatch.setattr(batches, "BATCH_EVALUATIONS", 40)
        monkeypatch.setattr(batches, "GIANT_SECONDS", 10.0)
        plan = plan_of([3] * 300, ([50, 400, 2000] * 100))
        todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        tasks = [
            *make_batches(plan, todo, np.zeros(todo.shape, int), COSTS, "batch", np.arange(300))
        ]
        assert all(task.writes for task in tasks)
        assert 1 < len(tasks) < 300
        several = [task for task in tasks if len(task.companies) > 1]
        assert several
        assert max(task.cost for task in several) <= 0.01
        assert max(task.n_evaluations for task in several) <= 40

    def test_of_a_short_run_are_short_so_that_every_worker_has_some(self):
        plan = plan_of([6] * 2_000, [100] * 2_000)
        todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        tasks = [
            *make_batches(plan, todo, np.zeros(todo.shape, int), COSTS, "batch", np.arange(2_000))
        ]
        total = sum(task.cost for task in tasks)
        assert total < batches.FEW_BATCHES * batches.BATCH_SECONDS
        assert len(tasks) >= batches.FEW_BATCHES
        assert max(task.cost for task in tasks) <= total / batches.FEW_BATCHES

    def test_of_a_giant_hold_one_cutoff_each(self):
        plan = plan_of([6, 6], [100, 10**8])
        todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        tasks = [*make_batches(plan, todo, np.zeros(todo.shape, int), COSTS, "batch", np.arange(2))]
        giants = [
            entry for task in tasks for entry in task.companies if entry.company_id == "c0000001"
        ]
        assert [len(entry.windows) for entry in giants] == [1] * 4  # two of six are refused

    def test_hold_companies_in_the_order_in_which_they_lie_on_disk(self):
        plan = plan_of([2] * 40)
        todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        order = np.random.default_rng(5).permutation(40)
        (task,) = make_batches(plan, todo, np.zeros(todo.shape, int), COSTS, "batch", order)
        held = [entry.company_id for entry in task.companies]
        assert held == [plan.company_ids[i] for i in order if f"c{i:07}" in held]

    def test_hold_companies_of_one_group_where_groups_lie_together_on_disk(self):
        n = 5000
        plan = plan_of([1] * n)
        todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        order = np.argsort(plan.group, kind="stable")
        tasks = make_batches(plan, todo, np.zeros(todo.shape, int), COSTS, "batch", order)
        assert all(len({entry.group for entry in task.companies}) == 1 for task in tasks)

    def test_one_by_one_take_no_memory_that_grows_with_their_number(self):
        def peak(n: int) -> int:
            plan = plan_of([6] * n)
            todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
            attempts = np.zeros(todo.shape, np.int32)
            tracemalloc.start()
            tasks = make_batches(plan, todo, attempts, COSTS, "evaluation", np.arange(n))
            n_tasks = sum(1 for _ in tasks)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert n_tasks == todo.sum()
            return most

        # Some numbers a window; a task alone is 1 kB.
        assert (peak(4000) - peak(1000)) / (3000 * 6 * len(MODELS)) < 150

    @settings(max_examples=60, deadline=None)
    @given(asked=plans(), parts=st.integers(2, 70))
    def test_are_split_until_one_evaluation_stands_alone_and_none_is_lost(self, asked, parts):
        plan, todo, attempts, order = asked
        for batch in make_batches(plan, todo, attempts, COSTS, "batch", order):
            left, alone = [batch], []
            for _ in range(60):
                if not left:
                    break
                split = list(itertools.chain(*(p.split(parts) for p in left)))
                assert all(p.writes for p in split)
                alone += [p for p in split if p.n_evaluations == 1]
                left = [p for p in split if p.n_evaluations > 1]
            assert not left
            assert Counter(singles(alone)) == Counter(singles([batch]))

    def test_without_one_evaluation_hold_all_others(self):
        windows = PlannedWindow(0, 9, False), PlannedWindow(5, 14, True)
        first = CompanyBatch("a", 0, windows, ("x", "y"), 1)
        batch = Batch((first, first._replace(company_id="b", attempt=2)), True, 1.0)
        rest = Counter(singles(batch.without(EvaluationKey("a", 5, "x"))))
        assert rest == Counter(singles([batch])) - Counter([("a", 5, "x", 1)])
        assert rest.total() == 7
        alone = Batch((CompanyBatch("a", 0, windows[:1], ("x",), 1),), True, 1.0)
        assert alone.without(EvaluationKey("a", 0, "x")) == []


class TestGranularity:
    def test_is_an_evaluation_wherever_tasks_cost_little(self):
        assert choose_granularity("auto", 2_000, 50, 0.1) == "evaluation"
        assert choose_granularity("auto", 50_000, 500, 3_600.0) == "evaluation"

    def test_is_a_company_where_evaluations_are_too_many(self):
        assert choose_granularity("auto", 50_000, 400, 0.1) == "company"
        assert choose_granularity("auto", 50_000, 900, 15.0) == "company"

    def test_is_a_pack_where_companies_share_files_whatever_they_cost(self):
        assert choose_granularity("auto", 22_000, 1_000, 2.0) == "batch"
        assert choose_granularity("auto", 2_400_000, 100_000, 120.0) == "batch"
        assert choose_granularity("auto", 50_000, 50_000, 1e9) == "batch"

    def test_is_what_is_asked_for(self):
        for name in GRANULARITIES:
            assert choose_granularity(name, 10**7, 10**6, 1.0) == name


class TestCosts:
    def test_are_found_again_in_what_evaluations_of_known_cost_took(self):
        rng = np.random.default_rng(0)
        n_customers = rng.integers(10, 10**5, 400)
        model = np.array(["a", "b"] * 200)
        fixed, slope = np.where(model == "a", 1e-3, 5e-5), np.where(model == "a", 2e-6, 1e-8)
        costs = Costs.measured(model, n_customers, fixed + slope * n_customers)
        for name, expected in (("a", (1e-3, 2e-6)), ("b", (5e-5, 1e-8))):
            cost = costs.models[name]
            assert (cost.fixed, cost.per_customer) == pytest.approx(expected)

    def test_are_those_of_numpys_weighted_least_squares(self):
        rng = np.random.default_rng(3)
        n_customers = rng.integers(10, 10**4, 300)
        seconds = 1e-3 + 1e-6 * n_customers * rng.uniform(0.5, 1.5, 300)
        found = Costs.measured(np.full(300, "m"), n_customers, seconds).models["m"]
        slope, fixed = np.polyfit(n_customers, seconds, 1, w=1 / np.sqrt(n_customers))
        assert found.per_customer == pytest.approx(slope)
        assert found.fixed == pytest.approx(fixed)

    def test_are_never_below_nothing(self):
        sizes = np.array([10, 100, 1000])
        falling = Costs.measured(np.full(3, "m"), sizes, np.array([3e-3, 2e-3, 1e-3])).models["m"]
        steep = Costs.measured(np.full(3, "m"), sizes, np.array([0.0, 1e-3, 1e-1])).models["m"]
        for cost in (falling, steep):
            assert cost.fixed >= 0
            assert cost.per_customer >= 0

    def test_survive_being_written_and_leave_out_what_nobody_timed(self):
        timed = Costs.measured(np.array(["a", "b"]), np.array([100, 100]), np.array([1e-3, np.nan]))
        assert set(timed.models) == {"a"}
        assert Costs.from_document(timed.document()) == timed


def rows_of(evaluations, status="ok") -> pa.Table:
    company, begin, model, attempt = zip(*evaluations, strict=True)
    return pa.table(
        {
            "company_id": pa.array(company),
            "cutoff": pa.array(
                [None if b == NEVER else from_microseconds(b) for b in begin],
                pa.timestamp("us", "UTC"),
            ),
            "model": pa.array(model),
            "status": [status] * len(company),
            "attempts": pa.array(attempt, pa.int32()),
        }
    ).select(COLUMNS)


class TestStanding:
    @settings(max_examples=60, deadline=None)
    @given(asked=plans(), parts=st.integers(1, 5))
    def test_what_is_to_do_is_what_has_no_row_in_whatever_order_the_rows_come(self, asked, parts):
        plan, done, _, _ = asked
        held = list(wanted(plan, done, np.zeros(done.shape, int)))
        np.random.default_rng(parts).shuffle(held)
        held = [(c, int(b), m, int(a)) for c, b, m, a in held]
        tables = [rows_of(held[i::parts]) for i in range(parts) if held[i::parts]]
        there = completed(plan, tables)
        planned = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        assert np.array_equal(there.todo(plan, MODELS, retry=False), planned & ~done)
        assert there.n_missing == done.size - done.sum()
        assert there.n_repeated == 0
        assert completed(plan, [*tables, *tables]).n_repeated == len(held)

    def test_failures_stand_unless_they_are_to_be_tried_again(self):
        plan = plan_of([2, 2])
        done = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
        held = list(wanted(plan, done, np.zeros(done.shape, int)))
        failed = rows_of(held[:2], "killed")
        there = completed(plan, [failed, rows_of(held[2:])])
        assert not there.todo(plan, MODELS, retry=False).any()
        assert there.todo(plan, MODELS, retry=True).sum() == 2
        better = rows_of([(c, b, m, 2) for c, b, m, _ in held[:2]])
        for tables in ([failed, better], [better, failed]):
            there = completed(plan, [*tables, rows_of(held[2:])])
            assert not there.todo(plan, MODELS, retry=True).any()

    def test_rows_of_another_plan_are_left_out(self):
        plan = plan_of([2, 2])
        others = [
            ("nobody", 0, "recency", 1),
            ("c0000000", 0, "unknown", 1),
            ("c0000000", 77, "recency", 1),
            ("c0000001", NEVER, "recency", 1),
        ]
        there = completed(plan, [rows_of(others)])
        assert there.n_missing == 4 * len(MODELS)
        assert set(KEY) < set(COLUMNS)
