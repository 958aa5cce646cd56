#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An https:// server of certificates: source.py CERTIFICATE KEY FOLDER, on port 8443 of this host."""

from __future__ import annotations

import functools
import http.server
import ssl
import sys
import time


class Source(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and what a source may do instead."""

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "https://localhost:8443/chain.pem")
            self.end_headers()
        elif self.path == "/hang":
            time.sleep(600)
        else:
            super().do_GET()


certificate, key, folder = sys.argv[1:]
server = http.server.ThreadingHTTPServer(
    ("127.0.0.1", 8443), functools.partial(Source, directory=folder)
)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
