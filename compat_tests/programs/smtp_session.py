"""smtplib: mail over TCP with STARTTLS, and over TLS from the beginning.

Usage: smtp_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import smtplib
import ssl
import sys
from email.message import EmailMessage

TIMEOUT = 60.0


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    context = ssl.create_default_context(cafile=ca_file)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "meter@device.example", "desk@office.example", "Reading"
    message.set_content("17.25 m3\n.\n" * 300)
    with smtplib.SMTP(host, port, timeout=TIMEOUT) as client:
        client.starttls(context=context)
        assert client.send_message(message) == {}
    print("STARTTLS")
    with smtplib.SMTP_SSL(host, tls_port, timeout=TIMEOUT, context=context) as client:
        assert client.send_message(message) == {}
    print("TLS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
