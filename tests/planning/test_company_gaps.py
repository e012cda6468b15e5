"""The silence between a company's last row and a stated end of observation."""

from __future__ import annotations

import pyarrow as pa
import pytest

from scale_eval.datasets.instants import DAY
from scale_eval.datasets.time_span import TimeSpan
from scale_eval.planning.company_gaps import CompanyGaps
from scale_eval.planning.plan import plan_run
from scale_eval.planning.settings import make_settings
from scale_eval.storage.columns import TIME
from tests.support.companies import dataset_of, shop


def test_a_silence_until_the_end_of_observation_is_a_gap_where_it_is_overdue():
    last, end = 3 * DAY + 7, 50 * DAY
    manifest = pa.table(
        {
            "gap_starts": pa.array([[DAY], [], [DAY], []], pa.list_(TIME)),
            "gap_ends": pa.array([[2 * DAY], [], [2 * DAY], []], pa.list_(TIME)),
            "last_timestamp": pa.array([last] * 4, TIME),
            "overdue_from": pa.array([end, end + 1, None, end - DAY], TIME),
        }
    )
    found = CompanyGaps.of(manifest, end)
    assert found.company.tolist() == [0, 0, 2, 3]
    assert found.start.tolist() == [DAY, 4 * DAY, DAY, 4 * DAY]
    assert found.end.tolist() == [2 * DAY, end, 2 * DAY, end]
    assert CompanyGaps.of(manifest, end, TimeSpan(3 * DAY, end)).company.tolist() == [0, 2]


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
