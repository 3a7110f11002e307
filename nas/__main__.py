"""Run the command line as ``python -m nas``."""

import sys

from nas.cli import main

sys.exit(main())
