"""Models are tried before a run: in two orders, without a trace, and the files that they read."""

from __future__ import annotations

import functools
import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scale_eval as se
from scale_eval.execution import child_process, trial
from scale_eval.execution.tasks import RunContext
from scale_eval.execution.time_limit import ends_after
from scale_eval.execution.trial import Findings, Trial, try_models
from scale_eval.models.registry import named_models
from scale_eval.planning.plan import plan_run
from scale_eval.planning.settings import Settings
from scale_eval.results.directory import RunDiffers
from scale_eval.storage import open_store
from tests.support.models import Constant, OneForAll, RandomForest

N_CALLS = 0
FIRST_SEEN: dict[str, int] = {}
GENERATOR = np.random.default_rng(3)


class Rate(Constant):
    def predict_proba(self, history):
        return np.full(history.n_customers, self.rate(history))

    def rate(self, history):
        return 0.5


class Counts(Rate):
    def rate(self, history):
        global N_CALLS
        N_CALLS += 1
        return 1 / N_CALLS


class RemembersCompanies(Rate):
    def rate(self, history):
        return 1 / FIRST_SEEN.setdefault(history.company_id, history.n_customers)


class KeepsInItsClass(Rate):
    seen = []  # noqa: RUF012 - that is what is wrong with it

    def rate(self, history):
        self.seen.append(history.n_customers)
        return 1 / max(self.seen)


@functools.lru_cache
def first_of(company_id):
    return FIRST_SEEN["latest"]


class KeepsInACache(Rate):
    def rate(self, history):
        FIRST_SEEN["latest"] = history.n_customers
        return 1 / first_of(history.company_id)


class DrawsFromAModule(Rate):
    def rate(self, history):
        return GENERATOR.random()


class Unseeded(Rate):
    def rate(self, history):
        return np.random.default_rng().random()


@functools.lru_cache
def one_over(n):
    return 1 / n


class CachesWhatIsSo(Rate):
    def rate(self, history):
        return one_over(history.n_customers)


class KeepsInItself(Rate):
    def __init__(self):
        self.seen = []

    def rate(self, history):
        self.seen.append(history.n_customers)
        return 1 / len(self.seen)


class Writes(Rate):
    def rate(self, history):
        with Path("diary.txt").open("a") as file:
            file.write("here")
        return 0.5


class EndsItsProcess(Rate):
    def rate(self, history):
        os.kill(os.getpid(), signal.SIGKILL)


class Sleeps(Rate):
    def rate(self, history):
        time.sleep(60)


class Reads(Rate):
    def __init__(self, file):
        self.file = file

    def rate(self, history):
        return json.loads(Path(self.file).read_text())


DEPEND = [Counts, RemembersCompanies, KeepsInItsClass, KeepsInACache, DrawsFromAModule]
SOUND = [Rate, CachesWhatIsSo, KeepsInItself, RandomForest, OneForAll]
UNTRIED = [Writes, EndsItsProcess, Sleeps]


def named(kind):
    """An instance under the name of its class."""
    model = kind()
    model.name = kind.__name__
    return model


@pytest.fixture(scope="module")
def findings(shops, tmp_path_factory) -> dict[str, Findings]:
    """What the trial finds of each model; they are sent as to a worker."""
    place = tmp_path_factory.mktemp("trial")
    (place / "rate.json").write_text("0.25")
    reads = Reads(str(place / "rate.json"))
    reads.name = "Reads"
    given = [*map(named, [*DEPEND, *SOUND, *UNTRIED, Unseeded]), reads]
    models = {n: m for n, m in named_models(given).items() if n not in ("base_rate", "recency")}
    settings = Settings()
    plan = plan_run(shops, list(models), settings)
    todo = np.repeat(plan.is_planned[:, None], len(models), axis=1)
    context = RunContext(shops, models, settings.rules, open_store(place))
    windows = trial._windows_to_try(plan, todo)
    with child_process.start() as call:
        return call(
            quickly,
            Trial(trial.pack(replace(context)), shops, settings.rules, windows, 60.0),
            str(place),
        )


