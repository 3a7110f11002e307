"""Genomes that a search begins with: given, read from a file, or taken from an earlier run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from nas.errors import InputError
from nas.genome import Genome
from nas.runtime import strict_json
from nas.space import SearchSpace, completed, misfits
from nas.tracking.archive import RunArchive
from nas.tracking.journal import Pair
from nas.tracking.records import check_genome, listed

_log = logging.getLogger(__name__)

_LARGEST_FILE = 2**20
"""Bytes of a file of genomes: some ten thousand of them, more than any search begins with."""

MOST_STARTS = 12
"""Genomes that are taken from an earlier run: the first batches of the default algorithm."""


def genomes_to_start_with(
    starts: Iterable[Genome] | str | os.PathLike[str], space: SearchSpace
) -> tuple[Genome, ...]:
    """The genomes that were given, those in a file, or the best of an earlier run that the space holds.

    Genes of the space that a genome lacks get a value; see `nas.space.completed`.

    Raises
    ------
    InputError
        If there are objects other than genomes, the file is damaged, or the run has no such genome.
    """
    if not isinstance(starts, (str, os.PathLike)):
        genomes = tuple(starts)
        for genome in genomes:
            if not isinstance(genome, Genome):
                raise InputError(f"starts: expected genomes, got {genome!r}")
        return _completed(genomes, space)
    if Path(starts).is_file():
        return _completed(_genomes_in(Path(starts)), space)
    tried = best_genomes(RunArchive(Path(starts)).evaluations)
    genomes = tuple(genome for genome in _completed(tried, space) if genome in space)
    if not genomes:
        why = f": {', '.join(misfits(tried[0], space))} in its best" if tried else ""
        raise InputError(
            f"starts: expected a run with genomes of space {space.name}, got {starts}, which has none{why}"
        )
    if len(genomes) < len(tried):
        _log.info("starts: %d of %d genomes of the run are of the space", len(genomes), len(tried))
    return genomes[:MOST_STARTS]


def _completed(genomes: Iterable[Genome], space: SearchSpace) -> tuple[Genome, ...]:
    """The genomes with all genes of the space, each once."""
    return tuple(dict.fromkeys(completed(genome, space) for genome in genomes))


def best_genomes(evaluations: Iterable[Pair]) -> list[Genome]:
    """The genomes that did not fail, best first, each once."""
    scored = [
        (evaluation.fitness, candidate.genome)
        for candidate, evaluation in evaluations
        if not evaluation.failed
    ]
    return list(dict.fromkeys(genome for _, genome in sorted(scored, key=lambda pair: -pair[0])))


def _genomes_in(file: Path) -> tuple[Genome, ...]:
    """The genomes of a JSON file: a list of what `Genome.to_dict` returns."""
    try:
        if (n_bytes := file.stat().st_size) > _LARGEST_FILE:
            raise ValueError(f"{n_bytes} bytes, more than {_LARGEST_FILE}")
        records = strict_json(file.read_bytes())
        if not isinstance(records, list) or not records:
            raise ValueError("no list of them")
        listed(check_genome)(records)
        return tuple(Genome.from_dict(record) for record in records)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f'{file}: expected genomes such as [{{"widths": [64, 32], "activation": "relu"}}], got: {error}'
        ) from None
