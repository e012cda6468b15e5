"""The metrics computed in compiled code, for many evaluations at once.

`batch` scores all windows and models of a batch; `evaluation` computes every metric of one
evaluation, with its standard error and its influence, from one sort; `scoring` does so for Python.
Several modules are the fast twins of plain ones, which stay the definition:

=============== ===========================================================
`losses`        `metrics.losses`, and observed over expected
`ranking`       `metrics.ranking`
`calibration`   `metrics.calibration`, by the solvers in `logistic`
`influence`     `metrics.influence`, where customers have influence values
`top_tenth`     `metrics.gain`, and its jackknife in `metrics.leaving_out`
`histogram`     `metrics.histogram`
`windows`       what the models of a window share
`tied_blocks`   the sort of customers into blocks of equal probability
`block_sums`    the sums over blocks for losses and ranks
`columns`       where figures of blocks and of groups are kept
`scratch`       the arrays that evaluations share
`values`        the names and positions of what an evaluation writes
`simd`          loops over eight numbers at a time
`elementary`    exp and log for such loops
=============== ===========================================================

`tests/metrics/compiled` checks that the twins agree: every value, every null with its reason, every
influence and every bin of the histogram.

A metric with ``compiled=True`` has a place in `values.VALUES`, where its twin writes.

Numba caches a compiled function until its own file changes. After an edit of one of these modules,
or after a metric was added to them, delete the caches of all (``__pycache__/*.nb?``).
"""
