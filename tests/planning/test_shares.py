"""A plan divided into shares: every evaluation is of exactly one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scale_eval as se
from scale_eval.datasets.instants import NEVER
from scale_eval.planning.calendar import ObservedSpans, PlannedWindows
from scale_eval.planning.cost_model import PER_COMPANY, Costs
from scale_eval.planning.plan import Plan, disk_order, plan_run
from scale_eval.planning.settings import make_settings
from scale_eval.planning.share import Share
from scale_eval.planning.shares import divide_companies, share_of
from tests.support import models as models
from tests.support.companies import companies_of_unequal_size

CHOSEN = ["base_rate", "recency", "rfm_logistic"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return companies_of_unequal_size(tmp_path_factory.mktemp("data"))


class TestDivision:
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 20])
    def test_every_evaluation_is_of_exactly_one_share(self, dataset, n):
        plan = plan_run(dataset, CHOSEN, make_settings())
        shares = [share_of(plan, dataset, Share(i + 1, n)) for i in range(n)]

        def windows(plan: Plan) -> list[tuple[int, ...]]:
            held = plan.windows
            return list(zip(held.company.tolist(), held.cutoff.tolist(), strict=True))

        assert sorted(w for share in shares for w in windows(share)) == windows(plan)
        assert sum(share.n_planned for share in shares) == plan.n_planned
        assert sum(share.n_refused for share in shares) == plan.n_refused > 0

    @given(data=st.data(), n=st.integers(1, 70), n_companies=st.sampled_from([1, 7, 90, 1500]))
    def test_companies_of_any_size_are_dealt_evenly_and_as_neighbours_where_many_lie_in_a_file(
        self, data, n, n_companies
    ):
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        plan, order = plan_of(np.exp(rng.normal(4.7, 1.4, n_companies)).astype(int) + 1, rng)
        shares = divide_companies(plan, order, n)
        assert ((shares >= 0) & (shares < n)).all()
        seconds = Costs().window_seconds(plan.n_rows, plan.n_customers, ["any"])
        seconds = PER_COMPANY + np.bincount(
            plan.windows.company, seconds[plan.windows.company], minlength=n_companies
        )
        load = np.bincount(shares, seconds, minlength=n)
        assert load.max() <= seconds.sum() / n + seconds.max() * (1 + 1e-9)
        if n_companies >= 1001:
            assert (np.diff(shares[order]) >= 0).all()

    def test_it_does_not_depend_on_the_models(self, dataset):
        few = plan_run(dataset, ["base_rate"], make_settings())
        many = plan_run(dataset, [*CHOSEN, "bgnbd"], make_settings())
        order = disk_order(few, dataset)
        assert (divide_companies(few, order, 4) == divide_companies(many, order, 4)).all()

    @pytest.mark.parametrize(
        "given", ["", "0/3", "4/3", "1", "1/2/3", "a/b", "1.5/2", (0, 2), (1,), (2, 1), "-1/2"]
    )
    def test_what_is_no_share_is_refused_with_what_to_write(self, given, dataset, tmp_path):
        with pytest.raises(ValueError, match="write which of how many, such as 2/8"):
            se.evaluate(dataset, CHOSEN, out=tmp_path / "run", share=given)
        assert not (tmp_path / "run").exists()

    def test_a_share_is_written_as_text_or_as_numbers(self):
        assert Share.parse("2/8") == Share.parse((2, 8)) == Share.parse([2, 8]) == (2, 8)


def plan_of(n_customers, rng) -> tuple[Plan, np.ndarray]:
    """A plan of companies of these sizes, one to three windows each, and an order on a disk."""
    n = len(n_customers)
    company = np.repeat(np.arange(n), rng.integers(1, 4, n))
    nothing = np.zeros(len(company), np.int64)
    windows = PlannedWindows(company, nothing, nothing, nothing.astype(np.int8), nothing > 0)
    instants = np.full(n, NEVER)
    observed = ObservedSpans(instants, instants, instants, instants)
    names = [f"{i:05}" for i in range(n)]
    plan = Plan(names, observed, 3 * n_customers, n_customers, np.arange(n), windows, ("a", "b"))
    return plan, rng.permutation(n)
