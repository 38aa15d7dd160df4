"""ntplib: the time.

Usage: ntp_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import sys

import ntplib

TIMEOUT = 60.0


def main(argv: list[str]) -> int:
    host, port = argv[1], int(argv[2])
    answer = ntplib.NTPClient().request(host, version=4, port=port, timeout=TIMEOUT)
    assert abs(answer.offset) < 60, answer.offset
    assert answer.stratum in range(1, 16), answer.stratum
    print("version 4")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
