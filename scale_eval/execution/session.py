"""Do one call's work on a run: plan it, write refused rows, fit, evaluate what is missing."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.histograms import score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.unfit_model import UnfitModel, standing_in
from scale_eval.execution.coordinator import execute
from scale_eval.execution.global_fits import GlobalFitResult, is_pickled, recorded_fits
from scale_eval.execution.loading import loadable_models
from scale_eval.execution.progress import Progress
from scale_eval.execution.reduction import is_large
from scale_eval.execution.result_buffer import ResultBuffer
from scale_eval.execution.shipping import CANNOT_BE_SENT
from scale_eval.execution.tasks import RunContext, Task, TaskResult
from scale_eval.execution.trial import (
    DEPENDS_ON_ORDER,
    Findings,
    note_of_dependence,
    trial_of,
)
from scale_eval.execution.versions import require_same_versions
from scale_eval.models import NamedModel, Predictions
from scale_eval.models.identity.not_compared import without_comparison
from scale_eval.planning.batches import choose_granularity, make_batches
from scale_eval.planning.company_sample import Sample
from scale_eval.planning.completion import COLUMNS, Completion, completed
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.global_fits import GlobalFit, plan_global_fits
from scale_eval.planning.pilot import PILOT_COMPANIES, needs_pilot, pilot_evaluations
from scale_eval.planning.plan import Plan, disk_order, plan_run
from scale_eval.planning.refused import refused_rows
from scale_eval.planning.run_options import Execution
from scale_eval.planning.settings import Settings
from scale_eval.planning.shares import share_of
from scale_eval.printable import as_typed
from scale_eval.progress_bar import COMPILING
from scale_eval.results.damaged import DamagedPart
from scale_eval.results.directory import PLAN, RunDiffers, RunDirectory
from scale_eval.results.evaluation_parts import write_part
from scale_eval.results.fitted_files import pickle_file
from scale_eval.results.maintenance import (
    remove_repeats,
    remove_without_scores,
    set_aside_damaged,
)
from scale_eval.storage import write_tables

if TYPE_CHECKING:
    from distributed import Client


@dataclass
class Session:
    """A session works on a run whose directory this process has locked.

    Attributes
    ----------
    models : dict of NamedModel
        The models that this call evaluates; the run may have others.
    client : callable
        Returns the cluster's client; the cluster is started when it is first called.
    execution : Execution
        Options of this call. If they name a share, other calls do the rest of the plan.
    progress : Progress
        Shows what is done.
    own_fits : set of str
        Digests of the models of all companies that this session fitted itself.
    has_cluster : bool
        Whether this session has connected to its cluster.
    """

    directory: RunDirectory
    dataset: Dataset
    settings: Settings
    models: dict[str, NamedModel]
    client: Callable[[], Client]
    execution: Execution
    progress: Progress
    own_fits: set[str] = field(default_factory=set)
    has_cluster: bool = False

    def evaluate(self, sample: Sample | None) -> Plan:
        """Evaluate what is missing, of all companies or a sample of them, and return the plan.

        In a share of a run, that is the plan of the share.
        """
        directory = self.directory
        costs = Costs.from_document(directory.document.get("costs", {}))
        plan = self._plan(sample, costs)
        while (completion := self._completion(plan)) is None:
            pass
        self._write_refused(plan, completion)
        todo = completion.todo(plan, self.models, retry=self.execution.retry)
        directory.record(n_evaluations=plan.n_evaluations, n_missing=completion.n_missing)
        if todo.any():
            self._warn_of_predictions(plan)
            self._say_what_is_not_compared()
            with (
                ResultBuffer(directory.store) as buffer,
                trial_of(self._context({}), plan, todo, self.execution.timeout_seconds) as findings,
            ):
                self._connect()
                tasks = _Tasks(self, plan, buffer, findings)
                tasks.fit(todo)
                tasks.evaluate(todo, completion.attempts, costs)
        return plan

    def _say_what_is_not_compared(self) -> None:
        """Say which values models and metrics use whose change no later run would notice."""
        metrics = self.directory.document.get("settings", {}).get("metrics", {})
        for name, model in self.models.items():
            remedy = f"add --replace {as_typed(name)}"
            self._say_not_compared(f"model {name!r}", model.identity, remedy)
        for name, identity in metrics.items():
            self._say_not_compared(f"metric {name!r}", identity, "write to another place")

    def _say_not_compared(self, name: str, identity: Mapping[str, Any], remedy: str) -> None:
        if values := without_comparison(identity):
            self.progress.say(
                f"The {name} uses what cannot be compared with a later run: {', '.join(values)}. "
                f"If its content changes, {remedy}."
            )

    def _warn_of_predictions(self, plan: Plan) -> None:
        """Say which files of predictions have none for any planned window, and what they have."""
        for name, model in self.models.items():
            if isinstance(model.prototype, Predictions):
                windows = (
                    (
                        plan.company_ids[plan.windows.company[i]],
                        from_microseconds(int(plan.windows.cutoff[i])),
                    )
                    for i in np.flatnonzero(plan.is_planned)
                )
                if message := model.prototype.without_match(windows):
                    self.progress.warn(f"{name} has no prediction for any window: {message}")

    def set_aside_damaged(self, found: DamagedPart | None = None) -> None:
        """Set aside the damaged files of the run, among them one that was `found`, and say so."""
        directory = self.directory
        files = set_aside_damaged(directory.store, directory.schema, found)
        for file in files:
            self.progress.say(
                f"{file.path} cannot be read ({file.why}): it is now {file.name}.damaged, and "
                "what it held is evaluated anew"
            )
        if files:
            before = directory.document.get("set_aside", [])
            directory.record(set_aside=[*before, *(file.name for file in files)])

    def complete(self, sample: Sample | None, plan: Plan) -> None:
        """Evaluate again what removed parts held, and record how complete the run is."""
        store = self.directory.store
        while (self._holds_run and remove_without_scores(store)) or (
            completion := self._completion(plan)
        ) is None:
            plan = self.evaluate(sample)
        self.directory.record(
            plan_hash=plan.digest(),
            n_missing=completion.n_missing,
            missing_by_model=completion.missing_by_model(plan),
            n_failed=int(completion.failed.sum()),
        )

    def client_to_reduce(self) -> Client | None:
        """Return the client of the cluster that makes the tables; None where this process does.

        Jobs of Slurm that nothing had to be evaluated on are not started for it.
        """
        if not is_large(self.directory):
            return None
        if not self.has_cluster:
            if self.execution.cluster != "local":
                return None
            self._connect()
        return self.client()

    def _plan(self, sample: Sample | None, costs: Costs) -> Plan:
        names = list(self.directory.document["models"])
        plan = plan_run(self.dataset, names, self.settings, sample)
        share = self.execution.parsed_share
        if share is not None:
            return share_of(plan, self.dataset, share)
        write_tables(self.directory.store, PLAN, plan.parts(costs))
        return plan

    @property
    def _holds_run(self) -> bool:
        """Return whether parts may be removed; where this is a share, others are writing some."""
        return self.execution.share is None

    def _completion(self, plan: Plan) -> Completion | None:
        """Return what is done; None if repeated parts were removed, so that it has changed."""
        completion = completed(plan, self.directory.evaluation_parts(COLUMNS))
        if completion.n_repeated and self._holds_run and remove_repeats(self.directory.store):
            return None
        return completion

    def _write_refused(self, plan: Plan, completion: Completion) -> None:
        missing = (completion.attempts == 0) & ~plan.is_planned[:, None]
        for rows in refused_rows(plan, missing, self.directory.user_metrics):
            write_part(self.directory.store, rows.table(), score_table([]))
        completion.attempts[missing] = 1

    def _context(self, fitted: Mapping[str, GlobalFitResult]) -> RunContext:
        return RunContext(
            self.dataset,
            self.models,
            self.settings.rules,
            self.directory.store,
            self.execution.save_predictions,
            fitted,
        )

    def _connect(self) -> None:
        """Start or join the cluster; raise `VersionsDiffer` where it has other packages."""
        is_local = self.execution.cluster == "local"
        self.progress.stage("starting workers" if is_local else "connecting to the cluster")
        if not self.client().nthreads():
            self.progress.stage("waiting for a worker to join the cluster")
        require_same_versions(self.client())
        self.has_cluster = True


class _Tasks:
    """Do the fits and evaluations of one session on the cluster."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        buffer: ResultBuffer,
        findings: Callable[[], dict[str, Findings]],
    ) -> None:
        self._session, self._plan, self._buffer = session, plan, buffer
        self._progress = session.progress
        directory = session.directory
        self._recorded = directory.document.get("fitted", {})
        self._fitted = recorded_fits(
            self._recorded,
            directory.store,
            retry=session.execution.retry,
            is_trusted=self._is_trusted,
        )
        self._context = session._context(self._fitted)
        self._leave_out_unfit(findings())

    def _leave_out_unfit(self, findings: Mapping[str, Findings]) -> None:
        """Put stand-ins in the place of models that a run cannot evaluate; say what was found."""
        directory, execution = self._session.directory, self._session.execution
        seconds, models = execution.timeout_seconds, self._context.models
        read = {name: each.files for name, each in findings.items() if each.files}
        if read:
            directory.record_read_files(read)
        for name, each in findings.items():
            if each.is_random:
                self._progress.warn(
                    f"The model {name!r} is random: it predicts something else each time, so that "
                    "none of its figures can be repeated. Draw from a generator made of "
                    "self.random_state, which is set before fit."
                )
            if each.is_untried:
                self._progress.say(
                    f"Whether the model {name!r} depends on what was evaluated before could not be "
                    "tried: it is slow, writes a file, or its process ended."
                )
            if each.depends:
                note = note_of_dependence(each)
                models = {**models, name: standing_in(models[name], DEPENDS_ON_ORDER, note)}
            if each.cannot_load:
                note = f"a process that loads it ends, or needs more than {seconds:g} s for it"
                models = {**models, name: standing_in(models[name], CANNOT_BE_SENT, note)}
        context = replace(self._context, models=models)
        models = loadable_models(self._session.client(), context, seconds)
        self._context = replace(context, models=models)
        for name, model in models.items():
            if isinstance(model.prototype, UnfitModel):
                self._progress.say(f"The model {name!r} is not evaluated: {model.prototype.note}.")

    def fit(self, todo: np.ndarray) -> None:
        """Fit the models of all companies that the evaluations to do need."""
        session, models = self._session, self._context.models
        fits = plan_global_fits(
            self._plan, todo, models, self._fitted, session.dataset, session.settings.seed
        )
        if fits:
            self._say_untrusted(fits)
            label = f"fitting {len(fits)} models of all companies"
            self._execute(fits, functools.partial(self._progress.stage, label))

    def _is_trusted(self, digest: str) -> bool:
        return self._session.execution.trust or digest in self._session.own_fits

    def _say_untrusted(self, fits: Iterable[GlobalFit]) -> None:
        """Say which fits are done again because those of earlier sessions are pickles."""
        digests = [self._recorded[fit.key][0] for fit in fits if fit.key in self._recorded]
        store = self._session.directory.store
        n = sum(store.exists(pickle_file(digest)) for digest in filter(None, digests))
        if n and not self._session.execution.trust:
            them = "A fitted model" if n == 1 else f"{n} fitted models"
            self._progress.say(
                f"{them} of an earlier session {'is' if n == 1 else 'are'} fitted anew: reading a "
                f"pickle runs its code. If you trust all who can write to {store.root}, read them "
                "with --trust (trust=True)."
            )

    def _record_fits(self, fitted: Mapping[str, GlobalFitResult]) -> None:
        """Record fits of this session, and use those of another share where it was first.

        Raises `RunDiffers` where that would be to read a pickle that nobody trusts.
        """
        session = self._session
        session.own_fits.update(fit.digest for fit in fitted.values())
        if session.execution.share is not None:
            self._require_same_fits(fitted, self._recorded)
        valid = session.directory.record_fits(fitted)
        self._require_same_fits(fitted, valid)
        self._fitted.update({key: GlobalFitResult(*fit) for key, fit in valid.items()})

    def _require_same_fits(
        self, fitted: Mapping[str, GlobalFitResult], others: Mapping[str, Sequence[Any]]
    ) -> None:
        store = self._session.directory.store
        for key in fitted:
            digest = GlobalFitResult(*others[key]).digest if key in others else ""
            if digest and is_pickled(store, digest) and not self._is_trusted(digest):
                raise RunDiffers(
                    f"the fit of {key} is not the one that another share of {store.root} uses, "
                    "and reading that runs its code. If you trust all who can write there, add "
                    "--trust (trust=True)"
                )

    def evaluate(self, todo: np.ndarray, attempts: np.ndarray, costs: Costs) -> None:
        """Do the evaluations; do a pilot first if batches need costs that are unknown."""
        session, plan = self._session, self._plan
        disk = disk_order(plan, session.dataset)
        n_todo = int(todo.sum())
        done = plan.n_planned - n_todo

        def begin() -> None:
            self._progress.evaluate(plan.n_planned, already=done)

        if needs_pilot(session.models, costs, n_todo, session.execution.granularity):
            pilot = pilot_evaluations(plan, todo)
            batches = make_batches(plan, todo & pilot, attempts, costs, "company", disk)
            results = self._execute(batches, begin)
            costs = costs.updated(EvaluationRows.concatenated([result.rows for result in results]))
            session.directory.record(costs=costs.document())
            todo = todo & ~pilot
        n_companies = len(np.unique(plan.windows.company[todo.any(axis=1)]))
        if session.execution.share is not None:  # files hold those of other shares too
            n_companies = len(plan.company_ids)
        seconds = float(plan.costs(costs)[todo.any(axis=1)].sum())
        granularity = choose_granularity(
            session.execution.granularity, n_todo, n_companies, seconds
        )
        self._progress.expect(seconds)
        self._execute(make_batches(plan, todo, attempts, costs, granularity, disk), begin)

    def _execute(self, tasks: Iterable[Task], begin: Callable[[], object]) -> list[TaskResult]:
        """Do the tasks, write their results, and return the first of them.

        `begin` is called when the workers are prepared, which includes compiling.
        """
        session, progress = self._session, self._progress
        first: list[TaskResult] = []
        progress.prepare()
        results = execute(
            session.client(),
            tasks,
            self._context,
            timeout=session.execution.timeout_seconds,
            on_compiling=functools.partial(progress.rename, COMPILING),
        )
        with contextlib.closing(results):
            for i, result in enumerate(results):
                if i == 0:
                    begin()
                if result is not None:
                    self._buffer.add(result)
                    self._progress.update(result.statuses, result.cost)
                    if result.fitted:
                        self._record_fits(result.fitted)
                    if len(first) < PILOT_COMPANIES:
                        first.append(result)
                self._buffer.write_if_due()
        return first
