"""A program written for the module: one UDP report, one answer, then the radio may sleep.

NBSOCKET_PORT=/dev/ttyUSB0 python examples/udp_report.py server.example 5683
"""

from __future__ import annotations

import sys

import nbsocket


def main(host: str, port: int) -> int:
    """Send a report and print the answer."""
    with nbsocket.socket(nbsocket.AF_INET, nbsocket.SOCK_DGRAM) as sock:
        sock.settimeout(30.0)
        # Release assistance: one answer is expected after this datagram, then nothing more.
        sock.setsockopt(nbsocket.SOL_NB, nbsocket.NB_RAI, 2)
        sock.connect((host, port))
        sock.send(b"volume=123.4")
        print(sock.recv(512).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
