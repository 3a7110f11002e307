"""The shape of a package's source: sizes, documentation, constants, imports, and what a new part touches."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.code_words import Count, Hit, Source

_Function = ast.FunctionDef | ast.AsyncFunctionDef

Layers = Sequence[Collection[str]]
"""Rooms of the package from the ground up; a module imports from its own layer and those before it."""


@dataclass(frozen=True)
class Part:
    """A kind of part that is added to the package, and existing examples of it.

    Attributes
    ----------
    examples : tuple of str
        A regular expression for each. A file that has a whole name, or a word of a string, like this is
        one that the example touches, and so will the next of its kind. Comments and docstrings do not count.
        The example that touches most files counts.
    asked : int
        Files that a new part may touch.
    rooms : collection of str
        Where to look; everywhere if empty. For names that mean something else in other rooms.
    passed_in : str, optional
        A regular expression for parameters of `nas.search`: a part that can be passed in there touches no
        file of the package.
    """

    kind: str
    examples: tuple[str, ...]
    asked: int
    rooms: Collection[str] = ()
    passed_in: str | None = None


PARTS = (
    Part("gene", ("weight_decays?", "schedules?", "(?i)_*scalings?", "(?i)_*dropouts?"), 9),
    Part("activation", ("silu", "gelu", "elu"), 2),
    Part("algorithm", ("aging|Aging",), 2),
    Part(
        "tracker",
        ("progress|ProgressDisplay",),
        0,
        rooms=("tracking", "run", "search", "settings", "estimators", "cli"),  # a schedule has a progress too
        passed_in="callbacks?|trackers?",
    ),
    Part("export", ("torch|torch_module", "onnx"), 2),
    Part("executor", ("serial|SerialExecutor", "RayExecutor"), 2),
    Part("setting", ("candidate_time_limit", "target_score", "max_latency"), 3),
)
"""Examples whose names mean nothing else; one that is renamed is to be renamed here."""


def files_of(part: Part, sources: Sequence[Source]) -> Count | None:
    """Files that a part's example names, one hit each; none if parts can be passed in.

    `None` if the package has no such example, so that nothing was measured.
    """
    if part.passed_in is not None and any(
        re.fullmatch(part.passed_in, name) for name in _search_parameters(sources)
    ):
        return Count([], len(sources))
    searched = [source for source in sources if not part.rooms or room(_module(source)) in part.rooms]
    widest = max((_first_hits(example, searched) for example in part.examples), key=len)
    return Count(widest, len(sources)) if widest else None


def _first_hits(pattern: str, sources: Sequence[Source]) -> list[Hit]:
    """The first name in each file that is like the pattern."""
    hits = []
    for source in sources:
        lines = [(line, name) for name, line in source.names.items() if re.fullmatch(pattern, name)]
        if lines:
            hits.append(Hit(source.file, *min(lines)))
    return hits


def _search_parameters(sources: Sequence[Source]) -> set[str]:
    """Names of the parameters of the public function `search`."""
    return {
        parameter.arg
        for source in sources
        for node in source.tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "search"
        for parameter in _parameters(node)
    }


def long_signatures(sources: Sequence[Source], public: Collection[str], most: int = 7) -> Count:
    """Functions with more than `most` parameters, `self` and `cls` aside.

    Left out are entry points that are long and typed on purpose: functions of these public names at the
    top of a module, and the constructors of classes of these names and of the room `estimators`.
    """
    hits, total = [], 0
    for source in sources:
        for node, around in _functions(source.tree):
            total += 1
            entry = node.name in public if around is None else node.name == "__init__" and around in public
            if entry or (node.name == "__init__" and room(_module(source)) == "estimators"):
                continue
            n = len(_parameters(node))
            if n > most:
                hits.append(Hit(source.file, node.lineno, f"{node.name}: {n} parameters"))
    return Count(hits, total)


def _functions(tree: ast.Module) -> Iterator[tuple[_Function, str | None]]:
    """All functions, each with the class that it is a method of; "" for one within a function."""
    pending: list[tuple[ast.AST, str | None]] = [(tree, None)]
    while pending:
        node, around = pending.pop()
        if isinstance(node, _Function):
            yield node, around
            around = ""
        elif isinstance(node, ast.ClassDef):
            around = node.name
        pending += [(child, around) for child in ast.iter_child_nodes(node)]


def _parameters(node: _Function) -> list[ast.arg]:
    listed = [
        *node.args.posonlyargs,
        *node.args.args,
        *node.args.kwonlyargs,
        node.args.vararg,
        node.args.kwarg,
    ]
    return [
        parameter for parameter in listed if parameter is not None and parameter.arg not in ("self", "cls")
    ]


def wide_classes(sources: Sequence[Source], most: int = 15) -> Count:
    """Classes with more than `most` methods, properties and magic methods included."""
    hits, total = [], 0
    for source in sources:
        for node in _classes(source.tree):
            total += 1
            n = sum(isinstance(inner, _Function) for inner in node.body)
            if n > most:
                hits.append(Hit(source.file, node.lineno, f"{node.name}: {n} methods"))
    return Count(hits, total)


def class_lengths(sources: Sequence[Source]) -> list[tuple[int, Hit]]:
    """The lines of each class, the longest first."""
    lengths = [
        ((node.end_lineno or node.lineno) - node.lineno + 1, Hit(source.file, node.lineno, node.name))
        for source in sources
        for node in _classes(source.tree)
    ]
    return sorted(lengths, reverse=True)


def _classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def module_lengths(sources: Sequence[Source], aside: Collection[str] = ("runtime",)) -> list[tuple[int, Hit]]:
    """The lines of each module, the longest first, without the rooms that are named aside."""
    lengths = [
        (source.n_lines, Hit(source.file, 1, "module"))
        for source in sources
        if room(_module(source)) not in aside
    ]
    return sorted(lengths, reverse=True)


def doc_share(sources: Sequence[Source]) -> float:
    """Lines of docstrings and of comments alone, over lines that hold code; blank lines are neither."""
    code = sum(len(source.code_lines) for source in sources)
    docs = sum(len(source.doc_lines) + len(source.comment_lines) for source in sources)
    return docs / code if code else 0.0


def comment_share(sources: Sequence[Source], rooms: Collection[str]) -> float:
    """Lines of comments alone in these rooms, in percent of their lines that hold code."""
    chosen = [source for source in sources if room(_module(source)) in rooms]
    code = sum(len(source.code_lines) for source in chosen)
    comments = sum(len(source.comment_lines) for source in chosen)
    return 100 * comments / code if code else 0.0


def bare_constants(sources: Sequence[Source]) -> Count:
    """Numeric constants of modules without a reason or a source.

    A constant is an assignment of a number, an expression of numbers or a tuple of these, to names in
    capitals at the top of a module. Its reason is a comment on one of its lines or right above it, or a
    docstring right below it.
    """
    hits, total = [], 0
    for source in sources:
        commented = {token.start[0] for token in source.tokens if token.type == tokenize.COMMENT}
        for node in source.tree.body:
            if not isinstance(node, ast.Assign | ast.AnnAssign) or not _is_numeric_constant(node):
                continue
            total += 1
            first, last = node.lineno, node.end_lineno or node.lineno
            above = first - 1 in source.comment_lines
            if (
                not above
                and last + 1 not in source.doc_lines
                and commented.isdisjoint(range(first, last + 1))
            ):
                hits.append(Hit(source.file, first, ast.unparse(node)))
    return Count(hits, total)


def _is_numeric_constant(node: ast.Assign | ast.AnnAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return all(ast.unparse(target).isupper() for target in targets) and _is_numeric(node.value)


def _is_numeric(node: ast.expr | None) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float) and not isinstance(value, bool)
        case ast.UnaryOp(operand=operand):
            return _is_numeric(operand)
        case ast.BinOp(left=left, right=right):
            return _is_numeric(left) and _is_numeric(right)
        case ast.Tuple(elts=values):
            return bool(values) and all(map(_is_numeric, values))
    return False


def layers_in(path: Path) -> Layers:
    """The list `LAYERS` of the test that keeps the rooms' order."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS":
            layers: Layers = ast.literal_eval(node.value)
            return layers
    raise ValueError(f"{path}: expected an assignment to LAYERS, got none")


