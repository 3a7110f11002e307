"""Schemas of the files in a run's folder, key by key.

A check is a function of a value; it raises `WrongValueError` with ``NAME: expected WHAT, got VALUE``.
Unknown keys are accepted: a later version may write more.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from nas.genome import GENES, LAYER_GENES
from nas.space import DOMAINS, Names

Check = Callable[[Any], None]


class WrongValueError(ValueError):
    """A value that its schema refuses; the message begins with its dotted name."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self._words = f"expected {expected}, got {got}"
        self._name = ""

    def within(self, place: str) -> WrongValueError:
        """Prepend the place of the value in the object that holds it: a key, or ``[POSITION]``."""
        separator = "." if self._name and not self._name.startswith("[") else ""
        self._name = f"{place}{separator}{self._name}"
        return self

    def __str__(self) -> str:
        return f"{self._name}: {self._words}" if self._name else self._words


def of(words: str, holds: Callable[[Any], bool]) -> Check:
    """Make a check from a predicate; `words` describe the values that it accepts."""

    def check(value: Any) -> None:
        if not holds(value):
            raise WrongValueError(words, reprlib.repr(value))

    return check


def optional(check: Check) -> Check:
    """Make a check that also accepts null."""

    def check_unless_null(value: Any) -> None:
        if value is not None:
            check(value)

    return check_unless_null


def listed(check: Check) -> Check:
    """Make a check of a list from the check of its items."""

    def check_items(value: Any) -> None:
        A_LIST(value)
        for i, item in enumerate(value):
            try:
                check(item)
            except WrongValueError as error:
                raise error.within(f"[{i}]") from None

    return check_items


def keyed(required: Mapping[str, Check], optional_keys: Mapping[str, Check] | None = None) -> Check:
    """Make a check of an object from the checks of its required and its optional keys."""
    checks = {**required, **(optional_keys or {})}

    def check(value: Any) -> None:
        AN_OBJECT(value)
        for key, check_value in checks.items():
            try:
                if key in value:
                    check_value(value[key])
                elif key in required:
                    raise WrongValueError("a value", "no such key")
            except WrongValueError as error:
                raise error.within(key) from None

    return check


def _is_whole(value: Any) -> bool:
    """Return whether a value is a non-negative int; bool is no int here."""
    return type(value) is int and value >= 0


_NUMBERS = frozenset({int, float})


def _is_number(value: Any) -> bool:
    # Finite, as neither JSON parser accepts NaN or infinity.
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
    """Make a check that accepts some names only."""
    accepted = tuple(names)
    return of(f"one of {', '.join(accepted)}", lambda value: isinstance(value, str) and value in accepted)


def _single_or_listed(check: Check) -> Check:
    """Make a check of a gene: a value, or a list with a value for each layer."""
    several = listed(check)
    return lambda value: several(value) if isinstance(value, list) else check(value)


def _is_count(value: Any) -> bool:
    """Return whether a value is a positive whole number."""
    # Files that are written by hand may hold 64.0.
    return type(value) in (int, float) and value >= 1 and value % 1 == 0


def _is_count_or_0(value: Any) -> bool:
    """Return whether a value is a whole number from 0, which may be written as 1.0."""
    return _is_count(value) or (type(value) in (int, float) and value == 0)


_WIDTHS = of(
    "a list of whole numbers from 1", lambda value: isinstance(value, list) and all(map(_is_count, value))
)


def _gene_check(gene: str) -> Check:
    """Make the check of a gene from the values that spaces may give it."""
    domain = DOMAINS[gene]
    if isinstance(domain, Names):
        check = one_of(domain.names)
    else:
        # Bounds are not checked: an earlier version may have had wider ones.
        from_1, from_0 = of("a whole number from 1", _is_count), of("a whole number from 0", _is_count_or_0)
        check = NUMBER if not domain.whole else from_1 if domain.low >= 1 else from_0
    return _single_or_listed(check) if gene in LAYER_GENES else check


_GENOME = keyed({"widths": _WIDTHS}, {gene: _gene_check(gene) for gene in GENES})
_GENOME_KEYS = ("widths", *GENES)


