"""One worker or two, large tasks or small, now or later: the results are the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.evaluate import LoadedCompany, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts, score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.schema import KEY
from scale_eval.evaluation.windows import Window
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.models.registry import named_models
from scale_eval.planning.plan import plan_run
from scale_eval.planning.settings import make_settings
from scale_eval.results.fingerprint import UNREPEATABLE_COLUMNS
from tests.support import models
from tests.support.faults import CHOSEN, SETTINGS, evaluate, facts

pytestmark = pytest.mark.slow


class TestEveryWayIsTheSame:
    @pytest.mark.parametrize("granularity", ["evaluation", "company"])
    def test_evaluations_companies_and_packs_find_the_same(
        self, many, client, quiet, tmp_path, granularity
    ):
        run = evaluate(
            many, tmp_path / "run", client, [models.Unhurried(seconds=0)], granularity=granularity
        )
        assert run.fingerprint() == quiet.fingerprint()

    def test_one_worker_finds_the_same_as_two(self, many, quiet, tmp_path):
        with dask_client("local", workers=1) as single:
            run = evaluate(many, tmp_path / "run", single, [models.Unhurried(seconds=0)])
        assert run.fingerprint() == quiet.fingerprint()

    def test_models_added_later_are_the_same_as_together(self, many, client, quiet, tmp_path):
        evaluate(many, tmp_path / "run", client)
        run = evaluate(many, tmp_path / "run", client, [models.Unhurried(seconds=0)])
        facts_alike = facts(run), facts(quiet)
        pd.testing.assert_frame_equal(*facts_alike, check_exact=True)
        assert run.fingerprint() == quiet.fingerprint()

    def test_dask_finds_the_same_as_a_plain_loop_in_one_process(self, many, quiet):
        settings = make_settings(**SETTINGS)
        named = named_models([*CHOSEN, models.Unhurried(seconds=0)])
        plan = plan_run(many, list(named), settings)
        rows, counts = EvaluationRows(plan.n_planned), ScoreCounts()
        for i, company_id in enumerate(plan.company_ids):
            mine = np.flatnonzero((plan.windows.company == i) & plan.is_planned)
            windows = [
                (Window(*map(from_microseconds, span[:2])), span[2])
                for span in zip(
                    plan.windows.cutoff[mine].tolist(),
                    plan.windows.horizon_end[mine].tolist(),
                    plan.windows.overlaps[mine].tolist(),
                    strict=True,
                )
            ]
            if windows:
                asked = LoadedCompany(
                    many.read(company_id), windows, list(named.values()), int(plan.group[i])
                )
                evaluate_companies([asked], settings.rules, rows, counts)
        expected = rows.table().sort_by([(key, "ascending") for key in KEY])
        found = quiet.directory.evaluations()
        found = found.filter(found["worker"].is_valid())
        assert len(found) == len(expected)
        for name in found.column_names:
            if not UNREPEATABLE_COLUMNS.fullmatch(name):
                assert found[name].combine_chunks() == expected[name].combine_chunks(), name
        scores = quiet.directory.scores()
        assert scores.equals(
            score_table([counts.sparse()])
            .drop_columns(["answered_by"])
            .sort_by([(key, "ascending") for key in scores.column_names[:4]])
            .select(scores.column_names)
        )
