"""Peers: what stops one becomes its row, and figures that differ are told."""

from __future__ import annotations

import pandas as pd

from benchmarks import peers
from benchmarks.scoring_peers import log_loss


def figures(log_loss: float) -> pd.DataFrame:
    cutoff = pd.Series([pd.Timestamp("2020-01-01", tz="UTC")]).dt.as_unit("us")
    return pd.DataFrame(
        {"company_id": "a", "cutoff": cutoff, "model": "recency", "log_loss": [log_loss]}
        | dict.fromkeys([name for name in peers.FIGURES if name != "log_loss"], 0.5)
    )


def found(log_loss: float, tmp_path) -> list[str]:
    rows, places = {}, {}
    for name, value in (("ours, few", 0.25), ("analyst", log_loss)):
        rows[name] = {"us": 1.0, "cpu_us": 1.0}
        places[name] = tmp_path / name
        figures(value).to_parquet(places[name])
    peers.compare(rows, places)
    return peers.disagreements(rows)


def test_equal_figures_are_no_disagreement(tmp_path):
    assert found(0.25, tmp_path) == []


def test_a_figure_beyond_the_tolerance_is_told(tmp_path):
    assert found(0.25 + 1e-6, tmp_path) == ["analyst: formula differs by 1.0e-06"]


def test_a_figure_that_one_side_lacks_is_told(tmp_path):
    assert found(float("nan"), tmp_path) == ["analyst: 1 figures on one side only"]


def test_a_peer_without_its_package_is_a_row_that_says_so(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    row = peers.in_own_process("sktime", {}, rounds=1, limit=1)
    assert row == {"missing": "sktime is not installed"}
    assert peers.disagreements({"sktime": row}) == []


def test_a_peer_that_fails_is_a_disagreement():
    assert peers.disagreements({"polars": {"failed": "not done within 60 s"}}) == [
        "polars: not done within 60 s"
    ]


def test_the_log_loss_of_a_series_is_the_mean_over_its_customers():
    frame = pd.DataFrame(
        {"unique_id": ["a", "a", "b"], "cutoff": 1, "y": [1.0, 0.0, 1.0], "m": [0.5, 0.5, 1.0]}
    )
    table = log_loss(frame, ["m"])
    assert table["unique_id"].tolist() == ["a", "b"]
    assert table["m"].round(12).tolist() == [0.693147180560, 0.0]