def quickly(given, place):
    os.chdir(place)
    trial.SECONDS = 2.0
    return try_models(given)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DEPEND)
def test_what_outlives_an_evaluation_is_found_with_both_figures(findings, kind):
    found = findings[kind.__name__]
    assert "alone, and has a mean probability of" in found.depends
    assert not found.is_random


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOUND)
def test_what_does_not_is_not(findings, kind):
    assert findings[kind.__name__] == Findings()


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNTRIED)
def test_a_model_that_writes_or_does_not_end_is_left_alone(findings, kind):
    assert findings[kind.__name__] == Findings(is_untried=True)


@pytest.mark.slow
def test_a_model_that_draws_without_a_seed_is_told_from_one_that_keeps_something(findings):
    assert findings["Unseeded"].is_random
    assert not findings["Unseeded"].depends


@pytest.mark.slow
def test_the_files_that_a_model_reads_are_known(findings):
    assert [Path(file).name for file in findings["Reads"].files] == ["rate.json"]


class EndsWhereItIsLoaded(Rate):
    def __setstate__(self, state):
        os._exit(3)


class SleepsWhereItIsLoaded(Rate):
    def __setstate__(self, state):
        time.sleep(1000)


@pytest.mark.slow
def test_a_model_that_ends_or_holds_up_the_process_that_loads_it_is_told_from_others(
    shops, tmp_path
):
    models = named_models([*map(named, [EndsWhereItIsLoaded, SleepsWhereItIsLoaded, Rate])])
    context = RunContext(shops, models, Settings().rules, open_store(tmp_path))
    plan = plan_run(shops, list(models), Settings())
    todo = np.repeat(plan.is_planned[:, None], len(models), axis=1)
    with trial.trial_of(context, plan, todo, timeout=5.0) as findings:
        assert findings() == {
            "EndsWhereItIsLoaded": Findings(cannot_load=True),
            "SleepsWhereItIsLoaded": Findings(cannot_load=True),
            "Rate": Findings(),
        }


class EndsTheProcessThatReadsIt:
    def read_many(self, company_ids):
        os._exit(9)


@pytest.mark.slow
def test_a_process_that_ends_where_data_are_read_is_not_held_against_a_model(shops, tmp_path):
    models = named_models([named(Rate)])
    context = RunContext(shops, models, Settings().rules, open_store(tmp_path))
    parcel = trial.pack(context).only("Rate")
    given = Trial(parcel, EndsTheProcessThatReadsIt(), context.rules, [("a", 0, 1)], 60.0)
    assert trial._each_alone(given) == {"Rate": Findings(is_untried=True)}


@pytest.mark.parametrize("seconds", [60.0, 1e10, math.inf])
def test_a_limit_of_time_may_be_as_long_as_it_likes(seconds):
    with ends_after(seconds):
        pass


@pytest.mark.slow
def test_a_run_says_so_in_each_evaluation_and_evaluates_the_others(shops, client, tmp_path):
    run = se.evaluate(
        shops, [named(Counts), named(Rate)], out=tmp_path / "run", client=client, progress=False
    )
    rows = run.evaluations[run.evaluations["status"] != "skipped"]
    by_model = rows.groupby("model")["reason"].unique()
    assert list(by_model["Counts"]) == ["depends_on_order"]
    assert (rows[rows["model"] == "Rate"]["status"] == "ok").all()


@pytest.mark.slow
def test_a_file_that_a_model_read_belongs_to_it(shops, client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "rate.json"
    file.write_text("0.25")

    def evaluate(**options):
        model = Reads(str(file))
        model.name = "reads"
        options |= {"client": client, "progress": False, "last": 1}
        return se.evaluate(shops, [model], out="run", **options)

    before = evaluate().fingerprint()
    assert evaluate().fingerprint() == before
    file.write_text("0.75")
    with pytest.raises(RunDiffers, match=r"the file rate\.json differs\)\. .* --replace reads"):
        evaluate()
    assert evaluate(replace=["reads"]).fingerprint() != before
    file.write_text("0.25")
    assert evaluate(replace=["reads"]).fingerprint() == before
