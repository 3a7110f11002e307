"""Build the documentation site into `site/`, with warnings as errors; `--serve` then shows it.

::

    pip install -c constraints.txt -e ".[docs]"
    python docs/build.py --serve

The folder needs no server: its `index.html` opens in a browser, search included, without a network.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import sys
from functools import partial
from pathlib import Path

from sphinx.cmd.build import main as sphinx

DOCS = Path(__file__).parent
SITE = DOCS.parent / "site"


def main() -> int:
    """Build, and serve if asked to; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--serve", action="store_true", help="serve the site on 127.0.0.1 after building it")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    options = parser.parse_args()
    code = sphinx(["-W", "--keep-going", "-q", "-j", "auto", str(DOCS), str(SITE)])
    print(f"{SITE / 'index.html'}", file=sys.stderr)
    if code == 0 and options.serve:
        handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
        with http.server.ThreadingHTTPServer(("127.0.0.1", options.port), handler) as server:
            print(f"http://127.0.0.1:{options.port} (Ctrl-C ends it)", file=sys.stderr)
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
    return code


if __name__ == "__main__":
    sys.exit(main())
