"""The registry of result tables: what it says of a table is what a run has and shows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from scale_eval.evaluation.schema import (
    EVALUATION_COLUMNS,
    SCORE_COLUMNS,
    SCORES_SCHEMA,
    evaluations_schema,
)
from scale_eval.results.directory import RunDirectory
from scale_eval.results.reduce import reduce_tables
from scale_eval.results.tables import TABLES, conventions, tables_of
from scale_eval.results.tables.base import RunInputs, RunTable
from scale_eval.run import Run
from scale_eval.storage import open_store, write_table
from scale_eval.storage.columns import NUMBER, Column

EVERY_COLUMN = {
    **{name: table.columns for name, table in TABLES.items()},
    "evaluations": EVALUATION_COLUMNS,
    "scores": SCORE_COLUMNS,
}

REFUSED = {"company_id": "a", "model": "m", "status": "skipped", "reason": "no_whole_window"}
EVALUATIONS = pa.Table.from_pylist([REFUSED | {"attempts": 1}], schema=evaluations_schema())
INPUTS = (EVALUATIONS, SCORES_SCHEMA.empty_table(), [], {"a": 0})
"""What a run is reduced from whose only company has no whole window."""


def test_the_tables_are_made_in_the_order_of_the_registry():
    assert list(reduce_tables(*INPUTS)) == [table.name for table in tables_of(sample=False)]
    assert [table.name for table in tables_of(sample=True)] == list(TABLES)
    assert {table.name for table in tables_of(sample=True)} - set(reduce_tables(*INPUTS)) == {
        "sampled"
    }


def test_a_table_is_made_with_the_columns_that_it_says():
    for name, table in reduce_tables(*INPUTS).items():
        assert table.schema.equals(TABLES[name].schema), name


@pytest.mark.parametrize("name", EVERY_COLUMN)
def test_every_column_is_said_once_with_a_sentence(name):
    columns = EVERY_COLUMN[name]
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    for column in columns:
        assert column.doc.endswith(".") or column.doc.endswith('".'), column
        assert not column.null.endswith("."), column


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_shown_with_columns_that_it_has(table):
    assert set(table.shown) <= {column.name for column in table.columns}
    assert table.row
    assert table.doc.endswith(".")


def test_no_two_tables_say_how_one_figure_is_computed():
    said = [key for table in TABLES.values() for key in table.conventions]
    assert len(set(said)) == len(said)
    assert set(said) < set(conventions())


def test_the_docstring_of_a_run_names_every_table():
    assert all(f"``run.{name}``" in Run.__doc__ for name in TABLES)


def test_a_table_that_is_registered_is_made_and_is_an_attribute_of_a_run(tmp_path, monkeypatch):
    def count(run: RunInputs) -> pa.Table:
        return pa.table({"n": np.array([run.panel.n_companies], np.float64)})

    columns = (Column("n", NUMBER, "Companies."),)
    counted = RunTable("counted", "run", "How many.", columns, shown=("n",), make=count)
    monkeypatch.setitem(TABLES, "counted", counted)
    directory = RunDirectory(open_store(tmp_path))
    directory.begin({"seed": 0, "metrics": {}}, {}, {})
    tables = reduce_tables(*INPUTS)
    for name, table in tables.items():
        write_table(directory.store, f"{name}.parquet", table)
    run = Run(directory)
    assert "counted" in dir(run)
    assert run.counted["n"].tolist() == [1]
    assert run.counted is run.counted


def test_a_run_says_which_tables_it_has_where_one_is_asked_for_that_it_has_not(tmp_path):
    directory = RunDirectory(open_store(tmp_path))
    directory.begin({"seed": 0, "metrics": {}}, {}, {})
    run = Run(directory)
    with pytest.raises(AttributeError, match="a run has no 'polled'; its tables are companies"):
        _ = run.polled
    with pytest.raises(FileNotFoundError, match="not of a sample: it has no table 'sampled'"):
        _ = run.sampled
    with pytest.raises(FileNotFoundError, match="is not finished and has no table 'pooled' yet"):
        _ = run.pooled


def test_tables_of_an_earlier_version_are_refused_with_the_command_that_makes_them_again(tmp_path):
    directory = RunDirectory(open_store(tmp_path))
    directory.begin({"seed": 0, "metrics": {}}, {}, {})
    for name, table in reduce_tables(*INPUTS).items():
        write_table(directory.store, f"{name}.parquet", table)
    directory.record(status="finished")
    companies = reduce_tables(*INPUTS)["companies"].drop_columns(["coverage"])
    write_table(directory.store, "companies.parquet", companies)
    with pytest.raises(FileNotFoundError, match=r"without the column 'coverage' of 'companies'"):
        _ = Run(directory).companies
    with pytest.raises(FileNotFoundError, match=r"again: scale-eval reduce"):
        directory.rows("companies", {("metric",): "log_loss"})
    (tmp_path / "gains.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"an earlier version, without the table 'gains'"):
        _ = Run(directory).gains
