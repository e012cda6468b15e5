"""The verbs of a store: whole or not at all, one writer, and locks that go with their holder."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scale_eval.storage import (
    StoreLocked,
    open_store,
    read_json,
    read_table,
    write_json,
    write_table,
)
from scale_eval.storage.unfinished import unfinished_name
from tests.support.stores import NUMBERS, beside, files


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

    def test_a_name_can_be_deleted_twice(self, store):
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

    @pytest.mark.slow
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
        write_json(store, "own/kept.json", 1)
        for folder in ("", "deep", "own"):
            store.path(folder).joinpath(unfinished_name("a.parquet")).write_bytes(b"half")
        foreign = {
            "unfinished",
            "deep/plan.unfinished",
            "deep/.plan.parquet.node.123.unfinished",
            ".mine.scale_eval.unfinished",
            ".lock",
            ".note",
        }
        for name in foreign:
            store.path(name).write_bytes(b"a user's own")
        store.delete_unfinished(["deep"])
        kept = {"deep/kept.json", "own/kept.json", *foreign}
        (of_another_place,) = set(files(store)) - kept
        assert kept < set(files(store))
        assert of_another_place.startswith("own/.a.parquet.")

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

    @pytest.mark.parametrize(
        "blow",
        [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGINT],
    )
    def test_it_names_the_process_that_holds_it_and_goes_with_it_however_that_ends(
        self, store, blow
    ):
        with beside(self.HOLDER, store) as process:
            says = rf"{store.root}.*pid {process.pid}"
            with pytest.raises(StoreLocked, match=says), store.lock():
                pass
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