def room(module: str) -> str:
    """The first name within the package: that of a folder or of a single module."""
    return module.split(".")[1] if "." in module else ""


def _module(source: Source) -> str:
    """The dotted name."""
    return source.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(sources: Sequence[Source]) -> dict[str, dict[str, Hit]]:
    """For each module the modules that it imports, and where; those for type checkers alone left out.

    As in the tests of the architecture, the package itself is left out: its ``__init__`` gathers the
    public names, and nothing within may import it.
    """
    known = {_module(source): source for source in sources}
    package = min(known, key=len)
    graph: dict[str, dict[str, Hit]] = {}
    for module, source in known.items():
        if module != package:
            lines = dict(reversed(list(_imported(source.tree))))  # the first line of each
            graph[module] = {
                name: Hit(source.file, line, f"imports {name}")
                for name, line in lines.items()
                if name in known and name not in (package, module)
            }
    return graph


def _imported(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names that may be modules, in the order of the source."""
    if isinstance(node, ast.If) and ast.unparse(node.test).removeprefix("typing.") == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from ((alias.name, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield node.module, node.lineno
        yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)


def cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The sets of modules that import each other, directly or not."""
    reached = {module: _reached(module, lambda name: graph[name]) for module in graph}
    rings = {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in graph
        if module in reached[module]
    }
    return sorted(sorted(ring) for ring in rings)


def _reached(start: str, following: Callable[[str], Iterable[str]]) -> set[str]:
    """All that can be reached from a start by at least one step."""
    reached: set[str] = set()
    pending = list(following(start))
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += following(name)
    return reached


def arrows_back(graph: Mapping[str, Mapping[str, Hit]], layers: Layers) -> list[Hit]:
    """Imports of a room that lies above; a room that no layer names lies above all."""
    heights = {name: height for height, names in enumerate(layers) for name in names}

    def height(module: str) -> int:
        return heights.get(room(module), len(layers))

    return [
        hit
        for module, imported in graph.items()
        for name, hit in imported.items()
        if height(name) > height(module)
    ]
