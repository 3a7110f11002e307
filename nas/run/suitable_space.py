"""The search space as far as it suits a table: without genes that its task or its size rules out."""

from __future__ import annotations

import logging
from dataclasses import replace

from nas.data import Dataset
from nas.data.numbers import BINS
from nas.errors import SpaceError
from nas.settings.search_settings import SearchSettings
from nas.space import SearchSpace, encodings_of

_log = logging.getLogger(__name__)

_MOST_CODES = 2**30
"""Bytes of the codes of bins that a search may hold, in all its encodings: they may be 16 times the table."""

_MOST_COLUMNS = 50
"""Columns of numbers up to which bins are searched where the space can do without: beyond, first layers have
about a thousand inputs or more, a search takes several times as long, and the columns are often of one kind,
such as pixels, in which no threshold matters by itself."""


def suitable(settings: SearchSettings, dataset: Dataset) -> SearchSettings:
    """The settings with the space and the genomes to begin with, as far as they suit the data."""
    if dataset.task == "regression":
        settings = _without_smoothing(settings)
    space = affordable_space(settings.space, dataset)
    if space is settings.space:
        return settings
    starts = [
        genome
        if genome.numeric_encoding in space.numeric_encoding
        else replace(genome, numeric_encoding=None)
        for genome in settings.starts
    ]
    return replace(settings, space=space, starts=tuple(dict.fromkeys(starts)))


def affordable_space(space: SearchSpace, dataset: Dataset) -> SearchSpace:
    """The space without numeric encodings that cost too much, which are named.

    Those that would take more than 1 GiB of memory, and, if the space has a value without them, those of more
    than 50 columns. The bounds are the same on every machine, so that the search is.

    Raises
    ------
    SpaceError
        If the space has no other numeric encoding.
    """
    encodings = [encoding for encoding in encodings_of(space) if encoding.numeric_encoding is not None]
    n_numbers = sum(reading.kind == "numeric" for reading in dataset.readings.values())
    n_bytes = 4 * BINS * n_numbers * dataset.n_rows * len(encodings)
    costly = {encoding.numeric_encoding for encoding in encodings}
    values = [value for value in space.numeric_encoding if value not in costly]
    names = ", ".join(sorted(filter(None, costly)))
    if costly and values and n_numbers > _MOST_COLUMNS:
        _log.info("numeric_encoding %s is left out of the search: %d columns of numbers", names, n_numbers)
        return replace(space, numeric_encoding=values)
    if n_bytes <= _MOST_CODES:
        return space
    what = (
        f"{BINS} bins for {n_numbers:,} columns of numbers in {dataset.n_rows:,} rows, {len(encodings)} "
        f"scaling{'s' * (len(encodings) != 1)} each"
    )
    got = f"{n_bytes / 2**30:.1f} GiB for {what}"
    if not values:
        raise SpaceError(
            f"search space {space.name}: numeric_encoding: expected inputs of at most "
            f'{_MOST_CODES / 2**30:g} GiB, got {got}; with "none" among its values the search goes without'
        )
    _log.warning(
        "numeric_encoding %s is left out of the search: its inputs would take %s, more than %g GiB",
        names,
        got,
        _MOST_CODES / 2**30,
    )
    return replace(space, numeric_encoding=values)


def _without_smoothing(settings: SearchSettings) -> SearchSettings:
    """The settings without label smoothing: a space may be meant for any task, and values have no classes."""
    if not settings.space.label_smoothing:
        return settings
    _log.info("label_smoothing is left out of space %s: a regression has no classes", settings.space.name)
    starts = (replace(genome, label_smoothing=None) for genome in settings.starts)
    space = replace(settings.space, label_smoothing=())
    return replace(settings, space=space, starts=tuple(dict.fromkeys(starts)))
