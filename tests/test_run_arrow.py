"""A run gives parts of its tables as Arrow: the rows and columns that are asked for, in order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import scale_eval as se


@pytest.fixture(scope="module")
def run(shops, client, tmp_path_factory):
    """A finished run, which nobody may change."""
    place = tmp_path_factory.mktemp("run") / "run"
    models = ["rfm_logistic", "bgnbd"]
    return se.evaluate(shops, models, out=place, client=client, last=2, progress=False)


def test_a_part_of_a_table_as_arrow_has_the_rows_and_columns_that_are_asked_for(run):
    found = run.arrow("companies", ["company_id", "mean"], metric="roc_auc", model="bgnbd")
    rows = run.companies.query("metric == 'roc_auc' and model == 'bgnbd'")
    assert found["company_id"].to_pylist() == rows["company_id"].tolist()
    np.testing.assert_array_equal(found["mean"].to_numpy(zero_copy_only=False), rows["mean"])


def test_the_evaluations_as_arrow_are_those_of_the_data_frame_in_its_order(run):
    whole = run.evaluations
    found = run.arrow("evaluations").cast(run.directory.schema).to_pandas()
    pd.testing.assert_frame_equal(found, whole)
    some = run.arrow("evaluations", ["cutoff", "log_loss"], model="recency").to_pandas()
    rows = whole[whole["model"] == "recency"].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, rows[["cutoff", "log_loss"]])


@pytest.mark.parametrize("together", [1, 7, 10_000])
def test_evaluations_are_sorted_however_many_are_in_memory_together(run, together):
    parts = run.directory.sorted_evaluations(["company_id", "log_loss"], {}, together)
    losses = [loss for part in parts for loss in part["log_loss"].to_pylist()]
    expected = run.evaluations["log_loss"].astype(object).where(run.evaluations["log_loss"].notna())
    assert losses == [None if pd.isna(loss) else loss for loss in expected]


def test_a_column_that_a_table_has_not_is_refused_with_the_nearest_name(run):
    with pytest.raises(ValueError, match=r"no column 'men'.*mean"):
        run.arrow("companies", ["men"])
    with pytest.raises(ValueError, match="no column 'metric'"):
        run.arrow("evaluations", metric="roc_auc")
    with pytest.raises(ValueError, match="companys"):
        run.arrow("companys")
