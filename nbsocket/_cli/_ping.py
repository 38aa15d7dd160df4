"""``nbsocket ping``: as the system's ping, from the modem."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from nbsocket._cli._exit import ExitCode
from nbsocket._cli._options import LOOK_ONLY, configure_modem

if TYPE_CHECKING:
    from nbsocket._driver import PingReply, PingResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the host and the manual's parameters of AT+QPING."""
    parser.epilog = "Exit code 0 when at least one reply came, 1 when none did."
    parser.add_argument("host", help="name or address")
    parser.add_argument("-c", "--count", type=int, default=4, help="packets, 1 to 10 (default: 4)")
    parser.add_argument("-s", "--size", type=int, default=32, help="bytes a packet, 32 to 1500 (default: 32)")
    parser.add_argument(
        "-W", "--timeout", type=int, default=20, help="seconds to wait for each reply, 1 to 255 (default: 20)"
    )
    parser.add_argument("--rai", action="store_true", help="let the network release the radio after the last packet")


def main(options: argparse.Namespace) -> int:
    """Print each reply as it comes, then the statistics; Ctrl-C ends it early, with those of what has come."""
    from nbsocket._modem_checks import check_ping

    check_ping(options.host, options.timeout, options.count, options.size)
    printer = _Printer(options)
    try:
        with closing(configure_modem(options, **LOOK_ONLY)) as modem:
            modem.open()  # before anything is said: there may be no module
            if not options.json:
                print(
                    f"PING {options.host}: {options.size} bytes, up to {options.timeout} s for each reply", flush=True
                )
            result = modem.ping(
                options.host,
                timeout=options.timeout,
                count=options.count,
                size=options.size,
                rai=options.rai,
                on_reply=printer.reply,
            )
    except KeyboardInterrupt:
        if not printer.replies:
            raise
        result = printer.result_so_far()
    printer.summary(result)
    return ExitCode.SUCCESS if result.received else ExitCode.FAILURE


class _Printer:
    """Writes what ping(8) writes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._host = options.host
        self._is_json = options.json
        self.replies: list[PingReply] = []

    def reply(self, reply: PingReply) -> None:
        """Print one reply, or that there was none."""
        self.replies.append(reply)
        if self._is_json:
            return
        number = len(self.replies)
        if reply.rtt is None:
            print(f"no answer: seq={number} (result {reply.result})", flush=True)
            return
        ttl = "" if reply.ttl is None else f" ttl={reply.ttl}"
        print(f"{reply.size} bytes from {reply.address}: seq={number}{ttl} time={_shown(reply.rtt)} ms", flush=True)

    def result_so_far(self) -> PingResult:
        """Return the result of what has come, for a ping that was interrupted."""
        from nbsocket._driver import PingResult

        times = [reply.rtt for reply in self.replies if reply.rtt is not None]
        low, high, mean = (min(times), max(times), sum(times) / len(times)) if times else (None, None, None)
        sent = len(self.replies)
        return PingResult(sent, len(times), sent - len(times), low, high, mean, tuple(self.replies))

    def summary(self, result: PingResult) -> None:
        """Print the statistics."""
        if self._is_json:
            print(json.dumps({"host": self._host, **asdict(result)}))
            return
        share = 100 * result.lost // result.sent if result.sent else 0
        print(f"--- {self._host} ping statistics ---")
        print(f"{result.sent} packets transmitted, {result.received} received, {share}% packet loss")
        if result.rtt_min is not None and result.rtt_avg is not None and result.rtt_max is not None:
            figures = "/".join(_shown(value) for value in (result.rtt_min, result.rtt_avg, result.rtt_max))
            print(f"rtt min/avg/max = {figures} ms")


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
