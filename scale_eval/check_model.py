"""Check on one company whether a model keeps to its contract, and what it predicts."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd

from scale_eval.datasets import Dataset, Transactions, open_dataset
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.company_windows import CompanyWindow, windows_of_companies
from scale_eval.evaluation.evaluate import evaluate_one
from scale_eval.evaluation.history import History
from scale_eval.evaluation.model import NamedModel
from scale_eval.evaluation.model_output import checked_probabilities
from scale_eval.evaluation.no_prediction import NoPrediction, Skipped
from scale_eval.evaluation.random_state import random_state, seed_generators
from scale_eval.evaluation.training_history import training_history
from scale_eval.evaluation.windows import Window
from scale_eval.metrics import METRICS, Metric
from scale_eval.models.registry import resolve
from scale_eval.planning.no_window import require_window
from scale_eval.planning.plan import Plan, plan_run
from scale_eval.planning.settings import Settings
from scale_eval.spelling import did_you_mean

FEW_CUSTOMERS = (3, 1)
"""Numbers of customers of the histories that a model must survive."""


@dataclass(frozen=True)
class Check:
    """One rule of the contract, and whether the model keeps to it.

    Attributes
    ----------
    rule : str
        The rule, as a sentence without a full stop.
    problem : str
        How the model breaks it; "" where it keeps to it.
    trace : str
        The traceback of what the model raised; "" where it raised nothing.
    note : str
        What else is to be said.
    """

    rule: str
    problem: str = ""
    trace: str = ""
    note: str = ""


@dataclass
class ModelCheck:
    """The checks of a model on one company; get one from `check_model`.

    Attributes
    ----------
    model : str
    company_id : str
    cutoff, horizon_end : Timestamp
        The window, in UTC.
    n_customers : int
    checks : list of Check
    summary : dict of str
        What the model predicted, in words; empty where it predicted nothing.
    """

    model: str
    company_id: str
    cutoff: pd.Timestamp
    horizon_end: pd.Timestamp
    n_customers: int
    checks: list[Check] = field(default_factory=list)
    summary: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Return whether the model keeps to every rule."""
        return not any(check.problem for check in self.checks)


def check_model(
    model: Any,
    dataset: Dataset | str | os.PathLike[str],
    *,
    company: str | None = None,
    settings: Settings | None = None,
) -> ModelCheck:
    """Fit a model to one company at its latest cutoff, let it predict, and check its contract.

    Parameters
    ----------
    model : str, class, function or instance
        As for `evaluate`.
    dataset : Dataset or path
    company : str, optional
        By default the one of middle size among those that can be evaluated.
    settings : Settings, optional
        Horizon, cutoffs, purchase rule, lookback and seed; the defaults of a run otherwise.

    Raises `ValueError` for a model that cannot be made, and where there is no such company, or no
    window at it.
    """
    settings = settings or Settings()
    dataset = open_dataset(dataset)
    named = resolve(model)
    require_window(dataset, settings)
    plan = plan_run(dataset, [named.name], settings)
    position = _position(plan, company)
    at = int(np.flatnonzero((plan.windows.company == position) & plan.is_planned)[-1])
    bounds = int(plan.windows.cutoff[at]), int(plan.windows.horizon_end[at])
    window = Window(*map(from_microseconds, bounds))
    transactions = dataset.read(plan.company_ids[position])
    return _Trial(named, transactions, window, settings).checked()


