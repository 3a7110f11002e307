"""``nas sync``: the MLflow view of a run, made or completed from the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import InputError, NASError, RunError, TrackingError
from nas.isolation import isolated
from nas.run.conclude import EXAMPLE_ROWS
from nas.run.exporting import first_rows
from nas.run.start import experiment
from nas.settings.search_settings import SearchSettings
from nas.tracking import Outcome, OutcomeStatus, RunInfo
from nas.tracking.address import public, tracking_store, with_credentials
from nas.tracking.archive import RunArchive
from nas.tracking.candidate_runs import BATCH
from nas.tracking.choice import ChildChoice, Tracking
from nas.tracking.folder import RunFolder
from nas.tracking.generations import Paced
from nas.tracking.held import locked_journals
from nas.tracking.journal import Pair
from nas.tracking.shown import command
from nas.tracking.store import cause, in_words

if TYPE_CHECKING:
    from nas.tracking.mlflow_view import View

_SCORES = {
    **{
        key: key
        for key in (
            *("validation_score", "test_score", "baseline_test_score", "trees_test_score"),
            *("rescored", "selection_bias", "temperature"),
        )
    },
    "search_seconds": "seconds",
}
"""Names of scores in MLflow, and their keys in ``result.json``."""


@dataclass(frozen=True)
class Synced:
    """What MLflow holds of a run after `sync`.

    Attributes
    ----------
    tracking_uri : str
        The store, without secrets.
    mlflow_run_id, mlflow_url : str
        Id and page of the parent run.
    n_children, n_candidates : int
        Candidates with runs of their own, and all candidates.
    """

    tracking_uri: str
    mlflow_run_id: str
    mlflow_url: str
    n_children: int
    n_candidates: int


@isolated()
def sync(
    run_dir: str | Path,
    *,
    tracking_uri: str | None = None,
    track: str | None = None,
    register: str | None = None,
) -> Synced:
    """Write to MLflow what it lacks of a run; a second call writes nothing.

    Parameters
    ----------
    run_dir : path
        The folder of a run that is over, finished or not.
    tracking_uri, track, register : str, optional
        As for `nas.search`; by default the run's own.

    Raises
    ------
    InputError
        If there is no such run, or it still runs.
    TrackingError
        If the store does not answer; the next call continues where this one stopped.
    """
    folder = RunFolder(Path(run_dir).absolute())
    tracking = _tracking(RunArchive(folder), tracking_uri, track, register)
    with locked_journals(folder) as journals:
        archive = RunArchive(folder, [journal.record for journal in journals])
        archive.check_complete()
        info = _info(archive)
        # All files are read before anything is written.
        outcome, generations = _outcome(archive), archive.generations
        from nas.tracking.mlflow_view import View

        view = View(*experiment(tracking.uri, folder, info.identity["data"]["name"]))
        view.connect()
        try:
            _write(view, info, tracking, archive.evaluations, outcome, generations)
        except NASError:
            raise
        except Exception as error:  # noqa: BLE001
            # SQLAlchemy, requests and MLflow have no common base class for their exceptions.
            raise TrackingError(
                f"tracking store {public(tracking.uri)}: expected to write to it, got: "
                f"{in_words(error, tracking.uri)}; "
                f"to go on from there: {command('sync', folder.path)}"
            ) from cause(tracking.uri, error)
    return Synced(view.uri, view.run_id, view.url, view.n_children, len(archive.evaluations))


def _tracking(archive: RunArchive, uri: str | None, track: str | None, register: str | None) -> Tracking:
    """Return the run's own tracking with the caller's changes; None: no change."""
    folder = archive.folder
    recorded = archive.config.get("tracking") or {"uri": tracking_store(None, folder.path.parent)}
    changes = {"uri": uri and tracking_store(uri, folder.path.parent), "policy": track, "register": register}
    try:
        recorded = {**recorded, "uri": with_credentials(recorded["uri"])}
        return Tracking(**{**recorded, **{key: value for key, value in changes.items() if value is not None}})
    except TypeError as error:
        raise RunError(f"{folder.path}: expected the configuration of a run, got: {error}") from None


def _info(archive: RunArchive) -> RunInfo:
    """Restore the `RunInfo` with which the search started."""
    path, config, identity = archive.folder.path, archive.config, archive.identity
    if not identity:
        raise RunError(f"{path}: expected a run with evaluations, got an empty journal")
    try:
        settings = SearchSettings.from_dict(config["settings"], scoring=None, algorithm="auto")
        recorded = config["settings"].get("algorithm", "auto")
        algorithm = recorded if isinstance(recorded, str) else recorded["strategy"]
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise RunError(f"{path}: expected the configuration of a run, got: {error}") from None
    return RunInfo(
        name=path.name,
        run_id=archive.run_id,
        run_dir=path,
        space=settings.space,
        metric=identity["metric"],
        identity=identity,
        options={**settings.options, "algorithm": algorithm, "source": config["data"]["source"]},
        n_candidates=len(archive.evaluations),
        pair=archive.pair,
    )


def _write(
    view: View,
    info: RunInfo,
    tracking: Tracking,
    evaluations: Sequence[Pair],
    outcome: Outcome,
    generations: Sequence[Paced],
) -> None:
    """Write everything of a run that the store lacks, in the order in which a search writes it."""
    view.start(info)
    view.add_generations(generations)
    choice = ChildChoice(tracking.policy)
    chosen = (pair for pair in evaluations if choice.add(*pair))
    # A few at a time, as each pair holds its curves in memory.
    while batch := list(islice(chosen, BATCH)):
        view.add_children(batch)
    rest = set(choice.rest(outcome.best))
    chosen = (pair for pair in evaluations if pair[0].id in rest)
    while batch := list(islice(chosen, BATCH)):
        view.add_children(batch)
    if outcome.model_dir is not None and outcome.best is not None:
        view.add_model(outcome, tracking.register)
    view.conclude(outcome, len(evaluations))
    for file in RunFolder(info.run_dir).artifacts():
        view.add_file(file)
    view.add_table(evaluations)
    view.end(outcome.status)


def _scores(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of a result by their names in MLflow."""
    known = {name: result[key] for name, key in _SCORES.items() if result.get(key) is not None}
    return {**known, "best_n_parameters": result["best"]["n_parameters"]}


def _outcome(archive: RunArchive) -> Outcome:
    """Restore the outcome of the search: interrupted, where it has no saved network."""
    winner, result = archive.winner, archive.result
    if winner is None or winner.candidate is None:
        return Outcome(OutcomeStatus.INTERRUPTED)
    was_interrupted = result.get("stopped") == "interrupted"
    outcome = Outcome(
        OutcomeStatus.INTERRUPTED if was_interrupted else OutcomeStatus.FINISHED,
        best=winner.candidate,
        scores=_scores(result) if result else {},
        model_dir=archive.folder.best,
    )
    return replace(outcome, example=first_rows(archive.config["data"], EXAMPLE_ROWS))
