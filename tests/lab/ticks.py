# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade on a host of pure memory: images by name, and containers of one service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import NotHealthy, Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.host_tools import upgrade
from ansible_collections.agnes.host.plugins.module_utils.system.compose import certificates, engine
from ansible_collections.agnes.host.plugins.module_utils.system.move import moving

IMAGE = "agnes:stable"
SERVICES = {"app": {"image": IMAGE, "profiles": [], "restart": "unless-stopped"}}
OLD, NEW, NEWER = (f"sha256:{digit * 64}" for digit in "123")


class Host(upgrade.Tick):
    """Its registry and engine are dictionaries."""

    def __init__(self, tmp: Path) -> None:
        self.said: list[str] = []
        super().__init__(self.said.append, str(tmp), False)
        self.tmp = tmp
        self.published, self.running = OLD, OLD
        self.names = {IMAGE: OLD}
        self.ill: set[str] = set()
        self.trouble: Refusal = NotHealthy(
            service="app", found="unhealthy", seconds=9, project="/opt/agnes"
        )
        self.migrates: set[str] = set()
        self.schema, self.error = 1, ""
        self.started: list[str] = []
        self.killed = False
        self.status, self.given = "running", list[str]()

    def tick(self, again: bool = False) -> list[str]:
        self.said.clear()
        self.again, self.started = again, []
        with installed(self):
            self.run()
        return self.said

    def pull(self, compose: Any, names: list[str]) -> str:
        if not self.error:
            self.names[IMAGE] = self.published
        return self.error

    def named(self, _docker: str, images: set[str]) -> dict[str, Any]:
        return {name: {"id": self.names[name], "digests": []} for name in images}

    def name(self, image: str, image_id: str) -> None:
        self.names[image] = image_id

    def sign(self, layout: Any) -> list[int]:
        return [self.schema, 0, 0]

    def by_service(self) -> dict[str, Any]:
        item = {
            "name": "agnes-app-1",
            "image": self.running,
            "status": self.status,
            "exit_code": 137,
        }
        return {"app": [item]}

    def bring_up(self, layout: Any, profiles: list[str], actions: Any) -> None:
        wanted, self.given = self.names[IMAGE], self.stopped
        if wanted != self.running:
            self.running = wanted
            self.started.append(wanted)
            if wanted in self.migrates:
                self.schema += 1
            actions.take("service app", "to recreate", "up")
        if self.killed:
            raise KeyboardInterrupt
        if self.running in self.ill:
            raise self.trouble


@contextmanager
def installed(host: Host) -> Iterator[None]:
    """What a tick asks of a real host is answered by ``host``."""
    project = mock.Mock()
    project.return_value.run.return_value = {"notes": [], "services": SERVICES}
    patches: dict[str, Any] = {
        "Project": project,
        "MEMORY": str(host.tmp / "memory.json"),
        "environment": lambda directory: {},
        "layout_soon": lambda *arguments: LAYOUTS["flat"],
        "named": host.named,
        "Stack": lambda *arguments: host,
        "count": lambda *arguments: None,
    }
    with ExitStack() as stack:
        for name, value in patches.items():
            stack.enter_context(mock.patch.object(upgrade, name, value))
        stack.enter_context(mock.patch.object(engine, "client", lambda: "docker"))
        stack.enter_context(mock.patch.object(moving, "backend", lambda path: "duckdb"))
        placed = {"found": "absent", "same": False, "until": "", "expired": False}
        stack.enter_context(mock.patch.object(certificates, "placed", lambda path: placed))
        yield
