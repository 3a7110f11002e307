"""What the files of a run's folder may hold, key by key, and the checksums that they carry.

A check is a function of a value; it raises `WrongValueError`, which says ``NAME: expected WHAT, got VALUE``.
Keys that a check does not name may be there: a later version may write more.
"""

from __future__ import annotations

import json
import reprlib
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nas.errors import RunError
from nas.genome import GENES
from nas.network import ACTIVATIONS, OPTIMIZERS, SCHEDULES
from nas.runtime import digest_of, strict_json

Check = Callable[[Any], None]

_LARGEST = 16 * 2**20
"""Bytes of a file that is one JSON object."""

_FORMAT = 1

_SEALED = ("format", "checksum")


def read_record(
    file: Path, check: Check, by_new_names: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> dict[str, Any]:
    """The JSON object of a file, with its checksum if it has one, and what a check asks for.

    `by_new_names` renames the keys of earlier versions before the check; see `nas.tracking.renamed`.

    Raises
    ------
    RunError
        If it is something else.
    OSError
        If it cannot be read.
    """
    try:
        n_bytes = file.stat().st_size
        if n_bytes > _LARGEST:
            raise ValueError(f"expected at most {_LARGEST} bytes of JSON, got {n_bytes}")
        record = _json_of(file.read_bytes())
        if not isinstance(record, dict):
            raise ValueError(f"expected an object, got {reprlib.repr(record)}")
        if any(key in record for key in _SEALED):
            _check_seal(record)
        record = by_new_names(record)
        check(record)
    except ValueError as error:
        raise RunError(f"{file}: {' '.join(str(error).split())}") from None
    return {key: value for key, value in record.items() if key not in _SEALED}


def _json_of(content: bytes) -> Any:
    try:
        return strict_json(content)
    except ValueError as error:
        raise ValueError(f"expected JSON, got: {error}") from None


def sealed(record: Mapping[str, Any]) -> bytes:
    """A record as JSON, with its checksum."""
    whole = {"format": _FORMAT, **record}
    text = json.dumps({**whole, "checksum": digest_of(whole)}, indent=1, allow_nan=False)
    return f"{text}\n".encode()


def _check_seal(record: Mapping[str, Any]) -> None:
    if record.get("format") != _FORMAT:
        raise ValueError(f"format: expected {_FORMAT}, got {reprlib.repr(record.get('format'))}")
    if record.get("checksum") != digest_of({key: record[key] for key in record if key != "checksum"}):
        raise ValueError(
            "expected the content that its checksum is of, got another, which was changed since; if that was "
            "meant, delete the keys 'format' and 'checksum' from it"
        )


class Chain:
    """The checksum of lines that follow each other: each line ends with the CRC-32 of all up to itself.

    Parameters
    ----------
    crc : int
        What the chain begins with.
    """

    def __init__(self, crc: int = 0) -> None:
        self.crc = crc

    def closed(self, plain: bytes) -> bytes:
        """The line of a JSON object, with its checksum as the last key."""
        self.crc = zlib.crc32(plain, self.crc)
        return plain[:-1] + _CRC + b'%08x"}\n' % self.crc

    def check(self, line: bytes) -> None:
        """Take the next line in; `ValueError` if its checksum is not the one that it has to have."""
        plain, _, rest = line.rpartition(_CRC)
        self.crc = zlib.crc32(plain + b"}", self.crc)
        if rest != b'%08x"}' % self.crc:
            raise ValueError("another checksum than its own; it, or a line before it, was changed or lost")


_CRC = b',"crc":"'


class WrongValueError(ValueError):
    """A value that is not what its file should hold, with the name of its place, from the outside in."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self._words = f"expected {expected}, got {got}"
        self._name = ""

    def within(self, place: str) -> WrongValueError:
        """The same, of a value within another: the place is a key or ``[POSITION]``."""
        separator = "." if self._name and not self._name.startswith("[") else ""
        self._name = f"{place}{separator}{self._name}"
        return self

    def __str__(self) -> str:
        return f"{self._name}: {self._words}" if self._name else self._words


def of(words: str, holds: Callable[[Any], bool]) -> Check:
    """The check that a value is what some words say."""

    def check(value: Any) -> None:
        if not holds(value):
            raise WrongValueError(words, reprlib.repr(value))

    return check


def optional(check: Check) -> Check:
    """The check of a value that may be null."""

    def check_some(value: Any) -> None:
        if value is not None:
            check(value)

    return check_some


def listed(check: Check) -> Check:
    """The check of a list's values."""

    def check_all(value: Any) -> None:
        A_LIST(value)
        for i, one in enumerate(value):
            try:
                check(one)
            except WrongValueError as error:
                raise error.within(f"[{i}]") from None

    return check_all


def keyed(required: Mapping[str, Check], known: Mapping[str, Check] | None = None) -> Check:
    """The check of an object: of the keys that it has to have, and of those that it may have."""
    checks = {**required, **(known or {})}

    def check(value: Any) -> None:
        AN_OBJECT(value)
        for key, check_one in checks.items():
            try:
                if key in value:
                    check_one(value[key])
                elif key in required:
                    raise WrongValueError("a value", "no such key")
            except WrongValueError as error:
                raise error.within(key) from None

    return check


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


_NUMBERS = frozenset({int, float})


def _is_number(value: Any) -> bool:
    # A finite one: neither parser gives others.
    return type(value) in _NUMBERS


TEXT = of("text", lambda value: isinstance(value, str))
WHOLE = of("a whole number from 0", _is_whole)
NUMBER = of("a finite number", _is_number)
NUMBERS = of("a list of finite numbers", lambda v: isinstance(v, list) and _NUMBERS.issuperset(map(type, v)))
FLAG = of("true or false", lambda value: isinstance(value, bool))
A_LIST = of("a list", lambda value: isinstance(value, list))
AN_OBJECT = of("an object", lambda value: isinstance(value, dict))
TEXTS = listed(TEXT)
WHOLES = of("a list of whole numbers from 0", lambda v: isinstance(v, list) and all(map(_is_whole, v)))


def one_of(names: Any) -> Check:
    """The check that a text is one of some names."""
    known = tuple(names)
    return of(f"one of {', '.join(known)}", lambda value: isinstance(value, str) and value in known)


def _one_or_listed(check: Check) -> Check:
    several = listed(check)
    return lambda value: several(value) if isinstance(value, list) else check(value)


def _is_count(value: Any) -> bool:
    # A person may write 64.0.
    return type(value) in (int, float) and value >= 1 and value % 1 == 0


_WIDTHS = of(
    "a list of whole numbers from 1", lambda value: isinstance(value, list) and all(map(_is_count, value))
)
_GENES: dict[str, Check] = {
    "activation": _one_or_listed(one_of(ACTIVATIONS)),
    "learning_rate": NUMBER,
    "batch_size": of("a whole number from 1", _is_count),
    "weight_decay": NUMBER,
    "dropout": _one_or_listed(NUMBER),
    "optimizer": one_of(OPTIMIZERS),
    "schedule": one_of(SCHEDULES),
    "scaling": TEXT,
}


_GENOME = keyed({"widths": _WIDTHS}, _GENES)
_GENOME_KEYS = ("widths", *GENES)


def check_genome(value: Any) -> None:
    """Check what `Genome.to_dict` writes."""
    _GENOME(value)
    if not value.keys() <= set(_GENOME_KEYS):
        raise WrongValueError(f"keys among {', '.join(_GENOME_KEYS)}", reprlib.repr(sorted(value)))


CANDIDATE = keyed(
    {
        "id": WHOLE,
        "genome": check_genome,
        "seed": WHOLE,
        "generation": WHOLE,
        "operator": TEXT,
        "parents": WHOLES,
    },
    {"inherits": optional(WHOLE), "epochs_done": WHOLE, "epochs": optional(WHOLE)},
)
"""What `Candidate.to_dict` writes."""

EVALUATION = keyed(
    {"candidate_id": WHOLE},
    {
        "fitness": NUMBER,
        "validation_loss": NUMBER,
        "n_parameters": WHOLE,
        "best_epoch": WHOLE,
        "stopped": TEXT,
        "train_losses": NUMBERS,
        "validation_losses": NUMBERS,
        "validation_scores": NUMBERS,
        "error": optional(TEXT),
        "seconds": NUMBER,
    },
)
"""What the journal writes of an evaluation."""

PAIR = keyed({"candidate": CANDIDATE, "evaluation": EVALUATION})
"""A line of the journal."""

PROVENANCE = keyed({"candidate": CANDIDATE})
"""What the winner's saved network says of itself."""

GENERATION = keyed(
    {
        "number": WHOLE,
        "evaluated": WHOLE,
        "failures": WHOLE,
        "best": NUMBER,
        "median": NUMBER,
        "mean": NUMBER,
        "std": NUMBER,
        "diversity": NUMBER,
        "best_genome": check_genome,
        "heredity": NUMBERS,
        "pace": optional(NUMBER),
    }
)
"""A line of ``generations.jsonl``."""

_SPACE = keyed(
    {"depth": of("two whole numbers", lambda v: isinstance(v, list) and list(map(type, v)) == [int, int])},
    {"name": TEXT},
)

IDENTITY = keyed(
    {
        "data": keyed(
            {"name": TEXT, "rows": WHOLE, "columns": WHOLE, "task": TEXT, "target": TEXTS},
            {"classes": WHOLE, "digest": TEXT},
        ),
        "metric": TEXT,
        "space": _SPACE,
        "seed": WHOLE,
    },
    {"nas": TEXT, "recipe": AN_OBJECT, "training": AN_OBJECT, "starts": listed(check_genome)},
)
"""What the first line of a run's journal says."""

_SETTINGS = keyed(
    {
        "space": _SPACE,
        "starts": listed(check_genome),
        "objectives": TEXTS,
        "scoring": of("text, an object or null", lambda v: v is None or isinstance(v, (str, dict))),
    },
    {
        "algorithm": TEXT,
        "surrogate": optional(TEXT),
        "ray_address": TEXT,
        "resources": optional(AN_OBJECT),
        "refit": FLAG,
        "baseline": FLAG,
        "inherit": optional(FLAG),
        "halving": optional(FLAG),
    },
)

CONFIG = keyed(
    {
        "run_id": TEXT,
        "data": keyed(
            {"source": optional(TEXT), "target": TEXTS, "task": TEXT, "categorical": TEXTS},
            {"na": TEXTS, "header": optional(FLAG), "ignore": TEXTS},
        ),
        "settings": _SETTINGS,
        "tracking": optional(keyed({"uri": TEXT}, {"policy": TEXT, "register": optional(TEXT)})),
    }
)
"""What ``config.json`` holds; `nas.settings.search_settings` checks the bounds of its settings."""

_BEST = keyed({"genome": check_genome, "widths": WHOLES, "fitness": NUMBER, "n_parameters": WHOLE})

_RESULT = keyed(
    {
        "best": _BEST,
        "validation_score": NUMBER,
        "test_score": optional(NUMBER),
        "test_score_error": optional(NUMBER),
        "candidates": WHOLE,
        "epochs": WHOLE,
        "seconds": NUMBER,
        "stopped": TEXT,
    },
    {
        "run_id": TEXT,
        "task": TEXT,
        "metric": TEXT,
        "heredity": NUMBERS,
        "failures": WHOLE,
        "front": listed(keyed({"genome": check_genome, "fitness": NUMBER, "n_parameters": WHOLE})),
        "ensemble": listed(keyed({"widths": WHOLES, "share": NUMBER})),
        "finalists": listed(keyed({"genome": check_genome, "scores": NUMBERS})),
        "named": WHOLE,
        "single_layer_scores": NUMBERS,
        **dict.fromkeys(
            (
                *(
                    "rescored",
                    "rescored_error",
                    "selection_bias",
                    "single_layer_rescored",
                    "single_layer_gain",
                ),
                *("single_layer_gain_error", "baseline_test_score", "test_difference"),
                "test_difference_error",
            ),
            optional(NUMBER),
        ),
    },
)


def check_result(value: Any) -> None:
    """Check what ``result.json`` holds."""
    _RESULT(value)
    finalists = value.get("finalists")
    if finalists and value.get("named", -1) not in range(len(finalists)):
        got = reprlib.repr(value.get("named"))
        raise WrongValueError(f"one of {len(finalists)} finalists", got).within("named")
