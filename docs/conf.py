"""The documentation site: `python docs/build.py` makes it, `--serve` shows it.

Sphinx with MyST and the theme of the PyData projects: all three had releases in the two months before
this choice (November 2026), while MkDocs has had none since August 2024, and Zensical, by the authors of
its Material theme, is at 0.1. And the parameters of `nas.search` and others are added to their docstrings
on import, which Sphinx does and mkdocstrings, which reads sources, does not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import reference

import nas

project = "nas"
author = copyright = "the nas authors"  # noqa: A001 # Sphinx's name
version = release = nas.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_static"]
default_role = "py:obj"  # names in docstrings become links where there is such a name
nitpicky = False
suppress_warnings = ["ref.python"]  # a name in single backticks that several classes have

myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings name the types
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "nas"
html_static_path = ["_static"]
html_css_files = ["nas.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "nas"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_nav_level": 1,
}


def setup(app: Any) -> None:
    """Fill in the pages that are made from the parser and from files outside of this folder."""
    app.connect("source-read", reference.fill_in)
