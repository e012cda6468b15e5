"""The silence between a company's last sale and a stated end of observation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scale_eval.datasets.instants import DAY
from scale_eval.datasets.manifest import describe, manifest_table
from scale_eval.datasets.time_span import TimeSpan
from scale_eval.datasets.transactions import Transactions
from scale_eval.planning.company_gaps import CompanyGaps
from scale_eval.planning.plan import plan_run
from scale_eval.planning.settings import make_settings
from scale_eval.storage.columns import TIME
from tests.support.companies import dataset_of, shop


def test_a_silence_until_the_end_of_observation_is_a_gap_where_it_is_overdue():
    end = 50 * DAY
    manifest = pa.table(
        {
            "gap_starts": pa.array([[DAY], [], [DAY], []], pa.list_(TIME)),
            "gap_ends": pa.array([[2 * DAY], [], [2 * DAY], []], pa.list_(TIME)),
            "silent_from": pa.array([4 * DAY] * 4, TIME),
            "overdue_from": pa.array([end, end + 1, None, end - DAY], TIME),
        }
    )
    found = CompanyGaps.of(manifest, end)
    assert found.company.tolist() == [0, 0, 2, 3]
    assert found.start.tolist() == [DAY, 4 * DAY, DAY, 4 * DAY]
    assert found.end.tolist() == [2 * DAY, end, 2 * DAY, end]
    assert CompanyGaps.of(manifest, end, TimeSpan(3 * DAY, end)).company.tolist() == [0, 2]


@pytest.mark.parametrize("until", [1010, 1100, 1300])
def test_refunds_after_the_last_sale_do_not_shorten_the_silence_after_it(until):
    sales, refunds = np.arange(1000), np.arange(1025, until, 25)
    days = np.concatenate([sales, refunds])
    values = np.repeat([10.0, -10.0], [len(sales), len(refunds)])

    def gaps_of(rows):
        when = pd.to_datetime(days[rows], unit="D", utc=True)
        frame = pd.DataFrame({"customer_id": "c", "timestamp": when, "value": values[rows]})
        company = Transactions.from_frame("x", frame)
        manifest = manifest_table([describe(company, dates_only=True, sources=[])])
        found = CompanyGaps.of(manifest, until * DAY)
        return list(zip(found.start // DAY, found.end // DAY, strict=True))

    assert gaps_of(slice(None)) == gaps_of(slice(1000)) == [(1000, until)] * (until >= 1028)


@pytest.mark.parametrize(
    ("observed", "refused"),
    [
        (None, ["2020-01-01", "2020-07-01", "2021-01-01"]),
        ("2020-01-01..2022-01-01", []),
        ("..", []),
    ],
)
def test_windows_over_years_after_a_feed_stopped_are_refused_unless_nobody_bought(
    observed, refused, tmp_path
):
    dataset = dataset_of(
        [shop("stopped", 200, 1, days=850), shop("on", 200, 2, days=1290)], tmp_path
    )
    settings = make_settings(
        cutoffs=["2019-07-01", "2020-01-01", "2020-07-01", "2021-01-01"],
        observed_until="2021-07-15",
        observed=observed,
    )
    plan = plan_run(dataset, ["base_rate"], settings).frame()
    gaps = plan[plan["reason"] == "gap_in_data"]
    assert gaps["company_id"].isin(["stopped"]).all()
    assert gaps["cutoff"].dt.strftime("%Y-%m-%d").tolist() == refused
    assert gaps["note"].isin(["few or no sales from 2020-05-01 to 2021-07-15"]).all()
    assert plan["reason"].isin(["", "gap_in_data"]).all()
