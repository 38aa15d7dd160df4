"""``nbsocket resolve``: a look-up by the modem's own DNS client."""

from __future__ import annotations

import argparse
import json
from contextlib import closing

from nbsocket._cli._exit import ExitCode
from nbsocket._cli._options import LOOK_ONLY, configure_modem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name."""
    parser.add_argument("host", help="name to look up")


def main(options: argparse.Namespace) -> int:
    """Print one address a line; the modem gives one."""
    with closing(configure_modem(options, **LOOK_ONLY)) as modem:
        modem.open()  # that it does not answer is no matter of the name's
        addresses = modem.resolve(options.host)
    if options.json:
        print(json.dumps({"host": options.host, "addresses": addresses}))
    else:
        print("\n".join(addresses))
    return ExitCode.SUCCESS
