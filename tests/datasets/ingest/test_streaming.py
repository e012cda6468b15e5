"""More rows than fit into memory: spilled and brought together again, they make the same dataset.

They are compared with the ingest that holds everything, which other tests judge.
"""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scale_eval.datasets import file_layout, open_dataset
from scale_eval.datasets.hash_order import ranks_of
from scale_eval.datasets.ingest import csv as csv_format
from scale_eval.datasets.ingest import parquet as parquet_source
from scale_eval.datasets.ingest import refused_traits, shuffle
from scale_eval.datasets.ingest.ingest import IngestError
from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.merge import Merge
from scale_eval.datasets.ingest.shuffle import ShuffleBuffer, n_partitions_of
from scale_eval.storage import Spill, StoreLocked, open_store
from tests.support.paths import PROJECT as ROOT
from tests.support.transaction_files import ingest_whatever_is_refused as ingest

HEADER = "Shop,CustomerID,Timestamp,PurchaseValue\n"


def lines_of(month: int, n: int, *, dates: bool = False) -> list[str]:
    """Rows of 30 shops in any order, one in 40 of which cannot be read; some are there twice."""
    rng = np.random.default_rng([month, n])
    lines = []
    for _ in range(n):
        shop, customer = rng.integers(30), rng.integers(12)
        time = f"2017-{month:02}-{rng.integers(1, 28):02}"
        time += "" if dates or shop < 5 else f" {rng.integers(24):02}:00:00Z"
        value = ["x", "", "nan"][rng.integers(3)] if rng.random() < 1 / 40 else rng.integers(-3, 9)
        shop_id = "" if rng.random() < 1 / 80 else f"shop {shop}é"
        lines += [f"{shop_id},{customer:03},{time},{value}"] * (1 + (rng.random() < 0.05))
    return lines


@pytest.fixture
def months(tmp_path) -> list[Path]:
    """A table in three parts: January, February, and March as Parquet."""
    paths = []
    for month in (1, 2):
        paths.append(tmp_path / f"2017-0{month}.csv")
        paths[-1].write_text(HEADER + "\n".join(lines_of(month, 400)) + "\n")
    fields = [line.split(",") for line in lines_of(3, 400)]
    columns = dict(
        zip(HEADER.strip().split(","), map(list, zip(*fields, strict=True)), strict=True)
    )
    paths.append(tmp_path / "2017-03.parquet")
    pq.write_table(pa.table(columns), paths[-1])
    return paths


@pytest.fixture
def streaming(monkeypatch):
    """Batches of a few rows, of which a few more are held, in a few parts."""

    def streaming(rows_held: int = 90, parts: int = 7) -> None:
        monkeypatch.setattr(csv_format, "LINES_PER_BATCH", 40)
        monkeypatch.setattr(parquet_source, "ROWS_PER_BATCH", 40)
        monkeypatch.setattr(shuffle, "ROWS_HELD", rows_held)
        monkeypatch.setattr(shuffle, "TABLES_HELD", 2)
        monkeypatch.setattr(shuffle, "MIN_PARTITIONS", parts)
        monkeypatch.setattr(shuffle, "MAX_PARTITIONS", parts)

    return streaming


def on_disk(place: Path) -> dict[str, bytes]:
    """Every file's bytes, hidden ones too."""
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def tables_of(report) -> list[list[dict]]:
    return [each.to_dict("records") for each in (report.files, report.companies, report.refused)]


def story(months: list[Path], place: Path) -> list[tuple[dict[str, bytes], list[list[dict]]]]:
    """Ingest step by step; return the files on disk and the report after each step."""
    january, february, march = months
    later = january.with_name("later.csv")
    overlapping = [*lines_of(2, 200), *lines_of(4, 200)]
    later.write_text(HEADER + "\n".join(overlapping) + "\nshop new,1,2017-01-01,1\n")
    steps = [
        ([january], {}),
        ([february, march], {"append": True}),
        ([later], {"append": True}),
        ([later, january], {"append": True}),
        ([later], {"replace": True}),
        ([later], {}),
    ]
    found = []
    for files, options in steps:
        report = ingest(files, place, company_column="Shop", **options)
        found.append((on_disk(place), tables_of(report)))
    return found


