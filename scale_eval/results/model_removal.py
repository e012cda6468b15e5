"""Remove a model from a run, as if the run had never had it; only while holding the whole run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.evaluation.schema import SCORES_SCHEMA
from scale_eval.results.damaged import read_part
from scale_eval.results.directory import RunDirectory
from scale_eval.results.evaluation_parts import (
    evaluation_files,
    merge_scores,
    prediction_file,
    scores_beside,
    write_part,
)
from scale_eval.results.fitted_files import arrays_file, pickle_file
from scale_eval.spelling import did_you_mean_one_of
from scale_eval.storage import Store


def require_evaluated(replace: Sequence[str], models: Mapping[str, Any]) -> Sequence[str]:
    """Return the names; raise `ValueError` for one that is no model of this call."""
    for name in replace:
        if name not in models:
            raise ValueError(
                f"replace {name!r}: it is not among the models to evaluate"
                f"{did_you_mean_one_of(name, models)}"
            )
    return replace


def models_to_replace(
    directory: RunDirectory, models: Mapping[str, Mapping[str, Any]], replace: Sequence[str]
) -> list[str]:
    """Return the models of a run to evaluate anew: those named, and changed ones that all failed.

    A model is not replaced again by the same one after a session that did not finish.
    """
    document = directory.document
    begun = {} if document["status"] == "finished" else document.get("replaced", {})
    named = [
        name
        for name in replace
        if name in document["models"] and begun.get(name) != dict(models[name])
    ]
    failed = [
        name
        for name in directory.changed_models(models)
        if name not in named and not predicts_anywhere(directory.store, name)
    ]
    return named + failed


def remove_models(directory: RunDirectory, names: Iterable[str]) -> None:
    """Remove models from a run, and those whose removal was interrupted.

    `run.json` names them under `leaving` until nothing of them is left.
    """
    leaving = sorted({*directory.document.get("leaving", []), *names})
    if not leaving:
        return
    document = directory.document
    recorded = document.get("fitted", {})
    fitted = {key: fit for key, fit in recorded.items() if key.rpartition(" ")[0] not in leaving}
    kept = {digest for digest, *_ in fitted.values()}
    fits = {*document.get("leaving_fits", []), *(digest for digest, *_ in recorded.values())}
    leaving_fits = sorted(fits - kept - {""})
    models = {name: each for name, each in document["models"].items() if name not in leaving}
    read = {k: files for k, files in document.get("read_files", {}).items() if k not in leaving}
    directory.record(
        leaving=leaving,
        leaving_fits=leaving_fits,
        models=models,
        fitted=fitted,
        read_files=read,
        costs={},
        status="running",
    )
    for model in leaving:
        remove_model(directory.store, model)
    for digest in leaving_fits:
        for name in (pickle_file(digest), arrays_file(digest)):
            directory.store.delete(name)
    directory.record(leaving=[], leaving_fits=[])


def predicts_anywhere(store: Store, model: str) -> bool:
    """Return whether an evaluation of the model is ``ok``."""
    parts = (
        read_part(store, name, columns=["model", "status"]) for name in evaluation_files(store)
    )
    of_model = (part.filter(pc.equal(part["model"], model)) for part in parts)
    return any(pc.any(pc.equal(part["status"], "ok")).as_py() for part in of_model)


def remove_model(store: Store, model: str) -> None:
    """Remove the evaluations of a model, its scores and its saved predictions.

    Evaluations of other models stay as they are. What was interrupted can be done again: a part is
    written without the model before it is deleted with it.
    """
    saved = store.names("predictions/*.parquet")
    for name in evaluation_files(store):
        models = read_part(store, name, columns=["model"])["model"]
        if not pc.any(pc.equal(models, model)).as_py():
            continue
        evaluations = read_part(store, name)
        is_other = pc.not_equal(evaluations["model"], model)
        others = evaluations.filter(is_other)
        if len(others):
            write_part(store, others, _scores_without(store, scores_beside(name), model))
        removed = evaluations.filter(pc.invert(is_other)).select(["company_id", "cutoff"])
        for row in removed.drop_null().to_pylist() if saved else ():
            store.delete(prediction_file(row["company_id"], row["cutoff"], model))
        store.delete(name)
        store.delete(scores_beside(name))


def _scores_without(store: Store, name: str, model: str) -> pa.Table:
    """Return the scores of a part as if its tasks had not evaluated the model."""
    if not store.exists(name):
        return SCORES_SCHEMA.empty_table()
    scores = read_part(store, name, schema=SCORES_SCHEMA)
    scores = scores.filter(pc.not_equal(scores["model"], model))
    predicting = [
        None if text is None else ";".join(each for each in text.split(";") if each != model)
        for text in scores["answered_by"].to_pylist()
    ]
    at = scores.schema.get_field_index("answered_by")
    return merge_scores(
        [scores.set_column(at, SCORES_SCHEMA.field(at), pa.array(predicting, pa.string()))]
    )
