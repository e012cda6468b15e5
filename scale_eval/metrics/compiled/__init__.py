"""The metrics computed in compiled code, for many evaluations at once.

`scoring` computes every metric of one evaluation, with its standard error and its influence, from
one sort; `batch` does so for all windows and models of a batch. Each module is the fast twin of a
plain one, which stays the definition:

=============== ===========================================================
`losses`        `metrics.losses`, and observed over expected
`ranking`       `metrics.ranking`
`calibration`   `metrics.calibration`, by the solvers in `logistic`
`influence`     `metrics.influence`, where customers have influence values
`top_tenth`     the jackknife of `metrics.gain`, in `metrics.leaving_out`
`histogram`     `metrics.histogram`
`tied_blocks`   the sort of customers into blocks of equal probability
`values`        the names and positions of what `scoring` writes
`simd`          loops over eight numbers at a time
`elementary`    exp and log for such loops
=============== ===========================================================

`tests/metrics/compiled` checks that the twins agree: every value, every null with its reason, every
influence and every bin of the histogram.

A metric with ``compiled=True`` has a place in `values.VALUES`, where its twin writes.

Numba caches a compiled function until its own file changes. After an edit of one of these modules,
or after a metric was added to them, delete the caches of all (``__pycache__/*.nb?``).
"""
