#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that writes a row through Caddy, one after the other, and keeps what was acknowledged.

Standard library only: it runs on the test host. One line for each answer: when, and the row's id
or nothing when there was none.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time

PAUSE = 0.1
"""Seconds after each row; another pause is the second argument."""
# Made once, and without the world's authorities: a client must not take the processor from the host.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


def post(note: str) -> int:
    """Post a row; its id."""
    plain = socket.create_connection(("127.0.0.1", 443), timeout=2)
    connection = http.client.HTTPConnection("agnes.test", timeout=2)
    try:
        connection.sock = CONTEXT.wrap_socket(plain, server_hostname="agnes.test")
        connection.request("POST", "/api/rows", json.dumps({"note": note}))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 201:
            raise OSError(f"status {answer.status}")
        return int(json.loads(body)["id"])
    finally:
        connection.close()
        plain.close()


def main(path: str, pause: float) -> None:
    """Until somebody ends it."""
    number = 0
    with open(path, "a", buffering=1) as log:
        while True:
            number += 1
            try:
                row = post(f"load {number}")
            except (OSError, ValueError, http.client.HTTPException):
                row = 0
            log.write(json.dumps({"at": time.time(), "row": row}) + "\n")
            time.sleep(pause)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else PAUSE)
