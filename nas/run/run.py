"""A run from its start to its result: what surrounds the loop."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas._version import __version__
from nas.data import Cuts, Dataset
from nas.errors import InputError, RunError, SearchError
from nas.evaluation import Problem
from nas.evolution import Engine, Recipe, recipe
from nas.execution import Executor, SerialExecutor
from nas.export import save_network
from nas.genome import Genome
from nas.run.budget import Spent
from nas.run.comparison import compare
from nas.run.findings import Findings
from nas.run.interruption import Interruption
from nas.run.loop import run_search
from nas.run.preparation import prepare
from nas.run.result import SearchResult
from nas.run.selection import Selection, select
from nas.run.weights import Weights
from nas.run.winner import final_model
from nas.settings.search_settings import SearchSettings
from nas.space import CostModel, cost_model
from nas.tracking import Outcome, RunInfo, Tracker
from nas.tracking.address import is_database
from nas.tracking.archive import recorded_evaluations, to_global_ids
from nas.tracking.choice import Tracking
from nas.tracking.folder import RunFolder, differences
from nas.tracking.generations import GenerationLog
from nas.tracking.journal import Journal, Pair, Tail
from nas.tracking.lock import RunLock
from nas.tracking.shown import as_text, command

if TYPE_CHECKING:
    from nas.tracking.mlflow import MLflowTracker

_log = logging.getLogger(__name__)

EXAMPLE_ROWS = 5


class Run:
    """One run, new or resumed: starts what the loop needs, and makes the result of what it found.

    With `cuts` of its own, which no folder keeps, a run cannot be resumed.
    """

    def __init__(
        self,
        folder: RunFolder,
        dataset: Dataset,
        settings: SearchSettings,
        tracking: Tracking | None,
        run_id: str,
        *,
        progress: bool,
        draw: bool = True,
        journals: Sequence[Journal] = (),
        cuts: Cuts | None = None,
    ) -> None:
        self.folder, self.dataset, self.settings = folder, dataset, settings
        self.tracking, self.run_id, self.progress, self.journals = tracking, run_id, progress, journals
        self.draw = draw
        self.tails: list[Tail] = []
        self.lock: RunLock | None = None
        self.interruption = Interruption(self._say_how_to_go_on)
        # With cuts of its own there is no way.
        self._is_to_say_how = cuts is None
        overrides: dict[str, Any] = {"time_limit": settings.candidate_time_limit}
        if settings.epochs is not None:
            overrides["epochs"] = settings.epochs
        self.prepared = prepare(
            dataset, settings.seed, overrides, settings.scoring, cuts, settings.space.scaling
        )
        self.recipe = recipe(
            settings.algorithm,
            population_size=settings.population_size,
            objectives=settings.objectives,
            inherit=settings.inherit,
            halving=settings.halving,
            surrogate=settings.surrogate,
            batches_in_flight=settings.batches_in_flight,
        )

    def to_the_end(self) -> SearchResult:
        """Check, start, search, conclude."""
        problem = self.prepared.problem
        settings = self.settings
        settings.space.check_fits(len(problem.X_train), problem.n_inputs, problem.n_outputs)
        costs = cost_model(problem.n_inputs, problem.n_outputs)
        self._check_starts(costs)
        if problem.metric.note:
            _log.warning("%s", problem.metric.note)
        info = self._info()
        with self.interruption, ExitStack() as held, ExitStack() as stack:
            mlflow = self._connect()
            try:
                executor = stack.enter_context(_executor(problem, settings, self.interruption.requested))
                del problem
                self.prepared = replace(self.prepared, problem=executor.hold(self.prepared.problem))
                # What the executor holds is gone with it.
                stack.callback(vars(self).pop, "prepared")
                if mlflow is not None:
                    mlflow.wait_until_ready(self.interruption.check)
                self.interruption.check()
                trackers = self._trackers(mlflow)
                if self.lock is not None:
                    held.callback(self.lock.release)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    self._say_how_to_go_on()
                if mlflow is not None:
                    mlflow.close(at_once=isinstance(error, KeyboardInterrupt))
                raise
            return self._search(info, executor, trackers, mlflow)

    def _check_starts(self, costs: CostModel) -> None:
        """Raise `InputError` if limits leave nothing of the space, or not what it is to start with."""
        limits = self.settings.limits
        limits.smallest(self.settings.space, costs)
        for genome in self.settings.starts:
            if not limits.allow(costs(genome)):
                raise InputError(f"starts: expected genomes within the limits, got {genome}")

    @property
    def recorded(self) -> Sequence[Pair]:
        """What an earlier life of this search has evaluated, where it has one; of all islands."""
        if not self.journals:
            return ()
        return recorded_evaluations([journal.record.evaluations for journal in self.journals])

    def _search(
        self,
        info: RunInfo,
        executor: Executor,
        trackers: Sequence[Tracker],
        mlflow: MLflowTracker | None,
    ) -> SearchResult:
        outcome = Outcome("failed")
        _log.info("%s", as_text(self.dataset.summary()))
        try:
            for tracker in trackers:
                tracker.started(info)
            since = time.monotonic()
            found = self._evolve(info, executor, trackers)
            result = self._conclude(found, executor, time.monotonic() - since)
            self._is_to_say_how = False
            outcome = self._outcome(result)
            if mlflow is not None:
                mlflow.won(outcome)
            self._account_for(result)
        except KeyboardInterrupt:
            self._say_how_to_go_on()
            if mlflow is not None:
                mlflow.hurry()
            outcome = Outcome("interrupted")
            raise
        finally:
            # All else is kept: MLflow may take as long as it takes, or until it is interrupted.
            with self.interruption.raising():
                for tracker in trackers:
                    tracker.finished(outcome)
            for journal in self.journals:
                journal.close()
        if mlflow is None:
            return result
        return replace(result, tracking_uri=mlflow.uri, mlflow_run_id=mlflow.run_id, mlflow_url=mlflow.url)

    def _evolve(self, info: RunInfo, executor: Executor, trackers: Sequence[Tracker]) -> Findings:
        if self.settings.islands > 1:
            found = self._on_islands(info, executor, trackers)
        else:
            found = self._alone(executor, trackers)
        if found.why == "interrupted":
            if found.engine.best is None or found.is_behind:
                raise KeyboardInterrupt
            self._say_how_to_go_on()
            _log.warning("interrupted: keeping the best of %d candidates", found.spent.evaluations)
        return found

    def _alone(self, executor: Executor, trackers: Sequence[Tracker]) -> Findings:
        (journal,) = self.journals
        engine = self._engine(self.recipe)
        problem, weights = self.prepared.problem, Weights(self.folder.weights, run_id=self.run_id)
        recorded, interrupted = journal.record.evaluations, self.interruption.requested
        spent = Spent(self.settings.budget, len(recorded))
        why = run_search(engine, problem, executor, trackers, weights, spent, interrupted, recorded)
        generation = engine.generation()
        history = recorded.first(spent.evaluations)
        return Findings(
            why=why,
            is_behind=spent.is_behind,
            engine=engine,
            spent=spent,
            heredity=generation.heredity if generation is not None else (),
            history=history,
            evaluation=lambda i: history[i][1],
            state=weights.of,
        )

    def _on_islands(self, info: RunInfo, executor: Executor, trackers: Sequence[Tracker]) -> Findings:
        from nas.execution.ray import RayExecutor
        from nas.run.islands import Island, evolve

        assert isinstance(executor, RayExecutor), "settings with several islands have workers"
        settings, n = self.settings, self.settings.islands
        for journal in self.journals:
            journal.close()  # each island opens its own
        self.tails = [Tail(part.journal) for part in self.folder.parts]
        islands = [
            Island(
                i=i,
                n=n,
                folder=self.folder.island(i),
                info=replace(info, identity={**info.identity, "island": i}, pair=None),
                recipe=self.recipe,
                seed=settings.seed,
                limits=settings.limits,
                starts=settings.starts,
                budget=settings.budget.divided(n),
                n_known=len(self.journals[i].record.evaluations),
                since=time.monotonic(),
            )
            for i in range(n)
        ]
        # One that only compares: what it takes in has been trained, and says itself how good it is.
        merged = self._engine(replace(self.recipe, halving=False, surrogate="none"))
        interrupted = self.interruption.requested
        return evolve(islands, merged, self.prepared.problem, executor, trackers, self.tails, interrupted)

    def _engine(self, recipe: Recipe) -> Engine:
        problem, settings = self.prepared.problem, self.settings
        return recipe.engine(
            settings.space,
            settings.seed,
            epochs=problem.training.epochs,
            steps_per_epoch=problem.steps_per_epoch,
            costs=cost_model(problem.n_inputs, problem.n_outputs),
            limits=settings.limits,
            starts=settings.starts,
        )

    def _conclude(self, found: Findings, executor: Executor, seconds: float) -> SearchResult:
        """Name the winner, train it for good, score it once on the test part, and save it.

        Once interrupted, it trains nothing any more: the winner and its weights are the search's own.
        """
        if found.engine.best is None:
            n = found.spent.failures
            raise SearchError(
                f"search: expected at least one of {n} candidates to be trained, got none; "
                f"the first failure: {found.spent.first_failure}"
            )
        settings, prepared = self.settings, self.prepared
        selection = self._select(found.engine, executor)
        winner = found.engine.best if selection is None else selection.winner
        network = final_model(
            found,
            winner,
            selection,
            prepared,
            settings,
            run_name=self.folder.path.name,
            interrupted=self.interruption.requested,
        )
        test = compare(
            prepared,
            network,
            baseline=settings.baseline,
            seed=settings.seed,
            interruption=self.interruption,
        )
        scores = {"test_score": test.score, "baseline_test_score": test.baseline}
        # A scorer may have no number for the test rows; JSON has none for that.
        network.provenance.update(
            {key: value for key, value in scores.items() if value is not None and math.isfinite(value)}
        )
        front = [(one.candidate, found.evaluation(one.id)) for one in found.engine.front]
        return SearchResult(
            run_dir=self.folder.path,
            model_path=save_network(network, self.folder.best),
            task=self.dataset.task,
            metric=prepared.metric,
            best=winner.candidate,
            evaluation=found.evaluation(winner.id),
            network=network,
            selection=selection,
            front=front,
            test=test,
            history=found.history,
            n_candidates=found.spent.candidates,
            n_epochs=found.spent.epochs,
            n_failures=found.spent.failures,
            heredity=found.heredity,
            seconds=seconds,
            stopped="interrupted" if self.interruption.requested() else found.why,
            dropped=prepared.dropped,
        )

    def _say_how_to_go_on(self) -> None:
        """Say it once, as soon as there is something to go on with and until all is done."""
        if self.journals and self._is_to_say_how:
            self._is_to_say_how = False
            _log.warning("interrupted; to go on: %s", command("resume", self.folder.path))

    def _account_for(self, result: SearchResult) -> None:
        """Keep the result in the folder, and make the report; no search fails for want of a picture."""
        try:
            self.folder.keep_result(result.record(), self.run_id)
            if self.draw and not self.interruption.requested():
                from nas.reporting import report

                report(self.folder.path)
        except Exception as error:  # noqa: BLE001
            _log.warning("%s: no report, because: %s; the search is complete", self.folder.path, error)

    def _select(self, engine: Engine, executor: Executor) -> Selection | None:
        """The winner among the finalists; None if that was interrupted."""
        if self.interruption.requested():
            return None
        return select(
            engine,
            self.prepared,
            executor,
            self.settings.seed,
            self.settings.n_finalists,
            refit=self.settings.refit,
            should_stop=self.interruption.requested,
        )

    def _outcome(self, result: SearchResult) -> Outcome:
        scores = {
            "validation_score": result.evaluation.fitness,
            "test_score": result.test.score,
            "baseline_test_score": result.test.baseline,
            "best_n_parameters": result.evaluation.n_parameters,
            "rescored": result.selection.rescore.mean if result.selection else None,
            "selection_bias": result.selection.selection_bias if result.selection else None,
            "search_seconds": round(result.seconds, 3),
        }
        return Outcome(
            "interrupted" if result.stopped == "interrupted" else "finished",
            best=result.best,
            scores={
                key: value for key, value in scores.items() if value is not None and math.isfinite(value)
            },
            model_dir=result.model_path,
            example=self.dataset.table.iloc[self.prepared.shown[:EXAMPLE_ROWS]],
        )

    def _info(self) -> RunInfo:
        settings = self.settings
        identity = {
            "nas": __version__,
            "data": {key: value for key, value in self.dataset.describe().items() if key != "source"},
            "metric": self.prepared.metric,
            "space": settings.space.to_dict(),
            "recipe": self.recipe.to_dict(),
            "limits": settings.limits.to_dict(),
            "starts": [genome.to_dict() for genome in settings.starts],
            "seed": settings.seed,
            "islands": settings.islands,
            "training": asdict(self.prepared.problem.training),
        }
        if self.prepared.cuts is not None:
            identity["cuts"] = self.prepared.cuts.digest()
        return RunInfo(
            name=self.folder.path.name,
            run_id=self.run_id,
            run_dir=self.folder.path,
            space=settings.space,
            metric=self.prepared.metric,
            identity=identity,
            options={**settings.options, "source": self.dataset.source},
            n_candidates=settings.islands * settings.budget.divided(settings.islands).candidates,
            n_recorded=sum(journal.record.n_candidates for journal in self.journals),
            n_evaluated=len(self.recorded),
            time_budget=settings.time_budget,
            pair=self._pair,
        )

    def _pair(self, number: int) -> Pair:
        """A candidate that was told, and its evaluation, from the journal that it is in."""
        if not self.tails:
            return self.journals[0].record.evaluations[number]
        n = len(self.tails)
        number, island = divmod(number, n)
        return to_global_ids(self.tails[island].evaluations[number], island, n)

    def changes(self, recorded: Mapping[str, Any]) -> dict[str, str]:
        """What of this search is not as a journal has recorded it, by name, and in words."""
        # An island's journal also says which one it is of.
        before = {key: value for key, value in recorded.items() if key != "island"}
        return differences(before, self._info().identity) if recorded else {}

    def check_same(self, changes: Mapping[str, str]) -> None:
        """Raise `RunError` if there are changes."""
        if changes:
            raise RunError(
                f"{self.folder.path}: expected the search that its journal began with, got another: "
                f"{'; '.join(changes.values())}; with force (--force) it goes on all the same"
            )

    def allow_for_recorded(self, asked: int | None) -> None:
        """Let the search try as many candidates as its journals hold; `InputError` if fewer are asked for."""
        n = len(self.journals)
        most = n * max(journal.record.n_candidates for journal in self.journals)
        if most <= n * self.settings.budget.divided(n).candidates:
            return
        if asked is not None:
            raise InputError(
                f"n_candidates: expected at least the {most} that the run has tried, got {asked}"
            )
        self.settings = replace(self.settings, n_candidates=most)

    def within_limits(self, genomes: Iterable[Genome]) -> list[Genome]:
        """Those of the genomes that the space and the limits of this search allow."""
        problem, settings = self.prepared.problem, self.settings
        costs = cost_model(problem.n_inputs, problem.n_outputs)
        return [one for one in genomes if one in settings.space and settings.limits.allow(costs(one))]

    def _config(self) -> dict[str, Any]:
        dataset = self.dataset
        return {
            "run_id": self.run_id,
            "data": {"source": dataset.source, **dataset.arguments()},
            "settings": self.settings.to_dict(),
            "tracking": None if self.tracking is None else self.tracking.to_dict(),
        }

    def _connect(self) -> MLflowTracker | None:
        """Begin to connect to MLflow, while Ray starts and the search goes on."""
        if self.tracking is None:
            return None
        from nas.tracking.mlflow import MLflowTracker

        place = experiment(self.tracking.uri, self.folder, self.dataset.name)
        return MLflowTracker(*place, self.tracking.policy, self.tracking.register)

    def _trackers(self, mlflow: MLflowTracker | None) -> list[Tracker]:
        """The journal first: what MLflow or the screen shows is on disk already."""
        if not self.journals:
            self.lock = self.folder.create(self._config(), self.settings.islands)
            self.journals = [Journal(part.journal) for part in self.folder.parts]
        # Islands write their journals themselves.
        trackers: list[Tracker] = list(self.journals) if self.settings.islands == 1 else []
        trackers.append(GenerationLog())
        if self.progress:
            from nas.tracking.progress import ProgressDisplay

            trackers.append(ProgressDisplay(sys.stderr))
        return [*trackers, mlflow] if mlflow is not None else trackers


def experiment(uri: str, folder: RunFolder, data_name: str) -> tuple[str, str, Path | None]:
    """The store, the experiment's name in it, and where the artifacts of a new one go."""
    artifacts = folder.path.parent / "artifacts" if is_database(uri) else None
    return uri, as_text(f"nas-{data_name}"), artifacts


def _executor(problem: Problem, settings: SearchSettings, interrupted: Callable[[], bool]) -> Executor:
    if settings.workers == 0:
        return SerialExecutor()
    from nas.execution.ray import RayExecutor

    return RayExecutor(
        settings.workers,
        6 * problem.n_bytes,  # the problem of the search, and one for each fold at its end
        address=settings.ray_address,
        resources=settings.resources,
        interrupted=interrupted,
    )
