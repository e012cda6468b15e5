"""Slips of a caller in Python: each is done, or a sentence that says what to write."""

from __future__ import annotations

import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from distributed import Client
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import scale_eval as se
from scale_eval.datasets.ingest.records import IngestError
from scale_eval.execution.clusters.existing import require_open_client
from scale_eval.models.registry import named_models
from scale_eval.planning.run_options import Execution, Reduction, Sampling, run_options
from scale_eval.planning.settings import Settings
from tests.support import models

FRAME = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2020-01-01"], "value": [1.0]})


class TestModels:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("bgnbd", "bgnbd"),
            (models.Constant, "constant"),
            (models.Constant(), "constant"),
            (LogisticRegression(), "LogisticRegression"),
            (RandomForestClassifier(), "RandomForestClassifier"),
            (make_pipeline(LogisticRegression()), "Pipeline"),
            ((model for model in [models.Constant]), "constant"),
            (np.array(["bgnbd"]), "bgnbd"),
            (pd.Series(["bgnbd"]), "bgnbd"),
            ({"bgnbd"}, "bgnbd"),
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_one_may_stand_alone_and_many_come_in_any_sequence(self, given, name):
        assert list(named_models(given)) == ["base_rate", "recency", name]

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"mine": models.Constant()}, "models is a dict: write a list"),
            (FRAME, "models is a DataFrame: write a list"),
            ([["bgnbd", "recency"]], r"a model is \['bgnbd', 'recency'\]: write one model after"),
            ([("mine", models.Constant())], r"a model is \('mine', .*attribute `name`"),
            (None, r"\(NoneType\) lacks fit and predict_proba"),
            (3, r"\(int\) lacks fit"),
            (np, r"\(module\) lacks fit"),
            (b"bgnbd", r"\(bytes\) lacks fit"),
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_anything_else_is_a_sentence(self, given, words):
        with pytest.raises(ValueError, match=words):
            named_models(given)


class TestOptions:
    @pytest.mark.parametrize(
        ("group", "name", "given", "taken"),
        [
            (Settings, "seed", np.int64(3), 3),
            (Settings, "last", np.int32(1), 1),
            (Settings, "shared_calendar", np.True_, True),
            (Settings, "horizon", np.str_("3 months"), "3 months"),
            (Settings, "metrics", None, ()),
            (Settings, "cutoffs", None, ()),
            (Sampling, "sample", np.uint8(5), 5),
            (Execution, "workers", np.int64(2), 2),
            (Execution, "timeout", np.float32(5), 5.0),
            (Execution, "replace", "bgnbd", ("bgnbd",)),
            (Execution, "replace", ["bgnbd"], ("bgnbd",)),
            (Execution, "cluster", Path("s.json"), "s.json"),
            (Execution, "share", (np.int64(1), np.int64(2)), (1, 2)),
            (Reduction, "margins", {"log_loss": np.float32(0.5)}, {"log_loss": 0.5}),
        ],
    )
    def test_scalars_of_numpy_and_single_values_are_taken(self, group, name, given, taken):
        found = getattr(group(**{name: given}), name)
        assert found == taken
        assert type(found) is type(taken) or isinstance(found, tuple)

    FIRST = "2023-01-01"

    @pytest.mark.parametrize(
        "given",
        [
            FIRST,
            [FIRST],
            (date for date in [FIRST]),
            pd.Timestamp(FIRST),
            datetime.date(2023, 1, 1),
            np.datetime64(FIRST),
            np.array([FIRST], "M8[D]"),
            pd.DatetimeIndex([FIRST]),
            pd.Series(pd.to_datetime([FIRST])),
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_cutoffs_come_in_any_sequence(self, given):
        assert Settings(cutoffs=given).cutoffs == (pd.Timestamp(self.FIRST, tz="UTC"),)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"last": 2.0}, "last=2.0: write a whole number of at least 1"),
            ({"last": "2"}, "last='2': write a whole number"),
            ({"last": True}, "last=True: write a whole number"),
            ({"seed": None}, "seed=None: write a whole number"),
            ({"cutoffs": {"2023-01-01"}}, "cutoffs=.*: write a list"),
            ({"cutoffs": {"a": 1}}, "cutoffs=.*: write a list"),
            ({"cutoffs": [20230601]}, "20230601 is not a date"),
            ({"metrics": {"hits": len}}, "metrics=.*: write a list"),
            ({"margins": 0.1}, "margins=0.1: write a table"),
            ({"horizon": 6}, "horizon=6: write a length of time"),
            ({"settings": {"last": 1}}, r"write settings=se.Settings\(\*\*settings\)"),
            ({"settings": Settings}, r"settings is a Settings: write settings=se.Settings\(...\)"),
            ({"execution": Sampling()}, r"execution is a Sampling: write execution=se.Execution"),
        ],
    )
    def test_anything_else_is_a_sentence(self, given, words):
        groups = {key: value for key, value in given.items() if key in ("settings", "execution")}
        options = {key: value for key, value in given.items() if key not in groups}
        with pytest.raises(ValueError, match=words):
            run_options(options, **groups)

    def test_one_metric_may_stand_alone(self):
        def hits(outcomes, probabilities, future_spend):
            return 1.0

        assert [metric.name for metric in Settings(metrics=hits).metrics] == ["hits"]
        generated = Settings(metrics=(each for each in [hits, "roc_auc"]))
        assert [metric.name for metric in generated.metrics] == ["hits"]


