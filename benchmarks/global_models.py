"""What each built-in model costs; what one for all companies gains over one a company.

    python -m benchmarks.global_models [--dataset PLACE | --companies 2000]

`global_rfm_logistic` and `global_rfm_gradient_boosting`, fitted once a cutoff on at most 2,000
companies as they were known then, beside rfm_logistic and bgnbd fitted per company and cutoff, on
six half-years. Costs are the run's own clocks: a fit, and what fitting and predicting take an
evaluation. Gains are differences at the average company with 95 % intervals over companies, in all
and by class of company size, as the run's table `comparisons` has them; below 0 the global model
has the smaller loss. Every other built-in model is run too, for its costs: those above 100 us an
evaluation are marked, and `WHY_NOT_COMPILED` says why a model has no compiled fit.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

import scale_eval as se
from benchmarks.companies import LAST, dataset_of
from benchmarks.machine import confine_to_one_thread, keep, machine_line
from scale_eval.models.built_in import BUILT_IN, WHY_NOT_COMPILED

GLOBAL = ("global_rfm_logistic", "global_rfm_gradient_boosting")
AGAINST = ("rfm_logistic", "bgnbd", "base_rate")
METRICS = ("log_loss", "roc_auc")
MOST_US = 100.0
"""Fit and prediction of an evaluation take no more, but for the models that say why."""


def costs_of(run: se.Run) -> list[dict[str, Any]]:
    """Return for each model its fits on all companies, and its seconds an evaluation."""
    evaluations = run.evaluations
    answered = evaluations[evaluations["status"] == "ok"]
    fits = pd.Series(
        {key: fitted[-1] for key, fitted in run.document.get("fitted", {}).items()}, dtype=float
    )
    costs = []
    for model, rows in answered.groupby("model"):
        seconds = fits[[key.startswith(f"{model} ") for key in fits.index]]
        customers = rows["n_customers"].sum()
        costs.append(
            {
                "model": model,
                "fits_of_all": len(seconds),
                "seconds_a_fit": float(seconds.mean()) if len(seconds) else None,
                "evaluations": len(rows),
                "fit_us": 1e6 * float(rows["fit_seconds"].mean()),
                "predict_us": 1e6 * float(rows["predict_seconds"].mean()),
                "predict_ns_a_customer": 1e9 * float(rows["predict_seconds"].sum() / customers),
            }
        )
    return costs


def gains_of(run: se.Run) -> list[dict[str, Any]]:
    """Return an entry a (metric, global model, other model, class of size)."""
    table = run.comparisons
    table = table[(table["estimand"] == "equal_company") & table["metric"].isin(METRICS)]
    gains = []
    for row in table.to_dict("records"):
        a, b, sign = row["model_a"], row["model_b"], 1
        if a in AGAINST and b in GLOBAL:
            a, b, sign = b, a, -1
        if not (a in GLOBAL and b in AGAINST):
            continue
        ends = sorted([sign * row["ci_low"], sign * row["ci_high"]])
        gains.append(
            {
                "metric": row["metric"],
                "model": a,
                "against": b,
                "stratum": row["stratum"],
                "companies": row["n_companies"],
                "difference": sign * row["mean_difference"],
                "low": ends[0],
                "high": ends[1],
                "wins": int(row["wins"] if sign == 1 else row["losses"]),
                "losses": int(row["losses"] if sign == 1 else row["wins"]),
            }
        )
    return gains


def print_costs(costs: list[dict[str, Any]]) -> None:
    print(
        f"{'':32}{'fits of all':>12}{'seconds a fit':>14}{'evaluations':>12}{'fit us':>9}"
        f"{'predict us':>11}{'ns a customer':>14}"
    )
    for row in costs:
        a_fit = f"{row['seconds_a_fit']:.2f}" if row["seconds_a_fit"] is not None else ""
        print(
            f"{row['model']:32}{row['fits_of_all'] or '':>12}{a_fit:>14}{row['evaluations']:12,}"
            f"{row['fit_us']:9.1f}{row['predict_us']:11.1f}{row['predict_ns_a_customer']:14.0f}"
            f"{_remark(row)}"
        )
    print("fit us, predict us: an evaluation; the fit of a global model there is its reading")


def _remark(row: dict[str, Any]) -> str:
    why = WHY_NOT_COMPILED.get(row["model"], "")
    if row["fit_us"] + row["predict_us"] <= MOST_US:
        return ""
    return f"  above {MOST_US:.0f} us: {why or 'AND IT DOES NOT SAY WHY'}"


def print_gains(gains: list[dict[str, Any]]) -> None:
    for metric in METRICS:
        print(f"\n{metric}: the global model less the other, at the average company")
        print(
            f"{'':46}{'class of size':>26}{'companies':>10}{'difference':>11}{'95 % interval':>22}"
            f"{'wins':>7}{'losses':>7}"
        )
        for row in gains:
            if row["metric"] == metric:
                title = f"{row['model']} less {row['against']}"
                print(
                    f"{title:46}{row['stratum']:>26}{row['companies']:10,}{row['difference']:+11.4f}"
                    f"{row['low']:+11.4f}{row['high']:+11.4f}{row['wins']:7,}{row['losses']:7,}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="Otherwise synthetic companies are made.")
    parser.add_argument("--companies", type=int, default=2_000)
    args = parser.parse_args()
    confine_to_one_thread("benchmarks.global_models")
    with (
        dataset_of(args.dataset, args.companies) as dataset,
        tempfile.TemporaryDirectory() as t,
    ):
        run = se.evaluate(dataset, list(BUILT_IN), out=Path(t) / "run", last=LAST, progress=False)
        costs, gains = costs_of(run), gains_of(run)
        print(f"{machine_line()}\n{len(dataset.company_ids):,} companies, {LAST} cutoffs\n")
    print_costs(costs)
    print_gains(gains)
    print(keep("global_models", {"asked": vars(args), "costs": costs, "gains": gains}).name)


if __name__ == "__main__":
    main()
