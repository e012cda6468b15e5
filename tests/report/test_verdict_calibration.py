"""What the verdict says of calibration, with planted truth."""

from __future__ import annotations

from dataclasses import replace

from scipy.special import expit, logit

from scale_eval.report.verdict.calibration import calibration
from tests.support.planted import like_companies, planted_findings


def test_a_slope_is_judged_within_companies_where_none_has_enough_buyers_of_its_own():
    """30 buyers a company: their logits are twice as far apart as they should be."""
    windows = []
    for window in like_companies(40, 150, 0.2, {"truth": 1.0}, spread=1.0):
        twice = expit(2 * logit(window.probabilities["truth"]) + 1.2)
        windows.append(replace(window, probabilities={**window.probabilities, "bold": twice}))
    told = " ".join(calibration(planted_findings(windows), "truth"))
    assert "bold are too bold (slope .5" in told or "bold are too bold (slope .4" in told
    assert "truth" not in told
