"""``python -m warmfork`` is ``warmfork``."""

import sys

from warmfork.cli import main

sys.exit(main())