@pytest.mark.parametrize("shared_from", [10, pytest.param(1_000, marks=pytest.mark.slow)])
def test_in_parts_the_dataset_and_the_report_are_the_same_bit_for_bit(
    months, tmp_path, streaming, monkeypatch, shared_from
):
    monkeypatch.setattr(file_layout, "SHARED_FROM", shared_from)
    monkeypatch.setattr(file_layout, "ROWS_PER_FILE", 300)
    whole = story(months, tmp_path / "whole")
    assert "overlap" in {row["reason"] for row in whole[2][1][2]}
    for name, (rows_held, parts) in {"a": (90, 7), "b": (1, 40)}.items():
        streaming(rows_held, parts)
        for step, (expected, found) in enumerate(
            zip(whole, story(months, tmp_path / name), strict=True)
        ):
            assert found[1] == expected[1], (name, step)
            assert found[0] == expected[0], (name, step)


def test_a_file_is_a_company_in_parts_too(months, tmp_path, streaming):
    whole = ingest(months[:2], tmp_path / "whole", company_from="{company}")
    streaming()
    parts = ingest(months[:2], tmp_path / "parts", company_from="{company}")
    assert on_disk(tmp_path / "parts") == on_disk(tmp_path / "whole")
    assert tables_of(parts) == tables_of(whole)


def test_no_more_rows_are_held_than_a_batch_and_what_may_be_held(
    months, tmp_path, streaming, monkeypatch
):
    streaming(rows_held=90)
    held, parts = [], []
    add, of_part = ShuffleBuffer.add, Merge.updates

    def watched(self, rows, file):
        add(self, rows, file)
        held.append(self.n_held)
        assert sum(map(len, self._held)) == self.n_held

    def counted(self, rows, company_ids):
        parts.append(len(rows))
        return of_part(self, rows, company_ids)

    monkeypatch.setattr(ShuffleBuffer, "add", watched)
    monkeypatch.setattr(Merge, "updates", counted)
    report = ingest(months, tmp_path / "dataset", company_column="Shop")
    n_rows = int(report.files["rows_kept"].sum())
    assert sum(parts) == n_rows > 1_000
    assert max(held) < 90
    assert 1 < len(parts) <= 7
    assert max(parts) < n_rows / 2


@pytest.mark.slow
def test_the_memory_of_an_ingest_does_not_grow_with_its_rows(tmp_path, streaming, monkeypatch):
    monkeypatch.setattr(file_layout, "SHARED_FROM", 10)
    monkeypatch.setattr(file_layout, "ROWS_PER_ROW_GROUP", 2_000)
    monkeypatch.setattr(refused_traits, "PER_BATCH", 1)  # in all they are bounded, see AT_MOST

    def peak(n: int) -> int:
        path = tmp_path / f"{n}.csv"
        lines = lines_of(1, 1_000)
        path.write_text(HEADER + "".join(f"{i}{line}\n" for i in range(n) for line in lines))
        most = before = pa.total_allocated_bytes()

        def watching(method):
            def watched(*arguments):
                nonlocal most
                result = method(*arguments)
                most = max(most, pa.total_allocated_bytes())
                return result

            return watched

        streaming(rows_held=1_000, parts=2 * n)
        with monkeypatch.context() as patch:
            patch.setattr(csv_format, "LINES_PER_BATCH", 500)
            for owner, name in [
                (ShuffleBuffer, "add"),
                (Merge, "updates"),
                (Merge, "company_to_write"),
            ]:
                patch.setattr(owner, name, watching(getattr(owner, name)))
            ingest(path, tmp_path / f"dataset-{n}", company_column="Shop")
        return most - before

    small, large = peak(4), peak(24)
    assert large < 2.5 * small  # of six times the rows, in parts that are not of equal size


# Where it goes wrong


@pytest.mark.parametrize("append", [False, True])
def test_spilled_rows_are_gone_whatever_ends_the_ingest(
    months, tmp_path, streaming, monkeypatch, append
):
    place = tmp_path / "dataset"
    ingest(months[:1], place, company_column="Shop")
    before = on_disk(place)
    streaming()
    bad = tmp_path / "bad.csv"
    bad.write_text(HEADER + "\n".join(lines_of(5, 300)) + "\n")

    def ingests() -> None:
        ingest([*months[1:], bad], place, company_column="Shop", append=append)

    if not append:
        with pytest.raises(IngestError, match=r"was ingested from .*, and other rows of it are in"):
            ingests()
        assert on_disk(place) == before
    faults = [
        (Spill, "append", OSError(errno.ENOSPC, "No space left on device"), IngestError),
        (ShuffleBuffer, "partitions", KeyboardInterrupt(), KeyboardInterrupt),
        (Merge, "updates", MemoryError(), MemoryError),
    ]
    if append:
        faults.append((Merge, "company_to_write", OSError(errno.EIO, "I/O error"), IngestError))
    for owner, name, error, expected in faults:

        def fails(*_, error=error):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fails)
            with pytest.raises(expected) as caught:
                ingests()
        if isinstance(error, OSError):
            assert "The dataset is as it was before" in str(caught.value)
            assert "cannot be read" not in str(caught.value)
        assert on_disk(place) == before
    bad.write_text(HEADER)
    with pytest.raises(IngestError, match=r"bad.csv has a header but no rows"):
        ingests()
    assert on_disk(place) == before


