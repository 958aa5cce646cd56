# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server that speaks TLS, and a docker command that makes it read its files again, or does not."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pairs
import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.certificates import (
    fingerprint,
    say_fingerprint,
)
from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack_errors import (
    CaddySilent,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import NotHealthy
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout
from ansible_collections.agnes.host.plugins.module_utils.system.compose import caddy, certificates
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed

ENV = {"DOMAIN": "agnes.test"}
CADDYFILE = "https://{$DOMAIN} {\n\ttls /certs/fullchain.pem /certs/privkey.pem\n}\n"


class Served:
    """A TLS server that loads its pair when the file that stands for a reload appears."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.certs = top / "state" / "certs"
        self.certs.mkdir(parents=True)
        (top / "Caddyfile").write_text(CADDYFILE)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.layout = Layout(
            "odd", {"data": str(top), "state": str(top / "state")}, str(top / "state"), "odd.yml"
        )
        self.docker = top / "docker"

    def place(self, pair: pairs.Pair) -> None:
        (self.certs / "privkey.pem").write_text(pair.key)
        (self.certs / "fullchain.pem").write_text(pair.certificate)

    def obeys(self, exec_: str, restart: str) -> None:
        """What the docker command does: shell of its reload, and of its restart."""
        (self.top / "calls").touch()
        (self.top / "inspected").write_text(json.dumps([self.inspected()]))
        self.docker.write_text(
            f'#!/bin/sh\ncd {self.top}\necho "$1" >> calls\ncase $1 in\n'
            f"ps) printf 'id\\tagnes-caddy-1\\trunning\\tagnes\\n';;\ninspect) cat inspected;;\n"
            f"exec) {exec_};;\nrestart) {restart};;\nesac\n"
        )
        self.docker.chmod(0o755)

    def calls(self) -> list[str]:
        """Those that act."""
        looks = ("ps", "inspect")
        return [line for line in (self.top / "calls").read_text().split() if line not in looks]

    def inspected(self) -> dict[str, Any]:
        """What the engine says of the container."""
        bound = [{"HostIp": host, "HostPort": str(self.port)} for host in ("::", "0.0.0.0")]
        return {
            "Name": "/agnes-caddy-1", "Image": "i", "Config": {}, "State": {"Status": "running", "ExitCode": 0},
            "NetworkSettings": {"Ports": {"443/tcp": bound, "80/tcp": None}},
        }  # fmt: skip

    def load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certs / "fullchain.pem", self.certs / "privkey.pem")
        return context

    def serve(self, context: ssl.SSLContext) -> None:
        while True:
            try:
                plain = self.socket.accept()[0]
            except OSError:
                return
            if (self.top / "reload").exists():
                (self.top / "reload").unlink()
                context = self.load()
            try:
                with context.wrap_socket(plain, server_side=True):
                    pass
            except OSError:
                plain.close()

    def container(self, source: Path | None = None) -> dict[str, Any]:
        """The server's container; its root is the host's, as this process has it."""
        config = str(self.top / "Caddyfile")
        return {
            "name": "agnes-caddy-1", "service": "caddy", "status": "running", "pid": os.getpid(),
            "up_seconds": 999.0, "ports": {"443/tcp": ["0.0.0.0", str(self.port)]},
            "mounts": [
                {"type": "bind", "source": str(source or config), "target": config},
                {"type": "bind", "source": str(self.certs), "target": "/certs"},
            ],
        }  # fmt: skip

    def keep(self, check: bool = False, given: str = "", **more: Any) -> tuple[str, list[Any]]:
        actions = Actions(check)
        container = more.pop("container", self.container())
        said = caddy.keep_served(
            str(self.docker), container, self.layout, more.pop("env", ENV), str(self.top), given,
            more.pop("replaced", ()), actions, more.pop("anew", False),
        )  # fmt: skip
        return said, actions.items


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[pairs.Pair]:
    return [pairs.make(tmp_path_factory.mktemp(name)) for name in ("one", "other")]


@pytest.fixture
def served(
    tmp_path: Path, two: list[pairs.Pair], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    for name in ("_ANSWER_SECONDS", "_RELOADED_SECONDS", "_RESTARTED_SECONDS"):
        monkeypatch.setattr(caddy, name, 0.3)
    monkeypatch.setattr(caddy, "_POLL_SECONDS", 0.05)
    # The real one says when it ends; that is not what is tested here.
    monkeypatch.setattr(certificates, "which", lambda program: None)
    server = Served(tmp_path)
    server.place(two[0])
    thread = threading.Thread(target=server.serve, args=[server.load()], daemon=True)
    thread.start()
    yield server
    # A blocked accept does not see that its socket is closed.
    server.socket.shutdown(socket.SHUT_RDWR)
    server.socket.close()
    thread.join(5)


def say(pair: pairs.Pair) -> str:
    return say_fingerprint(fingerprint(pair.certificate))


def test_what_is_served_is_left_alone(served: Served, two: list[pairs.Pair]) -> None:
    served.obeys("touch reload", "touch reload")
    assert served.keep() == (f"{say(two[0])} for agnes.test", [])
    assert served.calls() == []


def test_another_pair_is_loaded_by_a_reload_as_announced(
    served: Served, two: list[pairs.Pair]
) -> None:
    served.obeys("touch reload", "touch reload")
    announced = served.keep(check=True, given=two[1].certificate)
    assert served.calls() == []
    served.place(two[1])
    assert served.keep() == announced
    (item,) = announced[1]
    assert (item["before"], item["after"]) == (say(two[0]), say(two[1]))
    assert served.calls() == ["exec"]
    assert served.keep()[1] == []


@pytest.mark.parametrize("refuses", ["exit 1", "true"])
def test_a_reload_that_does_not_help_is_followed_by_a_restart(
    served: Served, two: list[pairs.Pair], refuses: str
) -> None:
    served.obeys(refuses, "touch reload")
    served.place(two[1])
    served.keep()
    assert served.calls() == ["exec", "restart"]
    assert served.keep()[1] == []


def test_one_that_is_still_not_served_is_an_error(served: Served, two: list[pairs.Pair]) -> None:
    served.obeys("true", "true")
    served.place(two[1])
    with pytest.raises(
        NotHealthy, match=f"still serving certificate {say(two[0])}, not {say(two[1])}"
    ):
        served.keep()


def test_a_server_that_does_not_answer_is_said_and_left_alone(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        served.port = nobody.getsockname()[1]
    served.obeys("touch reload", "touch reload")
    for check in (True, False):
        with pytest.raises(CaddySilent) as silent:
            served.keep(check=check)
        assert f"does not answer at 127.0.0.1:{served.port} (" in str(silent.value)
    assert served.calls() == []


def test_a_connection_that_is_cut_is_no_answer(served: Served) -> None:
    """As docker's proxy does for a container in which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        served.port = proxy.getsockname()[1]
        served.obeys("touch reload", "touch reload")

        def cut() -> None:
            while True:
                try:
                    proxy.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=cut, daemon=True)
        thread.start()
        with pytest.raises(CaddySilent):
            served.keep()
        proxy.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert served.calls() == []


