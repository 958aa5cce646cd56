# SPDX-License-Identifier: GPL-3.0-or-later
"""``agnes-host status``: the host at a glance, for people and as JSON. Read-only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from ..core.compose.certificates import NONE_PLACED
from ..core.compose.project import PRODUCT_NAME
from ..core.compose.upgrade import unfinished
from ..core.host.errors import Refusal
from ..core.host.host_tools import PROJECT_DIR, state_disk, wanted_disks
from ..core.host.status import FORMAT, Status, problems
from ..core.layout.generation import check_not_older
from ..core.layout.layouts import Layout, layout_at, resolve_state_dir
from ..system.compose import certificates, engine
from ..system.disks import protection
from ..system.host import record
from ..system.host.commands import Failed
from ..system.layout import generations
from ..system.move import ledger, moving
from .turn import environment
from .upgrade import MEMORY


def _move() -> str:
    intent = ledger.read_intent(ledger.INTENT)
    if intent is None:
        return ""
    return f"a move from {intent.source} to {intent.target} is not ended"


def _older(layout: Optional[Layout], recorded: Mapping[str, Any]) -> str:
    if layout is None:
        return ""
    marker, kept = moving.marker(layout.state_dir), generations.load()
    try:
        check_not_older(marker, kept, layout.state_dir, *state_disk(layout, recorded))
    except Refusal as refusal:
        return str(refusal)
    return ""


def status(project_dir: str = PROJECT_DIR) -> Status:
    """Raises a Refusal for a record or an intent that can't be read."""
    env, recorded = environment(project_dir), record.load()
    state_dir = resolve_state_dir(env)
    layout, docker_says = layout_at(state_dir), ""
    disks = wanted_disks(layout, recorded) if layout and recorded.get("disks") else {}
    try:
        containers = engine.containers(engine.client(), PRODUCT_NAME)
    except (Refusal, Failed, OSError, ValueError) as error:
        containers, docker_says = [], str(error)
    observed: Status = {
        "format": FORMAT,
        "host": os.uname().nodename,
        "layout": layout.name if layout else "",
        "state_dir": state_dir,
        "disks": [
            {
                "role": role, "path": path, "uuid": uuid,
                "right": bool(uuid) and moving.mount_at(path)[1:] == (uuid, "/"),
                "protection": protection.look(path),
            }
            for path, (role, uuid) in disks.items()
        ],
        "older": _older(layout, recorded) if disks else "",
        "move": _move(),
        "upgrade": unfinished(ledger.read(MEMORY) or {}),
        "engine": docker_says,
        "containers": [
            {
                "name": each["name"], "service": each["service"],
                "state": each["status"], "health": each["health"],
            }
            for each in containers
            if not each["one_off"]
        ],
        "certificate": {
            key: value
            for key, value in (
                certificates.placed(layout.state_dir) if layout else NONE_PLACED
            ).items()
            if key != "same"
        },
        "problems": [],
    }  # fmt: skip
    return {**observed, "problems": problems(observed)}
