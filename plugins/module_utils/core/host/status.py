# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host, from facts that are cheap to ask for. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ..disks.protection import IMMUTABLE, say

FORMAT = 1


class Disk(TypedDict):
    """A disk of the record, and what its mount point shows."""

    role: str
    path: str
    uuid: str
    right: bool
    """Whether it is mounted there as a whole."""
    protection: str
    """What its mount point itself is: immutable, writable, filled, unable or unknown; see core/disks/protection.py."""


class Service(TypedDict):
    """One container of the project."""

    name: str
    service: str
    state: str
    """As Docker has it: running, exited, ..."""
    health: str
    """healthy, unhealthy, starting, or empty where there is no check."""


class Status(TypedDict):
    """The host as ``agnes-host status`` has it; this is the format of its JSON, too."""

    format: int
    host: str
    layout: str
    """Its name; empty where ``.env`` names no layout's place."""
    state_dir: str
    disks: Sequence[Disk]
    older: str
    """Why state is not as new as the host has had it, for people; empty where it is."""
    move: str
    """The move that is not ended, for people; empty for none."""
    upgrade: str
    """What earlier upgrades have left that somebody should know; see core/compose/upgrade.unfinished."""
    engine: str
    """Why the containers are not known; empty where they are."""
    containers: Sequence[Service]
    certificate: Mapping[str, Any]
    """found, until and expired of the pair in STATE_DIR/certs."""
    problems: Sequence[str]
    """What is wrong, one sentence each; empty where nothing is."""


def problems(status: Status) -> list[str]:
    """What is wrong, in the order in which to look at it."""
    wrong = []
    if not status["layout"]:
        wrong.append(f".env puts state at {status['state_dir']}, where no layout has it")
    if not status["disks"]:
        wrong.append(
            "the record of this host has no disk: site.yml has not run here, or it is lost"
        )
    for disk in status["disks"]:
        if not disk["right"]:
            wrong.append(
                f"the {disk['role']} disk (UUID {disk['uuid']}) is not mounted at {disk['path']}"
            )
    if status["older"]:
        wrong.append(status["older"])
    if status["move"]:
        wrong.append(status["move"])
    if status["upgrade"]:
        wrong.append(status["upgrade"])
    if status["engine"]:
        wrong.append(f"the containers are not known: {status['engine']}")
    elif not any(each["state"] == "running" for each in status["containers"]):
        wrong.append("no container of the project runs")
    for each in status["containers"]:
        if each["state"] in ("restarting", "dead", "paused"):
            wrong.append(f"container {each['name']} is {each['state']}")
        elif each["health"] == "unhealthy":
            wrong.append(f"container {each['name']} is unhealthy")
    if status["certificate"].get("expired"):
        wrong.append(f"the certificate has expired ({status['certificate']['until']})")
    elif status["certificate"].get("found") == "unknown":
        wrong.append("the certificate in STATE_DIR/certs can't be looked at")
    return wrong


def lines(status: Status) -> list[str]:
    """For people, one fact a line."""
    layout = status["layout"] or "unknown"
    said = [
        f"host         {status['host']}",
        f"layout       {layout}: STATE_DIR={status['state_dir']}",
    ]
    for disk in status["disks"]:
        state = "mounted" if disk["right"] else "NOT MOUNTED"
        said.append(f"{disk['role'] + ' disk':<12} {disk['path']}: {state} (UUID {disk['uuid']})")
        if disk["protection"] != IMMUTABLE:
            said.append(f"{'':<12} {disk['path']}: {say(disk['protection'])}")
    for each in status["containers"]:
        health = f", {each['health']}" if each["health"] else ""
        said.append(f"container    {each['name']}: {each['state']}{health}")
    if status["certificate"].get("found") == "found":
        said.append(f"certificate  until {status['certificate']['until'] or 'an unknown day'}")
    said += [f"PROBLEM      {each}" for each in status["problems"]]
    if not status["problems"]:
        said.append("well         nothing is to be done")
    elif status["move"] or not status["layout"] or not all(d["right"] for d in status["disks"]):
        said.append("next         'agnes-host explain' says what to do")
    elif not status["older"]:
        # Where the disks are right, explain has nothing to say. An older state says itself what to do.
        said.append(
            "next         run site.yml, which puts this right or says what is wrong; 'docker compose logs' in "
            "the project's directory shows why a container does not work"
        )
    return said
