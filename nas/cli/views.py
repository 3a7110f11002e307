"""``nas ui``: looking at searches."""

from __future__ import annotations

import argparse
from typing import Any

from nas.cli.options import add_places


def add_ui(commands: Any) -> None:
    """Declare ``nas ui``."""
    ui = commands.add_parser("ui", help="open MLflow's pages on the searches")
    ui.set_defaults(command=_ui)
    add_places(ui)
    ui.add_argument("--port", type=int, default=5000, metavar="N", help="default: 5000")


def _ui(options: argparse.Namespace) -> int:
    from nas.tracking.ui import serve

    return serve(options.runs_dir, options.tracking_uri, options.port)
