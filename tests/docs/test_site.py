"""What the site's pages promise: short ways, and every public name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nas

DOCS = Path(__file__).parents[2] / "docs"


def links(page: str) -> set[str]:
    """The pages that a page links to, by their paths in the pages' folder."""
    text = (DOCS / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+\.md)", text)
    return {((DOCS / page).parent / target).resolve().relative_to(DOCS).as_posix() for target in targets}


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("recipes/small_networks.md", "--max-latency"),
        ("recipes/limits.md", "--time-budget 10m"),
        ("recipes/metric.md", "scorer(estimator, X, y)"),
        ("recipes/serve.md", "mlflow models serve"),
        ("recipes/resume.md", "nas resume"),
        ("report.md", "nas report"),
    ],
)
def test_common_needs_are_a_click_away_from_the_front_page(page: str, words: str) -> None:
    assert page in links("index.md")
    assert words in (DOCS / page).read_text(encoding="utf-8")


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = {"index.md"}
    for page in DOCS.rglob("*.md"):
        for entries in re.findall(r"```{toctree}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            names = [line for line in entries.splitlines() if line and not line.startswith(":")]
            listed |= {(page.parent / f"{name}.md").relative_to(DOCS).as_posix() for name in names}
    assert listed == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}


def test_the_reference_has_every_public_name() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\.\. auto\w+:: nas\.(\w+)$", text, re.MULTILINE))
    assert described == set(nas.__all__) - {"__version__"}


def test_the_readme_is_read_in_two_minutes() -> None:
    assert len((DOCS.parent / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_there_are_answers_to_at_least_25_questions() -> None:
    questions = re.findall(r"^### .+", (DOCS / "faq.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(questions) == len(set(questions)) >= 25
