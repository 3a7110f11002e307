"""The MLflow view of a run, made or completed from what the run's folder holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from nas.tracking import Outcome, RunInfo
from nas.tracking.address import public, tracking_store, with_credentials
from nas.tracking.archive import recorded_evaluations
from nas.tracking.choice import Tracking, elites
from nas.tracking.folder import RunFolder
from nas.tracking.generations import Paced
from nas.tracking.held import locked_journals
from nas.tracking.journal import Journal, Pair
from nas.tracking.shown import command
from nas.tracking.store import cause, in_words

if TYPE_CHECKING:
    from nas.tracking.mlflow_view import View

_AT_ONCE = 8
"""Runs that are written together to a store that is far away."""

_MANY = 2000
"""Candidates up to which "auto" gives a run to each of them: half a minute of writing."""

_SCORES = {
    **{
        key: key
        for key in ("validation_score", "test_score", "baseline_test_score", "rescored", "selection_bias")
    },
    "search_seconds": "seconds",
}
"""Scores by their names in MLflow, and in ``result.json``."""


@dataclass(frozen=True)
class Synced:
    """What MLflow holds of a run now."""

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
    """Write to MLflow what is missing there of a run; the second time there is nothing left to write.

    Parameters
    ----------
    run_dir : path
        The folder of a run that is over, finished or not.
    tracking_uri, track, register : str, optional
        As for `nas.search`; by default as the run had them. "auto" gives a run of its own to every
        candidate of up to 2,000, and to the elites beyond.

    Raises
    ------
    InputError
        If there is no such run, or it still runs.
    TrackingError
        If the store does not answer; the next time goes on where it stopped.
    """
    folder = RunFolder(Path(run_dir).absolute())
    config = folder.config()
    tracking = _tracking(folder, config, tracking_uri, track, register)
    with locked_journals(folder) as journals:
        folder.check_whole([journal.record for journal in journals])
        evaluations = recorded_evaluations([journal.record.evaluations for journal in journals])
        info = _info(folder, config, journals, evaluations)
        # All files are read before anything is written.
        outcome, generations = _outcome(folder, config), folder.generations()
        from nas.tracking.mlflow_view import View

        view = View(*experiment(tracking.uri, folder, info.identity["data"]["name"]))
        view.connect()
        try:
            _write(view, info, tracking, evaluations, outcome, generations)
        except NASError:
            raise
        except Exception as error:  # noqa: BLE001
            # Whatever SQLAlchemy, requests or MLflow raise.
            raise TrackingError(
                f"tracking store {public(tracking.uri)}: expected to write to it, got: "
                f"{in_words(error, tracking.uri)}; "
                f"to go on from there: {command('sync', folder.path)}"
            ) from cause(tracking.uri, error)
    return Synced(view.uri, view.run_id, view.url, view.n_children, len(evaluations))


def _tracking(
    folder: RunFolder, config: Mapping[str, Any], uri: str | None, track: str | None, register: str | None
) -> Tracking:
    given = config.get("tracking") or {"uri": tracking_store(None, folder.path.parent)}
    asked = {"uri": uri and tracking_store(uri, folder.path.parent), "policy": track, "register": register}
    try:
        given = {**given, "uri": with_credentials(given["uri"])}
        return Tracking(**{**given, **{key: value for key, value in asked.items() if value is not None}})
    except TypeError as error:
        raise RunError(f"{folder.path}: expected the configuration of a run, got: {error}") from None


def _info(
    folder: RunFolder, config: Mapping[str, Any], journals: Sequence[Journal], evaluations: Sequence[Pair]
) -> RunInfo:
    """What a search says of itself when it starts, from what it has written down."""
    identity = folder.identity(journals[0].record)
    if not identity:
        raise RunError(f"{folder.path}: expected a run with evaluations, got an empty journal")
    try:
        settings = SearchSettings.from_dict(config["settings"], scoring=None)
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise RunError(f"{folder.path}: expected the configuration of a run, got: {error}") from None
    return RunInfo(
        name=folder.path.name,
        run_id=config["run_id"],
        run_dir=folder.path,
        space=settings.space,
        metric=identity["metric"],
        identity=identity,
        options={**settings.options, "source": config["data"]["source"]},
        n_candidates=len(evaluations),
        pair=evaluations.__getitem__,
    )


def _write(
    view: View,
    info: RunInfo,
    tracking: Tracking,
    evaluations: Sequence[Pair],
    outcome: Outcome,
    generations: Sequence[Paced],
) -> None:
    view.start(info)
    view.add_generations(generations)
    best = elites(tracking.policy)
    everyone = tracking.policy == "all" or (tracking.policy == "auto" and len(evaluations) <= _MANY)
    winner = None if outcome.best is None else outcome.best.id
    chosen = (pair for pair in evaluations if best.take_in(*pair) or everyone or pair[0].id == winner)
    with ThreadPoolExecutor(_AT_ONCE if view.is_far else 1) as pool:
        # A few at a time: who waits holds its curves.
        while some := list(islice(chosen, _AT_ONCE)):
            list(pool.map(lambda pair: view.add_child(*pair), some))
    view.conclude(outcome, len(evaluations))
    if outcome.model_dir is not None and outcome.best is not None:
        view.add_model(outcome.model_dir, outcome.example, str(outcome.best.id), tracking.register)
    for file in view.files():
        view.add_file(file)
    view.add_table(evaluations)
    view.end(outcome.status)


def _outcome(folder: RunFolder, config: Mapping[str, Any]) -> Outcome:
    """How the search ended: as a failure where it has not come to a saved network."""
    winner, result = folder.winner(), folder.result()
    if winner is None or winner[1] is None:
        return Outcome("interrupted")
    scores = {key: result[found] for key, found in _SCORES.items() if result.get(found) is not None}
    outcome = Outcome(
        "interrupted" if result.get("stopped") == "interrupted" else "finished",
        best=winner[1],
        scores=scores,
        model_dir=folder.best,
    )
    return replace(outcome, example=first_rows(config["data"], EXAMPLE_ROWS))
