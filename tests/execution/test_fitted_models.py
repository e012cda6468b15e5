"""Fitted models of earlier sessions are read where that runs no code, or where they are trusted."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import scale_eval as se
from scale_eval.evaluation.model import NamedModel
from scale_eval.execution.global_fits import FittedModels, GlobalFitResult, recorded_fits
from scale_eval.storage import open_store
from tests.support.models import OneForAll


class InArrays(OneForAll):
    """As its parent, but it says what it learned in arrays."""

    name = "in_arrays"

    def fitted_arrays(self):
        return {"rate": np.array(self.rate)}

    def restore(self, arrays):
        self.rate = float(arrays["rate"])


class InObjects(OneForAll):
    name = "in_objects"

    def fitted_arrays(self):
        return {"rates": np.array([self.rate, "?", None], dtype=object)}


class Planted:
    """What somebody else put into the run: reading it says so in a file."""

    def __init__(self, diary: Path) -> None:
        self.diary = diary

    def __reduce__(self):
        return os.system, (f"touch '{self.diary}'",)


MODELS = [OneForAll(), InArrays(), InObjects(), "global_rfm_logistic"]


def evaluate(dataset, out, client, **options) -> se.Run:
    return se.evaluate(dataset, MODELS, out=out, client=client, last=2, **options)


@pytest.fixture(scope="module")
def finished(shops, client, tmp_path_factory):
    return evaluate(shops, tmp_path_factory.mktemp("finished") / "run", client, progress=False)


@pytest.fixture
def begun(finished, tmp_path) -> Path:
    """A copy of the run without its evaluations, as if it had been interrupted."""
    shutil.copytree(finished.path, tmp_path / "run")
    for folder in ("evaluations", "scores"):
        for file in (tmp_path / "run" / folder).iterdir():
            file.unlink()
    return tmp_path / "run"


def plant(run: Path, diary: Path) -> None:
    """Put a pickle that runs code in the place of each, and its hash where the hash stands."""
    content = pickle.dumps(Planted(diary))
    digest = hashlib.sha256(content).hexdigest()
    document = json.loads((run / "run.json").read_text())
    for key, fit in document["fitted"].items():
        if key.startswith("one_for_all") and fit[0]:
            document["fitted"][key] = [digest, *fit[1:]]
    (run / "run.json").write_text(json.dumps(document))
    (run / f"models/{digest}.pickle").write_bytes(content)


@pytest.mark.slow
def test_a_planted_pickle_is_not_read_and_the_model_is_fitted_anew(
    finished, begun, shops, client, tmp_path, capsys
):
    plant(begun, tmp_path / "it ran")
    again = evaluate(shops, begun, client)
    assert not (tmp_path / "it ran").exists()
    pickle.loads(pickle.dumps(Planted(tmp_path / "it ran")))
    assert (tmp_path / "it ran").exists()  # reading one does run it
    assert again.fingerprint() == finished.fingerprint()
    said = " ".join(capsys.readouterr().err.split())
    assert "2 fitted models of an earlier session are fitted anew" in said
    assert "--trust (trust=True)" in said
    with pytest.raises(ValueError, match="trust=True"):
        finished.predictions(OneForAll())
    assert len(finished.predictions(OneForAll(), trust=True))


@pytest.mark.slow
def test_what_is_trusted_is_read_and_fitted_no_more(finished, begun, shops, client, capsys):
    before = sorted((begun / "models").iterdir())
    modified = [file.stat().st_mtime_ns for file in before]
    again = evaluate(shops, begun, client, trust=True)
    assert [file.stat().st_mtime_ns for file in sorted((begun / "models").iterdir())] == modified
    assert again.fingerprint() == finished.fingerprint()
    assert "fitted anew" not in capsys.readouterr().err


@pytest.mark.slow
def test_arrays_are_read_without_trust_and_give_the_same_figures(
    finished, begun, shops, client, monkeypatch
):
    files = {file.suffix for file in (begun / "models").iterdir()}
    assert files == {".pickle", ".npz"}
    store, recorded = open_store(begun), finished.document["fitted"]
    valid = recorded_fits(recorded, store, retry=False, is_trusted=lambda _: False)
    read = {key.split()[0] for key, fit in valid.items() if fit.digest}
    assert read == {"in_arrays", "global_rfm_logistic"}
    predictions = finished.predictions("global_rfm_logistic")
    assert len(predictions) == len(finished.predictions(InArrays()))


@pytest.mark.slow
def test_arrays_of_objects_are_an_error_of_the_model(finished):
    rows = finished.evaluations.query("model == 'in_objects' and worker.notna()")
    assert set(rows["status"]) == {"error"}
    assert rows["note"].str.contains("'rates' holds Python objects; give numbers or texts").all()


def test_a_file_of_arrays_that_holds_a_pickle_is_not_read(tmp_path):
    diary, store = tmp_path / "it ran", open_store(tmp_path / "run")
    file = tmp_path / "planted.npz"
    np.savez(file, rate=np.array([Planted(diary)], dtype=object))
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    store.write(f"models/{digest}.npz", content)
    fitted = FittedModels(store, {"in_arrays 2020-01-01T00:00:00+00:00": GlobalFitResult(digest)})
    fitted._models["in_arrays"] = NamedModel("in_arrays", InArrays(), {})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        fitted._restored("in_arrays", digest)
    assert not diary.exists()
