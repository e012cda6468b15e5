"""Models that change after they were evaluated: one that only failed, and one that is replaced."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import scale_eval as se
from scale_eval.results import model_removal
from scale_eval.results.directory import RunDiffers
from scale_eval.storage import read_table
from tests.support.models import Constant

QUICK = ["recency"]


class Mine:
    """A model whose identity is its rate; it declines companies that are smaller than `least`."""

    def __init__(
        self, rate: float, least: int = 0, fails: bool = False, name: str = "mine"
    ) -> None:
        self.rate, self.least, self.fails, self.name = rate, least, fails, name

    def fit(self, history):
        if self.fails:
            raise RuntimeError("not yet")
        if history.n_customers < self.least:
            raise se.Skipped("too_small")

    def predict_proba(self, history):
        days = history.days_before_cutoff(history.summary.last_purchase)
        return self.rate * np.exp(-days / 200)


def evaluate(dataset, models, out, client, **options):
    return se.evaluate(dataset, models, out=out, client=client, progress=False, last=2, **options)


@pytest.fixture(scope="module", params=["evaluation", "batch"])
def before(request, shops, client, tmp_path_factory):
    """A run with a model that will be replaced; tasks of one evaluation, or of many."""
    place = tmp_path_factory.mktemp("before") / "run"
    models = [*QUICK, Mine(0.9, least=20)]
    options = {"save_predictions": True, "granularity": request.param}
    return evaluate(shops, models, place, client, **options)


@pytest.fixture(scope="module")
def only_new(shops, client, tmp_path_factory):
    """The same run if it had only ever had the new model."""
    place = tmp_path_factory.mktemp("new") / "run"
    return evaluate(shops, [*QUICK, Mine(0.4, least=60)], place, client, save_predictions=True)


@pytest.fixture
def copied(before, tmp_path):
    shutil.copytree(before.path, tmp_path / "run")
    return tmp_path / "run"


def saved(run) -> set[tuple]:
    """The evaluations of which probabilities are kept."""
    store = run.directory.store
    tables = [read_table(store, name) for name in store.names("predictions/*.parquet")]
    keys = ("company_id", "cutoff", "model")
    return {tuple(table[key][0].as_py() for key in keys) for table in tables}


@pytest.mark.slow
def test_a_replaced_model_leaves_nothing_of_what_it_was(shops, client, copied, only_new):
    others = evaluate_times(copied, "recency")
    with pytest.raises(RunDiffers, match=r"'mine' has changed .* add --replace mine"):
        evaluate(shops, [Mine(0.4, least=60)], copied, client)
    run = evaluate(
        shops, [Mine(0.4, least=60)], copied, client, replace=["mine"], save_predictions=True
    )
    assert run.fingerprint() == only_new.fingerprint()
    assert saved(run) == saved(only_new)
    assert run.document["leaving"] == []
    assert evaluate_times(copied, "recency") == others  # it was not evaluated again


def evaluate_times(place, model: str) -> list:
    rows = se.open_run(place).evaluations.query("model == @model")
    return rows["evaluated_at"].tolist()


@pytest.mark.slow
def test_what_interrupts_the_removal_of_a_model_is_made_up_for(
    shops, client, copied, only_new, monkeypatch
):
    """Between the file without the model and the end of the one with it, all are there twice."""
    done = []

    def write_and_die(*arguments):
        done.append(write(*arguments))
        raise KeyboardInterrupt

    write = model_removal.write_part
    monkeypatch.setattr(model_removal, "write_part", write_and_die)
    options = {"replace": ["mine"], "save_predictions": True}
    with pytest.raises(KeyboardInterrupt):
        evaluate(shops, [Mine(0.4, least=60)], copied, client, **options)
    monkeypatch.undo()
    assert done
    # Nothing says any more that the model is to be replaced: it is new to the run.
    run = evaluate(shops, [Mine(0.4, least=60)], copied, client, save_predictions=True)
    assert run.fingerprint() == only_new.fingerprint()


@pytest.mark.slow
def test_the_same_command_goes_on_with_a_replacement_that_was_interrupted(
    shops, client, copied, only_new, monkeypatch
):
    def die(*_):
        raise KeyboardInterrupt

    options = {"replace": ["mine"], "save_predictions": True}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("scale_eval.execution.session.Session.complete", die)
        evaluate(shops, [Mine(0.4, least=60)], copied, client, **options)
    before = evaluate_times(copied, "mine")
    run = evaluate(shops, [Mine(0.4, least=60)], copied, client, **options)
    assert evaluate_times(copied, "mine") == before
    assert run.fingerprint() == only_new.fingerprint()
    evaluate(shops, [Mine(0.4, least=60)], copied, client, **options)  # it is finished: once more
    assert evaluate_times(copied, "mine") != before
    assert run.fingerprint() == only_new.fingerprint()


def test_a_removal_that_was_interrupted_is_finished_by_reduce(shops, client, copied, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(model_removal, "remove_model", die)
    with pytest.raises(KeyboardInterrupt):
        evaluate(shops, [Mine(0.4)], copied, client, replace=["mine"])
    monkeypatch.undo()
    run = se.reduce(copied)
    assert "mine" not in set(run.evaluations["model"])


@pytest.mark.slow
def test_a_model_that_only_failed_may_be_changed(shops, client, tmp_path, only_new):
    models = [*QUICK, Mine(0.1, fails=True)]
    failed = evaluate(shops, models, tmp_path / "run", client, save_predictions=True)
    assert set(failed.evaluations.query("model == 'mine'")["status"]) <= {"error", "skipped"}
    models = [*QUICK, Mine(0.4, least=60)]
    run = evaluate(shops, models, tmp_path / "run", client, save_predictions=True)
    assert run.fingerprint() == only_new.fingerprint()
    assert run.document["n_failed"] == 0


def contents(place) -> dict:
    return {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}


@pytest.mark.slow
def test_a_refused_call_changes_nothing_and_names_every_changed_model(shops, client, tmp_path):
    def call(rate, *more, **options):
        models = [Mine(rate, fails=True, name="failed"), Mine(rate), *more]
        return evaluate(shops, models, tmp_path / "run", client, **options)

    call(0.1, Mine(0.1, name="my other"))
    before = contents(tmp_path / "run")
    with pytest.raises(RunDiffers, match=r"'mine' and 'my other' have changed") as caught:
        call(0.2, Mine(0.2, name="my other"))
    assert "add --replace mine --replace 'my other'," in str(caught.value)
    with pytest.raises(RunDiffers, match="holds a run of all companies"):
        call(0.2, replace=["mine"], sample=4)
    with pytest.raises(ValueError, match="a margin for an unknown metric"):
        se.reduce(tmp_path / "run", margins={"nonsense": 0.1})
    assert contents(tmp_path / "run") == before


def test_what_cannot_be_replaced_is_refused_by_name(shops, client, copied):
    with pytest.raises(ValueError, match=r"replace 'mien'.*did you mean 'mine'"):
        evaluate(shops, [Mine(0.4)], copied, client, replace=["mien"])
    with pytest.raises(ValueError, match="a share cannot replace a model"):
        evaluate(shops, [Mine(0.4)], copied, client, replace=["mine"], share="1/2")
    other = [*QUICK, Constant]
    with pytest.raises(RunDiffers, match="seed was 0, now 1"):
        evaluate(shops, other, copied, client, replace=["recency"], seed=1)
    assert se.open_run(copied).finished
