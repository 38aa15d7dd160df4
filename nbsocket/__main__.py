"""``python -m nbsocket``: the same as the console script ``nbsocket``."""

from __future__ import annotations

import sys

from nbsocket._cli import main

if __name__ == "__main__":
    sys.exit(main())
