# SPDX-License-Identifier: GPL-3.0-or-later
"""What the web server of the stack really serves: asked over TLS, and made to read its files again."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

from ...core.compose.certificates import fingerprint, say_fingerprint, site_of, source_of
from ...core.compose.project import PRODUCT_NAME
from ...core.compose.stack_errors import CaddySilent
from ...core.host.errors import NotHealthy
from ...core.layout.layouts import CERTIFICATES, Layout
from ..host.actions import Actions
from ..host.commands import Failed, run
from ..host.listing import ABSENT
from ..host.processes import GONE
from ..host.waiting import until
from . import certificates, engine

_PORT = "443/tcp"
_ANSWER_SECONDS, _RELOADED_SECONDS, _RESTARTED_SECONDS = 10.0, 10.0, 60.0
_POLL_SECONDS = 0.5
SERVED = "certificate that is served"


def stale_files(
    container: Mapping[str, Any], replaced: Collection[str], anew: bool = False
) -> list[str]:
    """Paths in a running container where it sees another file than its bind source is now.

    A bind of a file holds on to the file; one that a rename has put in its place is not seen
    until the container starts again. replaced: files that a check run announces as replaced; anew:
    whether the container is made anew before that.
    """
    stale = []
    for mount in container["mounts"]:
        source, target = mount["source"], mount["target"]
        if mount["type"] != "bind" or not os.path.isfile(source):
            continue
        try:
            inside = os.stat(f"/proc/{container['pid']}/root{target}")
        except OSError as error:
            if error.errno not in (*ABSENT, *GONE):
                raise
            continue  # gone in between, or the file was taken away: nothing that is served by it
        here = os.stat(source)
        other = (here.st_dev, here.st_ino) != (inside.st_dev, inside.st_ino)
        if source in replaced or (other and not anew):
            stale.append(str(target))
    return sorted(stale)


class Caddy:
    """The running container that has STATE_DIR/certs, if it serves a certificate from there."""

    def __init__(self, docker: str, container: Mapping[str, Any], layout: Layout, env: Mapping[str, str]) -> None:  # fmt: skip
        self.docker = docker
        self.name, self.service = str(container["name"]), str(container["service"])
        self.up_seconds = float(container["up_seconds"])
        self.ports: Optional[Mapping[str, Sequence[str]]] = container["ports"]
        """As they were when it was looked at; a start may choose others."""
        self.layout = layout
        self.site = site_of(env.get("DOMAIN", ""))
        self.config = next(
            (m["target"] for m in container["mounts"] if os.path.basename(m["target"]) == "Caddyfile"),
            "",
        )  # fmt: skip
        self.source = self._source(container, env.get("CADDY_TLS", ""))

    def _source(self, container: Mapping[str, Any], caddy_tls: str) -> str:
        if not self.config:
            return "other"
        try:
            with open(f"/proc/{container['pid']}/root{self.config}", encoding="utf-8") as file:
                return source_of(file.read(), caddy_tls)
        except (OSError, ValueError):
            return "unknown"

    def address(self) -> Optional[tuple[str, int]]:
        """Where its TLS port is published on this host; None where it is not. Raises Failed."""
        if self.ports is None:
            containers = engine.containers(self.docker, PRODUCT_NAME)
            self.ports = next(
                (each["ports"] for each in containers if each["name"] == self.name), {}
            )
        if _PORT not in self.ports:
            return None
        host, port = self.ports[_PORT]
        return ("127.0.0.1" if host in ("0.0.0.0", "::", "") else host), int(port)

    def serves(self, address: tuple[str, int]) -> str:
        """The fingerprint of the certificate that it serves for its site.

        Empty where it says that it has none for that site. Raises OSError where it gives no answer.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Which certificate it is, is what is asked here; whether clients trust it is theirs to say.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(address, timeout=5)
        try:
            with plain, context.wrap_socket(plain, server_hostname=self.site) as tls:
                der = tls.getpeercert(binary_form=True)
        except ssl.SSLError as error:
            # Only an alert is the server's own word; all else is a connection that was cut.
            if "ALERT" in (error.reason or ""):
                return ""
            raise
        except ValueError as error:
            raise OSError(0, f"its site '{self.site}' is no host name") from error
        return hashlib.sha256(der).hexdigest() if der else ""

    def answer(self, address: tuple[str, int], wanted: str, seconds: float) -> str:
        """What it serves: at once if that is ``wanted``, else the last answer within ``seconds``.

        wanted: a fingerprint; empty for any answer. Raises CaddySilent without an answer.
        """
        served = why = ""

        def is_wanted() -> bool:
            nonlocal served, why
            try:
                served, why = self.serves(address), ""
            except ssl.SSLError as error:
                served, why = "", (error.reason or str(error)).replace("_", " ").lower()
            except OSError as error:
                served, why = "", error.strerror or str(error)
            return not why and wanted in ("", served)

        until(is_wanted, seconds, _POLL_SECONDS)
        if why:
            raise CaddySilent(
                service=self.service, address="{}:{}".format(*address), found=why,
                seconds=int(seconds),
            )  # fmt: skip
        return served

    def patience(self) -> float:
        """Seconds to wait for its first answer: longer where it has been started just now."""
        return max(_ANSWER_SECONDS, _RESTARTED_SECONDS - self.up_seconds)

    def restart(self) -> None:
        """Start its container again, which binds the files anew."""
        run([self.docker, "restart", self.name], seconds=120)
        self.ports = None

    def load(self, address: tuple[str, int], wanted: str, project_dir: str) -> None:
        """Make it serve ``wanted``: by a reload, which drops no connection, else by a restart.

        Only for one that has answered with another certificate. Raises NotHealthy when it does
        neither, CaddySilent when it does not answer any more.
        """
        reload = ["caddy", "reload", "--force", "--config", self.config, "--adapter", "caddyfile"]
        try:
            run([self.docker, "exec", self.name, *reload], seconds=60)
            if self.answer(address, wanted, _RELOADED_SECONDS) == wanted:
                return
        except Failed:
            pass  # an admin endpoint that is off, for one
        self.restart()
        served = self.answer(address, wanted, _RESTARTED_SECONDS)
        if served != wanted:
            raise NotHealthy(
                service=self.service,
                found=f"still serving certificate {say_fingerprint(served)}, not {say_fingerprint(wanted)} "
                f"of {os.path.join(self.layout.state_dir, CERTIFICATES)},",
                seconds=int(_RESTARTED_SECONDS),
                project=project_dir,
            )


