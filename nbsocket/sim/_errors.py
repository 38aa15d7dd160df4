"""Errors a command can be answered with.

Codes below 500 are of 3GPP TS 27.007 §9.2, the others are the result codes of BC260Y-CN TCP/IP guide 1.1 §3.
"""

from __future__ import annotations

CME_TEXTS = {
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    14: "SIM busy",
    50: "incorrect parameters",
    100: "unknown",
    550: "Unknown error",
    551: "Operation blocked",
    552: "Invalid parameters",
    553: "Memory not enough",
    554: "Create socket failed",
    555: "Operation not supported",
    556: "Socket bind failed",
    557: "Socket listen failed",
    558: "Socket write failed",
    559: "Socket read failed",
    560: "Socket accept failed",
    561: "Open PDP context failed",
    562: "Close PDP context failed",
    563: "Socket identity has been used",
    564: "DNS busy",
    565: "DNS parse failed",
    566: "Socket connection failed",
    567: "Socket has been closed",
    568: "Operation busy",
    569: "Operation timeout",
    570: "PDP context broken down",
    571: "Cancel send",
    572: "Operation not allowed",
    573: "APN not configured",
    574: "Port busy",
}


class CommandError(Exception):
    """The command is answered with an error; ``code`` None is a bare ERROR whatever AT+CMEE says."""

    def __init__(self, code: int | None = 50) -> None:
        super().__init__(code)
        self.code = code