def test_while_rows_are_spilled_no_other_process_writes(months, tmp_path, streaming):
    streaming()
    place = tmp_path / "dataset"
    with open_store(place).lock(), pytest.raises(StoreLocked):
        ingest(months, place, company_column="Shop")
    assert [path.name for path in place.iterdir()] == [".lock"]


KILLED = """
import os, signal, sys
from scale_eval.datasets.ingest import shuffle
from scale_eval.datasets.ingest import csv as csv_format
from scale_eval.datasets.ingest.ingest import ingest
from scale_eval.datasets.ingest.merge import Merge

csv_format.LINES_PER_BATCH, shuffle.ROWS_HELD = 40, 90
owner, step, place, *files = sys.argv[1:]
owner = {"Merge": Merge, "ShuffleBuffer": shuffle.ShuffleBuffer}[owner]
method, calls = getattr(owner, step), []

def killed(self, *arguments):
    calls.append(1)
    if len(calls) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return method(self, *arguments)

setattr(owner, step, killed)
ingest(files, place, company_column="Shop", append=True, max_refused=1.0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["ShuffleBuffer add", "Merge updates", "Merge company_to_write"])
def test_killed_in_the_middle_it_leaves_the_dataset_and_the_next_ingest_clears_up(
    months, tmp_path, step
):
    place, undisturbed = tmp_path / "dataset", tmp_path / "undisturbed"
    for each in (place, undisturbed):
        ingest(months[:1], each, company_column="Shop")
    before = open_dataset(place)
    content, refused = before.content_hash, before.refused
    command = [sys.executable, "-c", KILLED, *step.split(), str(place), *map(str, months[1:])]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(place.glob(".*.unfinished"))
    after = open_dataset(place)
    assert after.content_hash == content
    assert after.refused.equals(refused)
    assert all(len(after.read(name)) > 0 for name in after.company_ids)
    for each in (place, undisturbed):
        ingest(months[1:], each, company_column="Shop", append=True)
    assert on_disk(place) == on_disk(undisturbed)


# Parts


def test_the_number_of_parts_is_that_of_the_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(shuffle, "BYTES_PER_PARTITION", 10)
    plain, zipped = tmp_path / "plain.csv", tmp_path / "zipped.csv.gz"
    plain.write_bytes(b"x" * 400)
    zipped.write_bytes(b"\x1f\x8b" + b"x" * 98)
    assert n_partitions_of([InputFile(plain)]) == 41
    assert n_partitions_of([InputFile(plain), InputFile(zipped)]) == 101
    assert n_partitions_of([]) == shuffle.MIN_PARTITIONS
    plain.write_bytes(b"x" * 10_000)
    assert n_partitions_of([InputFile(plain)]) == shuffle.MAX_PARTITIONS


def test_partitions_follow_the_order_in_which_companies_share_files(months, tmp_path, streaming):
    streaming(parts=5)
    store = open_store(tmp_path / "store")
    ids = [f"shop {i}" for i in range(200)]
    names = pa.array(ids * 3, pa.large_string())
    others = [pa.nulls(len(names), field.type) for field in list(shuffle.ROWS_SCHEMA)[1:]]
    rows = pa.table([names, *others], schema=shuffle.ROWS_SCHEMA)
    with ShuffleBuffer(store, lambda: 5, lambda: None) as buffer:
        for start in range(0, len(rows), 50):
            buffer.add(rows.slice(start, 50), 0)
        found = [set(part["company"].to_pylist()) for part in buffer.partitions()]
        assert buffer.company_ids == ids
    assert sum(map(len, found)) == len(ids) == len(set.union(*found))
    ranks = ranks_of(ids)
    for one, next_one in pairwise(found):
        assert max(ranks[list(one)]) < min(ranks[list(next_one)])
    assert list(store.root.iterdir()) == []