class TestPlaces:
    @pytest.mark.parametrize("given", [None, 3, b"x", FRAME, [Path("x")], {"a": FRAME}, se.Dataset])
    def test_what_is_no_dataset_is_told_how_to_make_one(self, given):
        for call in (se.open_dataset, se.preview):
            with pytest.raises(ValueError, match=r"a dataset is a path.*se\.ingest\("):
                call(given)

    @pytest.mark.parametrize("given", [None, 3, FRAME, [Path("x")], "", se.Run])
    def test_what_is_no_place_is_a_sentence(self, given, shops):
        for call in (se.open_run, se.reduce, lambda place: se.evaluate(shops, out=place)):
            with pytest.raises(ValueError, match="a place is a path, such as 'runs/first'; this"):
                call(given)

    def test_an_open_dataset_may_be_opened_and_is_a_path_as_well(self, shops):
        assert se.open_dataset(shops) is shops
        place = Path(shops.store.root)
        assert se.open_dataset(place).company_ids == shops.company_ids
        with pytest.raises(FileNotFoundError, match="is not a dataset"):
            se.open_dataset(__file__)


class TestClients:
    def refused(self, client, words):
        with pytest.raises(ValueError, match=words):
            require_open_client(client)

    def test_an_address_is_the_option_cluster(self, shops, tmp_path):
        words = "client is a Dask client, not an address: write cluster='tcp://host:1'"
        self.refused("tcp://host:1", words)
        with pytest.raises(ValueError, match=words):
            se.evaluate(shops, out=tmp_path / "run", client="tcp://host:1")
        self.refused(Path("s.json"), "write cluster='s.json'")

    def test_a_cluster_is_not_a_client(self, client):
        require_open_client(client)
        self.refused(client.cluster, r"LocalCluster: write client=distributed\.Client\(cluster\)")
        with pytest.raises(ValueError, match=r"cluster is a LocalCluster: .*client=Client\("):
            Execution(cluster=client.cluster)
        with pytest.raises(ValueError, match=r"cluster is a Client: .*client=client"):
            Execution(cluster=client)

    def test_a_closed_client_is_not_used(self, client):
        closed = Client(client.scheduler.address, set_as_default=False)
        closed.close()
        self.refused(closed, "client is closed: make another")

    def test_an_asynchronous_client_is_not_used(self, client):
        async def story(address):
            async with Client(address, asynchronous=True, set_as_default=False) as other:
                self.refused(other, "client is asynchronous")

        client.sync(story, client.scheduler.address)

    @pytest.mark.parametrize("given", [3, Client, object()])
    def test_anything_else_is_a_sentence(self, given):
        self.refused(given, "give a distributed.Client, or leave it out")


class TestIngest:
    def test_a_generator_and_a_zone_as_an_object_are_taken(self, tmp_path):
        path = tmp_path / "shop.csv"
        FRAME.to_csv(path, index=False)
        report = se.ingest(
            (file for file in [path]),
            tmp_path / "data",
            columns={name: name for name in FRAME.columns},
            timezone=ZoneInfo("Europe/Berlin"),
        )
        first = report.dataset.read("shop").to_frame()["timestamp"].iloc[0]
        assert first == pd.Timestamp("2019-12-31 23:00", tz="UTC")

    @pytest.mark.parametrize(
        ("given", "options", "words"),
        [
            (FRAME["value"], {}, "a Series is one column: give a DataFrame"),
            (FRAME, {"columns": None}, "columns is None: write a dict"),
            (FRAME, {"columns": ["a", "b"]}, "columns is .*: write a dict"),
            (FRAME, {"columns": {"value": 3}}, "value is 3: write the name of a column"),
            (FRAME, {"company_column": 3}, "company_column is 3: write the name of a column"),
            (None, {}, "NoneType is neither a path nor a table"),
            (FRAME.to_numpy(), {}, "ndarray is neither a path nor a table"),
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_anything_else_is_a_sentence(self, given, options, words, tmp_path):
        with pytest.raises(IngestError, match=words):
            se.ingest(given, tmp_path / "data", **options)

    def test_an_open_file_is_told_its_path(self, tmp_path):
        with Path(__file__).open() as file, pytest.raises(IngestError, match=r"give '.*slips\.py'"):
            se.ingest([file], tmp_path / "data")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"companies": "3"}, "companies='3': write a whole number of at least 1"),
        ({"companies": 2.5}, "companies=2.5: write a whole number"),
        ({"companies": 0}, "companies=0: write a whole number of at least 1"),
        ({"seed": None}, "seed=None: write a whole number of at least 0"),
        ({"seed": -1}, "seed=-1: write a whole number of at least 0"),
        ({"workers": "2"}, "workers='2': write a whole number of at least 1"),
        ({"median_customers": "x"}, "median_customers='x': write a number"),
    ],
)
def test_synthesize_says_what_to_write(given, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        se.synthesize(tmp_path / "data", **{"companies": 2, "seed": 1, **given})
