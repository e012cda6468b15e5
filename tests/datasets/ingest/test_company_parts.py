"""Companies that look like parts of one by their rows, however their names are written."""

from __future__ import annotations

import shlex
from types import SimpleNamespace

import pyarrow as pa
import pytest

from scale_eval.datasets.ingest.company_parts import part_remarks
from scale_eval.datasets.ingest.ingest import ingest
from scale_eval.datasets.instants import DAY
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
    ("n_pairs", "share", "n_said", "most_read"),
    [(3, True, 3, 6), (400, True, 4, 8), (400, False, 0, 200)],
)
def test_of_many_companies_with_parts_a_few_are_read_and_told(n_pairs, share, n_said, most_read):
    names = [f"{'abcdefghij'[i % 10] * (i // 10 + 1)}_Q{q}" for i in range(n_pairs) for q in (1, 2)]
    quarters = {"1": (0, 80 * DAY), "2": (90 * DAY, 170 * DAY)}
    manifest = {
        name: dict(zip(("first_timestamp", "last_timestamp"), quarters[name[-1]], strict=True))
        for name in names
    }
    read = []

    def customers_of(name):
        read.append(name)
        return SimpleNamespace(customers=pa.array(["a"] if share else [name]))

    files = [
        SimpleNamespace(
            company_id=name,
            input=SimpleNamespace(label=f"{name}.csv", is_part=False, in_python=False),
        )
        for name in names
    ]
    said = part_remarks(manifest, names, files, SimpleNamespace(read=customers_of))
    assert len(said) == n_said
    assert ("More companies look like parts" in " ".join(said)) == (n_said > 3)
    assert len(read) <= most_read


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
