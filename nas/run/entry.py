"""The public functions of a run: `search`, `resume` and `debug`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.data import load_dataset
from nas.errors import InputError
from nas.evolution import Algorithm
from nas.genome import Genome
from nas.isolation import isolated
from nas.run.callbacks import Callback
from nas.run.context import Observers, new_context
from nas.run.deadline import Deadline, command_start
from nas.run.display import display
from nas.run.execute import execute
from nas.run.formats import formats_in
from nas.run.reproduction import Reproduction, reproduce
from nas.run.result import SearchResult
from nas.run.resuming import changes_since, check_same, reconciled, restored
from nas.run.starts import genomes_to_start_with
from nas.run.weights import Weights
from nas.scoring import Scorer
from nas.settings import SETTINGS, TableSettings, values_of
from nas.settings.explanation import explained, parameters
from nas.settings.former import by_new_keywords
from nas.settings.schema import GROUPS, check_values
from nas.settings.search_settings import SEARCH_GROUPS, SearchSettings
from nas.space import SearchSpace, load_space, narrowed
from nas.tracking import Tracker
from nas.tracking.address import tracking_store
from nas.tracking.archive import RunArchive
from nas.tracking.choice import Tracking
from nas.tracking.folder import RunFolder, new_run_folder
from nas.tracking.held import locked_journals
from nas.tracking.journal import read_journal
from nas.tracking.parts import locate


@explained(parameters(SETTINGS.values()))
@by_new_keywords
@isolated()
def search(
    data: Any,
    *,
    target: str | Iterable[str] | None = None,
    task: str | None = None,
    categorical: str | Collection[str] = (),
    na: str | Collection[str] = (),
    header: bool | None = None,
    ignore: str | Collection[str] | None = None,
    groups: str | None = None,
    time_order: bool = False,
    weights: str | None = None,
    validation: str | os.PathLike[str] | None = None,
    space: SearchSpace | str | os.PathLike[str] = "small",
    genes: Mapping[str, Any] | None = None,
    algorithm: Algorithm = "auto",
    n_candidates: int = 100,
    total_epochs: int | None = None,
    time_budget: float | str | None = None,
    target_score: float | None = None,
    patience: int | None = None,
    n_workers: int | None = None,
    ray_address: str = "local",
    resources: Mapping[str, float] | None = None,
    islands: int = 1,
    seed: int = 0,
    population_size: int | None = None,
    inherit: bool | None = None,
    halving: bool | None = None,
    surrogate: str | None = None,
    batches_in_flight: int | None = None,
    objectives: str | Sequence[str] = ("error",),
    max_parameters: float | None = None,
    max_flops: float | None = None,
    max_latency: float | None = None,
    scoring: str | Scorer | None = None,
    folds: int | None = None,
    starts: Iterable[Genome] | str | os.PathLike[str] = (),
    epochs: int | None = None,
    candidate_time_limit: float | str = 600.0,
    n_finalists: int | None = None,
    ensemble: int = 1,
    refit: bool = True,
    members: int | None = None,
    baseline: bool = True,
    importance: bool = True,
    name: str | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    tracking: bool = True,
    tracking_uri: str | None = None,
    track: str = "auto",
    register: str | None = None,
    export: str | Sequence[str] | None = None,
    progress: bool = True,
    report: bool = True,
    callbacks: Sequence[Callback] = (),
    trackers: Sequence[Tracker] = (),
) -> SearchResult:
    """Search the number of hidden layers, and of units in each, that suit a table.

    Parameters
    ----------
    data : str, path, table, (X, y), Bunch or Dataset
        A CSV or Parquet file, the name of a bundled data set, or a table in memory; see `nas.load_dataset`.
    ...
        Settings: ``help(nas.search)`` describes each here, and ``docs/settings.md`` in a table.
    callbacks : sequence of Callback
        Called with each evaluation and each generation; a callback may stop the search. See `nas.Callback`.
    trackers : sequence of Tracker
        They record the search; see `nas.tracking.Tracker`.

    Returns
    -------
    SearchResult
        The winner, its scores, and the run's folder.

    Raises
    ------
    InputError
        If the data, the space or a setting is wrong; no search has begun then.
    SearchError
        If no candidate could be trained.
    """
    arguments = dict(locals())  # the parameters by name, as no other local variable exists yet
    since = command_start()
    check_values(arguments, *GROUPS)
    space = narrowed(space if isinstance(space, SearchSpace) else load_space(space), genes or {})
    arguments |= {"space": space, "genes": None, "starts": genomes_to_start_with(starts, space)}
    settings = SearchSettings(**values_of(arguments, *SEARCH_GROUPS))
    tracked = Tracking(tracking_store(tracking_uri, runs_dir), track, register) if tracking else None
    with display(progress) as shown:
        observers = Observers(tracked, shown, report, callbacks, trackers, formats_in(export))
        observers.phase("reading the data")
        dataset = load_dataset(data, **values_of(arguments, TableSettings))
        folder = new_run_folder(runs_dir, name, dataset.name)
        deadline = Deadline(settings.time_budget, since)
        return execute(new_context(folder, dataset, settings, observers, deadline=deadline))


@isolated()
def resume(
    run_dir: str | os.PathLike[str],
    *,
    data: Any = None,
    n_candidates: int | None = None,
    time_budget: float | str | None = None,
    n_workers: int | None = None,
    ray_address: str | None = None,
    resources: Mapping[str, float] | None = None,
    scoring: Scorer | None = None,
    algorithm: Algorithm | None = None,
    force: bool = False,
    progress: bool = True,
    report: bool = True,
    callbacks: Sequence[Callback] = (),
    trackers: Sequence[Tracker] = (),
) -> SearchResult:
    """Resume a search after the last evaluation that its journal holds.

    Parameters
    ----------
    run_dir : path
        The run's folder.
    data : optional
        The data again, if the search had it from memory; else it is read from its source.
    n_candidates, time_budget, n_workers, ray_address, resources : optional
        Other limits and workers than the search had, perhaps elsewhere. Time counts from now, whatever the
        search took before, and includes reading the journal again, which is always completed.
    scoring : callable, optional
        The function again, if the search was given one.
    algorithm : Strategy, optional
        The strategy again, if the search was given one of the caller's own.
    force : bool
        Whether to go on although it would not be the same search. If only the version of this package has
        changed, the run goes on, and its journal records that. If data, space or settings have changed,
        scores could not be compared: a new run is made beside the old run, which stays as it is, and begins
        with its best genomes.
    progress, report : bool
        See `search`.
    callbacks : sequence of Callback
        Called with what the journal holds, too; see `nas.Callback`. No run keeps its callbacks and trackers:
        they have to be given again.
    trackers : sequence of Tracker
        See `nas.tracking.Tracker`.

    Raises
    ------
    InputError
        If there is no such run, it still runs, or its data, space, settings or version have changed.
    SearchError
        If no candidate could be trained.
    """
    since = command_start()
    folder = RunFolder(Path(run_dir).absolute())
    changes = {
        "n_candidates": n_candidates,
        "time_budget": time_budget,
        "n_workers": n_workers,
        "ray_address": ray_address,
        "resources": resources,
        "scoring": scoring,
        "algorithm": algorithm,
    }
    with display(progress) as shown, locked_journals(folder) as journals:
        if shown is not None:
            shown.phase("reading the data")
        dataset, settings, tracking, run_id = restored(folder, data, changes)
        formats = formats_in(RunArchive(folder).config.get("export"))
        observers = Observers(tracking, shown, report, callbacks, trackers, formats)
        deadline = Deadline(settings.time_budget, since)
        context = new_context(folder, dataset, settings, observers, run_id=run_id, deadline=deadline)
        context = replace(context, journals=tuple(journals))
        return execute(reconciled(context, n_candidates=n_candidates, force=force))


@isolated()
def debug(
    run_dir: str | os.PathLike[str],
    candidate: int,
    *,
    data: Any = None,
    scoring: Scorer | None = None,
    algorithm: Algorithm | None = None,
) -> Reproduction:
    """Train one candidate of a run again, solo and in this process, to compare its result.

    Nothing of the run is changed, and its search may still be running. Exceptions of the candidate are
    raised.

    Parameters
    ----------
    run_dir : path
        The run's folder.
    candidate : int
        The candidate's id.
    data, scoring, algorithm : optional
        See `resume`.

    Raises
    ------
    InputError
        If there is no such run or candidate, or its data has changed.
    """
    folder = RunFolder(Path(run_dir).absolute())
    dataset, settings, _, run_id = restored(folder, data, {"scoring": scoring, "algorithm": algorithm})
    parts = folder.parts
    part, number = locate(candidate, len(parts))
    record = read_journal(parts[part].journal)
    context = new_context(folder, dataset, settings, Observers(), run_id=run_id)
    check_same(context, changes_since(context, record.identity))
    if len(parts) > 1 and not 0 <= number < len(record.evaluations):
        raise InputError(f"candidate: expected one that the run has evaluated, got {candidate}")
    weights = Weights(parts[part].weights, run_id=run_id)
    reproduction = reproduce(number, record.evaluations, context.prepared.problem, weights)
    return reproduction.to_global_ids(part, len(parts))
