"""The limits of a search as its loop reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Budget:
    """The limits of a search, which ends at the first that is reached.

    All but `seconds` depend only on the evaluations in their order, and are the same in every run.

    Attributes
    ----------
    candidates : int
        Different networks to train.
    epochs : int, optional
        Epochs of training, summed over all candidates.
    seconds : float, optional
        Wall time from the start of the command to its last line.
    target : float, optional
        The validation score at which the search ends.
    patience : int, optional
        Evaluations in a row, continued trainings included, without a better validation score.
    """

    candidates: int
    epochs: int | None = None
    seconds: float | None = None
    target: float | None = None
    patience: int | None = None

    def divided(self, n: int) -> Budget:
        """The budget of each of `n` parts of a search.

        Candidates and epochs are divided and rounded up; each part has the other limits in full.
        """
        epochs = None if self.epochs is None else -(-self.epochs // n)
        return replace(self, candidates=-(-self.candidates // n), epochs=epochs)
