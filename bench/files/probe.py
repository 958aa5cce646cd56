#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that ask the app for its health through Caddy every 20 ms, and keep when they had an answer.

Standard library only: it runs on the test host. Several of them, out of step, so that one
whose connection hangs does not look like a stack that is down.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time

PAUSE = 0.02
CLIENTS = 3
TIMEOUT = 1.0
REQUEST = b"GET /api/health HTTP/1.1\r\nHost: agnes.test\r\nConnection: close\r\n\r\n"
GOOD = b"HTTP/1.1 200 "


def asked(context: ssl.SSLContext) -> bool:
    """Whether the app answers, over a connection of its own."""
    try:
        with (
            socket.create_connection(("127.0.0.1", 443), timeout=TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname="agnes.test") as connection,
        ):
            connection.sendall(REQUEST)
            return connection.recv(4096).startswith(GOOD)
    except OSError:
        return False


def client(log: object, context: ssl.SSLContext) -> None:
    """Ask until somebody ends it; one line for each good answer: when."""
    while True:
        if asked(context):
            log.write(f"{time.time():.4f}\n")
        time.sleep(PAUSE * CLIENTS)


def main(path: str) -> None:
    """Start the clients."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with open(path, "a", buffering=1) as log:
        threads = [
            threading.Thread(target=client, args=(log, context)) for _client in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
            time.sleep(PAUSE)
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
