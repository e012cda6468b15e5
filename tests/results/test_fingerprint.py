"""The fingerprint: it notices any change of a result, and nothing that is no result."""

from __future__ import annotations

import re
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import scale_eval as se
from scale_eval.results.fingerprint import UNREPEATABLE_COLUMNS, fingerprint
from tests.support.companies import dataset_of, shop

MODELS = ["base_rate", "recency"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("fingerprint")
    data = dataset_of([shop(f"s{i}", 40, seed=i) for i in range(3)], place / "data")
    return se.evaluate(data, MODELS, out=place / "run", workers=1, last=2, progress=False)


@pytest.fixture
def run(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run")
    return se.open_run(tmp_path / "run")


def changed(column: pa.ChunkedArray) -> pa.Array:
    """The column with another first value that is not null."""
    values = column.to_pylist()
    at = next(i for i, value in enumerate(values) if value is not None)
    value = values[at]
    if isinstance(value, bytes):
        values[at] = bytes([value[0] ^ 1, *value[1:]])
    elif isinstance(value, str):
        values[at] = f"{value}?"
    elif isinstance(value, bool):
        values[at] = not value
    elif isinstance(value, (int, float)):
        values[at] = value + 1
    else:
        values[at] = value.replace(year=value.year + 1)
    return pa.array(values, column.type)


@pytest.mark.parametrize("name", ["evaluations/*", "scores/*", "pooled", "companies"])
def test_a_change_of_any_column_changes_it_but_for_times_and_workers(run, tmp_path, name):
    (file, *_) = sorted((tmp_path / "run").glob(f"{name}.parquet"))
    before, table = run.fingerprint(), pq.read_table(file)
    noticed, unnoticed = set(), set()
    for i, column in enumerate(table.column_names):
        if table[column].null_count == len(table):
            continue
        pq.write_table(table.set_column(i, column, changed(table[column])), file)
        try:
            same = fingerprint(run.directory) == before
        except ValueError:  # it contradicts another file, which is noticed, too
            same = False
        (unnoticed if same else noticed).add(column)
    assert noticed
    assert unnoticed == {c for c in table.column_names if UNREPEATABLE_COLUMNS.fullmatch(c)} | (
        {"answered_by"} & set(table.column_names)
    )
    pq.write_table(table, file)
    assert fingerprint(run.directory) == before


def test_it_is_that_of_the_results_however_they_are_divided_into_files(run, tmp_path):
    before = run.fingerprint()
    for folder in ("evaluations", "scores"):
        files = sorted((tmp_path / "run" / folder).glob("*.parquet"))
        assert files
        whole = pa.concat_tables([pq.read_table(file) for file in files])
        for file in files:
            file.unlink()
        for i, model in enumerate(MODELS):
            own = whole.filter(pc.equal(whole["model"], model))
            own = own.take(pa.array(range(len(own) - 1, -1, -1)))
            pq.write_table(own, tmp_path / "run" / folder / f"{i:024x}.parquet")
    assert fingerprint(run.directory) == before


def test_a_value_that_moves_to_the_next_row_changes_it(run, tmp_path):
    file = tmp_path / "run" / "pooled.parquet"
    before, table = run.fingerprint(), pq.read_table(file)
    texts = table["reason"].to_pylist()
    texts[:2] = ["ab", "c"]
    at = table.column_names.index("reason")
    pq.write_table(table.set_column(at, "reason", pa.array(texts)), file)
    one = fingerprint(run.directory)
    texts[:2] = ["a", "bc"]
    pq.write_table(table.set_column(at, "reason", pa.array(texts)), file)
    assert len({before, one, fingerprint(run.directory)}) == 3
    assert re.fullmatch("[0-9a-f]{64}", one)
