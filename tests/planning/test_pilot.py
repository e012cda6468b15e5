"""The pilot, and the rows of refused windows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from scale_eval.datasets.instants import DAY
from scale_eval.planning import refused
from scale_eval.planning.calendar import ObservedSpans
from scale_eval.planning.cost_model import Costs, ModelCost
from scale_eval.planning.pilot import (
    PILOT_COMPANIES,
    PILOT_FROM,
    companies_of_all_sizes,
    needs_pilot,
    pilot_evaluations,
)
from scale_eval.planning.refused import refused_rows
from tests.planning.test_batches import MODELS, plan_of

TIMED = Costs({name: ModelCost(1e-3, 0.0) for name in MODELS})


@pytest.mark.parametrize(
    ("costs", "n_todo", "granularity", "needed"),
    [
        (Costs(), PILOT_FROM, "auto", True),
        (Costs(), PILOT_FROM, "batch", True),
        (Costs(), PILOT_FROM, "company", False),
        (Costs(), PILOT_FROM - 1, "auto", False),
        (TIMED, PILOT_FROM, "auto", False),
    ],
)
def test_a_pilot_is_for_batches_of_many_evaluations_of_models_that_were_never_timed(
    costs, n_todo, granularity, needed
):
    assert needs_pilot(MODELS, costs, n_todo, granularity) is needed


def test_companies_of_all_sizes_are_the_smallest_to_nearly_the_largest():
    n_customers = np.random.default_rng(3).permutation(1000)
    companies = np.arange(1000)
    chosen = companies_of_all_sizes(companies, n_customers, 40)
    assert len(set(chosen.tolist())) == 40
    sizes = n_customers[chosen]
    assert (np.diff(sizes) > 0).all()
    assert sizes[0] == 0
    assert sizes[-1] == 989


def test_a_pilot_takes_whole_companies_and_only_those_with_something_to_do():
    plan = plan_of([3] * 200, list(range(100, 300)))
    todo = np.repeat(plan.is_planned[:, None], len(MODELS), axis=1)
    todo[plan.windows.company % 2 == 0] = False
    pilot = pilot_evaluations(plan, todo)
    assert pilot.shape == todo.shape
    companies = np.unique(plan.windows.company[pilot[:, 0]])
    assert len(companies) == PILOT_COMPANIES
    assert (companies % 2 == 1).all()
    assert (pilot.all(axis=1) == np.isin(plan.windows.company, companies)).all()


def test_every_refused_evaluation_that_is_missing_becomes_one_row_in_files_of_bounded_size(
    monkeypatch,
):
    monkeypatch.setattr(refused, "REFUSED_ROWS", 30)
    day = np.full(50, DAY)
    plan = dataclasses.replace(plan_of([3] * 50), observed=ObservedSpans(day, day, day, day))
    missing = np.repeat(~plan.is_planned[:, None], len(MODELS), axis=1)
    missing[:6] = False
    files = list(refused_rows(plan, missing, ()))
    assert len(files) > 3
    assert max(map(len, files)) <= 40
    assert sum(map(len, files)) == missing.sum()
    assert {status for rows in files for status in rows.status} == {"skipped"}
    assert all(reason for rows in files for reason in rows.reason)


def test_where_nothing_is_refused_there_is_no_file():
    plan = plan_of([2] * 5)
    assert not list(refused_rows(plan, np.zeros((10, len(MODELS)), bool), ()))
