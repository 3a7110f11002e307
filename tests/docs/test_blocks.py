"""Every block of Python and of commands in the documents runs, in the order in which a reader meets it.

The pages of a folder such as `docs/recipes` share a folder of files, its `index.md` first; so does a page
that names such a folder in a comment, `<!-- after: recipes -->`. Any other page has a folder of its own.
Searches have cheaper defaults here (`CHEAP`), and MLflow only on pages with `<!-- with: tracking -->`; what a
block itself says wins. A block below `<!-- not run: REASON -->` needs what a test does not have; its commands
are parsed all the same.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nas
from nas.cli import main
from nas.cli.program import _parser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ["README.md", *sorted(page.relative_to(ROOT).as_posix() for page in DOCS.rglob("*.md"))]

CHEAP: dict[str, Any] = {
    "space": "tiny",
    "n_candidates": 6,
    "epochs": 4,
    "folds": 2,
    "n_workers": 0,
    "n_finalists": 2,
    "members": 1,
    "baseline": False,
    "report": False,
    "progress": False,
}
"""Defaults of every search here, in place of the package's own."""

CHEAP_OPTIONS = [
    *("--space", "tiny", "--candidates", "6", "--epochs", "4", "--folds", "2", "--workers", "0"),
    *("--finalists", "2", "--members", "1", "--no-baseline", "--no-report", "-q"),
]
"""The same, as options: they come first, so that those of the page win."""

_SEARCH = nas.search

_FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>python|sh)\n(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_TRACKED = "<!-- with: tracking -->"
_AFTER = re.compile(r"<!-- after: (\w+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    code: str
    line: int
    reason: str | None


def blocks(page: str) -> list[Block]:
    """The blocks of a page that readers run."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(match["language"], code, line, match["reason"]))
    return found


def commands(code: str) -> list[str]:
    """The lines of a block of commands, those that end with a backslash joined, comments left out."""
    lines = re.sub(r"\\\n\s*", " ", code).splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]


def pages_with(accept: Callable[[Block], bool]) -> list[str]:
    """The pages with a block of a kind."""
    return [page for page in PAGES if any(map(accept, blocks(page)))]


def folder_of(page: str) -> str:
    """The name of the folder of files that a page works in."""
    after = _AFTER.search((ROOT / page).read_text(encoding="utf-8"))
    parent = Path(page).parent
    return after[1] if after else page if parent in (Path(), Path("docs")) else parent.name


class Reader:
    """A person who reads pages in a folder, and does what they say.

    Parameters
    ----------
    page : str
    monkeypatch : MonkeyPatch
        Environment variables that commands set are set by it.
    """

    def __init__(self, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.page, self.monkeypatch = page, monkeypatch
        is_tracked = page == "README.md" or _TRACKED in (ROOT / page).read_text(encoding="utf-8")
        self.options = CHEAP_OPTIONS if is_tracked else [*CHEAP_OPTIONS, "--no-tracking"]
        monkeypatch.setattr(nas, "search", partial(_SEARCH, **CHEAP, tracking=is_tracked))
        self.namespace: dict[str, Any] = {"__name__": "page"}

    def run(self, block: Block) -> None:
        """Run a block of the page."""
        if block.language == "python":
            # The lines of a traceback are those of the page.
            code = compile("\n" * (block.line - 1) + block.code, str(ROOT / self.page), "exec")
            exec(code, self.namespace)
        else:
            for line in commands(block.code):
                self._command(line, f"{self.page}:{block.line}")

    def _command(self, line: str, where: str) -> None:
        words = shlex.split(line, comments=True)
        if words[0] == "export":
            self.monkeypatch.setenv(*words[1].split("=", 1))
            return
        if words[0] != "nas" or "|" in words:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            subprocess.run(["bash", "-ec", line], check=True, env=environment, capture_output=True)
            return
        output = None
        if ">" in words:
            output = words[words.index(">") + 1]
            words = words[: words.index(">")]
        arguments = words[1:]
        if arguments[:1] == ["search"]:
            arguments = ["search", *self.options, *arguments[1:]]
        if arguments[:1] == ["resume"]:
            arguments = ["resume", "--workers", "0", "--no-report", "-q", *arguments[1:]]
        with ExitStack() as stack:
            if output is not None:
                file = stack.enter_context(Path(output).open("w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(file))
            code = main(arguments)
        assert code == 0, f"{where}: {line}"


@pytest.fixture(scope="session")
def folders(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> Callable[[str], tuple[Path, bool]]:
    """Returns the folder of a name, with a store that is ready, and whether it is new."""
    made: dict[str, Path] = {}

    def folder(name: str) -> tuple[Path, bool]:
        is_new = name not in made
        if is_new:
            made[name] = tmp_path_factory.mktemp("pages")
            (made[name] / "runs").mkdir()
            shutil.copy(empty_store, made[name] / "runs" / "mlflow.db")
        return made[name], is_new

    return folder


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own = {"space": "tiny", "n_candidates": 6, "epochs": 6, "n_finalists": 2, "members": 1}
    for estimator in (nas.NASClassifier, nas.NASRegressor):
        constructor = estimator.__init__
        defaults = {name: value for name, value in own.items() if name != "space"}
        monkeypatch.setattr(constructor, "__kwdefaults__", {**(constructor.__kwdefaults__ or {}), **defaults})
        monkeypatch.setattr(constructor, "__defaults__", ("tiny",))
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def prepare_readme(reader: Reader) -> None:
    """The table that the README takes as given."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {"id": np.arange(1, 121), "size": rng.normal(70, 20, 120), "garden": rng.random(120) < 0.5}
    )
    table = X.assign(price=1000 * X["size"] + 9000 * X["garden"] + rng.normal(0, 3000, 120))
    table.to_csv("mine.csv", index=False)
    X.head(4).to_csv("new.csv", index=False)
    reader.namespace |= {
        "X": X,
        "y": np.where(table["price"] > 75_000, "dear", "cheap"),
        "new_rows": X.head(4),
    }


@pytest.mark.slow  # searches
@pytest.mark.xdist_group("documents")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(block.reason is None for block in blocks(page))]
)
def test_blocks_run(
    page: str, folders: Callable[[str], tuple[Path, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = folder_of(page)
    folder, is_new = folders(name)
    monkeypatch.chdir(folder)
    first = f"docs/{name}/index.md"
    if is_new and page != first and (ROOT / first).exists():
        run_page(Reader(first, monkeypatch))
    elif page == first and not is_new:
        return  # it ran before the page that needs it
    run_page(Reader(page, monkeypatch))


def run_page(reader: Reader) -> None:
    if reader.page == "README.md":
        prepare_readme(reader)
    for block in blocks(reader.page):
        if block.reason is None:
            reader.run(block)


@pytest.mark.parametrize("page", pages_with(lambda block: block.reason is not None))
def test_commands_that_are_not_run_are_commands_that_there_are(page: str) -> None:
    for block in blocks(page):
        if block.reason and block.language == "sh":
            for line in commands(block.code):
                words = shlex.split(line, comments=True)
                for number in [i for i, word in enumerate(words) if word == "nas"]:
                    if words[number - 1] in ("&&", "nas") or number == 0:
                        _parser().parse_args(words[number + 1 :])
        elif block.reason:
            compile(block.code, page, "exec")


def test_blocks_that_commands_and_python_are_in_say_so() -> None:
    """A block without a language, or of another one, shows output; none hides a command from the tests."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for language, code in re.findall(r"^ *```(\S*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
            if language not in ("python", "sh"):
                assert not re.search(r"^(nas (?!with)|import |pip |python )", code, re.MULTILINE), (
                    f"{page}: {code}"
                )
