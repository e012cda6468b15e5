"""Preview a run: its windows, what is refused, and what it would cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from scale_eval.datasets import Dataset, open_dataset
from scale_eval.execution import CPU_COUNT
from scale_eval.html_repr import SHOWN_ROWS, facts_and_table, first_rows
from scale_eval.models import NamedModel
from scale_eval.models.built_in import DEFAULT_MODELS
from scale_eval.models.registry import named_models
from scale_eval.planning.company_sample import SamplingFrame
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.plan import Plan, plan_run
from scale_eval.planning.power import power_table
from scale_eval.planning.run_estimate import RunEstimate, estimate, time_models
from scale_eval.planning.run_options import Execution, Reduction, Sampling, run_options
from scale_eval.planning.settings import Settings
from scale_eval.planning.shares import share_of
from scale_eval.results.directory import open_run_directory

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Preview:
    """A preview says what a run would do and refuse; get one from `preview`.

    Attributes
    ----------
    plan : Plan
        The plan of the whole run, also where only a share of it would be done.
    dataset : Dataset
    models : dict of NamedModel
    settings : Settings
    execution : Execution
    power : DataFrame or None
        How many companies settle which model is better, and how probably the run does, by an
        earlier run; see `scale_eval.planning.power.power_table`. None without an earlier run.
    """

    plan: Plan
    dataset: Dataset
    models: dict[str, NamedModel]
    settings: Settings
    execution: Execution = field(default_factory=Execution)
    power: pd.DataFrame | None = None

    def __repr__(self) -> str:
        n, refused = self.plan.n_planned, self.plan.n_refused
        return f"Preview({n:,} evaluations of {len(self.models)} models; {refused:,} refused)"

    def _repr_html_(self) -> str:
        """Return what would be done, and the windows of the first companies."""
        plan, n = self.plan, len(self.plan.company_ids)
        facts = [
            f"{plan.n_planned:,} evaluations of {len(self.models)} models "
            f"({', '.join(self.models)})",
            f"{n:,} companies",
            f"{plan.n_refused:,} refused",
        ]
        rows = []
        for company_id, mine in plan.frame(SHOWN_ROWS).groupby("company_id", sort=True):
            used, refused = (
                mine[(mine["status"] == "planned") == is_used] for is_used in (True, False)
            )
            cutoffs = sorted({f"{cutoff:%Y-%m-%d}" for cutoff in used["cutoff"]})
            rows.append(
                {
                    "company": company_id,
                    "windows": len(used),
                    "cutoffs": " to ".join(dict.fromkeys([*cutoffs[:1], *cutoffs[-1:]])),
                    "refused": len(refused),
                    "why": ", ".join(sorted(set(refused["reason"]))),
                }
            )
        return facts_and_table(
            "Preview", facts, pd.DataFrame(rows), first_rows(len(rows), n, "companies")
        )

    @property
    def windows(self) -> pd.DataFrame:
        """Return one row per (company, window): ``planned``, or ``skipped`` with a reason."""
        return self.plan.frame()

    @property
    def workers(self) -> int:
        """Return the number of workers of the run: by default one per core of this machine."""
        return self.execution.workers or CPU_COUNT

    @property
    def share_plan(self) -> Plan:
        """Return the plan of the share that would be done, or of the whole run."""
        share = self.execution.parsed_share
        return self.plan if share is None else share_of(self.plan, self.dataset, share)

    def estimate(
        self,
        workers: int | None = None,
        *,
        guess: bool = False,
        on_compiling: Callable[[], object] = lambda: None,
    ) -> RunEstimate:
        """Estimate time, memory and tasks on `workers`, by default those of the run.

        Unless `guess` is set, the models are first timed on a few companies of all sizes, in a
        separate process, and `on_compiling` is called if that compiles the numerical code, which
        takes a minute.
        """
        costs = Costs()
        if not guess:
            rules = self.settings.rules
            costs = time_models(self.plan, self.dataset, self.models, rules, on_compiling)
        granularity = self.execution.granularity
        return estimate(self.plan, self.dataset, costs, workers or self.workers, granularity)

    def plot_windows(self) -> Figure:
        """Plot each company's data and windows over time."""
        from scale_eval.report.timeline import timeline

        return timeline(self.plan)

    def plot_purchases(self) -> Figure:
        """Plot purchases a month: first ones, and those of earlier customers; largest companies.

        Raises `ValueError` where there are none.
        """
        from scale_eval.report.purchases import purchases_by_month

        return purchases_by_month(self.dataset, self.settings.purchase_rule)

    def plot_habits(self) -> Figure:
        """Plot how often customers buy, how soon again, and for how much; largest companies.

        Raises `ValueError` where there are no purchases.
        """
        from scale_eval.report.purchases import purchase_habits

        return purchase_habits(self.dataset, self.settings.purchase_rule)


def preview(
    dataset: Dataset | str | os.PathLike[str],
    models: Sequence[Any] = DEFAULT_MODELS,
    *,
    settings: Settings | None = None,
    sampling: Sampling | None = None,
    execution: Execution | None = None,
    reduction: Reduction | None = None,
    power: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Preview:
    """Preview what `evaluate` would do with the same options; no transaction is read.

    With `power`, the place of a finished run (of a sample, say) of this dataset or another one, it
    also says how many companies settle which model is better, and how probably this run does.

    Raises `ValueError` and `FileNotFoundError` as `evaluate` does, and where the run `power` is not
    finished, has one model, or too few companies.
    """
    chosen = run_options(
        options, settings=settings, sampling=sampling, execution=execution, reduction=reduction
    )
    dataset = open_dataset(dataset)
    named = named_models(models)
    sample = None
    if chosen.sampling.sample is not None:
        frame = SamplingFrame(dataset.manifest_table, chosen.settings.seed)
        sample = frame.sample(chosen.sampling.sample)
    plan = plan_run(dataset, list(named), chosen.settings, sample)
    seen = None
    if power is not None:
        seen = power_table(
            open_run_directory(power),
            plan,
            dataset,
            seed=chosen.settings.seed,
            sampled=sample is not None,
        )
    return Preview(plan, dataset, named, chosen.settings, chosen.execution, seen)
