"""The notebooks, run as Jupyter runs them; .ci/run installs what that takes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

nbformat: Any = pytest.importorskip("nbformat", reason="nbformat is not here; .ci/run installs it")
nbclient: Any = pytest.importorskip("nbclient", reason="nbclient is not here; .ci/run installs it")

FOLDER = Path(__file__).parent.parent / "examples" / "notebooks"
spec = importlib.util.spec_from_file_location("run_notebooks", FOLDER / "run.py")
assert spec is not None
assert spec.loader is not None
run_notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_notebooks)

pytestmark = [
    pytest.mark.slow,  # a process of its own
    # Of Jupyter's, not ours to mend.
    pytest.mark.filterwarnings("ignore:::jupyter_client", "ignore:::zmq", "ignore:unclosed:ResourceWarning"),
]


def outputs(book: Any) -> list[Any]:
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize("notebook", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_without_red_lines(notebook: Path, tmp_path: Path) -> None:
    book = run_notebooks.execute(notebook, tmp_path)
    assert [output for output in outputs(book) if output.get("name") == "stderr"] == []
    texts = [output.data["text/plain"] for output in outputs(book) if output.output_type == "display_data"]
    assert any(" candidates in " in text for text in texts)  # the bar's last state
    assert str(tmp_path) not in nbformat.writes(book)


def test_a_wrong_input_is_one_sentence_and_ray_is_imported_silently(tmp_path: Path) -> None:
    cells = [
        "import nas.execution.ray",
        'nas.search("wine", target="grower", tracking=False)',
        "nas.NASClassifier()",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    options = {"timeout": 300, "allow_errors": True, "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(book, **options).execute()
    imported, wrong, estimator = (cell.outputs for cell in book.cells)
    assert imported == []
    (error,) = [output for output in wrong if output.output_type == "error"]
    (line,) = error.traceback
    assert line.startswith("DataError: target: expected names of the columns")
    assert "NASClassifier" in estimator[0].data["text/html"]
