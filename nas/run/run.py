"""A run from its start to its result: what surrounds the loop."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from nas._version import __version__
from nas.data import Dataset
from nas.errors import InputError, RunError, SearchError
from nas.evaluation import Problem
from nas.evolution import Individual, recipe
from nas.execution import Executor, SerialExecutor
from nas.export import save_network
from nas.genome import Genome
from nas.run.budget import Spent
from nas.run.comparison import compare
from nas.run.folder import RunFolder, differences
from nas.run.interruption import Interruption
from nas.run.loop import run_search
from nas.run.preparation import final_network, prepare
from nas.run.result import SearchResult
from nas.run.selection import Selection, select
from nas.run.settings import SearchSettings
from nas.run.weights import Weights
from nas.space import CostModel, cost_model
from nas.tracking import Outcome, RunInfo, Tracker
from nas.tracking.journal import Journal, Pair

if TYPE_CHECKING:
    from nas.tracking.mlflow import MLflowTracker

_log = logging.getLogger(__name__)

_EXAMPLE_ROWS = 5


class Run:
    """One run, new or resumed: starts what the loop needs, and makes the result of what it found."""

    def __init__(
        self,
        folder: RunFolder,
        dataset: Dataset,
        settings: SearchSettings,
        uri: str | None,
        run_id: str,
        *,
        progress: bool,
        journal: Journal | None = None,
    ) -> None:
        self.folder, self.dataset, self.settings = folder, dataset, settings
        self.uri, self.run_id, self.progress, self.journal = uri, run_id, progress, journal
        self.interruption = Interruption()
        overrides: dict[str, Any] = {"time_limit": settings.candidate_time_limit}
        if settings.epochs is not None:
            overrides["epochs"] = settings.epochs
        self.prepared = prepare(dataset, settings.seed, overrides, settings.scoring)
        self.recipe = recipe(
            settings.algorithm,
            population_size=settings.population_size,
            objectives=settings.objectives,
            inherit=settings.inherit,
            racing=settings.racing,
            screening=settings.screening,
            lag=settings.lag,
        )

    def to_the_end(self) -> SearchResult:
        """Check, start, search, conclude."""
        problem = self.prepared.problem
        settings = self.settings
        settings.space.check_fits(len(problem.X_train), problem.n_inputs, problem.n_outputs)
        costs = cost_model(problem.n_inputs, problem.n_outputs)
        self._check_starts(costs)
        self.engine = self.recipe.engine(
            settings.space,
            settings.seed,
            epochs=problem.training.epochs,
            steps_per_epoch=problem.steps_per_epoch,
            costs=costs,
            limits=settings.limits,
            starts=settings.starts,
        )
        info = self._info()
        with ExitStack() as stack:
            mlflow = self._connect()
            try:
                executor = stack.enter_context(_executor(problem, settings))
                if mlflow is not None:
                    mlflow.wait_until_ready()
                trackers = self._trackers(mlflow)
            except BaseException:
                if mlflow is not None:
                    mlflow.close()
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
    def _recorded(self) -> Sequence[Pair]:
        """What the journal holds: until the search starts, what an earlier life of it has evaluated."""
        return self.journal.record.evaluations if self.journal else ()

    def _search(
        self,
        info: RunInfo,
        executor: Executor,
        trackers: Sequence[Tracker],
        mlflow: MLflowTracker | None,
    ) -> SearchResult:
        outcome = Outcome("failed")
        try:
            with self.interruption:
                for tracker in trackers:
                    tracker.started(info)
                since = time.monotonic()
                stopped = self._loop(executor, trackers)
                result = self._conclude(executor, stopped, time.monotonic() - since)
                outcome = self._outcome(result)
        except KeyboardInterrupt:
            _log.warning("interrupted: 'nas resume %s' goes on", self.folder.path)
            outcome = Outcome("interrupted")
            raise
        finally:
            for tracker in trackers:
                tracker.finished(outcome)
        if mlflow is None:
            return result
        return replace(result, tracking_uri=mlflow.uri, mlflow_run_id=mlflow.run_id, mlflow_url=mlflow.url)

    def _loop(self, executor: Executor, trackers: Sequence[Tracker]) -> str:
        self.spent = Spent(self.settings.budget)
        stopped = run_search(
            self.engine,
            self.prepared.problem,
            executor,
            trackers,
            self._weights,
            self.spent,
            self.interruption,
            self._recorded,
        )
        if stopped == "interrupted":
            if self.engine.best is None:
                raise KeyboardInterrupt
            _log.warning("interrupted: keeping the best of %d candidates", self.spent.evaluations)
        return stopped

    @property
    def _weights(self) -> Weights:
        return Weights(self.folder.weights)

    def _conclude(self, executor: Executor, stopped: str, seconds: float) -> SearchResult:
        """Name the winner, train it for good, score it once on the test part, and save it.

        Once interrupted, it trains nothing any more: the winner and its weights are the search's own.
        """
        if self.engine.best is None:
            raise SearchError(self._why_none())
        settings, prepared = self.settings, self.prepared
        selection = self._select(executor)
        winner = self.engine.best if selection is None else selection.winner
        network = final_network(
            prepared,
            winner.candidate,
            epochs=self._refit_epochs(winner, selection),
            state=self._weights.of(winner.id),
            provenance=self._provenance(winner),
            should_stop=self.interruption.requested,
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
        if self.interruption.requested() and stopped != "interrupted":
            _log.warning("interrupted: 'nas resume %s' does what is left to do", self.folder.path)
        generation = self.engine.generation()
        assert self.journal is not None, "the search has written it"
        history = self.journal.record.evaluations.first(self.spent.evaluations)
        return SearchResult(
            run_dir=self.folder.path,
            model_path=save_network(network, self.folder.best),
            task=self.dataset.task,
            metric=prepared.metric,
            best=winner.candidate,
            evaluation=history[winner.id][1],
            network=network,
            selection=selection,
            front=[history[one.id] for one in self.engine.front],
            test=test,
            history=history,
            n_candidates=self.spent.candidates,
            n_epochs=self.spent.epochs,
            n_failures=self.spent.failures,
            heredity=generation.heredity if generation is not None else (),
            seconds=seconds,
            stopped="interrupted" if self.interruption.requested() else stopped,
            dropped=prepared.dropped,
        )

    def _select(self, executor: Executor) -> Selection | None:
        """The winner among the finalists; None if that was interrupted."""
        if self.interruption.requested():
            return None
        return select(
            self.engine,
            self.prepared,
            executor,
            self.settings.seed,
            self.settings.n_finalists,
            refit=self.settings.refit,
            should_stop=self.interruption.requested,
        )

    def _refit_epochs(self, winner: Individual, selection: Selection | None) -> int | None:
        """After how many epochs the winner was best; None where it keeps the search's weights."""
        if not self.settings.refit or selection is None:
            return None
        # Weights that were inherited have been trained for longer than the winner itself.
        return selection.rescore.epochs if selection.rescore.scores else winner.age

    def _why_none(self) -> str:
        return (
            f"search: expected at least one of {self.spent.failures} candidates to be trained, got none; "
            f"the first failure: {self.spent.first_failure}"
        )

    def _outcome(self, result: SearchResult) -> Outcome:
        scores = {
            "validation_score": result.evaluation.fitness,
            "test_score": result.test.score,
            "baseline_test_score": result.test.baseline,
            "best_n_parameters": result.evaluation.n_parameters,
            "rescored": result.selection.rescore.mean if result.selection else None,
            "optimism": result.selection.optimism if result.selection else None,
            "search_seconds": result.seconds,
        }
        return Outcome(
            "interrupted" if result.stopped == "interrupted" else "finished",
            best=result.best,
            scores={
                key: value for key, value in scores.items() if value is not None and math.isfinite(value)
            },
            model_dir=result.model_path,
            example=self.dataset.table.iloc[self.prepared.split.test[:_EXAMPLE_ROWS]],
        )

    def _info(self) -> RunInfo:
        settings = self.settings
        identity = {
            "nas": __version__,
            "data": {key: value for key, value in self.dataset.describe().items() if key != "source"},
            "metric": self.prepared.metric,
            "space": settings.space.to_dict(),
            "recipe": asdict(self.recipe) | {"objectives": list(self.recipe.objectives)},
            "limits": settings.limits.to_dict(),
            "starts": [genome.to_dict() for genome in settings.starts],
            "seed": settings.seed,
            "training": asdict(self.prepared.problem.training),
        }
        options = {
            "algorithm": settings.algorithm,
            **{f"budget.{key}": value for key, value in asdict(settings.budget).items()},
            "n_workers": settings.workers,
            "ray_address": settings.ray_address,
            "n_finalists": settings.n_finalists,
            "refit": settings.refit,
            "source": self.dataset.source,
        }
        return RunInfo(
            name=self.folder.path.name,
            run_id=self.run_id,
            run_dir=self.folder.path,
            space=settings.space,
            metric=self.prepared.metric,
            identity=identity,
            options=options,
            n_candidates=settings.n_candidates,
            n_recorded=sum(candidate.epochs_done == 0 for candidate, _ in self._recorded),
            time_budget=settings.time_budget,
        )

    def _provenance(self, winner: Individual) -> dict[str, Any]:
        """Where the winner comes from, for whoever finds the saved network alone."""
        import numpy as np

        return {
            "run": self.folder.path.name,
            "data": self.dataset.describe(),
            "seed": self.settings.seed,
            "candidate": winner.candidate.to_dict(),
            "best_epoch": winner.evaluation.best_epoch,
            "metric": self.prepared.metric,
            "validation_score": winner.evaluation.fitness,
            "versions": {"nas": __version__, "numpy": np.__version__, "python": sys.version.split()[0]},
        }

    def changes(self, recorded: Mapping[str, Any]) -> dict[str, str]:
        """What of this search is not as a journal has recorded it, by name, and in words."""
        return differences(recorded, self._info().identity) if recorded else {}

    def check_same(self, recorded: Mapping[str, Any]) -> None:
        """Raise `RunError` if this is not the search whose identity a journal has recorded."""
        if changes := self.changes(recorded):
            raise RunError(
                f"{self.folder.path}: expected the search that its journal began with, got another: "
                f"{'; '.join(changes.values())}; with force (--force) it goes on all the same"
            )

    def within_limits(self, genomes: Iterable[Genome]) -> list[Genome]:
        """Those of the genomes that the space and the limits of this search allow."""
        problem, settings = self.prepared.problem, self.settings
        costs = cost_model(problem.n_inputs, problem.n_outputs)
        return [one for one in genomes if one in settings.space and settings.limits.allow(costs(one))]

    def _config(self) -> dict[str, Any]:
        dataset = self.dataset
        return {
            "run_id": self.run_id,
            "data": {
                "source": dataset.source,
                "target": list(dataset.target_names),
                "task": dataset.task,
                "categorical": list(dataset.categorical),
            },
            "settings": self.settings.to_dict(),
            "tracking_uri": self.uri,
        }

    def _connect(self) -> MLflowTracker | None:
        """Begin to connect to MLflow, while Ray starts."""
        if self.uri is None:
            return None
        from nas.tracking.mlflow import MLflowTracker

        artifacts = self.folder.path.parent / "artifacts" if self.uri.startswith("sqlite:") else None
        return MLflowTracker(self.uri, f"nas-{self.dataset.name}", artifacts)

    def _trackers(self, mlflow: MLflowTracker | None) -> list[Tracker]:
        """The journal first: what MLflow or the screen shows is on disk already."""
        if self.journal is None:
            self.folder.create(self._config())
            self.journal = Journal(self.folder.journal)
        trackers: list[Tracker] = [self.journal]
        if self.progress:
            from nas.tracking.progress import ProgressDisplay

            trackers.append(ProgressDisplay(sys.stderr))
        return [*trackers, mlflow] if mlflow is not None else trackers


def _executor(problem: Problem, settings: SearchSettings) -> Executor:
    if settings.workers == 0:
        return SerialExecutor()
    from nas.execution.ray import RayExecutor

    return RayExecutor(
        settings.workers,
        6 * problem.n_bytes,  # the problem of the search, and one for each fold at its end
        address=settings.ray_address,
        resources=settings.resources,
    )
