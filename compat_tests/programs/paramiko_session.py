"""paramiko: a password, a command, and a file each way by SFTP.

Usage: paramiko_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import io
import sys

import paramiko

TIMEOUT = 60.0
BODY = bytes(range(256)) * 100


def main(argv: list[str]) -> int:
    host, port = argv[1], int(argv[2])
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            host, port, "meter", "open sesame", timeout=TIMEOUT, banner_timeout=TIMEOUT, auth_timeout=TIMEOUT,
            allow_agent=False, look_for_keys=False,
        )  # fmt: skip
        print("password")
        _stdin, stdout, _stderr = client.exec_command("read the meter", timeout=TIMEOUT)
        assert stdout.read() == b"you asked to read the meter"
        print("commands")
        with client.open_sftp() as sftp:
            sftp.putfo(io.BytesIO(BODY), "reading.bin", confirm=True)
            back = io.BytesIO()
            sftp.getfo("reading.bin", back)
            assert back.getvalue() == BODY
        print("SFTP")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
