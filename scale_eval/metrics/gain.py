"""Metrics of the top tenth, the customers ranked highest: its share of the buyers and of the spend.

The gain curve is linear inside ties and is read at exactly n / 10. As in `ranking`, each metric has
a form by block, which serves the merged histograms too; `gain_of_rows` and
`value_captured_of_rows` read the same curves at other depths.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from scale_eval.metrics.base import EQUAL_COMPANY, ROW, WITHIN_COMPANY, Metric
from scale_eval.metrics.histogram import GroupedHistograms, ScoreHistogram
from scale_eval.metrics.leaving_out import (
    captured_without_each,
    captured_without_each_group,
)
from scale_eval.metrics.pooling import POSITIVES, SPEND, Pooling
from scale_eval.metrics.row_form import RowForm, WeightedFigure, WeightedRows
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import Influence
from scale_eval.statistics import weighted_blocks
from scale_eval.statistics.undefined import Undefined
from scale_eval.statistics.weighted_blocks import TOP

LARGEST_LIFT = 1 / TOP
"""The lift where the top tenth holds all buyers."""

ENOUGH_BUYERS = 10
"""Buyers of a company from which the standard error of its figure is shown."""

TENTH = 10
"""The depth of the metrics, in percent of the customers."""


def gain_at_10(scores: Scores) -> float:
    """Return the share of the buyers who are in the top tenth of the customers.

    Undefined: ``no_positives``.
    """
    return gain_of_blocks(scores.block_positives, scores.block_rows)


def lift_at_10(scores: Scores) -> float:
    """Return the buyers in the top tenth over those in a tenth drawn at random: 10 `gain_at_10`.

    Its ceiling is min(10, 1 / rate), so that lifts at different rates cannot be compared.

    Undefined: ``no_positives``.
    """
    return LARGEST_LIFT * gain_at_10(scores)


def value_captured_at_10(scores: Scores) -> float:
    """Return the share of the future spend that falls to the top tenth of the customers.

    Undefined: ``no_spend``.
    """
    return value_captured_of_blocks(scores.block_spend, scores.block_rows)


def gain_of_blocks(positives: np.ndarray, rows: np.ndarray, percent: int = TENTH) -> float:
    """Return `gain_at_10` by block, or the share of the buyers at another depth."""
    n_positive = int(positives.sum())
    if not n_positive:
        raise Undefined("no_positives")
    return held_at(positives, rows, percent) / n_positive


def value_captured_of_blocks(spend: np.ndarray, rows: np.ndarray, percent: int = TENTH) -> float:
    """Return `value_captured_at_10` by block, or the share of the spend at another depth."""
    total = float(spend.sum())
    if not total:
        raise Undefined("no_spend")
    return held_at(spend, rows, percent) / total


def held_at(amounts: np.ndarray, rows: np.ndarray, percent: int) -> float:
    """Return what the first `percent` of the rows hold; rows of a block hold equal parts of it."""
    ends = np.cumsum(rows)
    held = np.cumsum(amounts)
    depth = ends[-1] * percent / 100
    return float(np.interp(depth, np.append(0, ends), np.append(0, held)))


def gain_of_rows(merged: ScoreHistogram, percent: int = TENTH) -> tuple[float, float]:
    """Return the gain over all rows, and its error bound, which the last bin inside makes."""
    positives, rows = merged.n_positive[::-1], merged.n_rows[::-1]
    value = gain_of_blocks(positives, rows, percent)
    last, taken = _end_of_top(rows, percent)
    if merged.is_tied[::-1][last]:
        return value, 0.0
    error = _uncertainty(taken, holders=int(positives[last]), rows=int(rows[last]))
    return value, error / int(positives.sum())


def _lift_of_rows(merged: ScoreHistogram) -> tuple[float, float]:
    gain, error_bound = gain_of_rows(merged)
    return LARGEST_LIFT * gain, LARGEST_LIFT * error_bound


def value_captured_of_rows(merged: ScoreHistogram, percent: int = TENTH) -> tuple[float, float]:
    """Return the share of the future spend over all rows, and its error bound.

    At worst one customer makes all the spend of the last bin, and is its first or last; where all
    of the bin have one score, each counts for the mean. Rounding to minor units adds half a unit a
    customer.
    """
    spend, rows = merged.spend_minor[::-1], merged.n_rows[::-1]
    value = value_captured_of_blocks(spend, rows, percent)
    last, taken = _end_of_top(rows, percent)
    in_bin = 0.0
    if not merged.is_tied[::-1][last]:
        in_bin = int(spend[last]) * _uncertainty(taken, holders=1, rows=int(rows[last]))
    return value, (in_bin + int(rows.sum()) / 2) / int(spend.sum())


def _end_of_top(rows: np.ndarray, percent: int) -> tuple[int, float]:
    """Return the bin where the first `percent` of the rows end, and its number of rows inside."""
    ends = np.cumsum(rows)
    depth = ends[-1] * percent / 100
    last = int(np.searchsorted(ends, depth))
    return last, float(depth - ends[last] + rows[last])


def _uncertainty(taken: float, holders: int, rows: int) -> float:
    """Return how far an even share of the first `taken` rows can be from what they hold.

    `holders` of the `rows` hold one each. The curve of what is held rises by at most 1 a row, and
    so do the rows that hold nothing: between max(0, taken - (rows - holders)) and min(holders,
    taken), at fractions of rows and inside ties as well.
    """
    even = taken * holders / rows
    return max(even - max(0.0, taken - (rows - holders)), min(holders, taken) - even)


def _without_each(count: str, scale: float, grouped: GroupedHistograms) -> np.ndarray:
    return np.asarray(scale * captured_without_each(grouped, count))


def _weighted(count: str, scale: float, rows: WeightedRows) -> WeightedFigure:
    """Return the share of a count in the top tenth, times `scale`, of weighted rows."""
    amounts: np.ndarray = getattr(rows, count)
    customers = rows.n_positive + rows.n_negative
    captured = weighted_blocks.captured_at_10(rows.by_block(amounts), rows.by_block(customers))
    at = rows.block_of_row
    influence = scale * (amounts * captured.by_amount[at] + customers * captured.by_row[at])
    return WeightedFigure(scale * captured.value, influence, amounts)


def _gain_without_each_group(scores: Scores, groups: np.ndarray) -> np.ndarray:
    return captured_without_each_group(scores, scores.y, groups)


def _value_without_each_group(scores: Scores, groups: np.ndarray) -> np.ndarray:
    return captured_without_each_group(scores, scores.future_spend, groups)


_OF_GAIN = Influence(
    "gain_at_10", POSITIVES, without_each=_gain_without_each_group, enough=ENOUGH_BUYERS
)

METRICS = (
    Metric(
        "lift_at_10",
        lift_at_10,
        "higher",
        margin=0.05,
        low=0,
        high=10,
        uninformed=1,
        label="lift in the top tenth",
        pooling=Pooling(POSITIVES),
        estimands=(ROW, WITHIN_COMPANY, EQUAL_COMPANY),
        row_form=RowForm(
            _lift_of_rows,
            partial(_without_each, "n_positive", LARGEST_LIFT),
            partial(_weighted, "n_positive", LARGEST_LIFT),
            weight=POSITIVES,
            smooth=False,
        ),
        influence=replace(_OF_GAIN, scale=LARGEST_LIFT),
        reasons=("no_positives",),
        compiled=True,
    ),
    Metric(
        "gain_at_10",
        gain_at_10,
        "higher",
        margin=0.005,
        low=0,
        high=1,
        uninformed=0.1,
        label="buyers in the top tenth",
        pooling=Pooling(POSITIVES),
        estimands=(ROW, WITHIN_COMPANY, EQUAL_COMPANY),
        row_form=RowForm(
            gain_of_rows,
            partial(_without_each, "n_positive", 1.0),
            partial(_weighted, "n_positive", 1.0),
            weight=POSITIVES,
            smooth=False,
        ),
        influence=_OF_GAIN,
        reasons=("no_positives",),
        compiled=True,
    ),
    Metric(
        "value_captured_at_10",
        value_captured_at_10,
        "higher",
        margin=0.005,
        low=0,
        high=1,
        uninformed=0.1,
        label="spend in the top tenth",
        pooling=Pooling(SPEND),
        estimands=(ROW, WITHIN_COMPANY, EQUAL_COMPANY),
        row_form=RowForm(
            value_captured_of_rows,
            partial(_without_each, "spend_minor", 1.0),
            partial(_weighted, "spend_minor", 1.0),
            weight=SPEND,
            smooth=False,
        ),
        influence=Influence(
            "value_captured_at_10",
            POSITIVES,
            without_each=_value_without_each_group,
            enough=ENOUGH_BUYERS,
        ),
        reasons=("no_spend",),
        compiled=True,
    ),
)
"""The metrics of the top tenth, in the order of the tables."""