def test_a_site_that_is_no_host_name_is_said(served: Served) -> None:
    served.obeys("touch reload", "touch reload")
    with pytest.raises(CaddySilent, match=r"its site '\.agnes' is no host name"):
        served.keep(env={"DOMAIN": ".agnes"})


def test_one_that_was_started_just_now_is_given_longer(
    served: Served, two: list[pairs.Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port answers half a second from now, and the wait of one that is up for long is over before."""
    monkeypatch.setattr(caddy, "_RESTARTED_SECONDS", 20.0)
    served.obeys("true", "true")
    asked: list[float] = []
    real = caddy.Caddy.serves

    def serves(self: caddy.Caddy, address: tuple[str, int]) -> str:
        asked.append(time.monotonic())
        if asked[-1] - asked[0] < 0.5:
            raise ConnectionRefusedError(111, "Connection refused")
        return real(self, address)

    monkeypatch.setattr(caddy.Caddy, "serves", serves)
    with pytest.raises(CaddySilent):
        served.keep()
    asked.clear()
    fresh = {**served.container(), "up_seconds": 1.0}
    assert served.keep(container=fresh) == (f"{say(two[0])} for agnes.test", [])


def test_a_server_that_has_no_certificate_for_the_site_has_answered(
    served: Served, two: list[pairs.Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caddy says so by an alert, and reads its files again."""
    served.obeys("touch reload", "touch reload")
    real, alerts = (
        ssl.SSLContext.wrap_socket,
        [ssl.SSLError(1, "[SSL: TLSV1_ALERT_INTERNAL_ERROR]")],
    )
    alerts[0].reason = "TLSV1_ALERT_INTERNAL_ERROR"

    def wrap(self: ssl.SSLContext, *arguments: Any, **more: Any) -> Any:
        if "server_hostname" in more and alerts:
            raise alerts.pop()
        return real(self, *arguments, **more)

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", wrap)
    (item,) = served.keep()[1]
    assert (item["before"], item["after"]) == ("none", say(two[0]))
    assert served.calls() == ["exec"]


TEST_NOT_COMPARED: list[Any] = [
    pytest.param("agnes.test {\n\treverse_proxy app\n}\n", ENV, id="a-file-of-its-own"),
    pytest.param("{$CADDY_TLS:tls /certs/fullchain.pem /certs/privkey.pem}", {"CADDY_TLS": "tls internal"}, id="caddys-own"),
]  # fmt: skip


@pytest.mark.parametrize(("caddyfile", "env"), TEST_NOT_COMPARED)
def test_a_certificate_from_elsewhere_is_not_compared(
    served: Served, two: list[pairs.Pair], caddyfile: str, env: dict[str, str]
) -> None:
    served.obeys("true", "true")
    (served.top / "Caddyfile").write_text(caddyfile)
    served.place(two[1])
    said, items = served.keep(env=env)
    assert "not compared" in said
    assert items == []


def test_a_port_that_is_not_published_is_not_compared(
    served: Served, two: list[pairs.Pair]
) -> None:
    served.obeys("true", "true")
    served.place(two[1])
    hidden = {**served.container(), "ports": {}}
    assert served.keep(container=hidden) == (
        "not published on this host, so it is not compared",
        [],
    )


def seeing_an_older_file(served: Served) -> dict[str, Any]:
    newer = served.top / "newer" / "Caddyfile"
    newer.parent.mkdir()
    newer.write_text(CADDYFILE)
    return served.container(newer)


def test_after_a_restart_the_port_is_looked_for_again(
    served: Served, two: list[pairs.Pair]
) -> None:
    served.obeys("true", "touch reload")
    before = {**seeing_an_older_file(served), "ports": {"443/tcp": ["127.0.0.1", "1"]}}
    assert served.keep(container=before)[0] == f"{say(two[0])} for agnes.test"


def test_a_port_that_can_not_be_looked_for_is_not_taken_for_absent(served: Served) -> None:
    served.docker.write_text(
        "#!/bin/sh\n[ $1 = restart ] || { echo >&2 'Cannot connect to the Docker daemon'; exit 1; }\n"
    )
    served.docker.chmod(0o755)
    with pytest.raises(Failed, match="Cannot connect"):
        served.keep(container=seeing_an_older_file(served))


def test_a_caddyfile_that_can_not_be_read_is_said(served: Served) -> None:
    (served.top / "Caddyfile").write_bytes(b"\xff")
    served.obeys("true", "true")
    assert served.keep() == (f"not compared: its {served.top}/Caddyfile can't be read", [])


def test_a_container_that_sees_an_older_file_is_restarted_as_announced(
    served: Served, two: list[pairs.Pair]
) -> None:
    served.obeys("true", "touch reload")
    older = seeing_an_older_file(served)
    config = str(served.top / "Caddyfile")
    announced = served.keep(check=True, replaced={config})[1]
    assert served.keep(container=older)[1] == announced
    assert announced[0]["before"] == f"sees the old {config}"
    assert served.calls() == ["restart"]
    assert served.keep()[1] == []


def test_before_a_move_only_what_comes_after_it_is_announced(
    served: Served, two: list[pairs.Pair]
) -> None:
    """The move makes the container anew: it sees the files of now, and serves the pair of now."""
    served.obeys("true", "true")
    older = seeing_an_older_file(served)
    served.place(two[1])
    assert served.keep(check=True, anew=True, container=older)[1] == []
    assert served.keep(check=True, anew=True, given=two[1].certificate)[1] == []
    (placed,) = served.keep(check=True, anew=True, given=two[0].certificate)[1]
    assert (placed["before"], placed["after"]) == (say(two[1]), say(two[0]))
    (restarted,) = served.keep(
        check=True, anew=True, container=older, replaced={str(served.top / "newer" / "Caddyfile")}
    )[1]
    assert restarted["after"] == "restarted"


def test_which_container_it_is(served: Served) -> None:
    container = served.container()
    assert caddy.find([{**container, "mounts": []}, container], served.layout) == container
    assert caddy.find([{**container, "status": "exited"}], served.layout) is None
