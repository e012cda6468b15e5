"""Models of all companies learn from companies whose customers were observed."""

from __future__ import annotations

import dataclasses

import numpy as np

from scale_eval.datasets.instants import as_utc, microseconds
from scale_eval.planning.calendar import ObservedSpans
from scale_eval.planning.company_gaps import CompanyGaps
from scale_eval.planning.global_fits import trainable_companies


def instants(*days: str) -> np.ndarray:
    return np.array([microseconds(as_utc(day)) for day in days])


def test_companies_that_ended_are_too_young_or_miss_much_are_not_learned_from():
    begun = instants("2015-01-01", "2015-01-01", "2017-03-01", "2015-01-01", "2015-01-01")
    until = instants("2018-01-01", "2017-08-01", "2018-01-01", "2018-01-01", "2018-01-01")
    gaps = CompanyGaps(
        np.array([3, 4]),
        instants("2017-07-01", "2017-07-01"),
        instants("2017-07-29", "2017-08-15"),
    )
    spans = dataclasses.replace(ObservedSpans(begun, until, begun, begun), gaps=gaps)
    (cutoff,), (since,) = instants("2017-09-01"), instants("2017-03-01")
    assert trainable_companies(spans, cutoff, since).tolist() == [0, 3]
