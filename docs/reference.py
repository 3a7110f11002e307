"""Texts of the site that are made when it is built: the commands, and documents of other folders."""

from __future__ import annotations

import argparse
import ast
import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

_COMMANDS = "<!-- commands -->\n"
_EXAMPLES = "<!-- examples -->\n"
_DOCUMENT = re.compile(r"<!-- document: (\S+) -->\n")
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def fill_in(_app: Any, page: str, source: list[str]) -> None:
    """Replace the marks in a page's text: Sphinx calls this with each page that it reads."""
    text = source[0]
    if _COMMANDS in text:
        text = text.replace(_COMMANDS, commands())
    if _EXAMPLES in text:
        text = text.replace(_EXAMPLES, examples())
    text = _DOCUMENT.sub(lambda found: document(found[1]), text)
    source[0] = _with_local_links(text, page)


def commands() -> str:
    """Every command with its arguments and options, in Markdown, from the parser of the command line."""
    from nas.cli.program import _parser

    os.environ["COLUMNS"] = "76"  # of the lines of usage, whatever the terminal
    (choices,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    helps = {action.dest: action.help for action in choices._choices_actions}
    return "\n".join(_command(name, parser, helps[name]) for name, parser in choices.choices.items())


def _command(name: str, parser: Any, purpose: str | None) -> str:
    parser.declare_all()
    parser.format_help()  # completes the texts of options
    formatter = parser._get_formatter()
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    parts = [f"## nas {name}\n", f"{(purpose or '').capitalize()}.\n", f"```text\n{usage}\n```\n"]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.help is not argparse.SUPPRESS]
        if not actions:
            continue
        title = (group.title or "").capitalize()
        parts.append(f"**{title}**\n")
        parts += [_entry(action, formatter) for action in actions]
    return "\n".join(parts)


def _entry(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    names = [f"`{option}`" for option in action.option_strings] or [f"`{value}`"]
    if action.option_strings and action.nargs != 0 and not isinstance(action, argparse.BooleanOptionalAction):
        names[-1] = f"{names[-1][:-1]} {value}`"
    text = formatter._expand_help(action) if action.help else ""
    text = re.sub(r"([<>*_`|])", r"\\\1", text)
    return f"{', '.join(names)}\n: {text}\n"


def examples() -> str:
    """Every example with its source, in Markdown."""
    return "\n".join(map(_example_page, sorted((ROOT / "examples").glob("*.py"))))


def _example_page(file: Path) -> str:
    source = file.read_text(encoding="utf-8")
    first = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0]
    included = f"```{{literalinclude}} ../examples/{file.name}\n:language: python\n```"
    return f"## {file.name}\n\n{first}\n\n{included}\n"


def document(path: str) -> str:
    """A document of the repository without its first heading, with links as seen from the pages' folder."""
    text = (ROOT / path).read_text(encoding="utf-8")
    folder = (ROOT / path).parent
    text = _LINK.sub(lambda found: f"]({_from_docs(folder, found[1])}{found[2] or ''})", text)
    return re.sub(r"\A# .*\n", "", text)


def _from_docs(folder: Path, target: str) -> str:
    if "://" in target:
        return target
    file = (folder / target).resolve()
    docs = ROOT / "docs"
    if file.is_relative_to(docs):
        return file.relative_to(docs).as_posix()
    return f"../{file.relative_to(ROOT).as_posix()}"


_PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmark_commands.md",
    "search_spaces/README.md": "search_spaces.md",
    "README.md": "index.md",
}
"""Documents outside of the pages' folder, and the pages that show them."""


def _with_local_links(text: str, page: str) -> str:
    """The text with links that lead out of the pages' folder replaced: by a page, or else by plain text."""
    up = "../" * page.count("/")

    def replaced(found: re.Match[str]) -> str:
        target = found[2]
        outside = target.removeprefix(up)
        if "://" in target or not outside.startswith("../"):
            return found[0]
        known = _PAGES.get(outside[3:]) or _example(outside[3:])
        return f"[{found[1]}]({up}{known}{found[3] or ''})" if known else f"{found[1]} (`{outside[3:]}`)"

    return re.sub(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)", replaced, text)


def _example(path: str) -> str | None:
    """The place in the page of examples, for an example's path."""
    found = re.fullmatch(r"examples/(\w+)\.py", path)
    if found:
        return f"examples.md#{found[1]}py"
    return "examples.md" if path.startswith("examples") else None
