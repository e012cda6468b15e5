"""How a figure is spread over companies."""

from __future__ import annotations

import numpy as np

QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p95": 0.95}


def dispersion(values: np.ndarray) -> dict[str, float]:
    """Mean, spread and quantiles of `values`, shape (n,), finite.

    `std` has ddof 1 and is NaN below two values; `mad` is the median absolute deviation from the
    median, unscaled; quantiles are linear (Hyndman & Fan 1996, type 7); all are NaN where there are
    no values. The spread of companies' measured figures holds true differences, noise and time
    together; it is not the spread of the truth, which is `tau`.
    """
    if len(values) == 0:
        names = ["mean", "std", "mad", "iqr", "min", *QUANTILES, "max"]
        return dict.fromkeys(names, np.nan)
    ascending = np.sort(values)  # from which all quantiles are read at once
    quantiles = dict(zip(QUANTILES, np.quantile(ascending, list(QUANTILES.values())), strict=True))
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
        "mad": float(np.median(np.abs(values - quantiles["p50"]))),
        "iqr": float(quantiles["p75"] - quantiles["p25"]),
        "min": float(ascending[0]),
        **{name: float(value) for name, value in quantiles.items()},
        "max": float(ascending[-1]),
    }
