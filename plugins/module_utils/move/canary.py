# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary row: committed through the app, and seen to arrive on the state disk."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
from urllib.parse import urlsplit

from ..core.move.move_errors import CanaryLost

_FILES = ("system.duckdb", "system.duckdb.wal")
_SECONDS = 30.0


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    """To this host's own app, whatever name the address has and wherever DNS sends that."""
    parts = urlsplit(url)
    host, tls = parts.hostname or "localhost", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.sock = plain
    if tls:
        # It never leaves this host, and the certificate may be of an authority of the site's own.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection.sock = context.wrap_socket(plain, server_hostname=host)
    return connection, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def _post(url: str, body: str) -> None:
    connection, path = _connection(url)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            raise OSError(f"the app answers {answer.status}")
    finally:
        connection.close()


def _sizes(directory: int) -> list[tuple[str, int, int]]:
    sizes = []
    for name in _FILES:
        try:
            info = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            continue
        sizes.append((name, info.st_size, info.st_mtime_ns))
    return sizes


def send(url: str, state_dir: str, directory: int, move_id: str) -> None:
    """Post a row to ``url`` and see the database's files change. Raises CanaryLost.

    directory: STATE_DIR, open, as the containers see it.
    """
    before, end, why = _sizes(directory), time.monotonic() + _SECONDS, ""
    while time.monotonic() < end:
        try:
            _post(url, json.dumps({"note": f"agnes.host canary {move_id}"}))
            if _sizes(directory) != before:
                return
            why = "the app took it, but no file of the database changed"
        except (OSError, http.client.HTTPException) as error:
            why = str(error)
        time.sleep(0.5)
    raise CanaryLost(url=url, path=state_dir, found=why)
