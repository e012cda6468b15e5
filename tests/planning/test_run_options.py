"""Options of a run: fields of four classes, checked when they are made."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

import scale_eval as se
from scale_eval.cli import runs
from scale_eval.cli.options import IN_FILES
from scale_eval.planning.options import options_of
from scale_eval.planning.run_options import GROUPS, run_options
from scale_eval.planning.share import Share


@pytest.mark.parametrize("group", GROUPS.values())
def test_each_field_is_an_option_of_the_command_and_of_files(group):
    fields = {field.name for field in dataclasses.fields(group)} - {"progress"}
    assert fields <= {parameter.name for parameter in runs.run.params}
    assert fields <= set(IN_FILES)
    assert all(option.help.endswith(".") for option in options_of(group).values())


def test_are_given_one_by_one_or_in_groups():
    one_by_one = run_options({"last": 2, "sample": 50, "retry": True})
    in_groups = run_options(
        {}, settings=se.Settings(last=2), sampling=se.Sampling(50), execution=None
    )
    assert one_by_one.settings == in_groups.settings
    assert one_by_one.sampling == in_groups.sampling
    assert one_by_one.execution.retry and not in_groups.execution.retry


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"horizont": "6 months"}, "did you mean 'horizon'"),
        ({"retrry": True}, "did you mean 'retry'"),
        ({"zzz": 1}, "there are cutoffs, every, last"),
        ({"last": True}, "last=True: write a whole number of at least 1"),
        ({"seed": 1.5}, "seed=1.5: write a whole number"),
        ({"every": 6}, "every=6: write a length of time such as '6 months'"),
        ({"shared_calendar": "no"}, "shared_calendar='no': write true or false"),
        ({"purchase_rule": "al"}, "purchase_rule='al': write one of non_negative, positive, all"),
        ({"granularity": "dozen"}, "granularity='dozen': write one of auto, evaluation"),
        ({"timeout": "soon"}, "timeout 'soon': write seconds, or a time such as '10 minutes'"),
        ({"timeout": "1 hour", "time_limit": "1 minute"}, "could be interrupted again and again"),
        ({"time_limit": "soon"}, "time_limit 'soon'"),
        ({"workers": 0}, "workers=0: write a whole number from 1 to 10,000"),
        ({"share": "3/2"}, "write which of how many, such as 2/8"),
        ({"sample": 20_001}, "take at most 20,000"),
        ({"until_half_width": 0.1}, "say with how many to begin"),
        ({"sample": 9, "until_half_width": 0.1, "share": "1/2"}, "a share does not know"),
        ({"margins": {"log_los": 1}}, "did you mean 'log_loss'"),
        ({"margins": {"log_loss": -1}}, "the margin of log_loss is -1"),
    ],
    ids=str,
)
def test_that_cannot_be_are_refused_by_name(options, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        run_options(options)


def test_a_metric_is_named_by_its_label_too():
    chosen = run_options(
        {
            "primary": "auc",
            "margins": {"log loss": 0.1},
            "sample": 5,
            "until_half_width": 0.1,
            "until_metric": "O:E",
        }
    )
    assert chosen.reduction.primary_of([]) == "roc_auc"
    assert chosen.reduction.margins_of([]) == {"log_loss": 0.1}
    assert chosen.sampling.until_metric == "observed_expected_ratio"


def test_a_share_is_written_as_text_or_as_two_numbers():
    for written in ("2/8", (2, 8), [2, 8], Share(2, 8)):
        assert se.Execution(share=written).parsed_share == Share(2, 8)
    assert se.Execution().parsed_share is None


@pytest.mark.parametrize("written", [90, "90", "1.5 minutes", pd.Timedelta("90s")])
def test_a_timeout_is_written_in_seconds_or_as_a_time(written):
    assert se.Execution(timeout=written).timeout_seconds == 90
