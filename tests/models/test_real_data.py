"""All models on three real companies, at a cutoff for which independent numbers are known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from scale_eval.datasets.instants import SIX_MONTHS, as_utc
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.company_windows import windows_of_companies
from scale_eval.evaluation.rules import PopulationRules
from scale_eval.evaluation.windows import Window
from scale_eval.models import BUILT_IN, resolve
from tests.support.paths import SHARED

FOLDER = SHARED / "data" / "klaviyo"
WINDOW = Window.at(as_utc("2017-12-01"))


@pytest.fixture(scope="module", params=[1, 2, 3])
def company(request):
    path = FOLDER / f"TransactionsCompany{request.param}.csv"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    frame = pd.read_csv(path, dtype={"CustomerID": str})
    frame.columns = ["customer_id", "timestamp", "value"]
    return Transactions.from_frame(str(request.param), frame)


def known(company, rule):
    (company_window,) = windows_of_companies(
        [(company, [WINDOW])], PopulationRules(rule, None, SIX_MONTHS)
    )
    return company_window.history(), company_window.outcomes.bought


def log_loss(bought, p):
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return -np.where(bought, np.log(p), np.log1p(-p)).mean()


def test_recency_and_frequency_rank_as_independent_code_found(company):
    # Customers, positives, AUC by recency, by frequency; all rows are purchases.
    customers, positives, recency, frequency = {
        "1": (11_036, 849, 0.6755, 0.6706),
        "2": (6_431, 892, 0.6013, 0.5748),
        "3": (4_344, 762, 0.6327, 0.6633),
    }[company.company_id]
    history, bought = known(company, "all")
    assert (history.n_customers, bought.sum()) == (customers, positives)
    for name, auc in [("recency", recency), ("frequency", frequency)]:
        probabilities = resolve(name).prototype.fit(history).predict_proba(history)
        assert roc_auc_score(bought, probabilities) == pytest.approx(auc, abs=5e-5)


def test_every_model_of_a_company_answers_and_the_learning_ones_beat_the_base_rate(company):
    history, bought = known(company, "non_negative")
    losses = {}
    for name in BUILT_IN:
        model = resolve(name)
        if model.scope == "all":
            continue
        probabilities = model.prototype.fit(history).predict_proba(history)
        assert probabilities.shape == (history.n_customers,)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        losses[name] = log_loss(bought, probabilities)
    assert losses["rfm_logistic"] < losses["base_rate"]
    assert losses["rfm_gradient_boosting"] < losses["base_rate"]
