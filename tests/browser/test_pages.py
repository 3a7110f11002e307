"""What a person sees: MLflow's pages and the report, in a real browser, after a real search.

Screenshots are kept in the folder that NAS_SCREENSHOTS names.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import nas
from benchmarks.mlflow_server import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.slow  # MLflow's server, and a browser
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not here; .ci/run installs it")
if CHROMIUM is None:
    pytest.skip("there is no Chromium; .ci/run installs one", allow_module_level=True)

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update"]

_OURS = ("http://127.0.0.1:", "data:", "file:", "blob:")


@dataclass
class Seen:
    """A page, and what it has complained of or asked for elsewhere."""

    page: Any
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", self._page_error)
        self.page.on("response", self._response)
        self.page.on("request", self._request)

    def _console(self, message: Any) -> None:
        # Of what could not be loaded, the response says what it was.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self._page_error(message.text)

    def _page_error(self, error: Any) -> None:
        # No error: by the specification of ResizeObserver a size that changes while sizes are told is told in
        # the next frame, with this notice. MLflow's charts cause it on a busy machine.
        if "ResizeObserver loop" not in str(error):
            self.errors.append(str(error))

    def _response(self, response: Any) -> None:
        # MLflow's pages look whether the server knows users; ours does not, and they go on without.
        if response.status >= 400 and not response.url.endswith("/users/current"):
            self.errors.append(f"{response.status} {response.url}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith(_OURS):
            self.elsewhere.append(request.url)

    def shot(self, name: str) -> None:
        folder = os.environ.get("NAS_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(folder, f"{name}.png")), full_page=name.startswith("report"))

    def text(self, *words: str, seconds: float = 30) -> None:
        """Wait until the page shows these words."""
        for word in words:
            self.page.get_by_text(word, exact=False).first.wait_for(timeout=1000 * seconds)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def seen(browser: Any) -> Iterator[Seen]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    seen = Seen(page)
    yield seen
    page.close()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    options: dict[str, Any] = {"n_workers": 0, "progress": False, "space": "small"}
    options |= {"runs_dir": tmp_path_factory.mktemp("browser") / "runs", "n_candidates": 40}
    nas.search("digits", name="one-layer", genes={"depth": [1]}, **options)
    return nas.search("digits", name="night", register="digit-reader", **options)


@pytest.fixture(scope="module")
def address(result: nas.SearchResult) -> Iterator[str]:
    """Where ``nas ui`` serves the searches."""
    port = free_port()
    place = ["--runs-dir", str(result.run_dir.parent), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "nas", "ui", *place], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    page = next(line for line in process.stderr if line.startswith("MLflow is ready: "))
    yield page.removeprefix("MLflow is ready: ").strip()
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)


def is_training(seen: Seen) -> None:
    """Check that there are no pages for language models, and no panel of an assistant."""
    for words in ("Prompts", "Judges", "Evaluation runs", "Playground", "Ask a question..."):
        assert seen.page.get_by_text(words, exact=True).count() == 0


def has_curves(seen: Seen) -> None:
    """Wait until a curve is drawn: points in a straight line, as of a depth that stays, are one piece."""
    seen.page.wait_for_function(
        "() => [...document.querySelectorAll('path.js-line')].some("
        "line => line.getAttribute('d').split('L').length > 2)",
        timeout=30_000,
    )


def test_the_first_page_has_searches_as_rows_with_their_scores(
    seen: Seen, address: str, result: nas.SearchResult
) -> None:
    since = time.monotonic()
    seen.page.goto(address)
    seen.text("2 matching runs", "night", "one-layer", "test_accuracy", "cross_validated_accuracy")
    assert time.monotonic() - since < 30
    seen.text(f"{result.test.score:.6g}", " ".join(str(result.best.genome).split()[:2]))
    seen.shot("mlflow_searches")
    is_training(seen)
    seen.page.goto(f"{address}&compareRunsMode=CHART")
    seen.text("best_accuracy")
    has_curves(seen)
    seen.shot("mlflow_charts")
    assert seen.elsewhere == []
    assert seen.errors == []


def test_the_saved_view_of_candidates_has_the_best_first(
    seen: Seen, address: str, result: nas.SearchResult
) -> None:
    seen.page.goto(address.replace("viewStateShareKey=searches", "viewStateShareKey=candidates"))
    seen.text("Candidates, best first", "n_parameters", "nas.operator")
    best = max(evaluation.fitness for _, evaluation in result.history)
    seen.text(f"{best:.6g}")
    seen.shot("mlflow_candidates")
    assert seen.elsewhere == []
    assert seen.errors == []


def test_the_page_of_a_search_shows_its_curves_and_its_story(
    seen: Seen, address: str, result: nas.SearchResult
) -> None:
    seen.page.goto(f"{address.split('?')[0]}/{result.mlflow_run_id}?workflowType=machine_learning")
    seen.text("night", "Winner", "fitness/best_accuracy", "digits", "Finished")
    seen.shot("mlflow_search")
    seen.page.get_by_role("tab", name="Model metrics").click()
    seen.text("best_accuracy", "mean_accuracy")
    has_curves(seen)
    seen.shot("mlflow_curves")
    # Curves come before numbers: sections are in the order of the page.
    place = {
        name: seen.page.get_by_text(name, exact=True).last.bounding_box()["y"]
        for name in ("fitness", "learning", "population", "Model metrics")
    }
    assert list(place) == sorted(place, key=place.__getitem__)
    seen.page.get_by_role("tab", name="Artifacts").click()
    seen.text("candidates.csv", "report.html", "journal.jsonl")
    seen.page.get_by_text("report.html", exact=True).first.click()
    seen.page.frame_locator("iframe").first.get_by_text("Result").first.wait_for(timeout=30_000)
    assert seen.elsewhere == []
    assert seen.errors == []


def test_the_table_of_runs_has_the_parent_and_its_children(
    seen: Seen, address: str, result: nas.SearchResult
) -> None:
    table = f"{address.split('?')[0]}?workflowType=machine_learning"
    # A filter as the description of the search has it, best first.
    depth = result.best.genome.depth
    condition = f"params.depth = '{depth}' and tags.`mlflow.parentRunId` = '{result.mlflow_run_id}'"
    query = f"searchFilter={condition}&orderByKey=metrics.`validation_accuracy`&orderByAsc=false"
    seen.page.goto(f"{table}&{query}")
    found = [candidate for candidate, _ in result.history if candidate.genome.depth == depth]
    seen.text(f"{len(found)} matching runs")
    seen.page.get_by_text(" c00", exact=False).first.click()
    seen.text("Parent run", "learning/train_loss", "nas.operator")
    seen.page.get_by_role("tab", name="Model metrics").click()
    has_curves(seen)
    seen.shot("mlflow_candidate")
    is_training(seen)
    assert seen.elsewhere == []
    assert seen.errors == []


def test_the_model_page_has_scores_data_and_description(
    seen: Seen, address: str, result: nas.SearchResult
) -> None:
    base, experiment = address.split("#/")[0], address.split("/runs?")[0]
    seen.page.goto(f"{experiment}/models?workflowType=machine_learning")
    seen.page.get_by_text("network", exact=True).first.click()
    seen.text("The network that the search", "night", "test_accuracy", "digits (#", "Logged from")
    seen.shot("mlflow_model")
    is_training(seen)
    seen.page.goto(f"{base}#/models/digit-reader/versions/1")
    seen.text("digit-reader", "Version 1", "Inputs (64)", "The network that the search")
    assert seen.elsewhere == []
    assert seen.errors == []


def test_a_comparison_of_two_searches_shows_their_genomes(
    seen: Seen, address: str, result: nas.SearchResult
) -> None:
    seen.page.goto(address)
    seen.text("2 matching runs")
    for box in seen.page.locator(".ag-row .ag-checkbox-input").all()[:2]:
        box.check(force=True)
    seen.page.get_by_role("button", name="Compare").click()
    seen.text("Comparing 2 Runs", "Parameters")
    genome = seen.page.get_by_text(str(result.best.genome), exact=True).first
    genome.scroll_into_view_if_needed(timeout=30_000)
    seen.text("winner")
    seen.shot("mlflow_compare")
    is_training(seen)
    assert seen.elsewhere == []
    assert seen.errors == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 1400), ("light", 400)])
def test_the_report_reads_well_anywhere(
    browser: Any, result: nas.SearchResult, scheme: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = Seen(page)
    page.goto((result.run_dir / "report.html").as_uri())
    seen.text("Result", "What to try next")
    seen.shot(f"report-{scheme}-{width}")
    # Nothing sticks out of the page; wide tables scroll by themselves, and pictures are as wide as it.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("section svg").count() >= 9
    boxes = [one.bounding_box() for one in page.locator("section svg").all()]
    assert all(box is not None and box["height"] > 60 for box in boxes)
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    # The answer is on the first screen.
    answer = page.locator("#summary table").bounding_box()
    assert answer["y"] + answer["height"] < 900
    is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 29)"
    assert is_dark == (scheme == "dark")
    # Text and background of pictures are those of the page.
    ink = page.evaluate("getComputedStyle(document.body).color")
    color = "getComputedStyle(document.querySelector('#history svg text')).fill"
    assert page.evaluate(color) == ink
    # Points say what they are.
    assert page.locator("#history use title").count() == len(result.history)
    assert seen.elsewhere == []
    assert seen.errors == []
    page.close()


def test_the_report_prints_light_with_each_heading_by_its_picture(
    browser: Any, result: nas.SearchResult
) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 900}, color_scheme="dark")
    page.goto((result.run_dir / "report.html").as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    breaks = page.evaluate(
        "[...document.querySelectorAll('svg[role=img]')].map("
        "picture => { const whole = picture.closest('.whole');"
        " return [getComputedStyle(whole).breakInside, whole.querySelector('h2') !== null, "
        "whole.clientHeight]; })"
    )
    assert len(breaks) >= 9
    # What may not be broken has to fit on a page: 26 cm are 980 pixels.
    assert all(inside == "avoid" and has_heading and height < 980 for inside, has_heading, height in breaks)
    page.close()
