"""How an export is used: the lines that ``nas export`` prints, and the ``README.md`` in every folder."""

from __future__ import annotations

import shlex
from pathlib import Path

from nas.runtime import Column, Predictor

_KINDS = {"numeric": "numbers", "category": "categories", "dropped": "not used"}


def usage(template: str, path: Path) -> str:
    """The example of a format for a path, which is quoted as Python or a shell needs it."""
    return template.replace("'{path}'", repr(str(path))).replace("{path}", shlex.quote(str(path)))


def readme(network: Predictor, example: str, needs: str) -> str:
    """The text of the ``README.md`` in an exported folder.

    Parameters
    ----------
    network : Predictor
    example : str
        How the folder is used, see `usage`.
    needs : str
        The packages that it takes.
    """
    provenance, names = network.provenance, ", ".join(network.target.names)
    version = provenance.get("versions", {}).get("nas")
    by = "`nas`" if version is None else f"`nas` {version}"
    lines = [
        f"# A neural network that predicts {names}",
        "",
        f"{_size(network)}, for {network.task}; found by {by}.",
        f"It takes {needs}.",
        "",
        "```",
        example,
        "```",
        "",
        "Columns that it reads, by name; further columns are ignored:",
        "",
        "| column | holds |",
        "|---|---|",
        *(f"| {_escaped(column.name)} | {_holds(column)} |" for column in network.columns),
    ]
    if network.target.classes:
        lines += ["", f"Classes: {', '.join(map(str, network.target.classes))}."]
    if (score := provenance.get("test_score")) is not None:
        lines += ["", f"{provenance.get('metric', 'Score')} on rows that no search has seen: {score:.4f}."]
    return "\n".join(lines) + "\n"


def _size(network: Predictor) -> str:
    sizes = ["-".join(map(str, member.sizes[1:-1])) or "linear" for member in network.members]
    if len(sizes) == 1:
        return f"One network with hidden layers {sizes[0]}" if sizes[0] != "linear" else "A linear network"
    return f"The mean of {len(sizes)} networks with hidden layers {', '.join(dict.fromkeys(sizes))}"


def _holds(column: Column) -> str:
    if column.parts:
        return "dates"
    unit = f" ({column.unit})" if column.unit else ""
    return _KINDS.get(column.kind, column.kind) + _escaped(unit)


def _escaped(text: str) -> str:
    """Text for a cell of a table in Markdown: a line without separators."""
    return " ".join(text.encode("utf-8", "replace").decode().replace("|", "\\|").split())
