"""logging.handlers.SysLogHandler over UDP and TCP, SocketHandler's way of reconnecting included.

Usage: syslog_session.py HOST PORT TLS_PORT CA_FILE FILE_OF_THE_SERVER
"""

from __future__ import annotations

import logging
import logging.handlers
import socket
import sys
import time
from pathlib import Path

TIMEOUT = 60.0


def main(argv: list[str]) -> int:
    address, output = (argv[1], int(argv[2])), Path(argv[5])
    logging.raiseExceptions = True
    logger = logging.getLogger("meter")
    logger.propagate = False
    for name, kind in (("UDP", socket.SOCK_DGRAM), ("TCP", socket.SOCK_STREAM)):
        handler = logging.handlers.SysLogHandler(address, logging.handlers.SysLogHandler.LOG_LOCAL3, kind)
        logger.addHandler(handler)
        line = f"{name} reading {time.time_ns()}"
        logger.error(line)
        logger.removeHandler(handler)
        handler.close()
        deadline = time.monotonic() + TIMEOUT
        while not (output.exists() and f"local3.err {line}" in output.read_text()):
            assert time.monotonic() < deadline, output.exists() and output.read_text()
            time.sleep(0.05)
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
