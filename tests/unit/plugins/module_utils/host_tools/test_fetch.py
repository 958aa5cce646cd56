# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source may do wrong: each ends in a reason, in bounded time."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pairs
import pytest

from ansible_collections.agnes.host.plugins.module_utils.host_tools import fetch

ENDED = threading.Event()
"""Nobody asks any more. Who answers slowly waits for it: a sleep would outlive these tests, and turn the clocks of others."""


class Answers(http.server.BaseHTTPRequestHandler):
    """By the path that is asked for."""

    def do_GET(self) -> None:
        kind = self.path.partition("?")[0].strip("/")
        if kind == "hang":
            ENDED.wait(3)
            return
        if kind == "redirect":
            self.send_response(302)
            self.send_header("Location", "https://login.example.org/?token=secret")
            self.end_headers()
            return
        self.send_response(404 if kind == "missing" else 200)
        self.end_headers()
        if kind == "drip":
            for _time in range(30):
                self.wfile.write(b"-")
                self.wfile.flush()
                if ENDED.wait(0.1):
                    return
        elif kind == "big":
            self.wfile.write(b"x" * (fetch.LIMIT + 1))
        elif kind != "empty":
            self.wfile.write(b"text of it\n")

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An https:// server's address, and the certificate to trust."""
    folder = tmp_path_factory.mktemp("server")
    pairs.make(folder, "localhost")
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    http_server.socket = context.wrap_socket(http_server.socket, server_side=True)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    yield f"https://localhost:{http_server.server_port}", folder / "c.pem"
    ENDED.set()
    http_server.shutdown()


@pytest.fixture
def address(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SSL_CERT_FILE", str(server[1]))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return server[0]


def test_a_server_that_is_trusted_gives_its_text(address: str) -> None:
    assert fetch.text(f"{address}/text?token=1") == "text of it\n"


TROUBLE = [
    ("missing", "the server says 404"),
    ("redirect", "it redirects (302) to https://login.example.org/"),
    ("empty", "it is empty"),
    ("big", f"it has more than {fetch.LIMIT} bytes"),
    ("drip", "it was not complete within 1 s"),
    ("hang", "the server does not answer"),
]


@pytest.mark.parametrize(("path", "reason"), TROUBLE)
def test_what_is_wrong_is_said_in_bounded_time(address: str, path: str, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(fetch.NotFetched) as error:
        fetch.text(f"{address}/{path}", 1.0)
    if path == "hang":
        # Whichever of the two clocks is first.
        assert str(error.value) in (reason, "it was not complete within 1 s")
    else:
        assert str(error.value) == reason
    assert time.monotonic() - began < 2.5


def test_a_server_that_is_not_trusted_gives_nothing(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(fetch.NotFetched, match="the server's own certificate is not trusted here"):
        fetch.text(f"{server[0]}/text")


def test_nobody_who_listens(address: str) -> None:
    with pytest.raises(fetch.NotFetched, match="Connection refused"):
        fetch.text("https://localhost:1/")


def test_a_file_may_be_reached_by_a_link_and_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "real one.pem").write_text("text")
    (tmp_path / "link.pem").symlink_to("real one.pem")
    assert fetch.text(f"file://{tmp_path}/link.pem") == "text"
    assert fetch.text(f"file://{tmp_path}/real%20one.pem") == "text"
    with pytest.raises(fetch.NotFetched, match="not a regular file"):
        fetch.text("file:///dev/zero")
    with pytest.raises(fetch.NotFetched, match="No such file"):
        fetch.text(f"file://{tmp_path}/none")
