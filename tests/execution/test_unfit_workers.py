"""Workers that cannot take part: what they say, whether they were there first or join late."""

from __future__ import annotations

import asyncio
import pickle
import shutil
import sys
import time
from types import SimpleNamespace

import pytest
from distributed.comm.core import CommClosedError

from scale_eval.datasets import open_dataset
from scale_eval.evaluation.no_prediction import NoPrediction
from scale_eval.evaluation.rules import Rules
from scale_eval.execution.clusters.base import WorkerUnfit
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.execution.coordinator import announce
from scale_eval.execution.loading import _failures, loadable_models
from scale_eval.execution.shipping import Parcel, this_process
from scale_eval.execution.tasks import RunContext
from scale_eval.execution.versions import VersionsDiffer
from scale_eval.execution.worker import EvaluationPlugin
from scale_eval.models.registry import named_models
from scale_eval.storage import open_store
from tests.support.models import Constant, RandomForest

WORKER = SimpleNamespace(address="tcp://there:1")


@pytest.fixture
def plugin(shops, tmp_path, monkeypatch):
    """The plugin as a worker receives it, and the folder of its dataset."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # which a worker arranges
    shutil.copytree(shops.store.root, tmp_path / "data")
    dataset = open_dataset(tmp_path / "data")
    context = RunContext(dataset, named_models([Constant]), Rules(), open_store(tmp_path / "run"))
    return pickle.loads(pickle.dumps(EvaluationPlugin("run", context, 60.0))), tmp_path / "data"


def refusal(plugin) -> Exception:
    """What setting it up raises, and then each task, as they arrive at the coordinator."""
    with pytest.raises((WorkerUnfit, VersionsDiffer)) as at_first:
        asyncio.run(plugin.setup(WORKER))
    with pytest.raises((WorkerUnfit, VersionsDiffer)) as later:
        plugin.do(("key",), None)
    assert at_first.value.__cause__ is not at_first.value  # Dask follows causes to their end
    one, other = (pickle.loads(pickle.dumps(each.value)) for each in (at_first, later))
    assert (type(one), str(one)) == (type(other), str(other))
    return one


def test_a_worker_without_the_dataset_says_so_first_and_late(plugin):
    sent, data = plugin
    data.rename(data.with_name("moved"))
    told = str(refusal(sent))
    assert told.startswith("worker tcp://there:1 cannot take the work up: FileNotFoundError: ")
    assert "manifest.parquet" in told
    assert "the dataset under the same path" in told


def test_a_worker_with_other_packages_says_so_first_and_late(plugin):
    sent, _ = plugin
    sent.versions = {**sent.versions, "numpy": "1.0"}
    assert "numpy is 1.0 here" in str(refusal(sent))


def test_a_worker_that_cannot_load_a_model_names_it_first_and_late(plugin):
    sent, _ = plugin
    sent.parcel.models["constant"] = b"cmodule_that_is_missing\nMine\n."
    told = str(refusal(sent))
    assert "the model 'constant': ModuleNotFoundError: No module named 'module_that_is" in told
    assert "the packages that your models import" in told


def test_a_task_that_comes_before_the_worker_is_prepared_says_so(plugin):
    with pytest.raises(WorkerUnfit, match="it has not been prepared"):
        plugin[0].do(("key",), None)


@pytest.mark.slow
def test_a_worker_with_a_nanny_that_joins_late_takes_part(shops, tmp_path):
    context = RunContext(shops, named_models([Constant]), Rules(), open_store(tmp_path / "run"))
    with dask_client("local", workers=1) as client:
        announce(client, EvaluationPlugin("run", context, 60.0))
        client.cluster.scale(2)
        client.wait_for_workers(2, timeout=60)

        def clocks(dask_worker):
            return [each.topic for each in dask_worker.plugins.values() if hasattr(each, "topic")]

        def timed() -> int:
            return sum(map(len, client.run(clocks, nanny=True).values()))

        deadline = time.monotonic() + 60
        while timed() < 2:
            assert time.monotonic() < deadline


class Answering:
    """A client whose workers cannot load some of the models."""

    def __init__(self, *failures):
        self.failures = failures

    def run(self, function, parcel, timeout, on_error):
        return {f"tcp://w:{i}": each for i, each in enumerate(self.failures)}


@pytest.fixture
def context(shops, tmp_path):
    return RunContext(
        shops, named_models([Constant, RandomForest]), Rules(), open_store(tmp_path / "run")
    )


def test_a_model_that_no_worker_can_load_is_rows_that_say_so_and_the_others_stay(context):
    missing = {"random": "ModuleNotFoundError: No module named 'rare'"}
    models = loadable_models(Answering(missing, missing), context, 60.0)
    with pytest.raises(NoPrediction) as caught:
        models["random"].fresh().fit(None)
    assert caught.value.reason == "cannot_be_sent"
    assert caught.value.note.endswith("No module named 'rare'")
    assert {**models, "random": None} == {**context.models, "random": None}


def test_a_model_that_some_workers_can_load_ends_the_run_and_names_the_worker(context):
    missing = {"random": "ModuleNotFoundError: No module named 'rare'"}
    with pytest.raises(WorkerUnfit, match=r"worker tcp://w:1 .*'random'.*which other workers can"):
        loadable_models(Answering({}, missing), context, 60.0)


def test_workers_that_all_end_while_they_load_models_end_the_run(context):
    ended = CommClosedError("Stream is closed")
    with pytest.raises(
        WorkerUnfit, match=r"every worker ended, .* 180 s, .* the model 'constant', the model"
    ):
        loadable_models(Answering(ended, ended), context, 60.0)
    assert loadable_models(Answering(ended, {}), context, 60.0) == context.models


def test_a_metric_that_cannot_be_loaded_does_not_hide_a_model_that_cannot(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which a worker adds its folder
    parcel = Parcel(b"no pickle", {"rare": b"no pickle"}, {}, this_process())
    assert list(_failures(parcel, 60.0)) == ["rare"]


def test_workers_that_come_later_find_out_by_themselves(context):
    assert loadable_models(Answering(), context, 60.0) == context.models
