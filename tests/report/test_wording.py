"""Numbers are as short as they can be, and no shorter."""

from __future__ import annotations

import numpy as np
import pytest

from scale_eval.report.wording import (
    NEGLIGIBLE,
    difference_with_interval,
    figure_with_interval,
    listed,
    percent_with_interval,
)


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.0213, 0.015, 0.027, ".021 (.015 to .027)"),
        (0.25, 0.2, 0.3, ".25 (.20 to .30)"),
        (0.0021, 0.00205, 0.00215, ".00210 (.00205 to .00215)"),
        (0.0013, -0.0107, 0.0133, ".001 (-.011 to .013)"),
        (0.0000123456, -0.0101, 0.0102, ".000 (-.010 to .010)"),
        (-0.000063, -0.000526, 0.0004, "-.00006 (-.00053 to .00040)"),
        (1e-17, 1e-17, 1e-17, ".000"),
        (0.021, 0.021 - 1e-9, 0.021 + 1e-9, ".021"),
        (0.01, np.nan, np.nan, ".010"),
        (0.0, -0.0103, 0.0103, ".000 (-.010 to .010)"),
    ],
)
def test_a_difference_and_its_interval_share_a_step(value, low, high, words):
    assert difference_with_interval(value, low, high) == words


def test_ends_never_look_like_the_value_and_digits_are_few():
    rng = np.random.default_rng(1)
    for _ in range(2_000):
        value, half = rng.normal() * 10.0 ** rng.integers(-5, 0), 10.0 ** rng.uniform(-5, 0)
        text = difference_with_interval(value, value - half, value + half)
        shown, interval = text.removesuffix(")").split(" (")
        assert shown not in interval.split(" to ")
        step = 10.0 ** -len(shown.partition(".")[2])
        assert step > half / 1_001
        assert abs(float(shown) - value) <= max(half, abs(value), 10 * NEGLIGIBLE) / 19


def test_a_share_has_the_digits_that_its_interval_needs():
    assert percent_with_interval(0.2, 0.15, 0.25) == "20 % (15 to 25 %)"
    assert percent_with_interval(0.0512, 0.0509, 0.0514) == "5.12 % (5.09 to 5.14 %)"
    assert percent_with_interval(0.2, np.nan, np.nan) == "20 %"


def test_a_figure_whose_interval_is_narrow_has_more_decimals():
    row = {"value": 0.75012, "ci_low": 0.74998, "ci_high": 0.75026, "reason": ""}
    assert figure_with_interval(row) == ".7501 (.7500 to .7503)"
    at_its_bound = row | {"value": 1.0, "ci_low": 0.98, "ci_high": 1.0}
    assert figure_with_interval(at_its_bound) == "1.000 (.980 to 1.000)"


def test_of_many_names_the_first_are_named_and_the_others_counted():
    names = list("abcdefghijk")
    assert listed(names) == "a, b, c and eight others"
    assert listed(names, "or") == "a, b, c or one of eight others"
    assert listed(names[:4]) == "a, b, c and d" and listed(names[:1]) == "a"
    assert listed(names[:5]) == "a, b, c and two others"
    assert listed(names, most=None).endswith("i, j and k")
