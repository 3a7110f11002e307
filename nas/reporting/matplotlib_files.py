"""The folder of matplotlib's settings and font list; has to be imported before matplotlib.

In the home folder of a user without matplotlib's folders, matplotlib would create them, and where it cannot
write it would print long warnings. In both cases this module sets a temporary folder, which is removed when
the process ends. The list of fonts is then made each time, which takes 0.2 to 1 s with few fonts.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_VARIABLE = "MPLCONFIGDIR"


def _settle() -> None:
    """Set a temporary folder and import matplotlib's fonts, unless matplotlib has a folder."""
    if "matplotlib" in sys.modules or _VARIABLE in os.environ or _is_used():
        return
    folder = tempfile.mkdtemp(prefix="matplotlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[_VARIABLE] = folder
    try:
        # matplotlib reads the variable once, at this import.
        import matplotlib.font_manager  # noqa: F401
    finally:
        del os.environ[_VARIABLE]


def _is_used() -> bool:
    """Return whether matplotlib has a folder that it can write to."""
    try:
        home = Path.home()
    except RuntimeError:  # the user has no home folder
        return False
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "matplotlib")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache", "matplotlib")
    return any(os.access(folder, os.W_OK) for folder in (config, cache, home / ".matplotlib"))


_settle()
