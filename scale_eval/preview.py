"""A run before it is made: its windows, what is refused, what it would take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from scale_eval.datasets import Dataset, open_dataset
from scale_eval.execution import CPU_COUNT
from scale_eval.models import NamedModel
from scale_eval.models.registry import DEFAULT_MODELS, named_models
from scale_eval.planning.company_sample import SamplingFrame
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.plan import Plan, plan_run
from scale_eval.planning.run_estimate import RunEstimate, estimate, tried
from scale_eval.planning.settings import Settings, settings_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Preview:
    """What a run would do and refuse; get one from `preview`.

    Attributes
    ----------
    plan : Plan
    dataset : Dataset
    models : dict of NamedModel
    settings : Settings
    """

    plan: Plan
    dataset: Dataset
    models: dict[str, NamedModel]
    settings: Settings

    def __repr__(self) -> str:
        n, refused = self.plan.n_planned, self.plan.n_refused
        return f"Preview({n:,} evaluations of {len(self.models)} models; {refused:,} refused)"

    @property
    def windows(self) -> pd.DataFrame:
        """One row a (company, window): `status` is ``planned``, or ``skipped`` with the reason."""
        return self.plan.frame()

    def estimate(self, workers: int | None = None, *, guess: bool = False) -> RunEstimate:
        """Time, memory and tasks on so many workers, one a core of this machine if not said.

        Models are tried on a few companies of all sizes first, in a process apart, unless `guess`.
        """
        costs = Costs()
        if not guess:
            costs = tried(self.plan, self.dataset, self.models, self.settings.rules)
        return estimate(self.plan, self.dataset, costs, workers or CPU_COUNT)

    def plot_windows(self) -> Figure:
        """Each company's data on the time line, and the windows that are asked for."""
        from scale_eval.report.timeline import timeline

        return timeline(self.plan)


def preview(
    dataset: Dataset | str | os.PathLike[str],
    models: Sequence[Any] = DEFAULT_MODELS,
    *,
    settings: Settings | None = None,
    sample: int | None = None,
    **choices: Any,
) -> Preview:
    """What `evaluate` would do with the same arguments; no transaction is read.

    Raises `ValueError` and `FileNotFoundError` as `evaluate` does.
    """
    settings = settings_of(settings, choices)
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    named = named_models(models)
    drawn = None
    if sample is not None:
        drawn = SamplingFrame(dataset.manifest_table, settings.seed).sample(sample)
    return Preview(plan_run(dataset, list(named), settings, drawn), dataset, named, settings)
