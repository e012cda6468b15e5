"""The one room that touches files: whole or not at all, one writer, and damage is noticed."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scale_eval.storage import (
    Spill,
    Store,
    StoreLocked,
    open_store,
    read_json,
    read_metadata,
    read_row_groups,
    read_rows,
    read_table,
    write_json,
    write_table,
)

NUMBERS = pa.table({"id": ["0012", "20e5", "nan"], "number": [1.5, None, -0.0]})


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path / "store")


def files(store: Store) -> list[str]:
    return sorted(
        p.relative_to(store.root).as_posix() for p in store.root.rglob("*") if p.is_file()
    )


@contextlib.contextmanager
def beside(script: str, store: Store) -> Iterator[subprocess.Popen]:
    """Another process, once it has said that it is where it should be; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            yield process
        finally:
            process.kill()


class TestPlaces:
    def test_nothing_is_made_before_something_is_written(self, store):
        assert not store.exists("")
        assert not store.exists("run.json")
        assert store.names("*") == []
        assert not store.root.exists()

    def test_a_path_may_be_text_or_relative_or_begin_at_home(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert open_store("data").root == tmp_path / "data"
        assert open_store("~/data").root == tmp_path / "home" / "data"
        assert open_store(tmp_path / "data").root == tmp_path / "data"

    def test_it_means_the_same_place_wherever_the_process_goes_next(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = open_store("data")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        write_json(store, "a.json", 1)
        assert (tmp_path / "data" / "a.json").exists()

    def test_a_store_is_its_own_place(self, store):
        assert open_store(store) is store

    @pytest.mark.parametrize("address", ["s3://bucket/key", "gs://bucket", "postgresql://host/db"])
    def test_an_address_that_nothing_serves_is_refused(self, address):
        with pytest.raises(ValueError, match=f"{address}.*only paths"):
            open_store(address)

    def test_it_can_be_sent_to_a_worker(self, store):
        write_json(store, "a.json", {"a": 1})
        sent = pickle.loads(pickle.dumps(store))
        assert sent.root == store.root
        assert read_json(sent, "a.json") == {"a": 1}


class TestTablesAndDocuments:
    def test_a_table_comes_back_as_it_was(self, store):
        size = write_table(store, "deep/er/numbers.parquet", NUMBERS)
        assert read_table(store, "deep/er/numbers.parquet").equals(NUMBERS)
        assert size == store.path("deep/er/numbers.parquet").stat().st_size

    def test_columns_and_types_can_be_asked_for(self, store):
        write_table(store, "numbers.parquet", NUMBERS)
        assert read_table(store, "numbers.parquet", columns=["number"]).column_names == ["number"]
        schema = pa.schema([("number", pa.float32()), ("id", pa.large_string())])
        assert read_table(store, "numbers.parquet", schema=schema).schema == schema

    def test_a_directory_named_like_a_key_and_value_adds_no_column(self, store):
        write_table(store, "company=0012/numbers.parquet", NUMBERS)
        assert read_table(store, "company=0012/numbers.parquet").column_names == ["id", "number"]

    def test_row_groups_are_read_apart_and_dictionaries_as_such(self, store):
        store.root.mkdir()
        pq.write_table(NUMBERS, store.path("numbers.parquet"), row_group_size=1)
        assert read_metadata(store, "numbers.parquet").num_row_groups == 3
        table = read_row_groups(
            store, "numbers.parquet", [2, 0], columns=["id"], dictionaries=["id"]
        )
        assert pa.types.is_dictionary(table.schema.field("id").type)
        assert table["id"].to_pylist() == ["nan", "0012"]

    def test_a_table_without_rows_comes_back_with_its_types(self, store):
        write_table(store, "none.parquet", NUMBERS.slice(0, 0))
        assert read_table(store, "none.parquet").schema == NUMBERS.schema

    @pytest.mark.parametrize("kind", ["float", "double", "int32", "int64"])
    def test_lists_of_one_length_come_back_from_any_part_of_a_table(self, store, kind):
        numbers = pa.array(range(64)).cast(kind)
        missing = pa.array([i % 5 == 2 for i in range(16)])
        lists = pa.FixedSizeListArray.from_arrays(numbers, 4, mask=missing)
        field = pa.field("lists", lists.type, metadata={"of": "somebody"})
        whole = pa.table([pa.array(range(16)), lists], schema=pa.schema([("i", pa.int64()), field]))
        for table in (
            whole,
            whole.slice(3, 7),
            whole.slice(0, 0),
            pa.concat_tables([whole.slice(5), whole]),
        ):
            write_table(store, "lists.parquet", table)
            read = read_table(store, "lists.parquet")
            read.validate(full=True)
            assert read.equals(table)
            assert read.schema.equals(table.schema, check_metadata=True)
            assert read_rows(store, "lists.parquet", column="i", value=6).num_rows == (
                table["i"].to_pylist().count(6)
            )

    def test_whoever_reads_the_file_finds_the_numbers_of_a_list_one_after_another(self, store):
        lists = pa.array([[1.5, -2.0], None, [np.nan, 4.0]], pa.list_(pa.float32(), 2))
        write_table(store, "lists.parquet", pa.table({"lists": lists}))
        found = pq.read_table(store.path("lists.parquet"))["lists"].to_pylist()
        assert np.frombuffer(found[0], "<f4").tolist() == [1.5, -2.0]
        assert found[1] is None
        np.testing.assert_array_equal(np.frombuffer(found[2], "<f4"), [np.nan, 4.0])

    def test_lists_that_hold_nulls_and_lists_of_texts_come_back_too(self, store):
        table = pa.table(
            {
                "gaps": pa.array([[1, None], [3, 4]], pa.list_(pa.int64(), 2)),
                "texts": pa.array([["a", "b"], ["c", ""]], pa.list_(pa.string(), 2)),
            }
        )
        write_table(store, "lists.parquet", table)
        assert read_table(store, "lists.parquet", schema=table.schema).equals(table)

    def test_a_document_comes_back_as_it_was_and_a_person_can_read_it(self, store):
        document = {"company": "Ünï 東京", "none": None, "numbers": [1, 2.5, True]}
        write_json(store, "run.json", document)
        assert read_json(store, "run.json") == document
        text = store.path("run.json").read_text(encoding="utf-8")
        assert "東京" in text
        assert text.endswith("}\n")
        assert len(text.splitlines()) > 5

    def test_a_flipped_bit_is_noticed(self, store):
        write_table(store, "long.parquet", pa.table({"number": [i * 1.1 for i in range(5000)]}))
        path = store.path("long.parquet")
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 0x10
        path.write_bytes(content)
        with pytest.raises((OSError, pa.ArrowInvalid)):
            read_row_groups(store, "long.parquet", [0], columns=["number"])

    def test_what_is_not_there_is_told_by_its_path(self, store):
        for read in (read_table, read_json, read_metadata):
            with pytest.raises(FileNotFoundError, match=r"missing\.parquet"):
                read(store, "missing.parquet")

    def test_a_range_of_bytes_is_read_alone(self, store):
        assert store.write("deep/bytes", b"0123456789") == store.size("deep/bytes") == 10
        assert store.read("deep/bytes") == b"0123456789"
        assert store.read("deep/bytes", 3) == b"3456789"
        assert store.read("deep/bytes", 3, 5) == b"34"
        assert store.size("missing") == 0

    def test_a_root_that_is_a_file_says_so(self, tmp_path):
        (tmp_path / "file").write_text("text")
        with pytest.raises(NotADirectoryError, match="file is a file; choose a directory"):
            open_store(tmp_path / "file").names("*")

    def test_names_are_sorted_and_leave_out_what_begins_with_a_dot(self, store):
        for name in ("b.parquet", "a.parquet", ".c.parquet", "sub/d.parquet", "e.json"):
            write_json(store, name, 1)
        assert store.names("*.parquet") == ["a.parquet", "b.parquet"]
        assert store.names("**/*.parquet") == ["a.parquet", "b.parquet", "sub/d.parquet"]
        assert store.names(".*.parquet") == [".c.parquet"]

    def test_removing_is_done_once_and_asked_twice(self, store):
        write_json(store, "a.json", 1)
        store.delete("a.json")
        store.delete("a.json")
        assert not store.exists("a.json")


class TestWholeOrNotAtAll:
    @pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
    def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
        self, store, monkeypatch, error
    ):
        write_table(store, "numbers.parquet", NUMBERS)

        def fails(writer, table, row_group_size):
            raise error

        monkeypatch.setattr(pq.ParquetWriter, "write_table", fails)
        with pytest.raises(type(error)):
            write_table(store, "numbers.parquet", NUMBERS.slice(1))
        with pytest.raises(type(error)):
            write_table(store, "new.parquet", NUMBERS)
        assert read_table(store, "numbers.parquet").equals(NUMBERS)
        assert files(store) == ["numbers.parquet"]

    def test_a_document_that_cannot_be_written_leaves_the_one_before(self, store):
        write_json(store, "run.json", {"status": "running"})
        with pytest.raises(TypeError):
            write_json(store, "run.json", {"status": object()})
        assert read_json(store, "run.json") == {"status": "running"}
        assert files(store) == ["run.json"]

    def test_the_bytes_are_on_the_disk_before_the_name_is_theirs_and_the_name_after(
        self, store, monkeypatch
    ):
        steps = []
        fsync, replace = os.fsync, Path.replace

        def seen_fsync(descriptor):
            steps.append(("flushed", Path(f"/proc/self/fd/{descriptor}").readlink().name))
            fsync(descriptor)

        def seen_replace(path, target):
            steps.append(("named", Path(target).name))
            return replace(path, target)

        monkeypatch.setattr(os, "fsync", seen_fsync)
        monkeypatch.setattr(Path, "replace", seen_replace)
        write_table(store, "numbers.parquet", NUMBERS)
        (first, unfinished), second, third = steps
        assert first == "flushed"
        assert unfinished.startswith(".numbers.parquet.")
        assert second == ("named", "numbers.parquet")
        assert third == ("flushed", store.root.name)

    def test_readers_beside_a_writer_that_is_killed_meet_whole_files_only(self, store):
        script = (
            "import sys, pyarrow as pa\n"
            "from scale_eval.storage import open_store, write_json, write_table\n"
            "store = open_store(sys.argv[1])\n"
            "for i in range(1_000_000):\n"
            "    write_table(store, 'table.parquet', pa.table({'i': [i] * 50_000}))\n"
            "    write_json(store, 'document.json', {'i': i, 'long': 'x' * 100_000})\n"
            "    if i == 0: print('there', flush=True)\n"
        )
        seen = set()
        with beside(script, store):
            deadline = time.monotonic() + 1.5
            while time.monotonic() < deadline:
                numbers = set(read_table(store, "table.parquet")["i"].to_pylist())
                assert len(numbers) == 1
                seen |= numbers
                assert len(read_json(store, "document.json")["long"]) == 100_000
        assert len(seen) > 1
        assert read_table(store, "table.parquet").num_rows == 50_000
        store.delete_unfinished()
        assert files(store) == ["document.json", "table.parquet"]

    def test_only_what_is_unfinished_is_removed(self, store):
        write_json(store, "deep/kept.json", 1)
        for name in (".a.parquet.123.unfinished", "deep/.b.json.9.unfinished"):
            store.path(name).write_bytes(b"half")
        for name in ("unfinished", "deep/plan.unfinished", ".lock", ".note"):
            store.path(name).write_bytes(b"a user's own")
        store.delete_unfinished()
        assert files(store) == [
            ".lock",
            ".note",
            "deep/kept.json",
            "deep/plan.unfinished",
            "unfinished",
        ]

    def test_of_two_processes_that_create_a_name_one_succeeds(self, store):
        script = (
            "import sys\n"
            "from scale_eval.storage import open_store\n"
            "store, mine = open_store(sys.argv[1]), sys.argv[2]\n"
            "for i in range(100):\n"
            "    try: store.create(f'{i}.txt', mine.encode())\n"
            "    except FileExistsError: continue\n"
            "    print(i)\n"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(store.root), mine],
                stdout=subprocess.PIPE,
                text=True,
            )
            for mine in ("first", "second")
        ]
        won = [process.communicate(timeout=60)[0].split() for process in processes]
        assert sorted(int(i) for each in won for i in each) == list(range(100))
        for mine, each in zip(("first", "second"), won, strict=True):
            assert {store.read(f"{i}.txt").decode() for i in each} <= {mine}
        assert len(files(store)) == 100


