"""Tables and documents on a store come back as they were, and damage is noticed."""

from __future__ import annotations

import contextlib
import json
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scale_eval.storage import (
    read_json,
    read_metadata,
    read_row_groups,
    read_table,
    scan_rows,
    tables,
    write_json,
    write_table,
)
from tests.support.stores import NUMBERS


class TestTablesAndDocuments:
    def test_a_table_comes_back_as_it_was(self, store):
        size = write_table(store, "deep/er/numbers.parquet", NUMBERS)
        assert read_table(store, "deep/er/numbers.parquet").equals(NUMBERS)
        assert size == store.path("deep/er/numbers.parquet").stat().st_size

    def test_columns_and_types_can_be_chosen(self, store):
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

    def test_rows_with_certain_texts_are_those_of_the_whole_table(self, store, monkeypatch):
        monkeypatch.setattr(tables, "ROWS_PER_ROW_GROUP", 5)
        kinds = pa.array(["a"] * 6 + ["b"] * 5 + [None, "c", "a", "c"])
        others = pa.array(["b", "c", None] * 5)
        whole = pa.table({"kind": kinds, "other": others, "i": range(15)})
        write_table(store, "texts.parquet", whole)
        rows = whole.to_pylist()
        for where in (
            {("kind",): "a"},
            {("kind", "other"): "b"},
            {("kind",): "c", ("other",): "b"},
            {("kind",): "nothing"},
            {},
        ):
            expected = [
                row["i"]
                for row in rows
                if all(any(row[c] == t for c in cs) for cs, t in where.items())
            ]
            found = scan_rows(store, "texts.parquet", where, columns=["i"])
            assert [i for part in found for i in part["i"].to_pylist()] == expected

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

    def test_a_missing_file_is_named_by_its_path(self, store):
        for read in (read_table, read_json, read_metadata):
            with pytest.raises(FileNotFoundError, match=r"missing\.parquet"):
                read(store, "missing.parquet")


def test_a_pickle_that_a_table_carries_is_not_run(store, tmp_path):
    """Early versions of pyarrow kept types of Python as pickles in the metadata of a column."""

    class Planted:
        def __reduce__(self):
            return os.system, (f"touch '{tmp_path}/ran'",)

    content = pickle.dumps(Planted())
    for name in (b"arrow.py_extension_type", b"pandas.period", b"unknown"):
        kept = {b"ARROW:extension:name": name, b"ARROW:extension:metadata": content}
        field = pa.field("id", pa.string(), metadata=kept)
        pandas = {"columns": [{"name": "id", "pandas_type": "object", "numpy_type": "object"}]}
        pandas |= {"index_columns": [], "column_indexes": [], "attributes": {"b": "c"}}
        metadata = {b"pandas": json.dumps(pandas).encode(), b"pickle": content}
        planted = pa.table([["a", "b"]], schema=pa.schema([field], metadata=metadata))
        write_table(store, "planted.parquet", planted)
        with contextlib.suppress(pa.ArrowInvalid):  # pandas knows its own types, and refuses this
            frame = read_table(store, "planted.parquet").to_pandas()
            assert frame["id"].tolist() == ["a", "b"]
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)
    assert (tmp_path / "ran").exists()
