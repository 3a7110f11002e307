"""The search space as far as it suits a table: without genes that its task or its size rules out."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from nas.data import Dataset
from nas.data.numbers import BINS
from nas.errors import SpaceError
from nas.genome import GENES, Genome
from nas.network.mlp import PREDICTION_ROWS
from nas.network.waves import N_WAVES
from nas.settings.search_settings import SearchSettings
from nas.space import CostModel, SearchSpace, completed, encodings_of
from nas.training.planner import MOST

_log = logging.getLogger(__name__)

_MOST_CODES = 2**30
"""Bytes of the codes of bins that a search may hold, in all its encodings, which may be 16 times the table;
and of the waves of a cohort."""

_ARRAYS_OF_WAVES = 5
"""Arrays of waves that a network holds: three for its batches, two for blocks of rows that validate it."""

_MOST_COLUMNS = 50
"""Columns of numbers up to which bins and waves are searched where the space can do without: beyond, first
layers have about a thousand inputs or more, a search takes several times as long, and the columns are often
of one kind, such as pixels, in which no threshold matters by itself."""


def suitable(settings: SearchSettings, dataset: Dataset) -> SearchSettings:
    """The settings with the space and the genomes to begin with, as far as they suit the data."""
    if dataset.task == "regression":
        settings = _without_smoothing(settings)
    return _with_space(settings, affordable_space(settings.space, dataset))


def _with_space(settings: SearchSettings, space: SearchSpace) -> SearchSettings:
    """The settings with a smaller space: genomes to start with get other values for what it lacks."""
    if space is settings.space:
        return settings
    starts = (_fitted(genome, space) for genome in settings.starts)
    return replace(settings, space=space, starts=tuple(dict.fromkeys(starts)))


def with_starts(settings: SearchSettings, costs: CostModel) -> SearchSettings:
    """The settings with the genomes that their space begins with, unless they have others.

    Genes of these with values that the space does not have any more get others. Genomes beyond the limits,
    and those with widths or depths outside of the space, are left out.
    """
    space = settings.space
    if settings.starts or not space.starts:
        return settings
    fitted = dict.fromkeys(_fitted(genome, space) for genome in space.starts)
    starts = [genome for genome in fitted if genome in space and settings.limits.allow(costs(genome))]
    return replace(settings, starts=tuple(starts))


def _fitted(genome: Genome, space: SearchSpace) -> Genome:
    """The genome with values of the space in place of those that the space does not have."""
    missing: dict[str, Any] = {
        gene: None
        for gene in GENES
        if (value := getattr(genome, gene)) is not None
        and not set(value if isinstance(value, tuple) else (value,)) <= set(space.genes.get(gene, ()))
    }
    return completed(replace(genome, **missing), space)


def affordable_space(space: SearchSpace, dataset: Dataset) -> SearchSpace:
    """The space without numeric encodings that cost too much, which are named.

    Those that would take more than 1 GiB of memory, and, if the space has a value without them, those of more
    than 50 columns. The bounds are the same on every machine, so that the search is.

    Raises
    ------
    SpaceError
        If the space has no other numeric encoding.
    """
    n_numbers = sum(reading.kind == "numeric" for reading in dataset.readings.values())
    encodings = [name for name in space.numeric_encoding if name != "none"]
    if encodings and "none" in space.numeric_encoding and n_numbers > _MOST_COLUMNS:
        names = ", ".join(sorted(encodings))
        _log.info("numeric_encoding %s is left out of the search: %d columns of numbers", names, n_numbers)
        return replace(space, numeric_encoding=("none",))
    for name in encodings:
        n_bytes, what = _memory(name, n_numbers, dataset.n_rows, space)
        if n_bytes > _MOST_CODES:
            space = _without(space, name, f"{n_bytes / 2**30:.1f} GiB for {what}")
    return space


def _memory(name: str, n_numbers: int, n_rows: int, space: SearchSpace) -> tuple[int, str]:
    """The bytes that a numeric encoding takes, and what they are for."""
    if name == "periodic":
        n_bytes = 4 * _ARRAYS_OF_WAVES * N_WAVES * n_numbers * PREDICTION_ROWS * MOST
        return n_bytes, f"{N_WAVES} waves for {n_numbers:,} columns of numbers in each of {MOST} networks"
    scalings = len({encoding.scaling for encoding in encodings_of(space)})
    n_bytes = 4 * BINS * n_numbers * n_rows * scalings
    several = "s" * (scalings != 1)
    what = f"{BINS} bins for {n_numbers:,} columns of numbers in {n_rows:,} rows, {scalings} scaling{several}"
    return n_bytes, f"{what} each"


def _without(space: SearchSpace, name: str, got: str) -> SearchSpace:
    """The space without a numeric encoding that takes too much memory; `SpaceError` if it has no other."""
    values = [value for value in space.numeric_encoding if value != name]
    most = f"{_MOST_CODES / 2**30:g} GiB"
    if not values:
        raise SpaceError(
            f"search space {space.name}: numeric_encoding: expected inputs of at most {most}, got {got}; "
            f'with "none" among its values the search goes without'
        )
    _log.warning(
        "numeric_encoding %s is left out of the search: its inputs would take %s, more than %s",
        name,
        got,
        most,
    )
    return replace(space, numeric_encoding=values)


def _without_smoothing(settings: SearchSettings) -> SearchSettings:
    """The settings without label smoothing: a space may be meant for any task, and values have no classes."""
    if not settings.space.label_smoothing:
        return settings
    _log.info("label_smoothing is left out of space %s: a regression has no classes", settings.space.name)
    return _with_space(settings, replace(settings.space, label_smoothing=()))
