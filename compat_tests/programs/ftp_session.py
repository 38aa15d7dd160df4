"""ftplib: listing, upload and download in passive mode.

Usage: ftp_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import ftplib
import io
import sys

TIMEOUT = 60.0
CONTENT = bytes(range(256)) * 80


def main(argv: list[str]) -> int:
    host, port = argv[1], int(argv[2])
    with ftplib.FTP(timeout=TIMEOUT) as client:
        client.connect(host, port)
        client.login("meter", "open sesame")
        client.storbinary("STOR reading.bin", io.BytesIO(CONTENT))
        assert client.nlst() == ["reading.bin"]
        client.voidcmd("TYPE I")
        assert client.size("reading.bin") == len(CONTENT)
        pieces: list[bytes] = []
        client.retrbinary("RETR reading.bin", pieces.append)
        assert b"".join(pieces) == CONTENT
        client.delete("reading.bin")
    print("passive mode: listing, upload, download")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
