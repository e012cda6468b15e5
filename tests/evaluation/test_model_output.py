"""What a model returned: the right values, or a message with the values that matter."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.evaluation.model_output import checked_probabilities
from scale_eval.evaluation.no_prediction import WrongOutput

IDS = np.array(["c1", "c2", "c3", "c4"], dtype=object)
WINDOW = SimpleNamespace(n_customers=4, customer_ids=IDS)
P = np.array([0.5, 0.25, 0.0, 1.0])


@pytest.mark.parametrize(
    "output",
    [
        P,
        P.astype("float32"),
        P.astype("float16"),
        P.tolist(),
        tuple(P),
        P.astype(object),
        [Decimal("0.5"), Decimal("0.25"), Decimal(0), Decimal(1)],
        [Fraction(1, 2), Fraction(1, 4), 0, True],
        pd.Series(P, index=IDS),
        pd.Series(P, index=pd.Categorical(IDS)),
        pd.Series(P, index=IDS, dtype="Float64"),
        pd.Series(P, index=IDS, dtype="float64[pyarrow]"),
        pd.Series(P, index=IDS).astype(pd.SparseDtype(float, 0.0)),
        pd.array(P, dtype="Float64"),
        pa.array(P),
        pa.chunked_array([P[:1], P[1:]]),
        np.ma.masked_array(P),
        P[::-1][::-1],
    ],
    ids=lambda output: f"{type(output).__name__} {getattr(output, 'dtype', '')}",
)
def test_one_probability_for_each_customer_is_taken_as_it_is(output):
    found = checked_probabilities(output, WINDOW)
    assert found.dtype == np.float64
    assert found.tolist() == P.tolist()


@pytest.mark.parametrize("output", [P > 0.3, [1, 0, 0, 1], np.array([1, 0, 0, 1], np.int8)])
def test_zeros_and_ones_are_probabilities(output):
    assert checked_probabilities(output, WINDOW).tolist() == [1.0, 0.0, 0.0, 1.0]


MASKED = np.ma.masked_less(P, 0.3)
FLOAT32_ABOVE = np.array([1, 0, 0, 0], "float32") * np.nextafter(np.float32(1), np.float32(2))

WRONG = [
    (MASKED, "not_a_number", "2 of 4 probabilities are masked or NaN, first of customer 'c2'"),
    ([0.5, np.ma.masked, 0, 1], "not_a_number", "1 of 4 probabilities are NaN"),
    ([0.5, np.nan, None, 1], "not_a_number", "2 of 4 probabilities are NaN, first of customer"),
    (pd.array([0.5, pd.NA, 0, 1], "Float64"), "not_a_number", "1 of 4 probabilities are NaN"),
    (pd.Series([0.5, pd.NA, 0, 1], IDS), "not_a_number", "1 of 4 probabilities are NaN"),
    (pa.array([0.5, None, 0.0, 1.0]), "not_a_number", "1 of 4 probabilities are NaN"),
    (FLOAT32_ABOVE, "outside_0_1", "above 1, such as 1.0000001192092896: by 1.2e-07"),
    (P - 1e-9, "outside_0_1", "1 of 4 are below 0, such as -1e-09: by 1e-09, a rounding error"),
    (100 * P, "outside_0_1", "from 0 to 100: divide percentages by 100"),
    ([-3.0, 2, 0, 1], "outside_0_1", "2 of 4; they reach from -3 to 2, as scores or log-odds"),
    ([0.5, np.inf, 0, 1], "outside_0_1", "1 of 4; they reach from 0 to inf"),
    ([7, 2e6, 0, 1], "outside_0_1", "2 of 4; they reach from 0 to 2e+06"),
    (P.astype(complex), "not_numeric", "values of type complex128; take its .real part"),
    ([0.5, 1j, 0, 1], "not_numeric", "values of type list; take its .real part"),
    (np.array([0.5, 1j, 0, 1], object), "not_numeric", "values of type object, such as 1j"),
    (["0,5", "1", "0", "1"], "not_numeric", "values of type list, such as '0,5'"),
    (["high", "1", "0", "1"], "not_numeric", "such as 'high'"),
    ([0.5, {"p": 1}, 0, 1], "not_numeric", "such as {'p': 1}"),
    ([10**400, 1, 0, 1], "not_numeric", "values of type list, such as 1000"),
    (np.array(["2020", "1970"] * 2, "M8[Y]"), "not_numeric", "values of type datetime64[Y]"),
    (np.ones(4, "m8[s]"), "not_numeric", "values of type timedelta64[s]"),
    (None, "wrong_shape", "None: does predict_proba end with a return?"),
    (0.3, "wrong_shape", "a single float where 4 values are wanted; return one for each"),
    (np.array(0.3), "wrong_shape", "a single ndarray where 4 values are wanted"),
    ((p for p in P), "wrong_shape", "a generator: return list(output), or an array"),
    (map(float, P), "wrong_shape", "a map: return list(output), or an array"),
    (dict(zip(IDS, P, strict=True)), "wrong_shape", "return pd.Series(output)[history.customers]"),
    ({0.5, 0.25}, "wrong_shape", "a set, which has no order"),
    (P[:, None], "wrong_shape", "shape (4, 1) where (4,) is wanted; take its column [:, 0]"),
    (P[None], "wrong_shape", "shape (1, 4) where (4,) is wanted; take its row [0]"),
    (np.column_stack([1 - P, P]), "wrong_shape", "shape (4, 2) where (4,) is wanted; take its "),
    (pd.DataFrame({"p": P}, IDS), "wrong_shape", "take its column .iloc[:, 0]"),
    (pd.DataFrame({0: 1 - P, 1: P}, IDS), "wrong_shape", "take its column .iloc[:, 1]"),
    (np.ones((4, 3)), "wrong_shape", "shape (4, 3) where (4,) is wanted"),
    ([[0.5], [0.1, 0.2], 0, 1], "wrong_shape", "a list of lists of different lengths"),
    (scipy.sparse.csr_matrix(P), "wrong_shape", "a sparse csr_matrix, 1x4: return .toarray()"),
    (scipy.sparse.coo_array(P), "wrong_shape", "a sparse coo_array, 4: return .toarray()"),
    (P[:3], "wrong_length", "3 probabilities for 4 customers"),
    (pd.Series(P[:3], IDS[:3]), "wrong_length", "3 probabilities for 4 customers"),
    (
        pd.Series(P, IDS).sort_values(),
        "wrong_order",
        "'c3' stands where 'c1' is; return output[history.customers]",
    ),
    (pd.Series(P), "wrong_customers", "0 stands where 'c1' is; where its values are in the order"),
    (pd.Series(P).sort_values(), "wrong_customers", "2 stands where 'c1' is"),
    (
        pd.Series(P, pd.MultiIndex.from_product([["shop"], IDS])),
        "wrong_customers",
        "has 2 levels, such as ('shop', 'c1'): keep that of the customers alone, as in",
    ),
    (pd.Series(P, ["x" * 99, *IDS[1:]]), "wrong_customers", "'xxxxxxxxx"),
]


@pytest.mark.parametrize(("output", "reason", "words"), WRONG)
@pytest.mark.filterwarnings("ignore:Warning. converting a masked element to nan")
def test_anything_else_is_refused_with_the_value_that_matters(output, reason, words):
    with pytest.raises(WrongOutput) as refused:
        checked_probabilities(output, WINDOW)
    assert refused.value.reason == reason
    assert words in refused.value.note
    assert len(refused.value.note) < 300


def test_a_series_of_numbered_customers_in_another_order_is_told_how_to_be_put_in_order():
    numbered = SimpleNamespace(n_customers=3, customer_ids=np.array(["3", "1", "2"], object))
    output = pd.Series([0.1, 0.2, 0.3], index=[1, 2, 3])
    with pytest.raises(WrongOutput) as refused:
        checked_probabilities(output, numbered)
    assert refused.value.note.endswith("return output.rename(str)[history.customers]")
    assert output.rename(str)[["3", "1", "2"]].tolist() == [0.3, 0.1, 0.2]


@given(st.lists(st.floats(width=32), min_size=4, max_size=4))
def test_numbers_are_taken_as_they_are_or_refused(numbers):
    inside = all(0 <= number <= 1 for number in numbers)
    try:
        found = checked_probabilities(np.array(numbers, "float32"), WINDOW)
    except WrongOutput as refused:
        assert not inside
        assert refused.reason in ("not_a_number", "outside_0_1")
    else:
        assert inside
        assert found.tolist() == numbers


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_what_is_masked_is_never_scored(mask):
    output = np.ma.masked_array(P, mask)
    if any(mask):
        with pytest.raises(WrongOutput, match=f"{sum(mask)} of 4"):
            checked_probabilities(output, WINDOW)
    else:
        assert checked_probabilities(output, WINDOW).tolist() == P.tolist()
