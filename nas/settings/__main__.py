"""Print ``docs/settings.md``: ``python -m nas.settings > docs/settings.md``."""

import sys

from nas.settings.explanation import document

sys.stdout.write(document())
