"""Models are called by names that a sentence and a plot can hold, no two of them alike."""

from __future__ import annotations

import pandas as pd
import pytest

from scale_eval.report.names import LONGEST, short_names
from tests.report.test_verdict import two_models

LONG = {"good": "predictions:/a/long/path/spring.parquet", "weak": "shop.models.lapsed:Lapsed"}


@pytest.mark.parametrize(
    ("whole", "short"),
    [
        ("rfm_gradient_boosting", "rfm_gradient_boosting"),
        ("predictions:/a/long/path/spring.parquet", "spring"),
        ("predictions:C:\\models\\spring.parquet", "spring"),
        ("shop.models.lapsed:Lapsed", "Lapsed"),
        ("a name: with a colon", "a name: with a colon"),
        ("odd:", "odd:"),
    ],
)
def test_a_file_is_called_by_its_stem_and_a_class_by_itself(whole, short):
    assert short_names([whole]) == {whole: short}


def test_models_that_would_be_alike_keep_what_tells_them_apart():
    names = [
        "bgnbd",
        "own:bgnbd",
        "predictions:/runs/1/model.parquet",
        "predictions:/runs/2/model.parquet",
        "predictions:/runs/2/model.csv",
        "a.models:Lapsed",
        "b.models:Lapsed",
    ]
    short = short_names(names)
    assert len(set(short.values())) == len(names)
    assert short["bgnbd"] == "bgnbd" and short["own:bgnbd"] == "own:bgnbd"
    assert short["predictions:/runs/1/model.parquet"] == "1/model"
    assert short["a.models:Lapsed"] == "a.models:Lapsed"


def test_a_long_name_keeps_its_beginning_and_its_end():
    short = short_names([f"gradient_boosting_with_{n}_trees" for n in ("many", "few")])
    assert all(len(name) <= LONGEST for name in short.values())
    assert next(iter(short.values())).startswith("gradient_boosti") and "…" in str(short)
    middle = [f"{'x' * 40}{n}{'y' * 40}" for n in (1, 2)]
    assert list(short_names(middle).values()) == middle  # nothing shorter tells them apart


def test_findings_under_short_names_have_the_same_figures():
    findings = two_models(0.021, 0.006)
    columns = ("model", "model_a", "model_b")
    for table in ("pooled", "comparisons", "periods", "statuses"):
        frame: pd.DataFrame = getattr(findings, table)
        for column in (c for c in columns if c in frame):
            frame[column] = frame[column].map(LONG)
    short = findings.short
    assert short.models == ["spring", "Lapsed"] and short.short is short
    pair = short.pair("log_loss", "spring", "Lapsed")
    assert pair is not None and pair.better_by == pytest.approx(0.021) and pair.wins == 50
    assert [short.whole_name(name) for name in short.models] == list(LONG.values())
