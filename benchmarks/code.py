"""Figures of the package's own source: its words, its names, its sizes, and what a new part touches.

    python -m benchmarks.code [--package nas] [--worst 15] [--verbose] [--json FILE]

The source is read with `ast` and `tokenize`. `--verbose` lists each place that
counts against a figure, with its file and line, the files with most of them first.

How each figure is counted stands in the docstrings of `benchmarks.code_words` and `benchmarks.code_shape`,
with the lists of words and names. In short: prose is docstrings, those of attributes included, and
comments, without code in backticks; a binding is one name in one scope; documentation is lines of
docstrings and lines of comments alone, over lines that hold code; a new part touches as many files as
name one of the examples in `PARTS`, the one that most files name.
"""

from __future__ import annotations

import argparse
import ast
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.code_shape import (
    PARTS,
    Layers,
    arrows_back,
    bare_constants,
    class_lengths,
    comment_share,
    cycles,
    doc_share,
    files_of,
    imports,
    layers_in,
    long_signatures,
    module_lengths,
    wide_classes,
)
from benchmarks.code_words import Hit, Source, person_words, read_package, weak_names
from benchmarks.harness import Figure, report

ROOT = Path(__file__).parent.parent

_LONGEST_CLASS, _LONGEST_MODULE = 250, 400
"""Lines, as issue 21 asks: the sizes of the models in the house style."""


_PERSON_WORDS = "person words per 1,000 words of prose"
_WEAK_NAMES = "% of bindings that are pronouns or participles"
_BARE_CONSTANTS = "numeric constants without a reason"


def measure(sources: Sequence[Source], layers: Layers) -> list[tuple[Figure, list[Hit]]]:
    """Each figure with the places that count against it."""
    words, names = person_words(sources), weak_names(sources)
    signatures, classes = long_signatures(sources, _public_names(sources)), wide_classes(sources)
    class_lines, module_lines = class_lengths(sources), module_lengths(sources)
    constants, graph = bare_constants(sources), imports(sources)
    rings, back = cycles(graph), arrows_back(graph, layers)
    measured = [
        (_at_most(_PERSON_WORDS, 1.0, words.per(1000)), words.hits),
        (_at_most(_WEAK_NAMES, 1.5, names.per(100)), names.hits),
        (_at_most("functions with more than 7 parameters", 3, len(signatures.hits)), signatures.hits),
        (_at_most("classes with more than 15 methods", 2, len(classes.hits)), classes.hits),
        _longest("longest class (lines)", _LONGEST_CLASS, class_lines),
        _longest("longest module (lines), runtime aside", _LONGEST_MODULE, module_lines),
        (Figure("doc lines / code lines", 0.35, doc_share(sources)), []),
        (
            Figure(
                "% of comment lines to code lines, network and training",
                5.0,
                comment_share(sources, ("network", "training")),
            ),
            [],
        ),
        (_at_most(_BARE_CONSTANTS, 0, len(constants.hits)), constants.hits),
        (_at_most("import cycles", 0, len(rings)), [_closing(ring, graph) for ring in rings]),
        (_at_most("imports from a room above", 0, len(back)), back),
    ]
    for part in PARTS:
        count = files_of(part, sources)
        figure = _at_most(
            f"files for a new {part.kind}", part.asked, math.nan if count is None else len(count.hits)
        )
        measured.append((figure, [] if count is None else count.hits))
    return measured


def _at_most(name: str, asked: float, measured: float) -> Figure:
    return Figure(name, asked, measured, at_most=True)


def _longest(name: str, asked: int, lengths: Sequence[tuple[int, Hit]]) -> tuple[Figure, list[Hit]]:
    """The figure of the longest, and all that are too long."""
    figure = _at_most(name, asked, max((length for length, _ in lengths), default=0))
    return figure, [
        hit._replace(text=f"{hit.text}: {length} lines") for length, hit in lengths if length > asked
    ]


def _closing(ring: Sequence[str], graph: Mapping[str, Mapping[str, Hit]]) -> Hit:
    """A cycle by one of its imports."""
    hit = next(graph[ring[0]][module] for module in ring if module in graph[ring[0]])
    return hit._replace(text="imports in a cycle: " + ", ".join(ring))


def _public_names(sources: Sequence[Source]) -> list[str]:
    """The package's ``__all__``, read without importing it."""
    package = next(source for source in sources if re.fullmatch(r"\w+/__init__\.py", source.file))
    for node in package.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def rows_of(sources: Sequence[Source], measured: Sequence[tuple[Figure, list[Hit]]]) -> list[dict[str, Any]]:
    """A row for each file, those with most words and names to change first."""
    n = {figure.name: Counter(hit.file for hit in hits) for figure, hits in measured}
    rows = [
        {
            "file": source.file,
            "lines": source.n_lines,
            "person words": n[_PERSON_WORDS][source.file],
            "weak names": n[_WEAK_NAMES][source.file],
            "bare constants": n[_BARE_CONSTANTS][source.file],
            "doc lines / code lines": round(doc_share([source]), 3),
        }
        for source in sources
    ]
    return sorted(rows, key=lambda row: (-row["person words"] - row["weak names"], row["file"]))


def listing(measured: Sequence[tuple[Figure, list[Hit]]]) -> str:
    """Each place that counts against a figure, by figure and file, the files with most of them first."""
    lines = []
    for figure, hits in measured:
        if hits:
            lines += [f"{figure.name}: {figure.measured:.3g} (asked {figure.asked:.3g})", *_ordered(hits), ""]
    return "\n".join(lines)


def _ordered(hits: Sequence[Hit]) -> list[str]:
    n: Mapping[str, int] = Counter(hit.file for hit in hits)
    ordered = sorted(hits, key=lambda hit: -n[hit.file])
    return [f"  {hit.file}:{hit.line}: {hit.text}" for hit in ordered]


def main() -> None:
    """Count, and print what was counted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--package", type=Path, default=ROOT / "nas", help="folder of the package to read")
    parser.add_argument("--worst", type=int, default=15, help="files to show, those with most hits first")
    parser.add_argument("--verbose", action="store_true", help="list each hit with its file and line")
    parser.add_argument("--json", metavar="FILE", help="write figures, and a row for each file")
    options = parser.parse_args()
    sources = read_package(options.package)
    measured = measure(sources, layers_in(ROOT / "tests" / "test_architecture.py"))
    rows = rows_of(sources, measured)
    if options.verbose:
        print(listing(measured))
    report([figure for figure, _ in measured], rows[: max(1, options.worst)], options.json, raw=rows)


if __name__ == "__main__":
    main()
