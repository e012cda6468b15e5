"""Histories for models of all companies to train on."""

from __future__ import annotations

from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.customer_summaries import summarise
from scale_eval.evaluation.history import History
from scale_eval.evaluation.rules import PopulationRules
from scale_eval.evaluation.summary_history import SummaryHistory
from scale_eval.evaluation.training_window import TrainingWindow, training_bounds
from scale_eval.evaluation.window_bounds import window_bounds
from scale_eval.evaluation.windows import Window


def training_history(
    company: Transactions, window: Window, rules: PopulationRules, reads: str = "transactions"
) -> History:
    """Return a history whose labelled history has a labelled history too.

    A model of all companies can then use the same features of a company where it trains, at the
    earlier cutoff, as where it predicts.
    """
    if reads != "summary":
        return History(company, window, **rules._asdict())
    before = company.before(window.cutoff_us)
    own = (window.cutoff_us, window.horizon_end_us)
    first = int(before.timestamps.min()) if len(before) else window.cutoff_us
    near = training_bounds(*own, first, rules.horizon)
    far = training_bounds(*near.window, first, rules.horizon)
    order = tuple(sorted({own, near.window, far.window}))
    bounds = window_bounds(order, rules.lookback)
    summaries = summarise([before], [bounds], rules.purchase_rule)
    training: TrainingWindow | None = None
    for each in (far, near):
        training = TrainingWindow.of(summaries, order.index(each.window), each, training)
    summary = summaries.summary(order.index(own))
    return SummaryHistory(company.company_id, *own, first, summary, training)
