"""``nbsocket dns``: the modem's name servers."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict

from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket._cli._options import LOOK_ONLY, configure_modem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do: ``show`` or ``set``."""
    parser.usage = "nbsocket [options] dns [show | set PRIMARY [SECONDARY]]"
    parser.add_argument("action", nargs="?", choices=("show", "set"), default="show", help="default: show")
    parser.add_argument("servers", nargs="*", metavar="ADDRESS", help="set: primary, and perhaps secondary, address")


def main(options: argparse.Namespace) -> int:
    """Print the name servers in use, after setting them if asked."""
    if not (1 <= len(options.servers) <= 2 if options.action == "set" else not options.servers):
        wanted = "set wants one address or two" if options.action == "set" else "show takes no addresses"
        raise CommandError(f"dns: {wanted}", ExitCode.USAGE)
    with closing(configure_modem(options, **LOOK_ONLY)) as modem:
        if options.action == "set":
            modem.set_dns_servers(*options.servers)
        servers = modem.dns_servers()
    if options.json:
        print(json.dumps(asdict(servers)))
        return ExitCode.SUCCESS
    for name, address in asdict(servers).items():
        words = name.replace("_", " ").replace("ipv", "IPv")
        print(f"{words:<16}{address or 'none'}")
    return ExitCode.SUCCESS
