"""The winner that a resumed run had before: kept beside the new winner, and compared with it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from nas.errors import RunError
from nas.genome import Genome
from nas.run.context import SearchContext
from nas.run.test_scores import paired_score
from nas.runtime import Predictor
from nas.tracking.archive import RunArchive


@dataclass(frozen=True)
class EarlierWinner:
    """The winner of the same search after fewer candidates.

    Its test rows are those of the new winner: they have been looked at twice, and the better of two scores
    on them is biased upwards.

    Attributes
    ----------
    n_candidates : int
        Candidates that the search had tried then.
    genome : Genome
    folder : str
        The name of the folder in the run's where it is kept.
    score : float, optional
        Its score on the test rows; None where there are none.
    difference, difference_error : float, optional
        The new winner's score less this, by paired rows.
    """

    n_candidates: int
    genome: Genome
    folder: str
    score: float | None
    difference: float | None
    difference_error: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "candidates": self.n_candidates,
            "genome": self.genome.to_dict(),
            "folder": self.folder,
            "test_score": self.score,
            "difference": self.difference,
            "difference_error": self.difference_error,
        }


def keep_earlier_winner(
    context: SearchContext, genome: Genome, network: Predictor, n_candidates: int
) -> EarlierWinner | None:
    """Copy the saved winner of a resumed run aside and compare it with the new winner.

    None if there was none, the search has not gone on since, or the winner is of the same genome.

    Parameters
    ----------
    context : SearchContext
    genome, network
        The new winner.
    n_candidates : int
        Candidates that were tried until now.
    """
    if not context.journals:
        return None
    archive = RunArchive(context.folder)
    try:
        winner, n_before = archive.winner, int(archive.result.get("candidates", 0))
    except RunError:
        return None  # damaged, and replaced
    if winner is None or winner.candidate is None or not 0 < n_before < n_candidates:
        return None
    if winner.candidate.genome == genome:
        return None
    folder = context.folder.best.with_name(f"{context.folder.best.name}-{n_before}")
    # A copy: there is a saved winner at any moment.
    shutil.copytree(context.folder.best, folder, dirs_exist_ok=True)
    scores = paired_score(context.prepared, network, winner.network, context.settings.seed)
    return EarlierWinner(n_before, winner.candidate.genome, folder.name, *scores)