def check_genome(value: Any) -> None:
    """Check a genome as `Genome.to_dict` writes it."""
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
    {
        "inherits": optional(WHOLE),
        "epochs_done": WHOLE,
        "epochs": optional(WHOLE),
        "bar": NUMBER,
        "offset": NUMBER,
    },
)
"""A candidate as `Candidate.to_dict` writes it."""

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
        "fold_scores": NUMBERS,
        "error": optional(TEXT),
        "seconds": NUMBER,
    },
)
"""An evaluation as the journal writes it."""

PAIR = keyed({"candidate": CANDIDATE, "evaluation": EVALUATION})
"""A line of the journal."""

PROVENANCE = keyed({"candidate": CANDIDATE})
"""The provenance of the winner's saved network."""

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
"""The identity of a search: the first line of its journal."""

_SETTINGS = keyed(
    {
        "space": _SPACE,
        "starts": listed(check_genome),
        "objectives": TEXTS,
        "scoring": of("text, an object or null", lambda v: v is None or isinstance(v, (str, dict))),
    },
    {
        "algorithm": of("text or an object", lambda v: isinstance(v, (str, dict))),
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
            {
                "na": TEXTS,
                "header": optional(FLAG),
                "ignore": TEXTS,
                "groups": TEXT,
                "weights": TEXT,
                "time_order": FLAG,
                "validation": TEXT,
            },
        ),
        "settings": _SETTINGS,
        "tracking": optional(keyed({"uri": TEXT}, {"policy": TEXT, "register": optional(TEXT)})),
    },
    {"export": TEXTS},
)
"""``config.json``; `nas.settings.search_settings` checks the bounds of its settings."""

_BEST = keyed(
    {"genome": check_genome, "widths": WHOLES, "fitness": NUMBER, "n_parameters": WHOLE}, {"id": WHOLE}
)

_FRONT_MEMBER = keyed(
    {"genome": check_genome, "fitness": NUMBER, "n_parameters": WHOLE},
    {"id": WHOLE, "flops": NUMBER, "latency": NUMBER},
)

_IMPORTANCE = keyed(
    {"column": TEXT},
    dict.fromkeys(("importance", "low", "high"), optional(NUMBER)),
)

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
        "front": listed(_FRONT_MEMBER),
        "ensemble": listed(keyed({"widths": WHOLES, "share": NUMBER})),
        "finalists": listed(keyed({"genome": check_genome, "scores": NUMBERS})),
        "named": WHOLE,
        "single_layer_scores": NUMBERS,
        "temperature": NUMBER,
        "validation_folds": of("a whole number from 1", _is_count),
        "rescoring_folds": WHOLE,
        "refit": FLAG,
        "dropped": TEXTS,
        "test_rows": WHOLE,
        "test_metrics": keyed({}, {"rmse": NUMBER}),
        "baselines_left_out": keyed({}, {"network": TEXT, "trees": TEXT}),
        "earlier": keyed(
            {"candidates": WHOLE, "genome": check_genome, "folder": TEXT},
            dict.fromkeys(("test_score", "difference", "difference_error"), optional(NUMBER)),
        ),
        "columns": keyed(
            {"n_columns": WHOLE, "n_rows": WHOLE, "importance": listed(_IMPORTANCE)},
            {"loss": optional(NUMBER)},
        ),
        **dict.fromkeys(
            (
                *(
                    "rescored",
                    "rescored_error",
                    "selection_bias",
                    "single_layer_rescored",
                    "single_layer_gain",
                ),
                "validation_score_error",
                *("single_layer_gain_error", "baseline_test_score", "test_difference"),
                *("test_difference_error", "trees_test_score", "trees_difference", "trees_difference_error"),
            ),
            optional(NUMBER),
        ),
    },
)


def check_result(value: Any) -> None:
    """Check ``result.json``."""
    _RESULT(value)
    finalists = value.get("finalists")
    if finalists and value.get("named", -1) not in range(len(finalists)):
        got = reprlib.repr(value.get("named"))
        raise WrongValueError(f"one of {len(finalists)} finalists", got).within("named")
