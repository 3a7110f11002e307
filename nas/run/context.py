"""The context of a search: everything that its phases need, decided before anything is started."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nas._version import __version__
from nas.data import Cuts, Dataset, table_cuts
from nas.evolution import Engine, Recipe, recipe
from nas.execution import Executor
from nas.run.callbacks import Callback, check_callbacks
from nas.run.deadline import Deadline, command_start
from nas.run.preparation import Prepared, prepare
from nas.run.suitable_space import suitable, with_starts
from nas.settings.search_settings import SearchSettings
from nas.space import CostModel, cost_model, encodings_of
from nas.tracking import Tracker
from nas.tracking.choice import Tracking
from nas.tracking.folder import RunFolder
from nas.tracking.journal import Journal, Pair
from nas.tracking.parts import recorded_evaluations

if TYPE_CHECKING:
    from nas.tracking.progress import ProgressDisplay

_log = logging.getLogger(__name__)


class PreparedData:
    """The prepared data of a search, of which one copy is in memory at any time.

    The arrays are as large as the table. While an executor holds them in the memory that its workers share, a
    reference to the originals, in whatever frame, would double that; and after the executor has ended, its
    memory must not be read any more. So a context refers to this object, which changes its content: the
    originals are replaced by the held arrays, and these are dropped before the executor ends.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared: Prepared | None = prepared

    def get(self) -> Prepared:
        """The prepared data, wherever its arrays are now."""
        assert self._prepared is not None, "the search is running"
        return self._prepared

    @contextmanager
    def held_by(self, executor: Executor) -> Iterator[None]:
        """Within this context the arrays are in the executor's memory; afterwards they are gone."""
        self._prepared = replace(self.get(), problem=executor.hold(self.get().problem))
        try:
            yield
        finally:
            self._prepared = None


@dataclass(frozen=True)
class Observers:
    """How a search is recorded and shown; of these only callbacks can change its result, by stopping it.

    Attributes
    ----------
    tracking : Tracking, optional
        Where it is tracked in MLflow.
    display : ProgressDisplay, optional
        Where progress is shown.
    report : bool
        Whether ``report.html`` is made at the end.
    callbacks : sequence of Callback
    trackers : sequence of Tracker
        A user's own trackers.
    formats : sequence of str
        Formats in which the winner is exported at the end; see `nas.run.formats`.
    """

    tracking: Tracking | None = None
    display: ProgressDisplay | None = None
    report: bool = True
    callbacks: Sequence[Callback] = ()
    trackers: Sequence[Tracker] = ()
    formats: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_callbacks(self.callbacks, self.trackers)

    def phase(self, name: str, left: Callable[[], float] | None = None) -> None:
        """Show a phase, and the seconds that are left of it."""
        if self.display is not None:
            self.display.phase(name, left)


