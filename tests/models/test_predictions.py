"""Predictions made elsewhere: what is read, what is refused, and in which words."""

import os
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scale_eval.datasets.instants import as_utc
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.windows import Window
from scale_eval.models import Predictions, predictions

CUTOFF = as_utc("2017-12-01")


@pytest.fixture
def history():
    """Make shop 7 of customers 01, 02 and 10; customer 99 comes after the cutoff."""
    rows = [("10", "2017-01-01"), ("02", "2017-02-01"), ("01", "2017-03-01"), ("99", "2017-12-25")]
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp"]).assign(value=1.0)
    return History(Transactions.from_frame("7", frame), Window.at(CUTOFF))


def write(path, customers=("10", "01", "02"), company="7", cutoff=CUTOFF, **columns):
    frame = pd.DataFrame({"customer_id": list(customers)})
    frame["company_id"] = company
    frame["cutoff"] = cutoff
    frame["probability"] = [0.1 * (i + 1) for i in range(len(customers))]
    frame.assign(**columns).to_parquet(path, index=False)
    return path


def test_probabilities_come_in_the_order_of_the_customers(tmp_path, history):
    model = Predictions(write(tmp_path / "p.parquet"))
    probabilities = model.fit(history).predict_proba(history)
    assert history.customers.tolist() == ["01", "02", "10"]
    np.testing.assert_array_equal(probabilities, [0.2, 0.1 * 3, 0.1])
    assert probabilities.dtype == np.float64
    assert model.note_ == ""


@pytest.mark.parametrize(
    "cutoff",
    [
        "2017-12-01",
        "2017-12-01T00:00:00Z",
        "2017-12-01 01:00:00+01:00",
        date(2017, 12, 1),
        pd.Timestamp("2017-12-01"),
        pd.Timestamp("2017-12-01 02:00", tz="Europe/Helsinki"),
    ],
)
def test_a_cutoff_is_a_timestamp_a_date_or_text_and_utc_without_a_zone(tmp_path, history, cutoff):
    model = Predictions(write(tmp_path / "p.parquet", cutoff=cutoff))
    assert len(model.predict_proba(history)) == 3


def test_ids_may_be_categories_and_probabilities_float32(tmp_path, history):
    path = write(tmp_path / "p.parquet")
    frame = pd.read_parquet(path).astype(
        {"company_id": "category", "customer_id": "category", "probability": "float32"}
    )
    frame.to_parquet(path, index=False)
    np.testing.assert_allclose(Predictions(path).predict_proba(history), [0.2, 0.3, 0.1], rtol=1e-7)


@pytest.mark.parametrize("elsewhere", [{"company": "8"}, {"cutoff": "2017-06-01"}])
def test_no_row_for_the_company_and_cutoff_is_skipped(tmp_path, history, elsewhere):
    with pytest.raises(Skipped) as skipped:
        Predictions(write(tmp_path / "p.parquet", **elsewhere)).predict_proba(history)
    assert skipped.value.reason == "no_predictions"


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"company": "7.csv"}, "no row of company '7'; it has 1 company, such as '7.csv'"),
        ({"cutoff": pd.Timestamp("2017-11-30 23:59:59")}, "of 7 at 2017-11-30 23:59:59 (UTC), and"),
        (
            {"cutoff": pd.Timestamp("2017-12-01", tz="Europe/Berlin")},
            "at 2017-11-30 23:00:00 (UTC), and none at 2017-12-01 00:00:00",
        ),
        ({"cutoff": pd.Timestamp("9999-12-31")}, "has rows of 7 at no cutoff (UTC)"),
        ({"customers": ()}, "has no rows"),
    ],
)
def test_a_file_that_matches_nothing_says_what_it_has(tmp_path, history, columns, says):
    frame = {"company": "7", "customers": ("10", "01", "02"), "cutoff": CUTOFF} | columns
    path = write(tmp_path / "p.parquet", **frame)
    if not columns.get("customers", "some"):
        pq.write_table(pq.read_table(write(tmp_path / "p.parquet")).slice(0, 0), path)
    with pytest.raises(Skipped) as skipped:
        Predictions(path).predict_proba(history)
    assert says in skipped.value.note


def test_what_it_has_is_said_before_a_run_if_it_matches_no_window(tmp_path):
    model = Predictions(write(tmp_path / "p.parquet"))
    june = as_utc("2017-06-01")
    assert "no row of company '8'" in model.without_match([("8", CUTOFF), ("9", CUTOFF)])
    assert "none at 2017-06-01" in model.without_match([("7", june)])
    assert model.without_match([("8", CUTOFF), ("7", june), ("7", CUTOFF)]) == ""


def test_customers_of_other_spelling_are_shown_beside_those_that_are_asked(tmp_path, history):
    path = write(tmp_path / "p.parquet", ["x10", "x01", "x02"])
    with pytest.raises(ValueError, match=r"such as '01'; it has predictions for 3 others, such as"):
        Predictions(path).predict_proba(history)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string()])
