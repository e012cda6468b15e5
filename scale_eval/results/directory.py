"""Read the directory of a run, and keep its record, `run.json`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.evaluation.recorded_identity import changed_models_in_words, differing_parts
from scale_eval.evaluation.schema import (
    FAILED,
    KEY,
    SCORE_KEYS,
    SCORES_SCHEMA,
    coded,
    evaluations_schema,
)
from scale_eval.places import is_dataset, require_run
from scale_eval.printable import as_typed
from scale_eval.results.damaged import PLANNED_ANEW, naming_damage
from scale_eval.results.differing_settings import differences_in_words, is_different
from scale_eval.results.endings import Endings
from scale_eval.results.evaluation_parts import (
    CODED,
    evaluation_files,
    merge_scores,
    read_evaluations,
    read_scores,
    row_hashes,
)
from scale_eval.results.table_reader import TableReader, chosen_fields
from scale_eval.storage import (
    Store,
    open_store,
    read_json,
    read_metadata,
    read_table,
    require_free_place,
    write_json,
)
from scale_eval.storage.file_hash import read_hash, read_in_words
from scale_eval.storage.formats import OtherFormat, require_format

RUN = "run.json"
PLAN = "plan.parquet"
SAMPLE = "sample.parquet"
"""The companies of a run of a sample, and how many companies each represents."""

FOLDERS = ("evaluations", "scores", "predictions", "models", "shares")
"""The folders of a run."""

FORMAT = 2
"""The format of a run's directory; raised when an earlier version could not read what this one
writes, or the other way round."""

OTHER_FORMAT = "Evaluate again into another place, or use the version that made it"
"""The remedy for a run of another format."""


class RunDiffers(ValueError):  # noqa: N818 - read as a sentence
    """A run directory holds a run of something else."""


class RowsMissing(ValueError):  # noqa: N818 - reads as a sentence
    """Evaluations of a run that were done are no longer there."""


class RunDirectory(TableReader):
    """The files of one run.

    Parameters
    ----------
    store : Store
        The store that holds them.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @cached_property
    def document(self) -> dict[str, Any]:
        """Return what `run.json` says; empty for a new run.

        Raises `OtherFormat` for a run that another version wrote in another format, `ValueError`
        where the file is damaged.
        """
        if not self.store.exists(RUN):
            return {}
        try:
            document = read_json(self.store, RUN)
            version = document.get("versions", {}).get("scale_eval")
            require_format(self.store.root, document, FORMAT, version, OTHER_FORMAT)
            _ = document["settings"], document["models"], document["status"]
        except OtherFormat:
            raise
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{self.store.root}/{RUN} is damaged ({type(error).__name__}: {error}); restore "
                "it, or choose another place for the run"
            ) from error
        return dict(document)

    def begin(
        self, settings: dict[str, Any], models: dict[str, Any], facts: dict[str, Any]
    ) -> None:
        """Begin a run in an empty directory, or continue the same run that it holds.

        Parameters
        ----------
        settings : dict
            What the results depend on: data, windows, rules, metrics, seed.
        models : dict
            Identity (source, parameters) of each model by name; new ones are added.
        facts : dict
            Versions, machine and the like, which are recorded but not compared.

        Raises
        ------
        RunDiffers
            The directory holds a run of something else, or a model of this name that has changed;
            the message says what differs.
        OtherFormat
            It holds a run in another format.
        """
        self.require_place()
        self.require_settings(settings, facts.get("dataset"))
        self.require_same_models(models)
        recorded_models = self.document.get("models", {})
        self.record(
            format=FORMAT,
            status="running",
            settings=settings,
            models=recorded_models | models,
            **facts,
        )

    def require_place(self) -> None:
        """Raise `RunDiffers` where the directory holds something other than a run.

        Raises `OSError` where a folder of the run is a link.
        """
        for folder in FOLDERS:
            self.store.require_no_link(folder)
        if self.document:
            return
        if is_dataset(Path(self.store.root)):
            raise RunDiffers(f"{self.store.root} is a dataset; choose an empty place for the run")
        try:
            require_free_place(self.store, "a run")
        except FileExistsError as error:
            raise RunDiffers(str(error)) from error

    def require_settings(self, settings: Mapping[str, Any], dataset: object = None) -> None:
        """Raise `RunDiffers` where the directory holds a run of other settings, or of other data.

        `dataset` is the place of the data, for the message.
        """
        recorded = self.document.get("settings", settings)
        differing = [key for key in settings if is_different(key, recorded.get(key), settings[key])]
        if "data" in differing and dataset is not None:
            before = self.document.get("dataset")
            if str(before) == str(dataset):
                raise RunDiffers(
                    f"{self.store.root} holds a run of {dataset} with other rows: the dataset has "
                    "changed since. Choose another place for a run of what it holds now"
                )
            raise RunDiffers(
                f"{self.store.root} holds a run of the dataset {before}, not of {dataset}. Choose "
                "another place for this one, or name that dataset to go on"
            )
        if differing:
            differences, options = differences_in_words(differing, recorded, settings)
            raise RunDiffers(
                f"{self.store.root} holds another run: {differences}. Choose another place for "
                f"this one, or go on with that run by its own settings: {options}"
            )

    def require_same_models(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        """Raise `RunDiffers` where models have changed since the run was begun; name them all."""
        if changed := self.changed_models(models):
            raise RunDiffers(changed_models_in_words(changed, str(self.store.root)))

    def changed_models(self, models: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
        """Return the parts of the identity that differ, of each model that has changed."""
        recorded = self.document.get("models", {})
        differing = {
            name: differing_parts(recorded[name], models[name])
            for name in models
            if name in recorded
        }
        for name, files in self.document.get("read_files", {}).items():
            if name in differing:
                changed = [each for each, was in files.items() if read_hash(each) != was]
                differing[name] += map(read_in_words, changed)
        return {name: parts for name, parts in differing.items() if parts}

    def record(self, **entries: Any) -> None:
        """Set entries of `run.json`."""
        document = {**self.document, **entries}
        write_json(self.store, RUN, document)
        self.document = document

    def record_read_files(self, files: Mapping[str, Mapping[str, str]]) -> None:
        """Record the files and variables that models read, by model: the hash of each."""
        before = self.document.get("read_files", {})
        added = {name: {**before.get(name, {}), **files[name]} for name in files}
        self.record(read_files={**before, **added})

    def record_fits(self, fitted: Mapping[str, Any]) -> dict[str, Any]:
        """Record the fits of models of all companies, and return the fits to use."""
        self.record(fitted={**self.document.get("fitted", {}), **fitted})
        return dict(fitted)

    @property
    def user_metrics(self) -> list[str]:
        """Return the names of the metrics that the user added."""
        return list(self.document["settings"]["metrics"])

    @property
    def schema(self) -> pa.Schema:
        """Return the schema of the table `evaluations`."""
        return evaluations_schema(self.user_metrics)

    def evaluations(
        self, columns: Sequence[str] | None = None, company_id: str | None = None
    ) -> pa.Table:
        """Return the table `evaluations`, sorted; only the last attempt of each evaluation.

        With `columns`, only these and the columns of the key; with `company_id`, only its rows.

        Raises `RowsMissing` where the run had more evaluations when it was last made, `DamagedPart`
        where a file cannot be read.
        """
        chosen = self.schema.names if columns is None else [*KEY, "attempts", *columns]
        schema = chosen_fields(self.schema, chosen)
        if company_id is not None:
            return _last_attempts(self.evaluations_of(chosen, [company_id]))
        table = _last_attempts(
            _whole(read_evaluations(self.store, schema, self.schema.names), schema)
        )
        self.require_rows(len(table))
        return table

    def require_rows(self, n: int) -> None:
        """Raise `RowsMissing` where `n` is less than the number of evaluations that were done."""
        if said := self._removed(n):
            raise RowsMissing(said)

    def removed(self) -> str:
        """Return that evaluations were removed and what to do, by the footers of files alone.

        "" where none were, as far as footers say: a repeated attempt may stand for a removed one.
        """
        names = evaluation_files(self.store)
        with contextlib.suppress(ValueError, OSError):  # a damaged file is said where it is read
            return self._removed(sum(read_metadata(self.store, name).num_rows for name in names))
        return ""

    def _removed(self, n: int) -> str:
        """Return what to do where more evaluations than `n` were done; "" where not."""
        document = self.document
        if document.get("status") == "running" or "n_missing" not in document:
            return ""
        n_lost = int(document["n_evaluations"]) - int(document["n_missing"]) - n
        if n_lost <= 0:
            return ""
        root = self.store.root
        return (
            f"{root}: {n_lost:,} of {n_lost + n:,} evaluations that were done are missing; files "
            f"were removed from {root}/evaluations. Restore them, or run the command that began "
            "the run again: it evaluates anew what is missing. Where the data are gone, "
            f"'scale-eval reduce {as_typed(str(root))}' makes the tables of what is left"
        )

    def evaluation_parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield columns of the table `evaluations` file by file; every attempt has its row.

        Texts come as dictionary codes, as in the files, since few of them differ.
        """
        schema = coded(self.schema)
        chosen = pa.schema([schema.field(name) for name in columns])
        return read_evaluations(self.store, chosen, schema.names)

    def score_parts(self) -> Iterator[pa.Table]:
        """Yield the table `scores` file by file, not merged; texts come as dictionary codes."""
        return read_scores(self.store, coded(SCORES_SCHEMA))

    def scores(self) -> pa.Table:
        """Return the table `scores`, merged over parts and over `answered_by`, and sorted.

        Counts are integers: they are the same however evaluations were divided into tasks.
        """
        keys = [key for key in SCORE_KEYS if key != "answered_by"]
        return merge_scores(read_scores(self.store, SCORES_SCHEMA), keys)

    def endings(self) -> Endings:
        """Return how the evaluations ended and when; raise as `evaluations` does."""
        endings = Endings.of(self.evaluation_parts)
        self.require_rows(int(endings.statuses["n"].sum()))
        return endings

    def failures(self) -> pd.DataFrame:
        """Return the evaluations that failed, with their reason and note."""
        self.endings()  # raises where evaluations were removed
        columns = [*KEY, "attempts", "status", "reason", "note"]
        failed = pa.array(FAILED)
        # Few fail: they are looked for first, and then what other attempts there are at them.
        at_fault: set[str] = set()
        for part in self.evaluation_parts(["company_id", "status"]):
            ids = part.filter(pc.is_in(part["status"].cast(pa.string()), failed))["company_id"]
            at_fault.update(ids.unique().to_pylist())
        table = _last_attempts(self.evaluations_of(columns, sorted(at_fault)))
        table = table.filter(pc.is_in(table["status"], failed))
        return table.drop_columns(["attempts"]).to_pandas()

    def evaluations_of(self, columns: Sequence[str], ids: Sequence[str]) -> pa.Table:
        """Return columns of the evaluations of some companies; every attempt has its row."""
        schema, wanted = chosen_fields(self.schema, columns), pa.array(ids, pa.string())
        found = []
        for part in self.evaluation_parts(columns) if ids else ():
            company = part["company_id"].unify_dictionaries().combine_chunks()
            is_wanted = pc.is_in(company.dictionary, wanted)
            chosen = part.filter(is_wanted.take(company.indices))
            if len(chosen):
                found.append(chosen.cast(schema))
        return _whole(iter(found), schema)

    def plan(
        self, columns: Sequence[str] | None = None, dictionaries: Sequence[str] = ()
    ) -> pa.Table:
        """Return the plan of the run, or some of its columns; raise `DamagedFile` if damaged."""
        with naming_damage(self.store, PLAN, PLANNED_ANEW):
            return read_table(self.store, PLAN, columns=columns, dictionaries=dictionaries)

    def company_groups(self) -> dict[str, int]:
        """Return the group in which each company's scores are kept, from the plan."""
        columns = ["company_id", "company_group"]
        table = self.plan(columns, dictionaries=columns[:1])
        companies = table["company_id"].unify_dictionaries().combine_chunks()
        groups = np.zeros(len(companies.dictionary), np.int64)
        groups[companies.indices.to_numpy()] = table["company_group"].to_numpy()
        return dict(zip(companies.dictionary.to_pylist(), groups.tolist(), strict=True))

    def missing_by_model(self) -> dict[str, int]:
        """Count the evaluations of the plan, refused ones included, that have no row, by model.

        Models without any are left out.
        """
        plan = self.plan(KEY, dictionaries=CODED)
        planned = row_hashes(plan, KEY)
        parts = [row_hashes(part, KEY) for part in self.evaluation_parts(KEY)]
        done = np.sort(np.concatenate([np.empty(0, np.uint64), *parts]))
        has_row = np.searchsorted(done, planned, "right") > np.searchsorted(done, planned)
        counts = plan.filter(pa.array(~has_row))["model"].value_counts().to_pylist()
        return {each["values"]: each["counts"] for each in counts}


def open_run_directory(place: str | os.PathLike[str] | Store) -> RunDirectory:
    """Open the run at `place`.

    Raises `FileNotFoundError` where there is none, `OtherFormat` where another version wrote it in
    another format, `ValueError` where its record is damaged.
    """
    directory = RunDirectory(open_store(place))
    if not directory.document:
        require_run(directory.store.root)
    return directory


def _last_attempts(table: pa.Table) -> pa.Table:
    """Return the last attempt of each evaluation, sorted by KEY."""
    table = table.sort_by([(column, "ascending") for column in [*KEY, "attempts"]])
    if pc.any(pc.greater(table["attempts"], 1)).as_py() or _repeats(table):
        keys = table.select(KEY).to_pandas()
        table = table.filter(pa.array(~keys.duplicated(keep="last").to_numpy()))
    return table


def _whole(parts: Iterator[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *parts]).combine_chunks()


def _repeats(table: pa.Table) -> bool:
    """Return whether a table that is sorted by KEY has two rows of one evaluation."""
    same = np.ones(max(len(table) - 1, 0), bool)
    for name in KEY:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = pc.fill_null(column.cast(pa.int64()), -1)
        same &= pc.equal(column[1:], column[:-1]).to_numpy()
    return bool(same.any())
