"""Reports of real searches, whole and broken off."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.datasets import load_wine
from sklearn.metrics import confusion_matrix

import nas
from nas.errors import InputError
from nas.evolution import Generation
from nas.reporting.history import read_history
from nas.reporting.model_panels import model_panels
from nas.reporting.panels import panels
from nas.run.callbacks import CallbackContext

pytestmark = pytest.mark.slow  # whole searches


class Parsed(HTMLParser):
    """Tags with their attributes, and what they must close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def search(runs_dir: Path, data: str = "wine", **options: Any) -> nas.SearchResult:
    settings: dict[str, Any] = {"n_candidates": 40, "epochs": 12, "n_workers": 0, "progress": False}
    settings |= {"tracking": False, "name": "one", "n_finalists": 2, "folds": 2, "members": 1}
    settings |= {"baseline": False}
    return nas.search(data, runs_dir=runs_dir, **(settings | options))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    return search(tmp_path_factory.mktemp("report"), baseline=True)


@pytest.mark.slow
def test_a_search_leaves_a_report_that_loads_nothing_from_elsewhere(result: nas.SearchResult) -> None:
    text = (result.run_dir / "report.html").read_text(encoding="utf-8")
    page = Parsed(text)
    assert page.open == []
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), f"{name}={value}"
    assert not re.search(r"url\((?!#)", text)
    assert "<script" not in text
    assert not {"http-equiv", "onload"} & {key for _, attributes in page.tags for key in attributes}


@pytest.mark.exhaustive
def test_its_pictures_are_files_of_their_own(result: nas.SearchResult) -> None:
    files = {file.stem: file for file in (result.run_dir / "plots").iterdir()}
    assert {"structure", "history", "importance", "front", "loss_curves", "confusion"} <= set(files)
    for file in files.values():
        root = ET.parse(file).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_names_on_the_page_are_given_once_and_lead_somewhere(result: nas.SearchResult) -> None:
    page = Parsed((result.run_dir / "report.html").read_text(encoding="utf-8"))
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert {str(link)[1:] for link in links} <= set(names)


@pytest.mark.slow
def test_the_report_says_what_the_result_says(result: nas.SearchResult) -> None:
    text = (result.run_dir / "report.html").read_text(encoding="utf-8")
    assert str(result.best.genome) in text
    assert f"{result.evaluation.fitness:.4f}" in text
    assert f"{result.test.score:.4f} ± {result.test.error:.4f}" in text
    assert result.selection is not None
    assert f"{result.selection.rescore.mean:.4f}" in text
    history = read_history(result.run_dir)
    assert history.best.genome == result.best.genome
    assert len(history.networks) == result.n_candidates
    names = [panel.name for panel in panels(history)]
    assert names[0] == "summary"
    assert {"confusion", "roc", "data", "structure", "history", "importance", "front"} <= set(names)
    assert {"loss_curves", "next", "how"} <= set(names)


def test_the_report_counts_the_predictions_that_were_scored(result: nas.SearchResult) -> None:
    predictions = read_history(result.run_dir).predictions
    assert predictions is not None
    assert (predictions.part, predictions.n_rows) == ("test", result.test.n_rows)
    right = int((predictions.codes == predictions.truth).sum())
    assert right / predictions.n_rows == pytest.approx(result.test.score)
    text = (result.run_dir / "report.html").read_text(encoding="utf-8")
    assert f"{right} of {predictions.n_rows} are right" in text
    counts = confusion_matrix(predictions.truth, predictions.codes)
    shown = re.search(r'<svg[^>]*aria-label="Which classes are confused".*?</svg>', text, re.DOTALL)
    assert shown is not None
    numbers = re.findall(r">(\d+)</text>", shown[0])
    for count in counts[counts > 0]:
        assert str(count) in numbers


def test_held_out_rows_serve_where_there_is_no_test_part(tmp_path: Path) -> None:
    X, y = (array[::3] for array in load_wine(return_X_y=True))
    space = nas.SearchSpace(depth=(1, 1), widths=(4, 8))
    estimator = nas.NASClassifier(
        space, n_candidates=2, epochs=2, n_finalists=1, refit=False, members=1, runs_dir=tmp_path
    )
    estimator.fit(X, y)
    run = estimator.run_dir_
    assert run is not None
    predictions = read_history(run).predictions
    assert predictions is not None
    assert (predictions.part, predictions.n_rows) == ("held_out", len(y))
    assert np.isclose(predictions.values.sum(axis=1), 1).all()
    (panel, *_) = model_panels(read_history(run))
    assert "60 out-of-fold rows, each predicted by a network that was not trained on it" in panel.text