def test_ids_may_be_strings_of_any_kind(tmp_path, history, kind):
    path = write(tmp_path / "p.parquet")
    table = pq.read_table(path)
    for name in ("company_id", "customer_id"):
        position = table.schema.get_field_index(name)
        table = table.set_column(position, name, table[name].cast(kind))
    pq.write_table(table, path)
    np.testing.assert_array_equal(Predictions(path).predict_proba(history), [0.2, 0.1 * 3, 0.1])


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            {"cutoff": 1512086400},
            "column cutoff is int64, which does not say its unit; write it as",
        ),
        (
            {"probability": ["0.1", "0.2", "0.3"]},
            "column probability is .*string; write numbers.*replace",
        ),
        ({"cutoff": "01.12.2017"}, "column cutoff: '01.12.2017' .* write 2017-12-01 or 2017-01-12"),
    ],
)
def test_a_column_that_cannot_be_meant_is_an_error_with_a_remedy(tmp_path, columns, says):
    path = write(tmp_path / "p.parquet")
    pd.read_parquet(path).assign(**columns).to_parquet(path, index=False)
    with pytest.raises(ValueError, match=says):
        Predictions(path)


def test_rows_without_a_customer_or_a_cutoff_match_nobody(tmp_path, history):
    path = write(tmp_path / "p.parquet", ["10", "01", "02", None], cutoff=[CUTOFF] * 3 + [None])
    assert len(Predictions(path).predict_proba(history)) == 3


def test_customers_who_are_not_there_are_counted_and_one_is_named(tmp_path, history):
    path = write(tmp_path / "p.parquet", ["02"])
    with pytest.raises(ValueError, match=r"2 of the 3 customers of 7 have no prediction.*'01'"):
        Predictions(path).predict_proba(history)


def test_customers_who_are_there_twice_are_counted_and_one_is_named(tmp_path, history):
    path = write(tmp_path / "p.parquet", ["01", "02", "10", "02", "02"])
    with pytest.raises(ValueError, match=r"1 of the customers of 7 have more than one.*'02'"):
        Predictions(path).predict_proba(history)


def test_rows_for_others_than_the_population_are_left_out_and_counted(tmp_path, history):
    model = Predictions(write(tmp_path / "p.parquet", ["10", "01", "02", "98", "99"]))
    np.testing.assert_array_equal(model.predict_proba(history), [0.2, 0.1 * 3, 0.1])
    assert model.note_.startswith("2 predictions left out")


def test_a_file_that_is_not_there_is_named_when_the_model_is_made(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.parquet"):
        Predictions(tmp_path / "nothing.parquet")


def test_a_file_that_is_not_parquet_is_named(tmp_path):
    (tmp_path / "p.parquet").write_text("customer_id,probability\n")
    with pytest.raises(ValueError, match=r"p\.parquet is not a Parquet file"):
        Predictions(tmp_path / "p.parquet")


def test_missing_columns_are_named_with_the_file(tmp_path):
    pd.DataFrame({"customer_id": ["a"], "p": [0.5]}).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match=r"p\.parquet has no column company_id, cutoff, prob"):
        Predictions(tmp_path / "p.parquet")


@pytest.mark.parametrize("column", ["company_id", "customer_id"])
def test_ids_that_are_numbers_are_refused_by_the_name_of_the_column(tmp_path, column):
    path = write(tmp_path / "p.parquet", **{column: [1, 2, 3]})
    with pytest.raises(ValueError, match=rf"column {column} is int64.*strings"):
        Predictions(path)


def test_it_is_named_after_the_path_as_given_and_survives_a_change_of_directory(
    tmp_path, history, monkeypatch
):
    write(tmp_path / "p.parquet")
    monkeypatch.chdir(tmp_path)
    model = Predictions("p.parquet")
    monkeypatch.chdir("/")
    assert model.name == "predictions:p.parquet"
    assert len(model.predict_proba(history)) == 3


def test_rows_may_be_scattered_over_the_file_which_is_read_once(tmp_path, history, monkeypatch):
    whole = write(tmp_path / "one.parquet")
    others = write(tmp_path / "two.parquet", company="8")
    rows = pa.concat_tables([pq.read_table(whole), pq.read_table(others)]).take([3, 0, 4, 1, 2, 5])
    pq.write_table(rows, tmp_path / "all.parquet", row_group_size=2)

    read = []
    original = predictions._read
    monkeypatch.setattr(
        predictions, "_read", lambda *a: read.append((a[1], len(a[2]))) or original(*a)
    )
    model = Predictions(tmp_path / "all.parquet")
    for _ in range(3):
        np.testing.assert_array_equal(model.predict_proba(history), [0.2, 0.1 * 3, 0.1])
    assert len(read) == len({(tuple(groups), n) for groups, n in read})


def test_a_file_that_was_replaced_is_read_anew(tmp_path, history):
    path = write(tmp_path / "p.parquet")
    model = Predictions(path)
    before, hash_before = model.predict_proba(history), model.content_hash()
    write(path, probability=[0.5, 0.6, 0.7])
    os.utime(path, ns=(0, 0))
    assert model.predict_proba(history).tolist() == [0.6, 0.7, 0.5] != before.tolist()
    assert model.content_hash() != hash_before
