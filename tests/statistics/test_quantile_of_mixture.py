"""Quantiles of mixtures of normal distributions, against bisection by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from scale_eval.statistics.prediction import ConfidenceDistribution


@pytest.mark.parametrize("width", [3e-4, 1e-2, 0.3, 3.0])
@pytest.mark.parametrize("probability", [0.025, 0.3, 0.975])
def test_a_quantile_is_the_root_also_where_narrow_components_rise_by_stairs(width, probability):
    rng = np.random.default_rng(0)
    for n in (3, 40, 2_000):
        for mean in (rng.standard_t(2, n), np.linspace(-3, 3, n), np.repeat([0.0, 5.0, 80.0], n)):
            size = len(mean)
            mixture = ConfidenceDistribution(mean, np.full(size, width), np.full(size, 1 / size))
            found = mixture.quantile(probability)
            assert 1 - mixture.probability_above(found) == pytest.approx(probability, abs=1e-9)

            def excess(x, mixture=mixture):
                return 1 - mixture.probability_above(x) - probability

            near = brentq(excess, mean.min() - 6 * width, mean.max() + 6 * width, xtol=1e-13)
            slope = abs(excess(near + 1e-6) - excess(near - 1e-6)) / 2e-6
            if slope > 1e-6:  # elsewhere a whole interval has the probability, to rounding
                assert found == pytest.approx(near, abs=1e-9)
