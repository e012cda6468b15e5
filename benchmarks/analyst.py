"""An analyst's evaluation in pandas, scikit-learn and SciPy, one company after another.

It is what most analysts would write, written well: transactions are grouped once, summaries are
made once a cutoff, fits have derivatives, each metric is one call of a library where there is one.
It shares no code with scale_eval, and leaves out the sums of influence by groups of customers and
the histograms of scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize
from scipy.special import digamma, expit, gammaln, logit
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HALF_YEAR = pd.DateOffset(months=6)
MIN_CUSTOMERS = 10
FEATURES = ["recency_days", "log_purchase_days", "mean_log_value", "log_refunds"]
RIDGE = 0.1
START = np.array([1.0, 30.0, 1.0, 1.0])  # r, alpha in days, a, b: centre of the prior too
PRIOR_SD = 2.0


class Company:
    """One company's transactions: customer_id, timestamp (UTC), value."""

    def __init__(self, rows: pd.DataFrame) -> None:
        value = rows["value"]
        self.rows = rows.assign(
            day=rows["timestamp"].dt.floor("D"), log_value=np.log1p(value.clip(lower=0))
        )
        self.purchases = self.rows[value >= 0]
        self.refunds = self.rows[value < 0]
        self._known: dict[pd.Timestamp, pd.DataFrame] = {}

    def known(self, cutoff: pd.Timestamp) -> pd.DataFrame:
        """Return a row a customer with a purchase before the cutoff: recency, frequency, spend."""
        if cutoff not in self._known:
            before = self.purchases[self.purchases["timestamp"] < cutoff]
            table = before.groupby("customer_id").agg(
                first=("day", "min"),
                last=("timestamp", "max"),
                days=("day", "nunique"),
                mean_log_value=("log_value", "mean"),
            )
            refunds = self.refunds[self.refunds["timestamp"] < cutoff].groupby("customer_id").size()
            table["recency_days"] = (cutoff - table["last"]) / pd.Timedelta(days=1)
            table["log_purchase_days"] = np.log(table["days"])
            table["log_refunds"] = np.log1p(refunds.reindex(table.index, fill_value=0))
            self._known[cutoff] = table
        return self._known[cutoff]

    def outcomes(
        self, customers: pd.Index, begin: pd.Timestamp, end: pd.Timestamp
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return which customers bought in ``[begin, end)``, and for how much."""
        when = self.purchases["timestamp"]
        then = self.purchases[(when >= begin) & (when < end)]
        spend = then.groupby("customer_id")["value"].sum().reindex(customers)
        return spend.notna().to_numpy(), spend.fillna(0.0).to_numpy()

    def training(self, cutoff: pd.Timestamp) -> tuple[pd.DataFrame, np.ndarray]:
        """Return summaries half a year before the cutoff, and who bought until the cutoff."""
        earlier = self.known(cutoff - HALF_YEAR)
        return earlier, self.outcomes(earlier.index, cutoff - HALF_YEAR, cutoff)[0]


def evaluate_company(
    company_id: str,
    rows: pd.DataFrame,
    windows: Sequence[tuple[pd.Timestamp, pd.Timestamp]],
    models: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a row a (window, model)."""
    company = Company(rows)
    return [
        {"company_id": company_id, "cutoff": begin, "model": model}
        | evaluate(company, begin, end, model)
        for begin, end in windows
        for model in models
    ]


def evaluate(
    company: Company, begin: pd.Timestamp, end: pd.Timestamp, model: str
) -> dict[str, float]:
    """Return the figures of one evaluation; none where the model makes no predictions."""
    known = company.known(begin)
    earlier, earlier_bought = company.training(begin)
    n, k = len(earlier_bought), int(earlier_bought.sum())
    reference = (k + 0.5) / (n + 1) if n >= MIN_CUSTOMERS else np.nan
    if model == "base_rate":
        predicted = np.full(len(known), reference)
    elif model == "recency":
        predicted = np.exp(-(begin - known["last"]) / (end - begin)).to_numpy()
    elif model == "rfm_logistic":
        if n < MIN_CUSTOMERS or not 0 < k < n:
            return {}
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE, tol=1e-7))
        classifier.fit(earlier[FEATURES].to_numpy(), earlier_bought)
        predicted = classifier.predict_proba(known[FEATURES].to_numpy())[:, 1]
    else:
        days = pd.Timedelta(days=1)
        last_day = (begin - pd.Timedelta(microseconds=1)).floor("D")
        x = known["days"].to_numpy() - 1.0
        t_x = ((known["last"].dt.floor("D") - known["first"]) / days).to_numpy()
        T = ((last_day - known["first"]) / days).to_numpy()
        params = fit_bgnbd(x, t_x, T)
        predicted = bgnbd_probability(params, x, t_x, T, (end - begin) / days)
    if np.isnan(predicted).any():
        return {}
    bought, spend = company.outcomes(known.index, begin, end)
    return figures(bought, predicted, spend, reference)


