"""The directory of a run: its record, and the format in which it is written."""

from __future__ import annotations

import json

import pytest

import scale_eval as se
from scale_eval.results.directory import FORMAT, RunDiffers, RunDirectory
from scale_eval.storage import open_store
from scale_eval.storage.formats import OtherFormat
from tests.support.companies import dataset_of, shop


@pytest.fixture
def place(tmp_path):
    """A run that was begun, in the present format."""
    facts = {"versions": {"scale_eval": "9.8"}}
    directory = RunDirectory(open_store(tmp_path / "run"))
    directory.begin({"seed": 0, "metrics": {}}, {}, facts)
    return tmp_path / "run"


def change(place, **entries):
    """Set entries of `run.json`; those that are None are taken out."""
    document = json.loads((place / "run.json").read_text()) | entries
    document = {key: value for key, value in document.items() if value is not None}
    (place / "run.json").write_text(json.dumps(document))


def test_a_run_says_in_which_format_it_is(place):
    assert json.loads((place / "run.json").read_text())["format"] == FORMAT
    assert se.open_run(place).document["format"] == FORMAT


@pytest.mark.parametrize("use", [se.open_run, se.reduce])
@pytest.mark.parametrize(
    ("found", "words"),
    [
        (FORMAT + 1, f"in format {FORMAT + 1}"),
        (None, "in a format without a number"),
        ("1", "in format '1'"),
        (True, "in format True"),
    ],
)
def test_a_run_of_another_format_is_refused_with_what_to_do(place, use, found, words):
    change(place, format=found)
    with pytest.raises(OtherFormat) as refused:
        use(place)
    assert str(refused.value) == (
        f"{place} was written by scale_eval 9.8 {words}; this version reads format {FORMAT}. "
        "Evaluate again into another place, or use the version that made it"
    )


def test_a_run_that_does_not_say_its_version_is_refused_all_the_same(place):
    change(place, format=None, versions=None)
    with pytest.raises(OtherFormat, match="another version of scale_eval in a format without"):
        se.open_run(place)


def test_a_run_of_another_format_is_not_gone_on_with(place, tmp_path):
    change(place, format=FORMAT + 1)
    before = (place / "run.json").read_bytes()
    dataset = dataset_of([shop("shop", 30, seed=1)], tmp_path / "data")
    for share in (None, (1, 2)):
        with pytest.raises(OtherFormat, match="Evaluate again into another place"):
            se.evaluate(dataset, out=place, share=share, progress=False)
    assert (place / "run.json").read_bytes() == before
    assert not (place / "evaluations").exists()


@pytest.mark.parametrize("key", ["settings", "models", "status"])
def test_a_record_that_lacks_what_every_run_has_is_damaged(place, key):
    change(place, **{key: None})
    with pytest.raises(ValueError, match=rf"run.json is damaged .*{key}.*; restore it"):
        se.open_run(place)


@pytest.mark.parametrize("text", ["", "{", "[]", "[1, 2]", "7", "null", '"format"', "\x00"])
def test_a_record_that_is_no_record_is_damaged(place, text):
    (place / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run.json is damaged .*restore it"):
        se.open_run(place)


def test_a_place_without_a_run_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="scale-eval run DATASET --out"):
        se.open_run(tmp_path)


_PROFIT = {"source": "4b86", "better": "higher", "margin": 0.0, "target": None}


@pytest.mark.parametrize(
    ("was", "now", "differences", "options"),
    [
        ({"seed": 0}, {"seed": 1}, "seed was 0, now 1", "--seed 0"),
        (
            {"horizon": "6 months", "lookback": None},
            {"horizon": "3 months", "lookback": "3 years"},
            "horizon was 6 months, now 3 months; lookback was not given, now 3 years",
            "--horizon '6 months', no --lookback",
        ),
        (
            {"cutoffs": ["2017-12-01T00:00:00+00:00", "2018-06-01T12:00:00+00:00"]},
            {"cutoffs": []},
            "cutoffs was 2017-12-01, 2018-06-01T12:00:00+00:00, now not given",
            "--cutoff 2017-12-01 --cutoff 2018-06-01T12:00:00+00:00",
        ),
        (
            {"shared_calendar": True},
            {"shared_calendar": False},
            "shared_calendar was on, now off",
            "--shared-calendar",
        ),
        (
            {"metrics": {"profit": _PROFIT}},
            {"metrics": {}},
            "it has the metric profit, which is not asked for now",
            "--metric package.module:profit",
        ),
        (
            {"metrics": {}},
            {"metrics": {"profit": _PROFIT}},
            "it does not have the metric profit",
            "no --metric for profit",
        ),
        (
            {"metrics": {"profit": _PROFIT}},
            {"metrics": {"profit": _PROFIT | {"source": "77aa"}}},
            "the metric profit has changed since (source differs)",
            "--metric package.module:profit as it was",
        ),
    ],
    ids=str,
)
def test_a_run_of_other_settings_is_refused_with_the_options_that_repeat_it(
    tmp_path, was, now, differences, options
):
    directory = RunDirectory(open_store(tmp_path / "run"))
    directory.begin({"data": "3f2a", "metrics": {}, **was}, {}, {"dataset": "/data/shops"})
    with pytest.raises(RunDiffers, match="holds another run") as error:
        directory.begin({"data": "3f2a", "metrics": {}, **now}, {}, {"dataset": "/data/shops"})
    assert f"another run: {differences}. Choose another place" in str(error.value)
    assert str(error.value).endswith(f"by its own settings: {options}")


def test_a_run_of_another_dataset_is_refused_by_the_places_of_both(tmp_path):
    settings = {"data": "3f2a", "seed": 0, "metrics": {}}
    directory = RunDirectory(open_store(tmp_path / "run"))
    directory.begin(settings, {}, {"dataset": "/data/shops"})
    other = settings | {"data": "9b1c"}
    with pytest.raises(RunDiffers, match=r"dataset /data/shops, not of /data/clubs") as error:
        directory.begin(other, {}, {"dataset": "/data/clubs"})
    assert "3f2a" not in str(error.value)
    with pytest.raises(RunDiffers, match=r"of /data/shops with other rows.*changed since"):
        directory.begin(other, {}, {"dataset": "/data/shops"})
    directory.begin(settings, {}, {"dataset": "/moved/shops"})  # the same rows elsewhere