@dataclass(frozen=True)
class SearchContext:
    """One search, new or resumed.

    Attributes
    ----------
    folder : RunFolder
    run_id : str
    dataset : Dataset
    settings : SearchSettings
    recipe : Recipe
        The engine that the settings ask for.
    data : PreparedData
    observers : Observers
    deadline : Deadline
        When the command has to be done.
    journals : tuple of Journal
        One for each part of the run, where the search is resumed; empty for a new search.
    """

    folder: RunFolder
    run_id: str
    dataset: Dataset
    settings: SearchSettings
    recipe: Recipe
    data: PreparedData
    observers: Observers
    deadline: Deadline
    journals: tuple[Journal, ...] = ()

    @property
    def prepared(self) -> Prepared:
        """The data, cut and encoded."""
        return self.data.get()

    @property
    def costs(self) -> CostModel:
        """The costs of a genome for this data."""
        return _costs(self.prepared)

    @property
    def n_parts(self) -> int:
        """The parts of the run, each with an engine and a journal of its own; see `nas.tracking.parts`."""
        return self.settings.islands

    @property
    def recorded(self) -> Sequence[Pair]:
        """The evaluations that a resumed search has in its journals, of all parts, by global ids."""
        if not self.journals:
            return ()
        return recorded_evaluations([journal.record.evaluations for journal in self.journals])

    @property
    def can_be_resumed(self) -> bool:
        """Whether the folder has all that the search needs: it keeps no cuts that a caller has made."""
        return self.prepared.cuts is None or self.prepared.cuts.follows_from_table

    def engine(self, engine_recipe: Recipe) -> Engine:
        """An engine by a recipe for this search."""
        problem, settings = self.prepared.problem, self.settings
        return engine_recipe.engine(
            settings.space,
            settings.seed,
            epochs=problem.training.epochs,
            steps_per_epoch=problem.steps_per_epoch,
            costs=self.costs,
            limits=settings.limits,
            starts=settings.starts,
        )

    def identity(self) -> dict[str, Any]:
        """Everything that decides the search's results, as its journal records it."""
        settings, prepared = self.settings, self.prepared
        identity = {
            "nas": __version__,
            "data": {key: value for key, value in self.dataset.describe().items() if key != "source"},
            "metric": prepared.metric,
            "space": settings.space.to_dict(),
            "recipe": self.recipe.to_dict(),
            "limits": settings.limits.to_dict(),
            "starts": [genome.to_dict() for genome in settings.starts],
            "seed": settings.seed,
            "islands": self.n_parts,
            "training": prepared.problem.training.to_dict(),
        }
        if prepared.problem.folds:
            identity["folds"] = prepared.problem.n_folds
        if prepared.cuts is not None:
            identity["cuts"] = prepared.cuts.digest()
        return identity

    def config(self) -> dict[str, Any]:
        """What the folder keeps, from which `nas.resume` makes the context again."""
        dataset, tracking = self.dataset, self.observers.tracking
        return {
            "run_id": self.run_id,
            "data": {"source": dataset.source, **dataset.arguments()},
            "settings": self.settings.to_dict(),
            "tracking": None if tracking is None else tracking.to_dict(),
            **({"export": list(self.observers.formats)} if self.observers.formats else {}),
        }


def new_context(
    folder: RunFolder,
    dataset: Dataset,
    settings: SearchSettings,
    observers: Observers,
    *,
    run_id: str | None = None,
    cuts: Cuts | None = None,
    deadline: Deadline | None = None,
) -> SearchContext:
    """Prepare the data, and choose the engine's recipe.

    Parameters
    ----------
    folder, dataset, settings, observers
        See `SearchContext`.
    run_id : str, optional
        Of a run that is resumed.
    cuts : Cuts, optional
        Which rows train and validate, instead of a split by the seed, or by the table's groups, order of
        time or validation rows. Such a search cannot be resumed.
    deadline : Deadline, optional
        By default that of a command that starts now.
    """
    deadline = Deadline(settings.time_budget, command_start()) if deadline is None else deadline
    settings = suitable(settings, dataset)
    overrides: dict[str, Any] = {"time_limit": settings.candidate_time_limit}
    if settings.epochs is not None:
        overrides["epochs"] = settings.epochs
    if cuts is None:
        cuts = table_cuts(dataset, settings.seed, settings.folds)
    prepared = prepare(
        dataset,
        settings.seed,
        overrides,
        settings.scoring,
        cuts,
        encodings_of(settings.space),
        settings.folds,
    )
    settings = with_starts(settings, _costs(prepared))
    return SearchContext(
        folder=folder,
        run_id=uuid.uuid4().hex if run_id is None else run_id,
        dataset=dataset,
        settings=settings,
        recipe=recipe(
            settings.algorithm,
            population_size=settings.population_size,
            objectives=settings.objectives,
            inherit=settings.inherit,
            halving=settings.halving,
            surrogate=settings.surrogate,
            batches_in_flight=settings.batches_in_flight,
        ),
        data=PreparedData(prepared),
        observers=observers,
        deadline=deadline,
    )


def _costs(prepared: Prepared) -> CostModel:
    return cost_model(prepared.problem.n_inputs_by_encoding, prepared.problem.n_outputs)
