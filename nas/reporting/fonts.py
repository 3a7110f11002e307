"""To be imported before matplotlib, which else leaves its list of fonts in the home folder."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path


def _leave_home_alone() -> None:
    """Import matplotlib so that nothing is left in a home folder, nor said of one that cannot be written to.

    A home where matplotlib has made its folders before is used as ever: with its settings, and 0.4 s sooner.
    """
    if "matplotlib" in sys.modules or "MPLCONFIGDIR" in os.environ or _has_its_folders():
        return
    folder = tempfile.mkdtemp(prefix="nas-matplotlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MPLCONFIGDIR"] = folder
    try:
        import matplotlib.font_manager

        matplotlib.get_configdir(), matplotlib.get_cachedir()  # remembered from now on
    finally:
        del os.environ["MPLCONFIGDIR"]


def _has_its_folders() -> bool:
    home = Path(os.environ.get("HOME", ""))
    roots = [
        Path(os.environ.get(variable) or home / usual)
        for variable, usual in (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
    ]
    return all(os.access(root / "matplotlib", os.W_OK) for root in roots)


_leave_home_alone()