def _position(plan: Plan, company: str | None) -> int:
    """Return the position of the company to check on."""
    planned = np.unique(plan.windows.company[plan.is_planned])
    if company is None:
        by_size = planned[np.argsort(plan.n_customers[planned], kind="stable")]
        return int(by_size[len(by_size) // 2])
    if company not in plan.company_ids:
        near = did_you_mean(company, plan.company_ids)
        raise ValueError(f"there is no company {company!r}{near}")
    position = plan.company_ids.index(company)
    if position not in planned:
        raise ValueError(f"no window of {company} can be evaluated: 'scale-eval plan' says why")
    return position


class _Trial:
    """One model at one window."""

    def __init__(
        self, model: NamedModel, company: Transactions, window: Window, settings: Settings
    ) -> None:
        self._model, self._company, self._window = model, company, window
        self._rules = settings.rules
        self._place = self._at(company)
        self._seconds: list[float] = []
        self._check = ModelCheck(
            model.name,
            company.company_id,
            window.cutoff,
            window.horizon_end,
            self._place.n_customers,
        )

    def checked(self) -> ModelCheck:
        """Return all checks; those that need predictions are left out where there are none."""
        check = self._check
        history = self._place.history(self._model.reads)
        before = self._reachable(history)
        first = self._add("it fits and predicts", lambda: self._predict(self._model, history))
        if first is not None:
            probabilities = self._add(
                "it returns one probability in [0, 1] for each customer",
                lambda: checked_probabilities(first, self._place),
            )
        if first is None or probabilities is None:
            return check
        self._summarize(probabilities)
        changed = _difference(before, self._reachable(history))
        check.checks.append(Check("it does not change the history", changed))
        self._add("it predicts the same again, with the same random state", self._again)
        self._add("it can be sent to workers", self._sent)
        for n in FEW_CUSTOMERS:
            customers = "one customer" if n == 1 else f"{n} customers"
            self._add(f"it predicts or declines for a company of {customers}", self._of_few(n))
        return check

    def _add(self, rule: str, call: Callable[[], Any]) -> Any:
        """Add a check that fails if `call` raises; return what it returns, None if it raises."""
        try:
            result = call()
        except Skipped as declined:
            note = f"it declined: {declined.reason}. {declined.note}".strip()
            self._check.checks.append(Check(rule, note=note))
            return None
        except NoPrediction as wrong:
            self._check.checks.append(Check(rule, f"{wrong.reason}: {wrong.note}"))
            return None
        except (Exception, SystemExit) as error:
            problem = f"{type(error).__name__}: {error}".rstrip(": ")
            self._check.checks.append(Check(rule, problem, trace_of(error)))
            return None
        self._check.checks.append(Check(rule))
        return result

    def _at(self, company: Transactions) -> CompanyWindow:
        return windows_of_companies([(company, [self._window])], self._rules.population)[0]

    def _reachable(self, history: History) -> dict[str, pd.DataFrame]:
        """Return copies of what a model can change in a history: all else is read-only."""
        if self._model.reads == "summary":
            return {}
        return {
            "customers": pd.DataFrame({"customer_id": history.customers.copy()}),
            "transactions": history.transactions.copy(deep=True),
        }

    def _predict(self, model: NamedModel, history: History) -> Any:
        """Fit a fresh copy of the model, as an evaluation does, and return what it predicts."""
        fresh, window = model.fresh(), self._window
        if model.draws:
            state = random_state(self._rules.seed, history.company_id, window, model.name)
            seed_generators(fresh, state)
        began = time.perf_counter()
        if model.scope == "all":
            rules = self._rules.population
            fresh.fit([training_history(self._company, window, rules, model.reads)])
        else:
            fresh.fit(history)
        between = time.perf_counter()
        predicted = fresh.predict_proba(history)
        self._seconds = [between - began, time.perf_counter() - between]
        return predicted

    def _again(self) -> None:
        """Raise `NoPrediction` where the same call predicts something else."""
        first, second = (
            checked_probabilities(
                self._predict(self._model, self._place.history(self._model.reads)), self._place
            )
            for _ in range(2)
        )
        if not np.array_equal(first, second):
            n, apart = int((first != second).sum()), np.abs(first - second).max()
            raise NoPrediction(
                "not_repeatable",
                f"{n:,} of {len(first):,} probabilities differ, by up to {apart:.3g}; draw "
                "from a generator made of `random_state`, which is set before `fit`",
            )

    def _sent(self) -> None:
        """Pickle the model as it is sent to workers, and let what arrives predict."""
        sent: NamedModel = cloudpickle.loads(cloudpickle.dumps(self._model))
        checked_probabilities(
            self._predict(sent, self._place.history(self._model.reads)), self._place
        )
        if self._model.scope == "all":
            fresh = self._model.fresh()
            rules = self._rules.population
            fresh.fit([training_history(self._company, self._window, rules, self._model.reads)])
            cloudpickle.loads(cloudpickle.dumps(fresh))

    def _of_few(self, n: int) -> Callable[[], None]:
        """Return a call that predicts for a company of the first `n` customers."""

        def call() -> None:
            frame = self._company.to_frame()
            kept = frame["customer_id"].isin(self._place.customer_ids[:n])
            few = self._at(Transactions.from_frame(self._company.company_id, frame[kept]))
            checked_probabilities(self._predict(self._model, few.history(self._model.reads)), few)

        return call

    def _summarize(self, probabilities: np.ndarray) -> None:
        """Say what came out, beside what then happened and what the base rate would lose."""
        row, base = (
            evaluate_one(self._company, self._window, model, self._rules).row
            for model in (self._model, resolve("base_rate"))
        )
        least, middle, most = np.quantile(probabilities, [0, 0.5, 1])
        fit, predict = self._seconds
        summary = {
            "probabilities": f"{least:.3g} to {most:.3g}, half of them below {middle:.3g}; "
            f"{len(np.unique(probabilities)):,} different ones",
            "mean probability": f"{probabilities.mean():.4g}; {row['observed_rate']:.4g} bought",
        }
        for name, label in (("log_loss", "log loss"), ("roc_auc", "AUC")):
            if row[name] is not None:
                summary[label] = f"{row[name]:.4g}{_beside(row[name], base[name], METRICS[name])}"
        summary["time"] = f"{fit:.2g} s to fit, {predict:.2g} s to predict"
        if row["note"]:
            summary["note"] = row["note"]
        self._check.summary = summary


def _beside(value: float, base: float | None, metric: Metric) -> str:
    """Say what the base rate has, and whether the model is worse than that."""
    if base is None:
        return ""
    is_worse = value < base if metric.better == "higher" else value > base
    return f"; base_rate {base:.4g}{': the model is worse than that here' if is_worse else ''}"


def _difference(before: dict[str, pd.DataFrame], after: dict[str, pd.DataFrame]) -> str:
    """Name what differs between two copies of a history; "" where nothing does."""
    changed = [f"history.{name}" for name in before if not before[name].equals(after[name])]
    return f"it changed {' and '.join(changed)}; work on a copy" if changed else ""


def trace_of(error: BaseException) -> str:
    """Return the whole traceback, from the first line of the model's own code."""
    lines = traceback.TracebackException.from_exception(error)
    lines.stack = traceback.StackSummary.from_list(
        [frame for frame in lines.stack if frame.filename != __file__]
    )
    return "".join(lines.format())
