"""Names as people write them: of metrics, models and companies."""

from __future__ import annotations

import pytest

from scale_eval.metrics import METRICS
from scale_eval.models import BUILT_IN
from scale_eval.planning.metric_names import choose_metric
from scale_eval.report.choices import choose_company, choose_model
from scale_eval.report.names import short_names
from scale_eval.report.wording import metric_label

OWN = ["shop.models:Lapsed", "predictions:/data/2024/spring.parquet", "shop.old:Lapsed"]


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_meant_by_its_column_and_by_its_label_in_any_case(metric):
    label = metric_label(metric)
    for name in (metric, label, metric.upper(), label.lower(), metric.replace("_", "-")):
        assert choose_metric(name, METRICS) == metric


def test_a_model_is_meant_by_its_whole_name_and_by_its_short_one():
    models = [*BUILT_IN, *OWN]
    for whole, short in short_names(models).items():
        assert choose_model(whole, models) == choose_model(short, models) == whole
    assert choose_model("SPRING", models) == OWN[1]
    assert choose_model("models:lapsed", models) == OWN[0]


@pytest.mark.parametrize(
    ("choose", "name", "names", "words"),
    [
        (choose_metric, "auk", METRICS, "did you mean 'AUC'"),
        (choose_metric, "revenue", METRICS, "there are log_loss, brier_score"),
        (choose_model, "Lapsed", [*BUILT_IN, *OWN], "there is no model 'Lapsed'"),
        (choose_model, "bg_nbd_", ["recency", "bgnbd2"], "did you mean 'bgnbd2'"),
        (choose_company, "Berlin", ["south"], "there are south"),
        (choose_company, "SOUTH", ["south"], "did you mean 'south'"),
    ],
)
def test_a_name_that_none_has_or_two_have_is_refused_with_the_nearest(choose, name, names, words):
    with pytest.raises(ValueError, match=f"there is no .* '{name}'") as error:
        choose(name, names)
    assert words in str(error.value)
