"""xmlrpc.client over HTTP and HTTPS.

Usage: xmlrpc_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import ssl
import sys
import xmlrpc.client

VALUE = {"reading": [17.25, 18, None], "raw": bytes(range(256)) * 8}


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    context = ssl.create_default_context(cafile=ca_file)
    for kind, url in (("HTTP", f"http://{host}:{port}"), ("HTTPS", f"https://{host}:{tls_port}")):
        with xmlrpc.client.ServerProxy(url, allow_none=True, use_builtin_types=True, context=context) as proxy:
            assert proxy.echo(VALUE) == VALUE
            calls = xmlrpc.client.MultiCall(proxy)
            for number in range(3):
                calls.echo(number)
            assert list(calls()) == [0, 1, 2]
        print(kind)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
