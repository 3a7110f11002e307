"""How a person starts: `search`, `resume` and `debug`."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.data import Dataset, load_arguments, load_dataset
from nas.data.frames import pair_of
from nas.errors import InputError, RunError
from nas.genome import Genome
from nas.isolation import isolated
from nas.run.reproduction import Reproduction, reproduce
from nas.run.result import SearchResult
from nas.run.run import Run
from nas.run.settings import SearchSettings, by_new_keywords
from nas.run.weights import Weights
from nas.runtime import strict_json
from nas.scoring import Scorer
from nas.space import SearchSpace, load_space
from nas.tracking.address import tracking_store
from nas.tracking.archive import RunArchive
from nas.tracking.choice import Tracking
from nas.tracking.folder import RunFolder, new_run_folder, next_run_folder
from nas.tracking.held import locked_journals
from nas.tracking.journal import Pair, read_journal
from nas.tracking.records import check_genome, listed

_log = logging.getLogger(__name__)

_LARGEST_STARTS = 2**20
"""Bytes of a file of genomes."""

_MOST_STARTS = 12
"""Genomes that are taken over from an earlier run."""


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
    space: SearchSpace | str | os.PathLike[str] = "small",
    algorithm: str = "auto",
    n_candidates: int = 100,
    n_epochs: int | None = None,
    time_budget: float | None = None,
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
    starts: Iterable[Genome] | str | os.PathLike[str] = (),
    epochs: int | None = None,
    candidate_time_limit: float = 600.0,
    n_finalists: int = 6,
    ensemble: int = 1,
    refit: bool = True,
    baseline: bool = True,
    name: str | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    tracking: bool = True,
    tracking_uri: str | None = None,
    track: str = "auto",
    register: str | None = None,
    progress: bool = True,
    report: bool = True,
) -> SearchResult:
    """Find out how many hidden layers, and how many neurons in each, suit a table.

    Parameters
    ----------
    data, target, task, categorical, na, header, ignore
        See `nas.load_dataset`.
    space : SearchSpace, str or path
        A space, the name of one that comes with the package, or a TOML file.
    algorithm, n_candidates, n_epochs, time_budget, target_score, patience, n_workers, ray_address, \