def find(containers: Sequence[Mapping[str, Any]], layout: Layout) -> Optional[Mapping[str, Any]]:
    """The running container that has STATE_DIR/certs."""
    folder = os.path.join(layout.state_dir, CERTIFICATES)
    for container in containers:
        sources = [mount["source"] for mount in container["mounts"] if mount["type"] == "bind"]
        if container["status"] == "running" and folder in sources:
            return container
    return None


def keep_served(
    docker: str,
    container: Mapping[str, Any],
    layout: Layout,
    env: Mapping[str, str],
    project_dir: str,
    given: str,
    replaced: Collection[str],
    actions: Actions,
    anew: bool = False,
) -> str:
    """Make Caddy see its files and serve the certificate of STATE_DIR; what it serves, for people.

    given: in a check run, the certificate that will be placed; replaced, anew: see stale_files.
    Raises CaddySilent where it gives no answer: that is no reason to restart it.
    """
    caddy = Caddy(docker, container, layout, env)
    stale, patience = stale_files(container, replaced, anew), caddy.patience()
    if stale:
        patience = _RESTARTED_SECONDS
        before = f"sees the old {', '.join(stale)}"
        actions.take(f"service {caddy.service}", before, "restarted", caddy.restart)
        if actions.check:
            return ""
    if caddy.source == "other":
        return "not from STATE_DIR/certs, so it is not compared"
    if caddy.source == "unknown":
        return f"not compared: its {caddy.config} can't be read"
    address = caddy.address()
    if address is None:
        return "not published on this host, so it is not compared"
    try:
        there = "" if given and not anew else certificates.placed_chain(layout.state_dir)
        placed = given or there
    except OSError as error:
        return f"not compared: {error.strerror}"
    wanted = fingerprint(placed)
    if not wanted:
        return "not compared: no certificate in PEM is there"
    served = fingerprint(there) if anew else caddy.answer(address, "", patience)
    if served != wanted:
        actions.take(
            SERVED, say_fingerprint(served), say_fingerprint(wanted),
            lambda: caddy.load(address, wanted, project_dir),
        )  # fmt: skip
    end, _expired = certificates.until(placed)
    return f"{say_fingerprint(wanted)} for {caddy.site}" + (f", until {end}" if end else "")
