"""Compute the predictions of a finished run again: a run keeps the figures, not each of them."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.datasets import Dataset, open_dataset
from scale_eval.datasets.instants import Duration
from scale_eval.evaluation.evaluate import LoadedCompany, WindowPredictions, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts
from scale_eval.evaluation.recorded_identity import differing_parts, in_words
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.windows import Window
from scale_eval.execution.global_fits import FittedModels, GlobalFitResult, recorded_fits
from scale_eval.models import NamedModel, resolve
from scale_eval.results.directory import RunDirectory

COLUMNS = ("company_id", "cutoff", "customer_id", "probability", "bought", "spend")


def recompute(
    directory: RunDirectory,
    model: Any,
    company_ids: Sequence[str] | None = None,
    dataset: Dataset | str | os.PathLike[str] | None = None,
    *,
    trust: bool = False,
) -> pd.DataFrame:
    """Evaluate a model of a run again, with the same random states; return its predictions.

    Parameters
    ----------
    directory : RunDirectory
    model : str or model
        Its name in the run, or the model itself, where it was given to the run as an object.
    company_ids : sequence of str, optional
        All companies by default.
    dataset : Dataset or path, optional
        The dataset of the run, where it is in another place now.
    trust : bool
        Read a fitted model that was pickled into the run, which runs the code that it holds.

    Returns
    -------
    DataFrame
        One row a customer of each window that is ok in the run, by COLUMNS.

    Raises
    ------
    FileNotFoundError
        The dataset is no longer where it was.
    ValueError
        The dataset has other data; the model cannot be imported, or has changed; it was pickled
        and is not trusted; or it makes no predictions now where it made some in the run.

    Warns
    -----
    RuntimeWarning
        A log loss differs from the one in the run by more than rounding: the model draws random
        numbers that are not seeded, or it depends on packages that are not the same.
    """
    named = _same_model(directory, model)
    data = _same_dataset(directory, dataset)
    rows = directory.evaluations(["horizon_end", "status", "log_loss"]).to_pandas()
    rows = rows[(rows["model"] == named.name) & (rows["status"] == "ok")]
    if company_ids is not None:
        rows = rows[rows["company_id"].isin(company_ids)]
    frames: list[pd.DataFrame] = []
    again = EvaluationRows(len(rows))
    fitted = _fitted(directory, named, trust=trust)
    with _random_state_kept():
        evaluate_companies(
            _loaded(data, rows, named),
            _rules(directory),
            again,
            ScoreCounts(),
            fitted=FittedModels(directory.store, fitted),
            keep=lambda predictions: frames.append(_frame(predictions)),
        )
    _compare(rows, again, named.name)
    if not frames:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)]


def _fitted(
    directory: RunDirectory, model: NamedModel, *, trust: bool
) -> dict[str, GlobalFitResult]:
    """Return the fits of a model of all companies; raise `ValueError` for one not to be read."""
    recorded = directory.document.get("fitted", {})
    mine = {key: fit for key, fit in recorded.items() if key.rpartition(" ")[0] == model.name}
    valid = recorded_fits(mine, directory.store, retry=False, is_trusted=lambda _: trust)
    if len(valid) < len(mine):
        raise ValueError(
            f"{model.name} was fitted to all companies, and its fit was pickled into "
            f"{directory.store.root}/models or is damaged. Reading a pickle runs the code that it "
            "holds: if you trust all who can write there, say trust=True"
        )
    return valid


def _same_model(directory: RunDirectory, model: Any) -> NamedModel:
    """Return the model as the run had it."""
    recorded = directory.document["models"]
    try:
        named = resolve(model)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"the model {model!r} of {directory.store.root} cannot be made here ({error}); run "
            "from where it can, or give the model itself: run.predictions(MyModel())"
        ) from error
    if named.name not in recorded:
        raise ValueError(
            f"{directory.store.root} has no model {named.name!r}; it has {', '.join(recorded)}"
        )
    was = recorded[named.name]
    parts = differing_parts(was, named.identity)
    if parts:
        raise ValueError(
            f"the model {named.name!r} has changed since {directory.store.root} was made "
            f"({in_words(parts)}): it would not predict what it predicted there"
        )
    return named


def _same_dataset(
    directory: RunDirectory, dataset: Dataset | str | os.PathLike[str] | None
) -> Dataset:
    """Return the dataset that was evaluated."""
    if not isinstance(dataset, Dataset):
        place = directory.document["dataset"] if dataset is None else dataset
        try:
            dataset = open_dataset(place)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"the dataset of {directory.store.root} is not at {os.fspath(place)}; say where it "
                "is now (dataset=...)"
            ) from error
    if dataset.content_hash != directory.document["settings"]["data"]:
        raise ValueError(
            f"{dataset.store.root} holds other data than when {directory.store.root} was made; "
            "give the dataset as it was then (dataset=...), or evaluate again into another place"
        )
    return dataset


def _rules(directory: RunDirectory) -> Rules:
    """Return the rules by which the run made predictions; its users' metrics are left out."""
    settings = directory.document["settings"]
    lookback = settings["lookback"]
    return Rules(
        horizon=Duration.parse(settings["horizon"]),
        purchase_rule=settings["purchase_rule"],
        lookback=None if lookback is None else Duration.parse(lookback),
        seed=settings["seed"],
    )


def _loaded(dataset: Dataset, rows: pd.DataFrame, model: NamedModel) -> Iterator[LoadedCompany]:
    """Yield the companies of these evaluations with their windows; raise where one is damaged."""
    windows = {
        company_id: [
            (Window(cutoff, end), False)
            for cutoff, end in zip(mine["cutoff"], mine["horizon_end"], strict=True)
        ]
        for company_id, mine in rows.groupby("company_id", sort=True)
    }
    for company_id, company in dataset.read_many(windows):
        if isinstance(company, Exception):
            raise company
        yield LoadedCompany(company, windows[company_id], [model])


def _frame(predictions: WindowPredictions) -> pd.DataFrame:
    window = predictions.company_window
    return predictions.frame().assign(
        company_id=window.company.company_id,
        cutoff=window.window.cutoff,
        spend=window.outcomes.future_spend,
    )


def _compare(rows: pd.DataFrame, again: EvaluationRows, model: str) -> None:
    """Raise, or warn, where the evaluations did not come out as in the run."""
    keys = ["company_id", "cutoff"]
    columns = [*keys, "status", "reason", "note", "log_loss"]
    now = again.table().select(columns).to_pandas()
    both = rows[[*keys, "log_loss"]].merge(now, on=keys, suffixes=("", "_now"))
    failed = both[both["status"] != "ok"]
    if len(failed):
        first = failed.iloc[0]
        raise ValueError(
            f"{model} makes no predictions for {first['company_id']} at {first['cutoff']:%Y-%m-%d} "
            f"now: {first['reason']} {first['note']}".rstrip()
        )
    apart = ~np.isclose(both["log_loss"], both["log_loss_now"], rtol=1e-9, atol=0)
    if apart.any():
        first = both[apart].iloc[0]
        warnings.warn(
            f"{model} predicts otherwise than in the run at {int(apart.sum())} of {len(both)} "
            f"windows, first for {first['company_id']} at {first['cutoff']:%Y-%m-%d}: log loss "
            f"{first['log_loss_now']:.6g}, in the run {first['log_loss']:.6g}. It draws random "
            "numbers that are not seeded, or depends on packages that have changed",
            RuntimeWarning,
            stacklevel=4,
        )


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Give the caller's generators their states back; models are seeded through them."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
