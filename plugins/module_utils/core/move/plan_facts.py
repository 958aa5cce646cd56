# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts that the plan of a move depends on, as hashes: equal for as long as the plan holds.

What changes by itself is in none of them: logs, times, ids and health of containers, how much
room is used, in which order things are listed, which name the kernel gives a disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..compose.stack import UP
from ..disks.devices import NO_IDENTITY, identity_of
from ..disks.mounts import on_top
from ..disks.which_copy import digest
from ..host.facts import Device, Host
from ..layout.layouts import LAYOUTS, is_at_a_place, resolve_state_dir
from .move_facts import facts_of_host

_ENV_KEYS = sorted(
    {"DATA_DIR", "STATE_DIR", "COMPOSE_FILE"}.union(*(layout.env() for layout in LAYOUTS.values()))
)
"""Keys of ``.env`` whose values say where state is; of all others only the name counts."""


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _concerned(host: Host) -> list[Device]:
    """The disks that the layout is about, and whatever else carries a UUID of one of them."""
    numbers = {asked["maj_min"] for asked in host["asked"].values()}
    numbers |= {m["maj_min"] for m in on_top(host["mounts"]) if is_at_a_place(m["target"])}
    uuids = {d["filesystem"].get("uuid", "") for d in host["devices"] if d["maj_min"] in numbers}
    return [
        device
        for device in host["devices"]
        if device["maj_min"] in numbers or device["filesystem"].get("uuid", "") in uuids - {""}
    ]


def _device(host: Host, device: Device) -> list[Any]:
    """What tells a disk from others, what is on it, and for what the inventory names it."""
    identity, uuid = identity_of(device, host["devices"]), device["filesystem"].get("uuid", "")
    if identity == NO_IDENTITY and not uuid:
        # Only its number tells it, and that until the next boot.
        identity = f"{device['maj_min']} since boot {host['boot_id']}"
    roles = sorted(r for r, asked in host["asked"].items() if asked["maj_min"] == device["maj_min"])
    return [identity, uuid, sorted(device["signatures"]), device["read_only"], roles]


def facts_of(host: Host) -> dict[str, str]:
    """Part -> its hash; the parts have names so that a refusal can say what changed."""
    moving, values = facts_of_host(host), host["env"]["values"]
    disks = _concerned(host)
    numbers = {device["maj_min"] for device in disks}
    mounts = [
        [m["target"], m["uuid"] or m["maj_min"], m["root"]]
        for m in on_top(host["mounts"])
        if m["maj_min"] in numbers or is_at_a_place(m["target"])
    ]
    services = {(c["service"], c["status"] in UP) for c in host["containers"] if not c["one_off"]}
    parts = {
        # The last move is in it: a plan that was carried out is never carried out again.
        "layout": [resolve_state_dir(moving["env"]), moving["backend"], moving["moved"]],
        "devices": sorted(_device(host, device) for device in disks),
        "mounts": [sorted(mounts), moving["lines"]],
        "env": [
            sorted(host["env"]["keys"]),
            {key: values[key] for key in _ENV_KEYS if key in values},
        ],
        "services": sorted(services),
        "shadowed": {path: digest(shadow) for path, shadow in moving["shadows"].items()},
    }
    return {part: _hash(value) for part, value in parts.items()}


def hash_of(facts: Mapping[str, str]) -> str:
    """One hash over all parts."""
    return _hash(dict(facts))


def changed(then: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """The parts that differ."""
    return [part for part in now if then.get(part) != now[part]]
