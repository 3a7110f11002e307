"""The network of any candidate of a search, trained as the winner was: of a front, for instance."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.errors import InputError, RunError, SearchError
from nas.evaluation import Candidate
from nas.evolution import Individual
from nas.export.native import save_network
from nas.genome import Genome
from nas.isolation import isolated
from nas.reporting.lines import place as shown_place
from nas.reporting.listing import candidate_of
from nas.run.context import Observers, SearchContext, new_context
from nas.run.out_of_fold import add_uncertainty, held_out
from nas.run.resuming import changes_since, check_same, restored
from nas.run.winner import averaged, exported, n_members, provenance_of, trained_from_scratch
from nas.runtime import MODEL_FILE, Ensemble, Network
from nas.tracking.archive import RunArchive
from nas.tracking.folder import RunFolder
from nas.tracking.lock import check_is_over

_log = logging.getLogger(__name__)

FOLDER = "candidates"
"""The folder in a run's where the networks of candidates are kept once they are trained."""


@isolated()
def candidate_network(run_dir: str | os.PathLike[str], candidate_id: int) -> Path:
    """The folder of a candidate's network, which is trained first unless that was done before.

    It is trained on training and validation rows together, as the winner was, with the same settings. The
    test rows are not looked at: a network that is chosen by them has no unbiased score any more.

    Parameters
    ----------
    run_dir : path
        The folder of a finished search.
    candidate_id : int
        A candidate's id, as `nas show` prints those of a front.

    Raises
    ------
    InputError
        If there is no such run or candidate, the candidate had failed, or the run's data has changed.
    SearchError
        If the training diverges.
    """
    archive = RunArchive(run_dir)
    archive.check_is_run()
    folder = archive.folder
    check_is_over(folder.path)
    candidate, evaluation = candidate_of(archive, candidate_id)
    if evaluation.failed:
        raise InputError(
            f"--candidate {candidate_id}: expected a candidate that was trained, got one that failed"
        )
    if _is_saved_winner(archive, candidate.genome):
        return folder.best
    saved = folder.path / FOLDER / str(candidate_id)
    if not (saved / MODEL_FILE).is_file():
        _train(archive, candidate, saved)
    return saved


def _is_saved_winner(archive: RunArchive, genome: Genome) -> bool:
    try:
        winner = archive.winner
    except RunError:
        return False
    return winner is not None and winner.candidate is not None and winner.candidate.genome == genome


def _train(archive: RunArchive, candidate: Candidate, place: Path) -> None:
    kept = shown_place(place)
    _log.info("training candidate %d first (%s); it is kept in %s", candidate.id, candidate.genome, kept)
    context = _context(archive)
    member = Individual(candidate, archive.pair(candidate.id)[1], age=max(1, _age(archive, candidate.id)))
    place.parent.mkdir(exist_ok=True)
    save_network(_network(context, member, int(archive.result.get("epochs", 0))), place)


def _context(archive: RunArchive) -> SearchContext:
    """The context of the run, for the same data."""
    dataset, settings, _, run_id = restored(RunFolder(archive.folder.path), None, {})
    context = new_context(archive.folder, dataset, settings, Observers(), run_id=run_id)
    check_same(context, changes_since(context, archive.records[0].identity))
    return context


def _age(archive: RunArchive, candidate_id: int) -> int:
    """Epochs that the candidate's weights were trained for, those of its ancestors included."""
    candidate, evaluation = archive.pair(candidate_id)
    age = evaluation.best_epoch
    while candidate.inherits is not None:
        is_continued = candidate.epochs_done > 0
        candidate, evaluation = archive.pair(candidate.inherits)
        # A continued training has inherited the epochs that it had inherited before, not its own.
        age += 0 if is_continued else evaluation.best_epoch
    return age


def _network(context: SearchContext, member: Individual, search_epochs: int) -> Network | Ensemble:
    """The network after its last training, with its uncertainty."""
    prepared, settings, candidate = context.prepared, context.settings, member.candidate
    n, epochs = n_members(settings, prepared), float(member.age)
    trained = trained_from_scratch(prepared.final, candidate, epochs, n, None)
    if trained is None:
        raise SearchError(
            f"candidate {candidate.id}: expected a training that succeeds, got one that diverged"
        )
    provenance: dict[str, Any] = provenance_of(member, prepared, settings.seed, context.folder.path.name)
    networks: Sequence[Network] = [
        exported(prepared.final, candidate, network, {**provenance, "refit": True}) for network in trained
    ]
    model = networks[0] if n == 1 else averaged([(network, candidate, 1 / n) for network in networks])
    rows = held_out(
        candidate,
        (),
        prepared,
        epochs=epochs,
        n_members=n,
        search_epochs=search_epochs,
        should_stop=lambda: False,
    )
    if rows is not None:
        add_uncertainty(model, rows, rows.predictions(model.target), prepared)
    return model
