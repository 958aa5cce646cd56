# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of the guard: what raises each, and its whole sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.host import guard_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.guard import (
    ENGINE,
    STACK,
    check_guard,
    check_overlay,
    to_mount,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tools import LEAVE
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .hosts import host
from .test_guard import CLONE, DATA, FLAT, MARKER, NOTHING, RECORD, STATE, seen, shown


def look(**differs: Any) -> Callable[[Path], object]:
    """What the guard decides on a flat host that shows this."""
    return lambda tmp: to_mount(FLAT, RECORD, seen(**differs))


GUARD: list[tuple[type[Refusal], Callable[[Path], object], str]] = [
    (
        errors.GuardDiskAway,
        look(shown=shown(state=NOTHING), attached={"u-data": [DATA]}),
        "AH181: this host's state disk (UUID u-state) is not mounted at /data-state (no device carries it), so "
        "Docker must not start; attach it, then 'systemctl start docker'; until then, at /data-state: nothing can "
        "be written to it while it is unmounted, and 'chattr -i /data-state' while nothing is mounted there lifts it",
    ),
    (
        errors.GuardOtherDisk,
        look(shown=shown(state=("8:48", "u-other", "/"))),
        "AH182: at /data-state, where this host's state disk (UUID u-state) belongs, something else is mounted "
        "(UUID u-other), so Docker must not start; find out what mounted it, unmount it, then "
        "'systemctl start docker'",
    ),
    (
        errors.GuardTwins,
        look(
            shown=shown(state=("8:48", "u-state", "/")),
            attached={"u-data": [DATA], "u-state": [CLONE, STATE]},
        ),
        "AH183: several devices carry the filesystem of this host's state disk for /data-state (/dev/sdd "
        "(serial:C), /dev/sdc (serial:S); recorded serial:S; mounted /dev/sdd), and nothing proves that the right "
        "one is mounted, so Docker must not start; detach the copy, reboot or mount the right one, then "
        "'systemctl start docker'",
    ),
    (
        errors.GuardMarker,
        look(markers={}),
        "AH184: the disks are mounted, but what is in /data-state is not this host's state in use (found no "
        "marker, wanted role active, layout flat, instance i-1), so Docker must not start; see AH184 in "
        "docs/errors.md for what it may be; 'agnes-host rebind --state u-state' shows what is there",
    ),
    (
        errors.StateOlder,
        look(
            markers={"/data-state": {**MARKER, "generation": 4}},
            kept={"format": 1, "generation": 6, "at": "2026-03-01 10:00:00"},
        ),
        "AH186: the state in /data-state is older than this host has had it (count 4 on the state disk, 6 on the "
        "host since 2026-03-01 10:00:00), as after a restore from a snapshot, so nothing is started on it; attach "
        "the newer disk, or, to go on with this one: 'agnes-host rebind --state u-state --because restore'",
    ),
    (
        errors.GuardNotHere,
        lambda tmp: check_guard(
            host(project={"path": "/srv/agnes", "link": "", "name": "", "fetched": []}), ENGINE
        ),
        "AH185: agnes_compose_guard: engine can't hold anything back on this host (the project is in /srv/agnes, and "
        "the host's tools know /opt/agnes only); set agnes_compose_guard: off for it, and run again",
    ),
    (
        errors.GuardOverlay,
        lambda tmp: check_overlay(
            STACK,
            LAYOUTS["nested"],
            ["docker-compose.host-mount.yml"],
            LEAVE,
            "/opt/agnes",
        ),
        "AH196: agnes_compose_guard: stack holds containers back by a line in "
        "'/opt/agnes/docker-compose.host-mount.yml', and the product's own upgrade on this host writes that file "
        "without it; set agnes_compose_host_tools: true, or agnes_compose_guard: engine, and run again",
    ),
]