resources, islands, seed, population_size, inherit, halving, surrogate, batches_in_flight, objectives, \
max_parameters, max_flops, max_latency, scoring, epochs, candidate_time_limit, n_finalists, ensemble, refit, \
baseline
        See `nas.run.settings.SearchSettings`.
    starts : iterable of Genome, or path
        Genomes to begin with; or a JSON file with a list of them, as `Genome.to_dict` writes them; or the
        folder of an earlier run, of which the best are taken that the space holds.
    name : str, optional
        Of the run; by default the data's name and the time.
    runs_dir : path
        Where runs are kept.
    tracking : bool
        Whether the run is tracked in MLflow.
    tracking_uri : str, optional
        MLflow's store; by default ``MLFLOW_TRACKING_URI``, or SQLite in `runs_dir`.
    track : str
        Which candidates have MLflow runs of their own: "all"; "elites", those among the ten best when they
        came; "best", those who were the best; or "auto", all as long as that costs the search next to
        nothing, the elites in any case. All are in the journal, and in the artifact ``candidates.csv``.
    register : str, optional
        The name of the registered model in MLflow that the winner becomes the next version of.
    progress : bool
        Whether progress is shown on standard error.
    report : bool
        Whether ``report.html`` is made in the run's folder at the end; see `nas.reporting`.

    Raises
    ------
    InputError
        If anything about the data, the space or the settings is wrong; nothing was started then.
    SearchError
        If no candidate could be trained.
    """
    if not isinstance(space, (SearchSpace, str, os.PathLike)):
        raise InputError(f"space: expected a SearchSpace, a name or a path, got {type(space).__name__}")
    space = space if isinstance(space, SearchSpace) else load_space(space)
    settings = SearchSettings(
        space=space,
        algorithm=algorithm,
        n_candidates=n_candidates,
        n_epochs=n_epochs,
        time_budget=time_budget,
        target_score=target_score,
        patience=patience,
        n_workers=n_workers,
        ray_address=ray_address,
        resources=resources,
        islands=islands,
        seed=seed,
        population_size=population_size,
        inherit=inherit,
        halving=halving,
        surrogate=surrogate,
        batches_in_flight=batches_in_flight,
        objectives=(objectives,) if isinstance(objectives, str) else tuple(objectives),
        max_parameters=max_parameters,
        max_flops=max_flops,
        max_latency=max_latency,
        scoring=scoring,
        starts=_genomes_to_start_with(starts, space),
        epochs=epochs,
        candidate_time_limit=candidate_time_limit,
        n_finalists=n_finalists,
        ensemble=ensemble,
        refit=refit,
        baseline=baseline,
    )
    dataset = load_dataset(
        data, target=target, task=task, categorical=categorical, na=na, header=header, ignore=ignore
    )
    folder = new_run_folder(runs_dir, name, dataset.name)
    tracked = Tracking(tracking_store(tracking_uri, runs_dir), track, register) if tracking else None
    run = Run(folder, dataset, settings, tracked, uuid.uuid4().hex, progress=progress, draw=report)
    return run.to_the_end()


@isolated()
def resume(
    run_dir: str | os.PathLike[str],
    *,
    data: Any = None,
    n_candidates: int | None = None,
    time_budget: float | None = None,
    n_workers: int | None = None,
    ray_address: str | None = None,
    resources: Mapping[str, float] | None = None,
    scoring: Scorer | None = None,
    force: bool = False,
    progress: bool = True,
    report: bool = True,
) -> SearchResult:
    """Go on with a search from the last evaluation that its journal holds.

    Parameters
    ----------
    run_dir : path
        The run's folder.
    data : optional
        The data again, where the search had it from memory; else it is read from where it was.
    n_candidates, time_budget, n_workers, ray_address, resources : optional
        Other limits and workers than the search had, perhaps elsewhere; time counts from now.
    scoring : callable, optional
        The function again, where the search was given one.
    force : bool
        Whether to go on although it would not be the same search. Where no more than the version of this
        package is another, it goes on in the run, whose journal takes that down. Where data, space or
        settings are, scores could not be compared: a new run beside it then begins with the best genomes
        of the old one, which stays as it is.
    progress, report : bool
        See `search`.

    Raises
    ------
    InputError
        If there is no such run, it still runs, or its data, space, settings or version have changed.
    SearchError
        If no candidate could be trained.
    """
    folder = RunFolder(Path(run_dir).absolute())
    changes = {
        "n_candidates": n_candidates,
        "time_budget": time_budget,
        "n_workers": n_workers,
        "ray_address": ray_address,
        "resources": resources,
        "scoring": scoring,
    }
    with locked_journals(folder) as journals:
        dataset, settings, tracking, run_id = _restored(folder, data, changes)
        run = Run(
            folder, dataset, settings, tracking, run_id, progress=progress, draw=report, journals=journals
        )
        differs: dict[str, str] = {}
        for journal in journals:
            differs |= run.changes(journal.record.identity)
        if differs and not force:
            run.check_same(differs)
        elif differs:
            _log.warning("%s: going on all the same: %s", folder.path, "; ".join(differs.values()))
            if set(differs) != {"nas"}:
                run = _after(run)
        if run.journals:
            run.allow_for_recorded(n_candidates)
        return run.to_the_end()


def _after(run: Run) -> Run:
    """A new run beside another that cannot go on, which begins with the best genomes of that."""
    best = run.within_limits(_best_genomes(run.recorded))
    settings = replace(run.settings, starts=tuple(best[:_MOST_STARTS]))
    folder = next_run_folder(run.folder)
    n = len(settings.starts)
    _log.warning("%s: a new run, which begins with the best %d genomes of the old one", folder.path, n)
    return Run(
        folder, run.dataset, settings, run.tracking, uuid.uuid4().hex, progress=run.progress, draw=run.draw
    )


@isolated()
def debug(
    run_dir: str | os.PathLike[str], candidate: int, *, data: Any = None, scoring: Scorer | None = None
) -> Reproduction:
    """Train one candidate of a run again, alone and in this process, to see what became of it.

    Nothing of the run is changed, and it may still go on. Exceptions are the candidate's own.

    Parameters
    ----------
    run_dir : path
        The run's folder.
    candidate : int
        Its id.
    data, scoring : optional
        See `resume`.

    Raises
    ------
    InputError
        If there is no such run or candidate, or its data has changed.
    """
    folder = RunFolder(Path(run_dir).absolute())
    dataset, settings, tracking, run_id = _restored(folder, data, {"scoring": scoring})
    parts = folder.parts
    number, island = divmod(candidate, len(parts))
    record = read_journal(parts[island].journal)
    run = Run(folder, dataset, settings, tracking, run_id, progress=False)
    run.check_same(run.changes(record.identity))
    if len(parts) > 1 and not 0 <= number < len(record.evaluations):
        raise InputError(f"candidate: expected one that the run has evaluated, got {candidate}")
    weights = Weights(parts[island].weights, run_id=run_id)
    return reproduce(number, record.evaluations, run.prepared.problem, weights).to_global_ids(
        island, len(parts)
    )


def _restored(
    folder: RunFolder, data: Any, changes: Mapping[str, Any]
) -> tuple[Dataset, SearchSettings, Tracking | None, str]:
    """Data, settings with changes (None: none), tracking and run id of a run; raises `InputError`."""
    config = RunArchive(folder).config
    changes = {key: value for key, value in changes.items() if value is not None}
    try:
        settings = SearchSettings.from_dict(config["settings"], **changes)
        table = config["data"]
        source = table["source"] if data is None else data
        arguments = load_arguments(table)
        tracking = None if config["tracking"] is None else Tracking.from_dict(config["tracking"])
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise RunError(f"{folder.path}: expected the configuration of a run, got: {error}") from None
    if source is None:
        raise RunError(f"{folder.path}: expected data=..., as the search had its table from memory, got none")
    if pair_of(source) is not None:
        arguments["target"] = None
    return load_dataset(source, **arguments), settings, tracking, config["run_id"]


def _genomes_to_start_with(
    starts: Iterable[Genome] | str | os.PathLike[str], space: SearchSpace
) -> tuple[Genome, ...]:
    """Those given, those in a file, or the best of an earlier run that the space holds."""
    if not isinstance(starts, (str, os.PathLike)):
        genomes = tuple(starts)
        for genome in genomes:
            if not isinstance(genome, Genome):
                raise InputError(f"starts: expected genomes, got {genome!r}")
        return genomes
    if Path(starts).is_file():
        return _genomes_in(Path(starts))
    evaluations = RunArchive(RunFolder(Path(starts))).evaluations
    genomes = tuple(genome for genome in _best_genomes(evaluations) if genome in space)
    if not genomes:
        raise InputError(
            f"starts: expected a run with genomes of space {space.name}, got {starts}, which has none"
        )
    return genomes[:_MOST_STARTS]


def _best_genomes(evaluations: Iterable[Pair]) -> list[Genome]:
    """The genomes that did not fail, best first, each once."""
    fine = [(one.fitness, candidate.genome) for candidate, one in evaluations if not one.failed]
    return list(dict.fromkeys(genome for _, genome in sorted(fine, key=lambda pair: -pair[0])))


def _genomes_in(file: Path) -> tuple[Genome, ...]:
    """The genomes of a JSON file: a list of what `Genome.to_dict` gives."""
    try:
        if (n_bytes := file.stat().st_size) > _LARGEST_STARTS:
            raise ValueError(f"{n_bytes} bytes, more than {_LARGEST_STARTS}")
        records = strict_json(file.read_bytes())
        if not isinstance(records, list) or not records:
            raise ValueError("no list of them")
        listed(check_genome)(records)
        return tuple(Genome.from_dict(record) for record in records)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f'{file}: expected genomes such as [{{"widths": [64, 32], "activation": "relu"}}], got: {error}'
        ) from None
