"""Try a user's models on a few evaluations before a run, in a process of their own.

Each evaluation is made alone, and all of them one after the other in two orders. What differs
depends on something outside the model that outlives an evaluation, such as a module's variable: its
figures would depend on the number of workers, and later cutoffs would reach earlier ones. The trial
also notes which files a model reads. It writes none: a model that would is not tried.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import threadpoolctl

from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.company_windows import CompanyWindow, windows_of_companies
from scale_eval.evaluation.model import NamedModel
from scale_eval.evaluation.model_output import checked_probabilities
from scale_eval.evaluation.no_prediction import NoPrediction, row_text
from scale_eval.evaluation.random_state import random_state, seed_generators
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.training_history import training_history
from scale_eval.evaluation.windows import Window
from scale_eval.execution import child_process
from scale_eval.execution.forked_call import forked_call
from scale_eval.execution.opened_files import note_opened_files
from scale_eval.execution.shipping import Parcel, pack
from scale_eval.execution.tasks import RunContext
from scale_eval.execution.time_limit import ends_after
from scale_eval.models.built_in import is_built_in
from scale_eval.planning.plan import Plan

DEPENDS_ON_ORDER = "depends_on_order"
"""The reason of the evaluations of a model whose predictions depend on earlier evaluations."""

COMPANIES, CUTOFFS = 3, 3
"""Companies and cutoffs of each that are tried, at most."""

SECONDS = 15.0
"""Seconds that the trial of a model may take; one that is slower is tried on fewer windows."""

_RUN = "trial"


@dataclass(frozen=True)
class Findings:
    """What a trial has found out about a model.

    Attributes
    ----------
    depends : str
        Where its predictions depend on what was evaluated before, in words; "" where they do not.
    is_random : bool
        Whether it predicts something else each time.
    is_untried : bool
        Whether nothing can be said: it is too slow, would write a file, or its process ended.
    cannot_load : bool
        Whether its process ended while the model was loaded there, or loading took too long.
    files : dict of str
        The SHA-256 of each file that it read, by its path, and of each variable, as ``$NAME``.
    """

    depends: str = ""
    is_random: bool = False
    is_untried: bool = False
    cannot_load: bool = False
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """What the process that tries models is sent: models, data, and (company, cutoff, end).

    `timeout` is the seconds after which that process ends where a model is still being loaded.
    """

    parcel: Parcel
    dataset: Dataset
    rules: Rules
    windows: list[tuple[str, int, int]]
    timeout: float


class _Outcome(NamedTuple):
    """What an evaluation predicted, as bytes, and in words."""

    content: bytes
    words: str


@contextlib.contextmanager
def trial_of(
    context: RunContext, plan: Plan, todo: np.ndarray, timeout: float
) -> Iterator[Callable[[], dict[str, Findings]]]:
    """Begin to try the user's models among those to do; yield what waits for the findings.

    `todo` is as of `Completion.todo`; loading a model may take `timeout` seconds. Nothing is begun
    where there are no such models.
    """
    wanted = {
        name: context.models[name]
        for m, name in enumerate(plan.models)
        if name in context.models and not is_built_in(context.models[name]) and todo[:, m].any()
    }
    if not wanted or sys.platform != "linux":
        yield dict
        return
    rules = replace(context.rules, metrics=())
    tried = replace(context, models=wanted, rules=rules, fitted={})
    trial = Trial(pack(tried), context.dataset, rules, _windows_to_try(plan, todo), timeout)
    pool = ThreadPoolExecutor(1)
    with child_process.start() as call:
        findings = pool.submit(call, try_models, trial)

        def wait() -> dict[str, Findings]:
            found = _answer(findings.result)
            return _each_alone(trial) if found is None else found

        try:
            yield wait
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _windows_to_try(plan: Plan, todo: np.ndarray) -> list[tuple[str, int, int]]:
    """Choose some companies with the most cutoffs, neither the smallest nor the largest."""
    at = np.flatnonzero(plan.is_planned & todo.any(axis=1))
    companies, n = np.unique(plan.windows.company[at], return_counts=True)
    companies = companies[n >= min(CUTOFFS, n.max())]
    by_size = companies[np.argsort(plan.n_customers[companies], kind="stable")]
    ranks = np.linspace(0, len(by_size) - 1, COMPANIES + 2)[1:-1].astype(int)
    chosen: list[tuple[str, int, int]] = []
    for company in by_size[np.unique(ranks)]:
        own = at[plan.windows.company[at] == company]
        own = own[np.argsort(plan.windows.cutoff[own], kind="stable")]
        for i in own[np.unique(np.linspace(0, len(own) - 1, CUTOFFS).astype(int))]:
            bounds = int(plan.windows.cutoff[i]), int(plan.windows.horizon_end[i])
            chosen.append((plan.company_ids[company], *bounds))
    return sorted(chosen, key=lambda each: each[1:])


def _each_alone(trial: Trial) -> dict[str, Findings]:
    """Load each model in a process of its own, and try it in another if that has not ended."""
    steps = ((load_models, Findings(cannot_load=True)), (try_models, Findings(is_untried=True)))
    found: dict[str, Findings] = {}
    for name in trial.parcel.models:
        alone = replace(trial, parcel=trial.parcel.only(name))
        for function, ended in steps:
            with child_process.start() as call:
                answer = _answer(functools.partial(call, function, alone))
            found |= {name: ended} if answer is None else answer
            if answer is None:
                break
    return found


def _answer(ask: Callable[[], dict[str, Findings]]) -> dict[str, Findings] | None:
    """Return what a process has found: None where it ended, and nothing where it raised.

    The evaluations will say what it raised.
    """
    try:
        return ask()
    except ChildProcessError:
        return None
    except Exception:
        return {}


def load_models(trial: Trial) -> dict[str, Findings]:
    """Load the models of a trial, in the process that was started for it, and find nothing."""
    _loaded(trial)
    return {}


def _loaded(trial: Trial) -> dict[str, NamedModel]:
    """Return the models that can be loaded; end the process where one takes too long."""
    models: dict[str, NamedModel] = {}
    for name in trial.parcel.models:
        with ends_after(trial.timeout):
            models |= trial.parcel.only(name).load(_RUN)[0]
    return models


def try_models(trial: Trial) -> dict[str, Findings]:
    """Try each model of a trial, in the process that was started for it."""
    pa.set_cpu_count(1)
    with threadpoolctl.threadpool_limits(1):
        models = _loaded(trial)
        places = _places(trial)
        return {name: _tried(model, places, trial.rules) for name, model in models.items()}


def _places(trial: Trial) -> list[CompanyWindow]:
    """Return the windows to try, of the companies that can be read, in the order of cutoffs."""
    by_company: dict[str, list[Window]] = {}
    for company_id, cutoff, end in trial.windows:
        window = Window(from_microseconds(cutoff), from_microseconds(end))
        by_company.setdefault(company_id, []).append(window)
    read = [
        (company, by_company[company_id])
        for company_id, company in trial.dataset.read_many(by_company)
        if not isinstance(company, Exception)
    ]
    places = list(windows_of_companies(read, trial.rules.population)) if read else []
    return sorted(places, key=lambda place: place.window.cutoff_us)


def _tried(model: NamedModel, places: list[CompanyWindow], rules: Rules) -> Findings:
    """Try one model: each evaluation alone, then all of them in two orders."""
    files: dict[str, str] = {}
    began = time.monotonic()

    def evaluated(chosen: list[CompanyWindow]) -> list[_Outcome] | None:
        """Evaluate in a process of its own; None where that takes too long or writes a file."""

        def call() -> tuple[list[_Outcome], Mapping[str, str]]:
            with note_opened_files() as opened:
                outcomes = [_outcome(model, place, rules) for place in chosen]
            return outcomes, opened.hashes()

        answer = forked_call(call, began + SECONDS - time.monotonic())
        if answer is None:
            return None
        files.update(answer[1])
        return answer[0]

    def findings(depends: str = "", **known: bool) -> Findings:
        return Findings(depends, files=files, **known)

    alone: list[_Outcome] = []
    for place in places:
        if len(alone) > 1 and time.monotonic() - began > SECONDS / 4:
            break
        outcome = evaluated([place])
        if outcome is None:
            return findings(is_untried=True)
        alone += outcome
    places = places[: len(alone)]
    for order, label in ((1, "earlier"), (-1, "later")):
        after = evaluated(places[::order])
        if after is None:
            return findings(is_untried=True)
        for place, one, other in zip(places, alone, after[::order], strict=True):
            if one.content == other.content:
                continue
            again = evaluated([place]), evaluated(places[::order])
            if again[0] != [one] or again[1] != after:
                return findings(is_random=True)
            return findings(
                f"for {place.company.company_id} at {place.window.cutoff:%Y-%m-%d} it {one.words} "
                f"alone, and {other.words} where {label} cutoffs were evaluated before"
            )
    return findings()


def _outcome(model: NamedModel, place: CompanyWindow, rules: Rules) -> _Outcome:
    """Evaluate as a run does, and return what comes out, also where that is an exception."""
    try:
        fresh, history = model.fresh(), place.history(model.reads)
        if model.draws:
            company_id = place.company.company_id
            seed_generators(fresh, random_state(rules.seed, company_id, place.window, model.name))
        if model.scope == "all":
            own = (place.company, place.window, rules.population, model.reads)
            fresh.fit([training_history(*own)])
        else:
            fresh.fit(history)
        output = checked_probabilities(fresh.predict_proba(history), place)
    except NoPrediction as declined:
        words = f"declines ({row_text(declined.reason)})"
        return _Outcome(words.encode(), words)
    except Exception as error:
        words = f"raises {type(error).__name__}"
        return _Outcome(words.encode(), words)
    return _Outcome(output.tobytes(), f"has a mean probability of {output.mean():.9g}")


def note_of_dependence(findings: Findings) -> str:
    """Return the note of the evaluations of a model that depends on earlier ones."""
    return (
        f"{findings.depends}: something outside the model keeps what an evaluation leaves (a "
        "module's variable, a class attribute, a cache). Keep it in self, which is fresh each time"
    )
