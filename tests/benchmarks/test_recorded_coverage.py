"""The page on coverage is made from what the benchmark recorded."""

from __future__ import annotations

import sys

import pytest

from benchmarks.population import POPULATIONS
from tests.support.documentation import DOCS, page

sys.path.insert(0, str(DOCS))

import coverage_tables


@pytest.mark.parametrize(
    "make",
    [
        coverage_tables.intervals,
        coverage_tables.half_years,
        coverage_tables.shortfalls,
        coverage_tables.probabilities,
        coverage_tables.others,
        coverage_tables.samples,
    ],
)
def test_every_table_of_the_page_has_rows(make):
    assert make().count("\n|") >= 3


def test_the_page_describes_every_population():
    missing = [p.name for p in POPULATIONS if p.name not in page("reference/coverage")]
    assert missing == []


def test_nearly_all_that_is_published_as_sure_and_falls_short_is_explained():
    figures = coverage_tables.recorded("coverage")
    beyond = [row for row in figures["falling_short"] if row["beyond_chance"]]
    unexplained = [row for row in beyond if not row["why"]]
    sure = [row for row in figures["coverage"] if row["method"] == "ours" and row["n_sure"] >= 20]
    assert len(unexplained) <= 0.02 * len(sure)
