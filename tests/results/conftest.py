"""A run of ten companies, reduced once for the tests of all tables."""

from __future__ import annotations

import pandas as pd
import pytest

from scale_eval.evaluation.evaluate import evaluate_one
from scale_eval.evaluation.rules import Rules
from scale_eval.models import resolve
from tests.support.companies import shop
from tests.support.tables import (
    MODELS,
    SIZES,
    WINDOWS,
    tables_of,
)


@pytest.fixture(scope="session")
def shops() -> tuple[dict[str, pd.DataFrame], dict]:
    """Ten companies, three half-years, four models; and every single prediction."""
    models = [resolve(name) for name in MODELS]
    evaluations = [
        evaluate_one(shop(f"shop{i}", n, seed=i, rate=8.0), window, model, Rules())
        for i, n in enumerate(SIZES)
        for window in WINDOWS
        for model in models
    ]
    predictions = {
        (e.row["company_id"], e.row["cutoff"], e.row["model"]): e.predictions
        for e in evaluations
        if e.predictions is not None
    }
    return tables_of(evaluations), predictions
