"""Runs one of the programs here with its imports (``from requests import get`` ...) done before ``nbsocket.patch()``.

Usage: patch_late.py PORT PROGRAM ARGUMENTS...
"""

from __future__ import annotations

import importlib
import os
import sys


def main() -> int:
    port, program, *arguments = sys.argv[1:]
    module = importlib.import_module(program)

    import nbsocket

    # As docs/libraries.md says for aiocoap; `nbsocket run` does it by itself.
    os.environ["AIOCOAP_CLIENT_TRANSPORT"] = "simple6:tcpclient"

    with nbsocket.configure(port) as modem, nbsocket.patch(modem, bypass="none"):
        return int(module.main([program, *arguments]))


if __name__ == "__main__":
    sys.exit(main())
