"""How a person starts: `search` and `resume`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.data import load_dataset
from nas.errors import InputError, RunError
from nas.run.folder import RunFolder, new_run_folder
from nas.run.result import SearchResult
from nas.run.run import Run
from nas.run.settings import SearchSettings
from nas.space import SearchSpace, load_space
from nas.tracking.journal import Journal
from nas.tracking.store import tracking_store


def search(
    data: Any,
    *,
    target: str | Iterable[str] | None = None,
    task: str | None = None,
    categorical: str | Collection[str] = (),
    space: SearchSpace | str | os.PathLike[str] = "small",
    algorithm: str = "evolution",
    n_candidates: int = 100,
    time_budget: float | None = None,
    n_workers: int | None = None,
    seed: int = 0,
    population_size: int = 12,
    epochs: int | None = None,
    candidate_time_limit: float = 600.0,
    refit: bool = True,
    baseline: bool = True,
    name: str | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    tracking: bool = True,
    tracking_uri: str | None = None,
    progress: bool = True,
) -> SearchResult:
    """Find out how many hidden layers, and how many neurons in each, suit a table.

    Parameters
    ----------
    data, target, task, categorical
        See `nas.load_dataset`.
    space : SearchSpace, str or path
        A space, the name of one that comes with the package, or a TOML file.
    algorithm, n_candidates, time_budget, n_workers, seed, population_size, epochs, \
candidate_time_limit, refit, baseline
        See `nas.run.settings.SearchSettings`.
    name : str, optional
        Of the run; by default the data's name and the time.
    runs_dir : path
        Where runs are kept.
    tracking : bool
        Whether the run is tracked in MLflow.
    tracking_uri : str, optional
        MLflow's store; by default ``MLFLOW_TRACKING_URI``, or SQLite in `runs_dir`.
    progress : bool
        Whether progress is shown on standard error.

    Raises
    ------
    InputError
        If anything about the data, the space or the settings is wrong; nothing was started then.
    SearchError
        If no candidate could be trained.
    """
    if not isinstance(space, (SearchSpace, str, os.PathLike)):
        raise InputError(f"space: expected a SearchSpace, a name or a path, got {type(space).__name__}")
    settings = SearchSettings(
        space=space if isinstance(space, SearchSpace) else load_space(space),
        algorithm=algorithm,
        n_candidates=n_candidates,
        time_budget=time_budget,
        n_workers=n_workers,
        seed=seed,
        population_size=population_size,
        epochs=epochs,
        candidate_time_limit=candidate_time_limit,
        refit=refit,
        baseline=baseline,
    )
    dataset = load_dataset(data, target=target, task=task, categorical=categorical)
    folder = new_run_folder(runs_dir, name, dataset.name)
    uri = tracking_store(tracking_uri, runs_dir) if tracking else None
    return Run(folder, dataset, settings, uri, uuid.uuid4().hex, progress=progress).to_the_end()


def resume(
    run_dir: str | os.PathLike[str],
    *,
    data: Any = None,
    n_candidates: int | None = None,
    time_budget: float | None = None,
    n_workers: int | None = None,
    progress: bool = True,
) -> SearchResult:
    """Go on with a search from the last evaluation that its journal holds.

    Parameters
    ----------
    run_dir : path
        The run's folder.
    data : optional
        The data again, where the search had it from memory; else it is read from where it was.
    n_candidates, time_budget, n_workers : optional
        Other limits and workers than the search had; time counts from now.
    progress : bool
        Whether progress is shown on standard error.

    Raises
    ------
    InputError
        If there is no such run, it still runs, or its data has changed.
    SearchError
        If no candidate could be trained.
    """
    folder = RunFolder(Path(run_dir).absolute())
    config = folder.config()
    changes: dict[str, Any] = {
        "n_candidates": n_candidates,
        "time_budget": time_budget,
        "n_workers": n_workers,
    }
    try:
        settings = SearchSettings.from_dict(config["settings"])
        table = config["data"]
        source = table["source"] if data is None else data
        arguments = {key: table[key] for key in ("target", "task", "categorical")}
        uri, run_id = config["tracking_uri"], config["run_id"]
        if not isinstance(uri, (str, type(None))) or not isinstance(run_id, str):
            raise TypeError("a tracking_uri and a run_id that are text")
    except (KeyError, TypeError) as error:
        raise RunError(f"{run_dir}: expected the configuration of a run, got none with {error}") from None
    if source is None:
        raise RunError(f"{run_dir}: expected data=..., as the search had its table from memory, got none")
    if not (hasattr(source, "columns") or isinstance(source, (str, Path))):
        arguments["target"] = None
    dataset = load_dataset(source, **arguments)
    settings = replace(settings, **{key: value for key, value in changes.items() if value is not None})
    journal = Journal(folder.journal)
    try:
        return Run(folder, dataset, settings, uri, run_id, progress=progress, journal=journal).to_the_end()
    finally:
        journal.close()
