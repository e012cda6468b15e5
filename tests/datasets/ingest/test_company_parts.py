"""Companies that look like parts of one by their rows, however their names are written."""

from __future__ import annotations

import shlex

import pytest

from scale_eval.datasets.ingest.ingest import ingest
from tests.support.transaction_files import FEBRUARY, JANUARY, contents

MARCH = ["c,2017-03-01 09:00:00Z,6"]


@pytest.mark.parametrize(
    ("names", "company"),
    [
        (["acme_Q1", "acme_Q2"], "acme"),
        (["acme_2020_H1", "acme_2020_H2"], "acme_2020"),
        (["the-shop_FY20", "the-shop_FY21"], "the-shop"),
        (["acme 1-2020", "acme 2-2020", "acme 3-2020"], "acme"),
        (["orders_export_1", "orders_export_2"], "orders_export"),
        (["acme_page9", "acme_page10"], "acme"),
        (["acme janvier 2020", "acme mars 2020"], "acme"),
        (["1_acme", "2_acme"], "acme"),
        (["KW01", "KW02"], None),
    ],
)
def test_companies_called_alike_with_times_of_their_own_are_told(file, into, names, company):
    months = [JANUARY, FEBRUARY, MARCH]
    paths = [file(f"{name}.csv", lines) for name, lines in zip(names, months, strict=False)]
    (remark,) = ingest(paths, into).remarks
    assert f"{', '.join(map(repr, names))} look like parts of one company" in remark
    if company is None:
        assert "say where the company stands in their paths" in remark
        return
    words = shlex.split(remark)
    pattern = words[words.index("--company-from") + 1].rstrip(".")
    together = ingest(paths, into.with_name("one"), company_from=pattern)
    assert list(contents(together.dataset)) == [company]
    assert together.remarks == ()


def test_a_later_part_is_told_beside_the_one_that_the_dataset_has(file, into):
    assert ingest(file("acme_Q1.csv", JANUARY), into).remarks == ()
    (remark,) = ingest(file("acme_Q2.csv", FEBRUARY), into).remarks
    assert "'acme_Q1', 'acme_Q2' look like parts of one company" in remark


@pytest.mark.parametrize(
    ("contents_of", "company_from"),
    [
        ({"acme_Q1": JANUARY, "acme_Q2": [*FEBRUARY, JANUARY[0]]}, None),  # at the same time
        ({"acme_Q1": JANUARY, "acme_Q2": MARCH}, None),  # no customer of both
        ({"acme": JANUARY, "bolt": FEBRUARY}, None),  # other names
        ({"acme_Q1": JANUARY, "acme_Q2": FEBRUARY}, "{company}"),  # the caller says what they are
    ],
)
def test_other_companies_are_no_parts(file, into, contents_of, company_from):
    paths = [file(f"{name}.csv", lines) for name, lines in contents_of.items()]
    assert ingest(paths, into, company_from=company_from).remarks == ()
