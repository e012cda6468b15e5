"""Commands about models and metrics."""

from __future__ import annotations

import re
import sys

import pytest

from scale_eval.cli import app as cli
from scale_eval.metrics import METRICS
from scale_eval.models import BUILT_IN
from tests.support.commands import SHOP_MODELS, assert_fits, assert_refused


def test_models_lists_every_model_and_which_are_run(scale_eval):
    result = scale_eval("models")
    assert result.code == cli.OK
    assert_fits(result.out)
    for name in BUILT_IN:
        assert re.search(rf"^{name} ", result.out, re.MULTILINE), name
    assert re.search(r"^base_rate .* always +$", result.out, re.MULTILINE)
    assert re.search(r"^bgnbd .* by default", result.out, re.MULTILINE)


def test_metrics_lists_every_metric_with_its_direction_and_range(scale_eval):
    result = scale_eval("metrics")
    assert result.code == cli.OK
    assert_fits(result.out)
    for name, metric in METRICS.items():
        (line,) = re.findall(rf"^{name} .*", result.out, re.MULTILINE)
        assert metric.better in line or "nearer to" in line
    assert re.search(r"^roc_auc +higher +0 to 1 +AUC: ", result.out, re.MULTILINE)
    assert re.search(r"^calibration_slope +nearer to 1 +-∞ to ∞ ", result.out, re.MULTILINE)


class TestCheckModel:
    @pytest.fixture(autouse=True)
    def shop_models(self, tmp_path):
        (tmp_path / "shop_models.py").write_text(SHOP_MODELS)
        (tmp_path / "unwritten.py").write_text("import no_such_thing\n")
        yield
        sys.modules.pop("shop_models", None)

    def test_a_sound_model_is_exit_code_0_with_what_it_predicted(self, scale_eval, data):
        result = scale_eval("check-model", "shop_models:Half", data)
        assert result.code == cli.OK, result
        assert_fits(result.out)
        assert "All 7 rules are kept" in result.out
        assert re.search(r"log loss +0.6931; base_rate ", result.out)
        assert "half at South" in result.out  # of 90, 45 and 25 customers
        named = scale_eval("check-model", "shop_models:Half", data, "--company", "North")
        assert "half at North" in named.out

    def test_a_model_that_raises_is_exit_code_2_with_its_traceback(self, scale_eval, data):
        result = scale_eval("check-model", "shop_models:Bracketed", data)
        assert result.code == cli.USAGE
        assert "FAILED it fits and predicts" in result.out
        assert "in fit" in result.out
        assert "is no [column]" in result.out
        assert "1 of 1 rules" in result.out

    def test_a_module_that_cannot_be_imported_is_shown_with_its_traceback(self, scale_eval, data):
        result = scale_eval("check-model", "unwritten:Model", data)
        assert result.code == cli.USAGE
        assert "unwritten.py" in result.err
        assert "No module named 'no_such_thing'" in result.err

    @pytest.mark.parametrize(
        ("words", "hints"),
        [
            (["bgndb", "DATA"], ["did you mean 'bgnbd'"]),
            (["bgnbd", "DATA", "--company", "Sohth"], ["did you mean 'South'"]),
            (["bgnbd", "DATA", "--cutoff", "2031-01-01"], ["The latest cutoff that fits is 20"]),
            (["bgnbd", "nowhere"], ["is not a dataset"]),
        ],
    )
    def test_what_cannot_be_checked_is_refused(self, scale_eval, data, words, hints):
        words = [data if word == "DATA" else word for word in words]
        assert_refused(scale_eval("check-model", *words), *hints)
