"""The context of a run that is resumed: restored from its folder, and compared with its journals."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nas.data import Dataset, load_arguments, load_dataset
from nas.data.frames import pair_of
from nas.errors import InputError, RunError
from nas.run.context import SearchContext
from nas.run.starts import MOST_STARTS, best_genomes
from nas.settings.search_settings import SearchSettings
from nas.tracking.archive import RunArchive
from nas.tracking.choice import Tracking
from nas.tracking.folder import RunFolder, differences, next_run_folder
from nas.tracking.parts import search_identity

_log = logging.getLogger(__name__)


def restored(
    folder: RunFolder, data: Any, changes: Mapping[str, Any]
) -> tuple[Dataset, SearchSettings, Tracking | None, str]:
    """Data, settings with changes (None: none), tracking and run id of a run.

    Raises
    ------
    InputError
        If the folder is not that of a run, or the data has to be given again.
    """
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


def changes_since(context: SearchContext, recorded: Mapping[str, Any]) -> dict[str, str]:
    """The differences of this search from the identity that a journal has recorded, by name, in words."""
    return differences(search_identity(recorded), context.identity()) if recorded else {}


def check_same(context: SearchContext, changes: Mapping[str, str]) -> None:
    """Raise `RunError` if there are changes."""
    if changes:
        raise RunError(
            f"{context.folder.path}: expected the search that its journal began with, got another: "
            f"{'; '.join(changes.values())}; with force (--force) it goes on all the same"
        )


def reconciled(context: SearchContext, *, n_candidates: int | None, force: bool) -> SearchContext:
    """The context to go on with: the run's own, or with `force` and another search, that of a new run.

    Parameters
    ----------
    context : SearchContext
        Of the run as its folder and the caller describe it now.
    n_candidates : int, optional
        What the caller asks for.
    force : bool
        See `nas.resume`.

    Raises
    ------
    RunError
        If the search is another than the journals', without `force`.
    InputError
        If fewer candidates are asked for than the journals hold.
    """
    changes: dict[str, str] = {}
    for journal in context.journals:
        changes |= changes_since(context, journal.record.identity)
    if not force:
        check_same(context, changes)
    elif changes:
        _log.warning("%s: going on all the same: %s", context.folder.path, "; ".join(changes.values()))
        if set(changes) != {"nas"}:
            return _new_run_beside(context)
    return _with_recorded_candidates(context, n_candidates)


def _new_run_beside(context: SearchContext) -> SearchContext:
    """A new run beside another that cannot go on, which begins with the best genomes of that run."""
    settings, costs = context.settings, context.costs
    genomes = [
        genome
        for genome in best_genomes(context.recorded)
        if genome in settings.space and settings.limits.allow(costs(genome))
    ]
    starts = tuple(genomes[:MOST_STARTS])
    folder = next_run_folder(context.folder)
    n = len(starts)
    _log.warning("%s: a new run, which begins with the best %d genomes of the old one", folder.path, n)
    return replace(
        context,
        folder=folder,
        settings=replace(settings, starts=starts),
        run_id=uuid.uuid4().hex,
        journals=(),
    )


def _with_recorded_candidates(context: SearchContext, n_candidates: int | None) -> SearchContext:
    """The context with as many candidates as its journals hold, if its budget is smaller."""
    n = len(context.journals)
    most = n * max(journal.record.n_candidates for journal in context.journals)
    if most <= n * context.settings.budget.divided(n).candidates:
        return context
    if n_candidates is not None:
        raise InputError(
            f"n_candidates: expected at least the {most} that the run has tried, got {n_candidates}"
        )
    return replace(context, settings=replace(context.settings, n_candidates=most))
