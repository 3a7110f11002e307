"""The parts of a run: the folders of its islands, and how their candidates are numbered together.

A search on one island has a single part, the run's folder itself. A search on `n` islands has `n` parts,
each with a journal and weights of its own, in ``islands/0/`` and so on. Each island numbers its candidates
from 0; the global id of candidate `k` of island `i` of `n` is ``k * n + i``::

    island 0     k = 0, 1, 2     global ids 0, 3, 6
    island 1     k = 0, 1, 2     global ids 1, 4, 7
    island 2     k = 0, 1        global ids 2, 5

This is the one module of `nas.tracking` in which islands appear.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from nas.evaluation import Evaluation
from nas.tracking.journal import Pair

_ISLANDS = "islands"


def new_parts(run: Path, n: int) -> list[Path]:
    """Return the folders of a run with `n` parts, which need not exist."""
    return [run / _ISLANDS / str(i) for i in range(n)] if n > 1 else [run]


def existing_parts(run: Path) -> list[Path]:
    """Return the folders of a run's parts by the folders that exist."""
    n = sum(folder.name.isdecimal() for folder in run.glob(f"{_ISLANDS}/*"))
    return [run / _ISLANDS / str(i) for i in range(n)] or [run]


def search_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity of the whole search: that of a part without the part's number."""
    return {key: value for key, value in identity.items() if key != "island"}


def locate(global_id: int, n: int) -> tuple[int, int]:
    """Return the part of a candidate of `n` parts, and its id within the part."""
    candidate_id, part = divmod(global_id, n)
    return part, candidate_id


def to_global_ids(pair: Pair, island: int, n: int) -> Pair:
    """Renumber a candidate of an island, its parents and its evaluation by global ids."""
    candidate, evaluation = pair
    renumbered = replace(
        candidate,
        id=candidate.id * n + island,
        parents=tuple(parent * n + island for parent in candidate.parents),
        inherits=None if candidate.inherits is None else candidate.inherits * n + island,
    )
    return renumbered, replace(evaluation, candidate_id=renumbered.id)


def pair_of(parts: Sequence[Sequence[Pair]], global_id: int) -> Pair:
    """Return a candidate of a run's parts and its evaluation; raises `IndexError` if there is none."""
    part, candidate_id = locate(global_id, len(parts))
    if candidate_id < 0:  # a negative index would count from the end
        raise IndexError(global_id)
    return to_global_ids(parts[part][candidate_id], part, len(parts))


class AllEvaluations(Sequence[Pair]):
    """The evaluations of all parts with global ids, in the order of the ids.

    Positions equal ids only as long as all parts are equally long: `of` takes an id.

    Parameters
    ----------
    parts : sequence of sequences
        The candidates and evaluations of each part.
    """

    def __init__(self, parts: Sequence[Sequence[Pair]]) -> None:
        self._parts = parts
        self._ids = sorted(
            number * len(parts) + i for i, part in enumerate(parts) for number in range(len(part))
        )

    def of(self, global_id: int) -> Evaluation:
        """Return the evaluation of the candidate with this id."""
        return self.pair(global_id)[1]

    def pair(self, global_id: int) -> Pair:
        """Return the candidate with this id, and its evaluation."""
        return pair_of(self._parts, global_id)

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        if isinstance(index, slice):
            return [self.pair(global_id) for global_id in self._ids[index]]
        return self.pair(self._ids[index])

    def __iter__(self) -> Iterator[Pair]:
        return heapq.merge(*map(self._renumbered, range(len(self._parts))), key=lambda pair: pair[0].id)

    def _renumbered(self, part: int) -> Iterator[Pair]:
        """Yield the pairs of a part with global ids."""
        for pair in self._parts[part]:
            yield to_global_ids(pair, part, len(self._parts))


def recorded_evaluations(parts: Sequence[Sequence[Pair]]) -> Sequence[Pair]:
    """Return the evaluations of a run with global ids; those of a single part are returned as they are."""
    return parts[0] if len(parts) == 1 else AllEvaluations(parts)
