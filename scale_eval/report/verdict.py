"""Which model is better, and by how much, in words.

The sentences speak of what happened at these companies in these windows. How sure that is, and what
to expect at the next company, is not said here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

PRIMARY = "log_loss"
FEW_COMPANIES = 30


def verdict(pooled: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """Sentences on the tables `pooled` and `comparisons` of a run, the most important first.

    Models are compared on the windows that all of them answered, each company counting once.
    """
    return list(_sentences(pooled, comparisons))


def leaderboard(
    pooled: pd.DataFrame, estimand: str = "equal_company", value: str = "value"
) -> pd.DataFrame:
    """One row a model, one column a metric, over all cutoffs on the common coverage; best first."""
    rows = pooled[
        pooled["cutoff"].isna()
        & (pooled["coverage"] == "common")
        & (pooled["estimand"] == estimand)
    ]
    table = rows.pivot(index="model", columns="metric", values=value)
    return table.sort_values(PRIMARY, kind="stable") if PRIMARY in table else table


def _sentences(pooled: pd.DataFrame, comparisons: pd.DataFrame) -> Iterator[str]:
    board = leaderboard(pooled)
    counted = leaderboard(pooled, value="n_companies")[PRIMARY]
    board = board[board[PRIMARY].notna()]
    if board.empty:
        yield (
            "There is no verdict: no company and cutoff was answered by every model. The reasons "
            "stand above."
        )
        return
    best = board.index[0]
    n = int(counted[best])
    companies = f"{n} {'company' if n == 1 else 'companies'}"
    yield from _best(board, comparisons, best, companies)
    yield from _coverage(pooled, best)
    yield from _against_base_rate(board, best)
    yield from _other_virtues(board, comparisons, best)
    yield from _calibration(board, best)
    if n < FEW_COMPANIES:
        yield (
            f"This is what happened at {companies}; that is too few to say what to expect at "
            "the next one."
        )


def _best(
    board: pd.DataFrame, comparisons: pd.DataFrame, best: str, companies: str
) -> Iterator[str]:
    loss = board.loc[best, PRIMARY]
    if len(board) == 1:
        yield f"Only {best} answered: log loss {loss:.4f} at the average of {companies}."
        return
    second = board.index[1]
    pair = _pair(comparisons, best, second)
    by = board.loc[second, PRIMARY] - loss
    counts = f"better at {pair.wins} of {pair.n}"
    if pair.ties:
        counts += f", as good within {pair.margin:g} at {pair.ties}"
    if by <= pair.margin:
        yield (
            f"No clear winner: {best} (log loss {loss:.4f}) and {second} "
            f"({board.loc[second, PRIMARY]:.4f}) differ by {by:.4f} at the average of {companies}, "
            f"no more than the margin of {pair.margin:g}; {best} is {counts}."
        )
    else:
        yield (
            f"Choose {best} over {second}: log loss {loss:.4f}, lower by {by:.4f} at the average "
            f"of {companies}; {counts}."
        )


def _against_base_rate(board: pd.DataFrame, best: str) -> Iterator[str]:
    skill = board.loc[best, "log_loss_skill"]
    if best == "base_rate" or np.isnan(skill):
        if best == "base_rate":
            yield "No model beats the base rate that was known at the cutoff."
        return
    yield (
        f"Against the base rate known at the cutoff, {best} takes away {100 * skill:.1f} % of the "
        "log loss."
    )
    worse = board.index[board["log_loss_skill"] < 0].tolist()
    if worse:
        yield f"Worse than that base rate: {', '.join(worse)}."


def _coverage(pooled: pd.DataFrame, best: str) -> Iterator[str]:
    rows = pooled[
        pooled["cutoff"].isna()
        & (pooled["coverage"] == "common")
        & (pooled["estimand"] == "equal_company")
        & (pooled["metric"] == PRIMARY)
    ].set_index("model")
    row = rows.loc[best]
    compared = int(row["n_defined"])
    other = int(row["n_not_common"] + row["n_failed"] + row["n_skipped"])
    if other:
        yield (
            f"That is on {compared:,} of {compared + other:,} windows; the others were refused, or "
            "not answered by every model."
        )
    silent = rows.index[rows["n_defined"] == 0].tolist()
    if silent:
        yield f"Not compared, for want of a single answer: {', '.join(silent)}."


def _other_virtues(board: pd.DataFrame, comparisons: pd.DataFrame, best: str) -> Iterator[str]:
    ranks = board["roc_auc"].dropna()
    margins = comparisons.loc[comparisons["metric"] == "roc_auc", "margin"]
    margin = margins.iloc[0] if len(margins) else 0.0
    if len(ranks) and ranks.idxmax() != best and ranks.max() > ranks.get(best, 0.5) + margin:
        yield (
            f"{ranks.idxmax()} ranks customers better (AUC {ranks.max():.3f} against "
            f"{ranks.get(best, np.nan):.3f}): take it where only the order matters."
        )
    elif best in ranks:
        as_well = "best" if ranks.idxmax() == best else "as well as any"
        yield f"{best} also ranks customers {as_well} (AUC {ranks[best]:.3f})."


def _calibration(board: pd.DataFrame, best: str) -> Iterator[str]:
    ratio = board.loc[best, "observed_expected_ratio"]
    if not np.isnan(ratio) and abs(np.log(ratio)) > 0.05:
        high = "high" if ratio < 1 else "low"
        yield (
            f"The probabilities of {best} are too {high} by {100 * abs(1 / ratio - 1):.0f} % "
            f"(observed / expected {ratio:.2f})."
        )


class _pair:  # noqa: N801 - a row, read from the better model's side
    def __init__(self, comparisons: pd.DataFrame, better: str, worse: str) -> None:
        a, b = sorted([better, worse])
        row = comparisons[
            (comparisons["metric"] == PRIMARY)
            & (comparisons["model_a"] == a)
            & (comparisons["model_b"] == b)
            & (comparisons["estimand"] == "equal_company")
            & (comparisons["stratum"] == "all")
        ].iloc[0]
        self.wins = int(row["wins"] if better == a else row["losses"])
        self.ties, self.n = int(row["ties"]), int(row["n_companies"])
        self.margin = float(row["margin"])
