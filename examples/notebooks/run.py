"""Run the notebooks in this folder, and keep their outputs: ``python examples/notebooks/run.py``.

It needs the extra ``notebook``. Each runs in a temporary folder, whose name is removed from what is kept.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


def execute(notebook: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs that it has when it is run in this folder; an error in a cell raises."""
    book = nbformat.read(notebook, as_version=4)
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # times, which differ each time
    text = nbformat.writes(book).replace(f"{folder}/", "")
    return nbformat.reads(text, as_version=4)


def main() -> None:
    """Run all notebooks."""
    for notebook in sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            book = execute(notebook, Path(folder).resolve())
        nbformat.write(book, notebook)
        print(f"{notebook.name}: {notebook.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