class TestLock:
    HOLDER = (
        "import sys, time\n"
        "from scale_eval.storage import open_store\n"
        "with open_store(sys.argv[1]).lock():\n"
        "    print('there', flush=True)\n"
        "    time.sleep(60)\n"
    )

    def test_another_process_is_told_who_holds_it(self, store):
        with beside(self.HOLDER, store) as process:
            told = rf"{store.root}.*pid {process.pid}"
            with pytest.raises(StoreLocked, match=told), store.lock():
                pass

    @pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_it_goes_with_the_process_however_that_ends(self, store, blow):
        with beside(self.HOLDER, store) as process:
            process.send_signal(blow)
            process.wait(timeout=30)
        with store.lock():
            assert store.path(".lock").read_text() == f"{os.getpid()} on {socket.gethostname()}\n"

    def test_it_is_free_again_after_the_block_and_after_an_error(self, store):
        with pytest.raises(ZeroDivisionError), store.lock():
            raise ZeroDivisionError
        with store.lock():
            pass
        with store.lock():
            pass

    def test_it_is_held_against_the_same_process_too(self, store):
        with store.lock(), pytest.raises(StoreLocked), open_store(store.root).lock():
            pass

    def test_it_makes_the_place_and_is_none_of_its_names(self, store):
        with store.lock():
            assert store.names("*") == []
        assert files(store) == [".lock"]

    def test_readers_need_no_lock(self, store):
        write_json(store, "a.json", 1)
        with store.lock():
            assert read_json(open_store(store.root), "a.json") == 1


class TestSpill:
    @pytest.mark.parametrize("compressed", [False, True])
    def test_parts_are_read_as_they_were_appended_and_gone_at_the_end(self, store, compressed):
        with Spill(store.scratch(), "aside", NUMBERS.schema, compressed=compressed) as spill:
            for part in (3, 0, 3):
                spill.append(part, NUMBERS)
            three = spill.read(3)
            assert three.equals(pa.concat_tables([NUMBERS, NUMBERS]))
            assert spill.read(3).equals(three)
            assert spill.read(7).equals(NUMBERS.schema.empty_table())
            spill.remove(3)
            assert three.equals(pa.concat_tables([NUMBERS, NUMBERS]))
            assert len(files(store)) == 1
            assert store.names("*") == []
        assert files(store) == []

    def test_what_a_process_left_that_died_is_removed_as_unfinished(self, store):
        spill = Spill(store.scratch(), "aside", NUMBERS.schema, compressed=True)
        spill.append(0, NUMBERS)
        spill.finish(0)
        assert len(files(store)) == 1
        store.delete_unfinished()
        assert files(store) == []
