"""Numbers as a reader says them."""

from __future__ import annotations

import numpy as np

METRIC_WORDS = {
    "log_loss": "log loss",
    "brier_score": "Brier score",
    "log_loss_skill": "skill",
    "brier_skill": "Brier skill",
    "roc_auc": "AUC",
    "average_precision": "average precision",
    "calibration_intercept": "calibration intercept",
    "calibration_slope": "calibration slope",
    "observed_expected_ratio": "observed / expected",
    "lift_at_10": "lift in the top tenth",
    "gain_at_10": "buyers in the top tenth",
    "value_captured_at_10": "spend in the top tenth",
}

_SHARES = (
    (0.10, "a tenth"),
    (0.20, "a fifth"),
    (0.25, "a quarter"),
    (1 / 3, "a third"),
    (0.5, "a half"),
    (2 / 3, "two thirds"),
    (0.75, "three quarters"),
    (1.0, "as much again"),
)

_NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)

REASON_WORDS = {
    "too_few_companies": "fewer than five companies that have buyers enough",
    "fewer_than_2_companies": "fewer than two companies that have buyers enough",
    "no_whole_window": "no window was observed whole",
    "history_too_short": "fewer than 10 customers to learn from",
    "history_one_class": "all customers to learn from bought, or none",
}


def metric_words(metric: str) -> str:
    """``log loss`` for ``log_loss``."""
    return METRIC_WORDS.get(metric, metric.replace("_", " "))


def number(value: float, step: float = 0.001) -> str:
    """With as many decimals as `step` has; no zero before the point, no minus before nothing."""
    decimals = max(0, int(np.ceil(-np.log10(step) - 1e-9)))
    said = f"{value:.{decimals}f}"
    if float(said) == 0:
        said = said.removeprefix("-")
    return said.replace("0.", ".", 1) if said.lstrip("-").startswith("0.") else said


def step_of(*values: float) -> float:
    """Decimals that tell these apart: two digits of the smallest that matters, .001 at most."""
    sizes = [abs(v) for v in values if np.isfinite(v) and v != 0]
    if not sizes:
        return 0.001
    return float(min(0.001, 10 ** np.floor(np.log10(max(min(sizes), 1e-6)) - 1)))


def span(low: float, high: float, step: float = 0.001) -> str:
    """``.015 to .027``."""
    return f"{number(low, step)} to {number(high, step)}"


def share(value: float) -> str:
    """A relative difference in words where there is one: ``a fifth`` for .2, else ``13 %``."""
    nearest = min(_SHARES, key=lambda known: abs(np.log(value / known[0])))
    return nearest[1] if abs(value / nearest[0] - 1) <= 0.06 else f"{100 * value:.0f} %"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """``three companies``, ``1,204 companies``."""
    said = _NUMBERS[n] if n < len(_NUMBERS) else f"{n:,}"
    return f"{said} {noun if n == 1 else plural or noun + 's'}"


def companies(n: int) -> str:
    """``three companies``."""
    return count(n, "company", "companies")


def listed(names: list[str], last: str = "and") -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def percent(value: float) -> str:
    """Never 100 % for what is nearly all, nor 0 % for what is hardly any."""
    if 0.995 <= value < 1:
        return "more than 99 %"
    if 0 < value < 0.005:
        return "less than 1 %"
    return f"{100 * value:.0f} %"


def chance(probability: float) -> str:
    """As `percent`; no probability is 0 or 1."""
    return percent(min(max(probability, 1e-9), 1 - 1e-9))


def percent_with_interval(value: float, low: float, high: float) -> str:
    """``19 % (14 to 23 %)``, with a decimal where they would not differ; NaN ends are left out."""
    decimals = 0 if not high - low < 0.02 else 1
    said = f"{100 * value:.{decimals}f} %"
    if np.isnan(low):
        return said
    return f"{said} ({100 * low:.{decimals}f} to {100 * high:.{decimals}f} %)"


def reason(code: str) -> str:
    """What a code of the tables means."""
    return REASON_WORDS.get(code, code.replace("_", " "))
