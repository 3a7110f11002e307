"""What a run has evaluated, on one island or on several.

The whole search knows candidate `k` of island `i` of `n` as ``k * n + i``.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

from nas.evaluation import Evaluation
from nas.tracking.journal import Pair


def to_global_ids(pair: Pair, island: int, n: int) -> Pair:
    """A candidate of an island as the whole search knows it, and its evaluation."""
    candidate, evaluation = pair
    known = replace(
        candidate,
        id=candidate.id * n + island,
        parents=tuple(parent * n + island for parent in candidate.parents),
        inherits=None if candidate.inherits is None else candidate.inherits * n + island,
    )
    return known, replace(evaluation, candidate_id=known.id)


class AllEvaluations(Sequence[Pair]):
    """What all islands have evaluated, as the whole search knows it, in the order of its ids.

    Parameters
    ----------
    parts : sequence of sequences
        Each island's candidates and evaluations.
    """

    def __init__(self, parts: Sequence[Sequence[Pair]]) -> None:
        self._parts = parts
        self._ids = sorted(
            number * len(parts) + i for i, part in enumerate(parts) for number in range(len(part))
        )

    def of(self, number: int) -> Evaluation:
        """The evaluation of the candidate with this id."""
        return self._pair(number)[1]

    def _pair(self, number: int) -> Pair:
        number, island = divmod(number, len(self._parts))
        return to_global_ids(self._parts[island][number], island, len(self._parts))

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        if isinstance(index, slice):
            return [self._pair(number) for number in self._ids[index]]
        return self._pair(self._ids[index])

    def __iter__(self) -> Iterator[Pair]:
        return heapq.merge(*map(self._of, range(len(self._parts))), key=lambda pair: pair[0].id)

    def _of(self, island: int) -> Iterator[Pair]:
        for pair in self._parts[island]:
            yield to_global_ids(pair, island, len(self._parts))


def recorded_evaluations(parts: Sequence[Sequence[Pair]]) -> Sequence[Pair]:
    """What is in the journal of a run, or in those of its islands."""
    return parts[0] if len(parts) == 1 else AllEvaluations(parts)
