"""A run's directory: what was asked, what is done, and the only truth about both.

Evaluations and scores are written in batches while the run goes on. A batch is two files of one
name: first the scores, then the evaluations, whose arrival makes both count. Whatever is left of a
batch that was cut short is removed when the run is taken up again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.evaluation.schema import (
    FAILED,
    KEY,
    SCORE_KEYS,
    SCORES_SCHEMA,
    coded,
    evaluations_schema,
)
from scale_eval.storage import (
    Store,
    open_store,
    read_json,
    read_rows,
    read_table,
    write_json,
    write_table,
)
from scale_eval.storage.prefetch import ahead

RUN = "run.json"
PLAN = "plan.parquet"
SAMPLE = "sample.parquet"
"""Of a run of some companies: which, and what each stands for."""

READERS = 2
"""Threads that read files of a run, for most of that is to decompress them."""

CODED = ("company_id", "model")
"""The texts of a key, which files hold as dictionary codes."""

_ODD = np.uint64(0x9E3779B97F4A7C15)  # a multiplier that hashes are mixed by

TABLES = (
    "companies",
    "pooled",
    "comparisons",
    "reliability",
    "decompositions",
    "spread",
    "periods",
)
"""What a run is reduced to."""


class RunDiffers(ValueError):  # noqa: N818 - read as a sentence
    """A run directory holds a run of something else."""


class RunDirectory:
    """The files of one run.

    Parameters
    ----------
    store : Store
        Its place.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @cached_property
    def document(self) -> dict[str, Any]:
        """What `run.json` says; empty for a new run."""
        if not self.store.exists(RUN):
            return {}
        try:
            document = read_json(self.store, RUN)
            _ = document["asked"], document["models"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.store.root}/{RUN} is damaged ({type(error).__name__}: {error}); restore "
                "it, or choose another place for the run"
            ) from error
        return document

    def begin(self, asked: dict[str, Any], models: dict[str, Any], facts: dict[str, Any]) -> None:
        """Take the directory for a run of `asked` and `models`, or go on with the one there.

        Parameters
        ----------
        asked : dict
            What the results depend on: data, windows, rules, metrics, seed.
        models : dict
            Identity (source, parameters) of each model by name; new ones are added.
        facts : dict
            Versions, machine and the like, recorded but not compared.

        Raises
        ------
        RunDiffers
            The directory holds a run of something else, or a model of this name that has changed;
            the message says what differs.
        """
        if not self.document:
            others = self.store.names("*") if self.store.exists("") else []
            if others:
                raise RunDiffers(
                    f"{self.store.root} holds other files ({', '.join(others[:3])}) and no run; "
                    "choose an empty place for the run"
                )
        known = self.document.get("asked", asked)
        differing = [key for key in asked if known.get(key) != asked[key]]
        if differing:
            told = "; ".join(f"{k} was {known.get(k)!r}, now {asked[k]!r}" for k in differing)
            raise RunDiffers(
                f"{self.store.root} holds another run: {told}. Choose another place for this one, "
                "or ask for the same to finish it"
            )
        known_models = self.document.get("models", {})
        for name, identity in models.items():
            was = known_models.get(name, identity)
            parts = [part for part in identity if was.get(part) != identity[part]]
            if parts:
                raise RunDiffers(
                    f"the model {name!r} has changed since {self.store.root} was begun "
                    f"({' and '.join(parts)} differ); give it another name or the run another place"
                )
        self.record(asked=asked, models=known_models | models, **facts)

    def record(self, **entries: Any) -> None:
        """Set entries of `run.json`."""
        document = {**self.document, **entries}
        write_json(self.store, RUN, document)
        self.document = document

    def record_fits(self, fitted: Mapping[str, Any]) -> dict[str, Any]:
        """Record what fits of models of all companies came to; returns what counts."""
        self.record(fitted={**self.document.get("fitted", {}), **fitted})
        return dict(fitted)

    @property
    def user_metrics(self) -> list[str]:
        """Names of the metrics that the user added."""
        return list(self.document["asked"]["metrics"])

    @property
    def schema(self) -> pa.Schema:
        """Of the table `evaluations`."""
        return evaluations_schema(self.user_metrics)

    def clean(self) -> None:
        """Remove what a run that was cut short left behind; call it while holding the lock."""
        self.store.delete_unfinished()
        batches = {name.removeprefix("evaluations/") for name in self._files("evaluations")}
        for name in self._files("scores"):
            if name.removeprefix("scores/") not in batches:
                self.store.delete(name)

    def remove_repeats(self) -> int:
        """Remove batches that hold what others hold; returns how many.

        A worker that was thought dead, or whose coordinator died, can still write what others were
        given to do meanwhile. Scores are counted by batch, so that a batch stands or goes as a
        whole: of two that hold the same attempt of an evaluation, the larger stands. What only the
        other held is then to be done again.
        """
        names = self._files("evaluations")
        columns = [*KEY, "attempts"]
        held = [
            _hashes(read_table(self.store, n, columns=columns, dictionaries=CODED), columns)
            for n in names
        ]
        by_size = sorted(range(len(names)), key=lambda i: (-len(held[i]), names[i]))
        hashes, counts = np.unique(
            np.concatenate([np.empty(0, np.uint64), *held]), return_counts=True
        )
        repeated = hashes[counts > 1]
        taken, n_removed = np.zeros(len(repeated), bool), 0
        for i in by_size if len(repeated) else ():
            mine = np.isin(repeated, held[i])
            if (taken & mine).any():
                self.store.delete(names[i])
                self.store.delete(names[i].replace("evaluations/", "scores/", 1))
                n_removed += 1
            else:
                taken |= mine
        return n_removed

    def remove_without_scores(self) -> int:
        """Remove batches of which the scores are gone; returns how many.

        A worker whose run was cut short, and taken up again meanwhile, can still be between the two
        files of a batch: then `clean` removed the first as a rest.
        """
        names, n_removed = self._files("evaluations"), 0
        there = set(self._files("scores"))  # listed after: those of a batch come before
        for name in names:
            if name.replace("evaluations/", "scores/", 1) not in there:
                status = read_table(self.store, name, columns=["status"])["status"]
                if pc.any(pc.equal(status, "ok")).as_py():
                    self.store.delete(name)
                    n_removed += 1
        return n_removed

    def n_missing(self) -> int:
        """Evaluations of the plan, refused ones included, that have no row."""
        planned = _hashes(read_table(self.store, PLAN, columns=KEY, dictionaries=CODED), KEY)
        parts = self.evaluation_parts(KEY)
        there = np.concatenate([np.empty(0, np.uint64), *(_hashes(part, KEY) for part in parts)])
        planned.sort()
        there.sort()
        found = np.searchsorted(there, planned, "right") > np.searchsorted(there, planned)
        return int((~found).sum())

    def write_batch(self, table: pa.Table, scores: pa.Table) -> None:
        """Write evaluations, and the merged scores of those that are ok, so that both count.

        The name says what is evaluated: the same batch again takes the place of the first.
        """
        digest = hashlib.sha256()
        for column in ("company_id", "model"):
            digest.update("\n".join(table[column].to_pylist()).encode())
        for column in ("cutoff", "attempts"):
            digest.update(pc.fill_null(table[column].cast(pa.int64()), -1).to_numpy().tobytes())
        name = digest.hexdigest()[:24]
        if len(scores):
            write_table(self.store, f"scores/{name}.parquet", scores)
        write_table(self.store, f"evaluations/{name}.parquet", table)

    def evaluations(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The table `evaluations`, sorted; of an evaluation tried again, the last attempt.

        Only `columns`, and those of the key, where they are given.
        """
        wanted = None if columns is None else [*KEY, "attempts", *columns]
        table = self._read("evaluations", self.schema, wanted)
        order = [(column, "ascending") for column in [*KEY, "attempts"]]
        table = table.sort_by(order)
        if not pc.any(pc.greater(table["attempts"], 1)).as_py() and not _repeats(table):
            return table
        keys = table.select(KEY).to_pandas()
        return table.filter(pa.array(~keys.duplicated(keep="last").to_numpy()))

    def evaluation_parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of the table `evaluations`, file by file; every attempt has its row.

        Texts come as dictionary codes: files hold them so, and few of them differ.
        """
        return self._parts("evaluations", coded(self.schema), columns)

    def score_parts(self) -> Iterator[pa.Table]:
        """The table `scores`, file by file, not merged; texts come as dictionary codes."""
        return self._parts("scores", coded(SCORES_SCHEMA), SCORES_SCHEMA.names)

    def scores(self) -> pa.Table:
        """The table `scores`, merged over batches and sorted, whoever answered beside.

        Integers: in any order, and however they were dealt into tasks, the same.
        """
        keys = [key for key in SCORE_KEYS if key != "answered_by"]
        return merge_scores([self._read("scores", SCORES_SCHEMA)], keys)

    def table(self, name: str) -> pd.DataFrame:
        """One of `TABLES`, whole.

        Raises `FileNotFoundError` before the run was reduced.
        """
        if not self.store.exists(f"{name}.parquet"):
            raise FileNotFoundError(
                f"{self.store.root} is not finished and has no table '{name}' yet; run the command "
                "that began it again, or 'scale-eval reduce' for what is there so far"
            )
        return read_table(self.store, f"{name}.parquet").to_pandas()

    def companies_of(self, metric: str) -> pd.DataFrame:
        """The rows of one metric of the table `companies`, which has millions in a large run."""
        rows = read_rows(self.store, "companies.parquet", column="metric", value=metric)
        return rows.to_pandas()

    def statuses(self) -> pd.DataFrame:
        """How many evaluations ended how: `model`, `status`, `reason`, `overlaps`, `n`.

        Of an evaluation tried again, the last attempt.
        """
        counted = ["model", "status", "reason", "overlaps"]
        table = self.evaluations(counted[1:])
        counts = table.group_by(counted, use_threads=False).aggregate([([], "count_all")])
        frame = counts.to_pandas().rename(columns={"count_all": "n"})
        frame["reason"] = frame["reason"].fillna("")
        return frame.sort_values(counted, ignore_index=True)

    def company_groups(self) -> dict[str, int]:
        """The group in which each company's scores are kept, as the plan has it."""
        columns = ["company_id", "company_group"]
        table = read_table(self.store, PLAN, columns=columns, dictionaries=columns[:1])
        companies = table["company_id"].unify_dictionaries().combine_chunks()
        groups = np.zeros(len(companies.dictionary), np.int64)
        groups[companies.indices.to_numpy()] = table["company_group"].to_numpy()
        return dict(zip(companies.dictionary.to_pylist(), groups.tolist(), strict=True))

    def failures(self) -> pd.DataFrame:
        """Evaluations that failed, with their reason and note."""
        table = self.evaluations(["status", "reason", "note"]).drop_columns(["attempts"])
        return table.filter(pc.is_in(table["status"], pa.array(FAILED))).to_pandas()

    def _files(self, kind: str) -> list[str]:
        return self.store.names(f"{kind}/*.parquet")

    def _read(self, kind: str, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
        wanted = pa.schema([schema.field(name) for name in columns or schema.names])
        tables = self._parts(kind, schema, wanted.names)
        return pa.concat_tables([wanted.empty_table(), *tables]).combine_chunks()

    def _parts(self, kind: str, schema: pa.Schema, columns: Sequence[str]) -> Iterator[pa.Table]:
        wanted = pa.schema([schema.field(name) for name in columns])
        codes = [field.name for field in wanted if pa.types.is_dictionary(field.type)]

        def read(name: str) -> pa.Table:
            return read_table(
                self.store, name, columns=wanted.names, schema=wanted, dictionaries=codes
            )

        files = self._files(kind)
        if kind == "scores":  # those of a batch of which only this half is there do not count
            whole = set(self._files("evaluations"))
            files = [n for n in files if n.replace("scores/", "evaluations/", 1) in whole]
        return ahead(read, files, READERS)


def _hashes(table: pa.Table, columns: Sequence[str]) -> np.ndarray:
    """Of what stands in these columns of each row; uint64."""
    hashes = np.zeros(len(table), np.uint64)
    for name in columns:
        column = table[name].combine_chunks()
        if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
            codes = column.dictionary_encode()
            texts = codes.dictionary.to_numpy(zero_copy_only=False)
            values = pd.util.hash_array(texts, categorize=False)[codes.indices.to_numpy()]
        else:
            numbers = pc.fill_null(column.cast(pa.int64()), -1).to_numpy()
            values = pd.util.hash_array(numbers)
        hashes = hashes * _ODD + values
    return hashes


def _repeats(table: pa.Table) -> bool:
    """Whether a table that is sorted by KEY has two rows of one evaluation."""
    same = np.ones(max(len(table) - 1, 0), bool)
    for name in KEY:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = pc.fill_null(column.cast(pa.int64()), -1)
        same &= pc.equal(column[1:], column[:-1]).to_numpy()
    return bool(same.any())


def merge_scores(tables: Iterable[pa.Table], keys: Sequence[str] = SCORE_KEYS) -> pa.Table:
    """Histograms added up where `keys` are the same, and sorted by them."""
    counts = SCORES_SCHEMA.names[len(SCORE_KEYS) :]
    table = pa.concat_tables([SCORES_SCHEMA.empty_table(), *tables])
    merged = table.group_by(list(keys), use_threads=False).aggregate([(c, "sum") for c in counts])
    merged = merged.rename_columns([*keys, *counts])
    schema = pa.schema([SCORES_SCHEMA.field(name) for name in merged.column_names])
    return merged.cast(schema).sort_by([(key, "ascending") for key in keys])


def open_run_directory(place: str | os.PathLike[str] | Store) -> RunDirectory:
    """The run at `place`.

    Raises `FileNotFoundError` where there is none.
    """
    store = open_store(place)
    if not store.exists(RUN):
        raise FileNotFoundError(
            f"{store.root} is not a run (it has no {RUN}); make one with "
            f"'scale-eval run DATASET --out {store.root}'"
        )
    return RunDirectory(store)