def figures(
    bought: np.ndarray, predicted: np.ndarray, spend: np.ndarray, reference: float
) -> dict[str, float]:
    """Return all metrics and standard errors of a score; NaN where one does not exist."""
    n, n_bought = len(bought), int(bought.sum())
    both = 0 < n_bought < n
    losses = -np.log(np.where(bought, predicted, 1 - predicted))
    squares = np.square(predicted - bought)
    loss, brier = (
        log_loss(bought, predicted, labels=[False, True]),
        brier_score_loss(bought, predicted),
    )
    constant = np.full(n, reference)
    skill = brier_skill = np.nan
    if reference == reference:
        skill = 1 - loss / log_loss(bought, constant, labels=[False, True])
        brier_skill = 1 - brier / brier_score_loss(bought, constant)
    gain = share_in_top_tenth(predicted, bought.astype(float))
    ratio = n_bought / predicted.sum()
    influence = (bought - ratio * predicted) / n_bought if n_bought else np.array([np.nan])
    slope, slope_se = calibration_slope(bought, predicted) if both else (np.nan, np.nan)
    return {
        "log_loss": loss,
        "brier_score": brier,
        "log_loss_skill": skill,
        "brier_skill": brier_skill,
        "roc_auc": roc_auc_score(bought, predicted) if both else np.nan,
        "average_precision": average_precision_score(bought, predicted) if n_bought else np.nan,
        "calibration_intercept": calibration_intercept(bought, predicted) if both else np.nan,
        "calibration_slope": slope,
        "observed_expected_ratio": ratio,
        "gain_at_10": gain,
        "lift_at_10": 10 * gain,
        "value_captured_at_10": share_in_top_tenth(predicted, spend),
        "log_loss_se": losses.std(ddof=1) / np.sqrt(n),
        "brier_score_se": squares.std(ddof=1) / np.sqrt(n),
        "roc_auc_se": delong(bought, predicted) if 1 < n_bought < n - 1 else np.nan,
        "calibration_slope_se": slope_se,
        "log_observed_expected_se": float(np.sqrt(np.square(influence).sum())),
    }


def delong(bought: np.ndarray, predicted: np.ndarray) -> float:
    """Return the standard error of the AUC from mid-ranks (Sun & Xu 2014)."""
    positive, negative = predicted[bought], predicted[~bought]
    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    v10 = (ranks[:m] - rankdata(positive)) / n
    v01 = 1 - (ranks[m:] - rankdata(negative)) / m
    return float(np.sqrt(v10.var(ddof=1) / m + v01.var(ddof=1) / n))


def share_in_top_tenth(predicted: np.ndarray, amounts: np.ndarray) -> float:
    """Return the share of amounts in exactly the first tenth of customers; ties share equally."""
    table = pd.DataFrame({"predicted": predicted, "amount": amounts, "n": 1.0})
    held = table.groupby("predicted").sum().sort_index(ascending=False).cumsum()
    total = held["amount"].iloc[-1]
    if not total:
        return float("nan")
    ends, amount = np.append(0, held["n"]), np.append(0, held["amount"])
    return float(np.interp(len(predicted) / 10, ends, amount) / total)