def test_predictions_that_are_damaged_are_refused(result: nas.SearchResult, tmp_path: Path) -> None:
    run = tmp_path / "damaged"
    shutil.copytree(result.run_dir, run)
    (run / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"predictions\.npz: expected arrays as a search writes them"):
        nas.report(run)
    (run / "predictions.npz").unlink()
    assert model_panels(read_history(run)) == []  # as of an earlier version's run


@pytest.mark.slow
def test_a_report_is_the_same_each_time(result: nas.SearchResult, tmp_path: Path) -> None:
    file = nas.report(result.run_dir, tmp_path / "again.html")
    assert file.read_bytes() == (result.run_dir / "report.html").read_bytes()


@pytest.mark.exhaustive
def test_the_picture_holds_all_panels(result: nas.SearchResult, tmp_path: Path) -> None:
    picture = imread(nas.report(result.run_dir, tmp_path / "one.png"))
    assert picture.shape[0] > 3 * picture.shape[1] > 2000
    assert picture.std() > 0.05


@pytest.mark.exhaustive_except("options0")
@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"data": "diabetes", "n_candidates": 12},
        {"objectives": ("error", "parameters"), "n_candidates": 16},
        {"space": nas.SearchSpace(depth=(0, 1), widths=(4, 8)), "n_candidates": 3},
        {"space": "deep", "halving": False, "n_candidates": 8, "algorithm": "plus"},
        {"space": nas.SearchSpace(depth=(2, 3), widths=(4, 8), equal_widths=True), "n_candidates": 4},
    ],
)
def test_every_kind_of_search_has_a_report(tmp_path: Path, options: dict[str, Any]) -> None:
    result = search(tmp_path, **options)
    assert Parsed((result.run_dir / "report.html").read_text(encoding="utf-8")).open == []
    assert nas.report(result.run_dir, tmp_path / "one.png").is_file()


@pytest.mark.slow
def test_a_search_that_has_not_ended_has_a_report_that_says_so(
    result: nas.SearchResult, tmp_path: Path
) -> None:
    run = tmp_path / "killed"
    run.mkdir()
    for name in ("config.json", "generations.jsonl"):
        (run / name).write_bytes((result.run_dir / name).read_bytes())
    journal = (result.run_dir / "journal.jsonl").read_bytes()
    (run / "journal.jsonl").write_bytes(journal[: len(journal) // 2])
    text = nas.report(run).read_text(encoding="utf-8")
    assert "has not ended" in text
    assert "held-out test" not in text


@pytest.mark.exhaustive
def test_names_from_outside_are_no_markup(result: nas.SearchResult, tmp_path: Path) -> None:
    run = tmp_path / "<b>&"
    run.mkdir()
    for name in ("config.json", "journal.jsonl"):
        (run / name).write_bytes((result.run_dir / name).read_bytes())
    text = nas.report(run).read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text


@pytest.mark.exhaustive
def test_what_cannot_be_reported_is_refused_in_a_sentence(result: nas.SearchResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the folder of a run, got no config\.json"):
        nas.report(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"expected a file that ends in \.html or \.png"):
        nas.report(result.run_dir, tmp_path / "one.pdf")
    with pytest.raises(InputError, match="expected a file to write to"):
        nas.report(result.run_dir, tmp_path / "no" / "one.html")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_bytes((result.run_dir / "config.json").read_bytes())
    (empty / "journal.jsonl").touch()
    with pytest.raises(InputError, match="at least one trained network"):
        nas.report(empty)
    damaged = (result.run_dir / "journal.jsonl").read_bytes().replace(b'"fitness":0', b'"fitness":1', 1)
    (empty / "journal.jsonl").write_bytes(damaged)
    with pytest.raises(InputError, match="expected a journal's entry in line"):
        nas.report(empty)


@pytest.mark.slow
def test_a_search_does_not_fail_for_want_of_a_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Obstacle(nas.Callback):
        def generation(self, context: CallbackContext, generation: Generation) -> None:
            (context.run_dir / "report.html").mkdir(exist_ok=True)

    result = search(tmp_path, n_candidates=4, callbacks=[Obstacle()])
    assert result.model_path.is_dir()
    assert "no report, because: " in caplog.text
    assert "report.html: expected a file to write to, got: " in caplog.text
    assert "; the search is complete" in caplog.text


def test_a_report_is_not_made_where_none_is_wanted(tmp_path: Path) -> None:
    result = search(tmp_path, n_candidates=4, report=False)
    assert not (result.run_dir / "report.html").exists()
    assert (result.run_dir / "result.json").is_file()


DRAW = """
import logging
logging.basicConfig()
import nas.reporting
import nas.reporting.figures
import matplotlib
print(matplotlib.get_cachedir())
"""


@pytest.mark.exhaustive
def test_a_folder_of_fonts_that_is_there_is_used(tmp_path: Path) -> None:
    fonts = tmp_path / "matplotlib"
    fonts.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"}
    environment |= {"HOME": "/proc", "XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == (str(fonts), "")
