"""imaplib: mailboxes over TCP with STARTTLS, and over TLS from the beginning.

Usage: imap_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import imaplib
import ssl
import sys

TIMEOUT = 60.0
MAIL = b"From: meter@device.example\r\nSubject: Reading\r\n\r\n" + b"17.25 m3\r\n" * 300


def work(client: imaplib.IMAP4) -> None:
    client.login("meter", "open sesame")
    assert client.append("INBOX", "", "", MAIL)[0] == "OK"
    status, counts = client.select("INBOX")
    assert status == "OK"
    status, parts = client.fetch(counts[0].decode(), "(RFC822)")
    assert status == "OK"
    assert isinstance(parts[0], tuple)
    assert parts[0][1] == MAIL
    client.logout()


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    context = ssl.create_default_context(cafile=ca_file)
    client = imaplib.IMAP4(host, port, TIMEOUT)
    client.starttls(context)
    work(client)
    print("STARTTLS")
    work(imaplib.IMAP4_SSL(host, tls_port, ssl_context=context, timeout=TIMEOUT))
    print("TLS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