def calibration_intercept(bought: np.ndarray, predicted: np.ndarray) -> float:
    """Return the intercept of the logistic regression with the logit as offset."""
    offset = logit(np.clip(predicted, 1e-15, 1 - 1e-15))
    level = logit(bought.mean())
    return float(
        brentq(
            lambda a: expit(a + offset).sum() - bought.sum(),
            level - offset.max() - 1,
            level - offset.min() + 1,
        )
    )


def calibration_slope(bought: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Return the slope of the logistic regression on the logit, and its standard error."""
    x = logit(np.clip(predicted, 1e-15, 1 - 1e-15))
    if np.ptp(x) <= 1e-9:
        return np.nan, np.nan
    of_bought, of_others = x[bought], x[~bought]
    if of_bought.max() <= of_others.min() or of_others.max() <= of_bought.min():
        return np.nan, np.nan  # separable
    regression = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(x[:, np.newaxis], bought)
    fitted = regression.predict_proba(x[:, np.newaxis])[:, 1]
    weight = fitted * (1 - fitted)
    information = (weight * np.square(x - (weight * x).sum() / weight.sum())).sum()
    return float(regression.coef_[0, 0]), float(1 / np.sqrt(information))


def fit_bgnbd(x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Fit r, alpha, a, b by the largest posterior.

    The likelihood is that of Fader, Hardie & Lee 2005 (eq. 6), with independent normal priors on
    the log parameters.
    """

    def loss(shift: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = START * np.exp(shift)
        alive = -(r + x) * np.log(alpha + T)
        dead = np.where(
            x > 0,
            np.log(a) - np.log(np.maximum(b + x - 1, 1e-300)) - (r + x) * np.log(alpha + t_x),
            -np.inf,
        )
        likelihood = (
            gammaln(r + x)
            - gammaln(r)
            + r * np.log(alpha)
            + gammaln(a + b)
            - gammaln(a + b + x)
            + gammaln(b + x)
            - gammaln(b)
            + np.logaddexp(alive, dead)
        )
        p_dead = expit(dead - alive)
        by_a = digamma(a + b) - digamma(a + b + x)
        slope = np.array(
            [
                digamma(r + x)
                - digamma(r)
                + np.log(alpha)
                - (1 - p_dead) * np.log(alpha + T)
                - p_dead * np.log(alpha + t_x),
                r / alpha - (r + x) * ((1 - p_dead) / (alpha + T) + p_dead / (alpha + t_x)),
                by_a + p_dead / a,
                by_a
                + digamma(b + x)
                - digamma(b)
                - np.where(x > 0, p_dead / np.where(x > 0, b + x - 1, 1.0), 0.0),
            ]
        ).sum(axis=1) * np.array([r, alpha, a, b])
        penalty = shift / PRIOR_SD**2
        return (shift @ penalty / 2 - likelihood.sum()) / len(x), (penalty - slope) / len(x)

    best = minimize(
        loss,
        np.zeros(4),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-10, 10)] * 4,
        options={"ftol": 1e-14, "gtol": 1e-8},
    )
    return np.asarray(START * np.exp(best.x))


def bgnbd_probability(
    params: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray, horizon: float
) -> np.ndarray:
    """Return P(alive) times P(a purchase in the horizon | alive)."""
    r, alpha, a, b = params
    odds_dead = np.where(
        x > 0,
        np.exp(
            np.log(a)
            - np.log(np.maximum(b + x - 1, 1e-300))
            + (r + x) * np.log((alpha + T) / (alpha + t_x))
        ),
        0.0,
    )
    return (1 - ((alpha + T) / (alpha + T + horizon)) ** (r + x)) / (1 + odds_dead)
