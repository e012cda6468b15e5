"""The order of rows: that of a lexicographic sort, whatever the sizes of the keys."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.ingest.row_order import row_order

DAY_US = 86_400 * 10**6


def table(ids, times, values) -> pa.Table:
    return pa.table(
        {
            "customer_id": pa.array(ids, pa.string()),
            "timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            "value": pa.array(values, pa.float64()),
        }
    )


def sorted_by_python(company, ids, times, values) -> list[int]:
    keys = list(zip(company, [i.encode() for i in ids], times, values, strict=True))
    return sorted(range(len(keys)), key=keys.__getitem__)  # stable


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["a", "B", "10", "9", "ä", "\U0001f600", "ﬁ"]),
            st.sampled_from([0, 1, -5, 10**6, -DAY_US, DAY_US, 253_370_764_800_000_000]),
            st.sampled_from([0.0, -0.0, 1.5, -2.0]),
        ),
        min_size=1,
    ),
    st.sampled_from([1, 10**6, DAY_US]),
)
@settings(max_examples=150)
def test_rows_are_sorted_as_python_sorts_them_and_equal_ones_stay_as_they_came(rows, unit):
    company, ids, times, values = map(list, zip(*rows, strict=True))
    times = [t // unit * unit for t in times]
    order = row_order(table(ids, times, values), np.array(company, np.int32))
    assert order.tolist() == sorted_by_python(company, ids, times, values)
    alone = row_order(table(ids, times, values))
    assert alone.tolist() == sorted_by_python([0] * len(rows), ids, times, values)


@pytest.mark.parametrize("unit", [1, 10**6, DAY_US])
def test_many_rows_are_sorted_as_lexsort_sorts_them(unit):
    rng = np.random.default_rng(0)
    n = 60_000
    company = rng.integers(0, 50, n).astype(np.int32)
    ids = np.char.mod("c%05d", rng.integers(0, 9_000, n))
    times = rng.integers(-(10**16), 10**17, n) // unit * unit
    values = rng.integers(0, 3, n).astype(float)
    order = row_order(table(ids, times, values), company)
    expected = np.lexsort([values, times, ids, company])
    assert (order == expected).all()


def test_no_rows_have_no_order():
    assert row_order(table([], [], [])).tolist() == []
