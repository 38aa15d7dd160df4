"""pg8000: a table written and read over TCP and TLS, an error of the server's, a wrong password.

Usage: pg8000_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import contextlib
import ssl
import sys

from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

TIMEOUT = 60


def session(host: str, port: int, context: ssl.SSLContext | bool) -> None:
    options = {"host": host, "port": port, "database": "postgres", "timeout": TIMEOUT, "ssl_context": context}
    with Connection("meter", password="open sesame", **options) as connection:
        connection.run("CREATE TEMPORARY TABLE readings (number integer, body bytea)")
        bodies = [(number, bytes([number]) * 3000) for number in range(4)]
        for number, body in bodies:
            connection.run("INSERT INTO readings VALUES (:number, :body)", number=number, body=body)
        assert connection.run("SELECT * FROM readings ORDER BY number") == [list(row) for row in bodies]
        with contextlib.suppress(DatabaseError):
            connection.run("SELECT nothing")
        assert connection.run("SELECT 1") == [[1]]
    try:
        Connection("meter", password="wrong", **options)
    except DatabaseError:
        return
    raise AssertionError("a wrong password was taken")


def main(argv: list[str]) -> int:
    host, port, ca_file = argv[1], int(argv[2]), argv[4]
    session(host, port, False)
    session(host, port, ssl.create_default_context(cafile=ca_file))
    print("TCP and TLS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
