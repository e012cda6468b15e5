"""Read a comparison of two models from the side of one of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from scipy.special import stdtrit

from scale_eval.metrics import N_GROUPS
from scale_eval.report.wording import condition_of


class Pair:
    """A comparison of two models, positive where `a` is better.

    Attributes
    ----------
    better_by, low, high : float
        The difference and its interval.
    margin, std_error, sampling_std_error : float
    mean_p_adjusted : float
        p of the difference, adjusted.
    wins, ties, losses, n : int
        Numbers of companies.
    win_by, loss_by : float
        By how much `a` is better at the companies of `wins`, and worse at those of `losses`: means
        of absolute differences; NaN where there are none.
    equivalent : bool
    condition : str
        The condition on which the interval holds; "" without one.
    next_low, next_high : float
        Interval of the true difference at the next company.
    p_better, p_better_by_margin, p_worse_by_margin : float
        Probabilities of the true difference at the next company.
    n_heterogeneity : int
        Companies that these are computed from.
    """

    def __init__(self, row: pd.Series, a: str, b: str, metric: str, *, higher: bool) -> None:
        a_is_first = row["model_a"] == a
        sign = 1.0 if a_is_first == higher else -1.0  # the distance from a target is better lower
        self.a, self.b, self.metric = a, b, metric
        self.better_by = sign * float(row["mean_difference"])
        self.low, self.high = _signed(sign, row["ci_low"], row["ci_high"])
        self.next_low, self.next_high = _signed(sign, row["prediction_low"], row["prediction_high"])
        self.std_error, self.n = float(row["std_error"]), int(row["n_companies"])
        self.sampling_std_error = float(row["sampling_std_error"])
        self.margin, self.n_effective = float(row["margin"]), float(row["n_effective"])
        self.mean_p_adjusted = float(row["mean_p_adjusted"])
        self.equivalent = False if pd.isna(row["equivalent"]) else bool(row["equivalent"])
        self.heterogeneity_reason = str(row["heterogeneity_reason"] or "")
        wins, losses = ("wins", "losses") if a_is_first else ("losses", "wins")
        self.wins, self.losses, self.ties = (_count(row[c]) for c in (wins, losses, "ties"))
        win, loss = ("mean_win", "mean_loss") if a_is_first else ("mean_loss", "mean_win")
        self.win_by, self.loss_by = (abs(float(row[c])) for c in (win, loss))
        self.condition = condition_of(row)
        self.n_heterogeneity = _count(row["n_heterogeneity"])
        better = float(row["probability_a_better"])
        self.p_better = better if a_is_first else 1 - better
        by_margin = [float(row[f"probability_{m}_better_by_margin"]) for m in ("a", "b")]
        self.p_better_by_margin, self.p_worse_by_margin = (
            by_margin if a_is_first else by_margin[::-1]
        )

    @property
    def surely_better(self) -> bool:
        """Return whether the whole interval favours `a`, by more than the margin on average."""
        return bool(self.low > 0 and self.better_by > self.margin)

    @property
    def surely_worse(self) -> bool:
        """Return whether `b` is better in the same sense."""
        return bool(self.high < 0 and -self.better_by > self.margin)

    def by_chance(self) -> tuple[float, float]:
        """Return the 95 % interval at these companies and windows, with other customers.

        The standard error comes from 16 groups of customers, hence Student's t with 15 degrees of
        freedom.
        """
        half = float(stdtrit(N_GROUPS - 1, 0.975)) * self.sampling_std_error
        return self.better_by - half, self.better_by + half


def _signed(sign: float, low: float, high: float) -> tuple[float, float]:
    ends = sorted([sign * float(low), sign * float(high)])
    return ends[0], ends[1]


def _count(value: Any) -> int:
    return 0 if pd.isna(value) else int(value)
