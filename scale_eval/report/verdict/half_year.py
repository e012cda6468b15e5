"""Check the leader in one half-year: the latest that most companies share.

With the default calendar a company's cutoffs end with its own data, and some companies have many
windows, others one. The average company then mixes years. The check is the latest cutoff at which
more than half of the companies that are compared have a window that every model predicted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scale_eval.report.findings import PRIMARY, Findings
from scale_eval.report.verdict.phrases import two_digits
from scale_eval.report.wording import difference_with_interval, interval_step, number


def holds_in_latest(findings: Findings, best: str) -> Iterator[str]:
    """Say that the leader also leads in the latest half-year that most companies share."""
    rows = _latest_shared(findings)
    if rows is not None and rows["log_loss"].idxmin() == best:
        yield f"{best} also leads {_where(findings, rows)}."


def differs_in_latest(findings: Findings, best: str, *, is_choice: bool) -> Iterator[str]:
    """Say that another model leads in that half-year, or that no half-year is shared.

    Where no model was chosen, only a lead that is beyond doubt and above the margin counts.
    """
    rows = _latest_shared(findings)
    if rows is None:
        yield from _nothing_shared(findings)
        return
    leader = str(rows["log_loss"].idxmin())
    if leader == best:
        return
    losses = rows.loc[[leader, best], "log_loss"]
    by = float(losses[best] - losses[leader])
    low, high = _interval(rows, leader, best)
    pair = findings.pair(PRIMARY, best, leader)
    margin = 0.0 if pair is None else pair.margin
    if not is_choice and not (low > 0 and by > margin):
        return
    step = interval_step(losses[best], losses[leader], losses[leader] + by, 0.001)
    doubt = "" if low > 0 else ", which is not beyond doubt"
    small = f", less than the margin of {two_digits(margin)}" if by < margin else ""
    yield (
        f"{_where(findings, rows)[0].upper()}{_where(findings, rows)[1:]} {leader} leads: its log "
        f"loss there is {number(losses[leader], step)} and that of {best} "
        f"{number(losses[best], step)}, lower by {difference_with_interval(by, low, high)}"
        f"{small}{doubt}."
    )


def _nothing_shared(findings: Findings) -> Iterator[str]:
    rows = _at_cutoffs(findings)
    if rows["cutoff"].nunique() < 2:
        return
    first, last = (f"{at:%Y-%m}" for at in (rows["cutoff"].min(), rows["cutoff"].max()))
    yield (
        f"No {findings.window} is shared by most companies: their {rows['cutoff'].nunique()} "
        f"cutoffs are from {first} to {last}, at most {rows['n_companies'].max():,} of "
        f"{findings.n_companies:,} companies have the same, and the average company mixes them. "
        f"A run with --shared-calendar compares all in the same {findings.window}s."
    )


def _latest_shared(findings: Findings) -> pd.DataFrame | None:
    """Return the figures of each model at the latest shared cutoff, in the order of `models`.

    None where no cutoff is shared by most companies, or there is one cutoff only.
    """
    rows = _at_cutoffs(findings)
    shared = rows[2 * rows["n_companies"] > findings.n_companies]
    if shared.empty or rows["cutoff"].nunique() < 2:
        return None
    latest = shared[shared["cutoff"] == shared["cutoff"].max()].set_index("model")
    return latest.reindex(findings.models)


def _at_cutoffs(findings: Findings) -> pd.DataFrame:
    """Return the rows of `periods` at each cutoff, of all companies that are compared there."""
    rows = findings.periods
    return rows[rows["cutoff"].notna() & (rows["companies"] == "all") & rows["log_loss"].notna()]


def _interval(rows: pd.DataFrame, leader: str, best: str) -> tuple[float, float]:
    """Return the interval of how much lower the loss of `leader` is than that of `best`.

    The table has differences from the model that leads over all cutoffs; where that is another one
    than `best` (in a run of a sample), there is no interval.
    """
    if rows.loc[best, "behind_leader"] != 0:
        return np.nan, np.nan
    row = rows.loc[leader]
    return -float(row["behind_leader_high"]), -float(row["behind_leader_low"])


def _where(findings: Findings, rows: pd.DataFrame) -> str:
    cutoff, n = rows["cutoff"].max(), int(rows["n_companies"].max())
    of = f"{n:,} of {findings.n_companies:,}" if n < findings.n_companies else f"all {n:,}"
    whose = "most companies share" if n < findings.n_companies else "was evaluated"
    return f"in the latest {findings.window} that {whose} (from {cutoff:%Y-%m-%d}, {of} companies)"
