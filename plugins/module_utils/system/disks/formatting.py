# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to a filesystem of ours: proved, recorded, made, recorded again.

A ``disk`` is what a plan has for it (core/disks/disks.py); the host's record knows its UUID
before mkfs starts, so that a run that was killed in between knows its own work again.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping
from typing import Any

from ...core.disks.disks import FORMATTED, FORMATTING
from ...core.host.facts import Device
from ..host import record
from . import filesystems


def check(disk: dict[str, Any], device: Device) -> None:
    """Raise unless the device is now what the plan says it is."""
    filesystems.check_formattable(device, disk["mount_point"], disk["uuid"], disk["lost"])


def spend(recorded: dict[str, Any], disk: dict[str, Any]) -> None:
    """Note that the consent to lose what is on the disk is used up; saved by ``remember``."""
    if disk["lost"]:
        consent = {"identity": disk["identity"], "found": disk["lost"]}
        recorded.setdefault("spent", []).append({"device": disk["device"], **consent})


def entry(disk: Mapping[str, Any], phase: str) -> dict[str, Any]:
    """What the record has of a disk."""
    return {
        "uuid": disk["uuid"],
        "fstype": disk["fstype"],
        "device": disk["device"],
        "identity": disk["identity"],
        "lost": disk["lost"],
        "maj_min": disk["maj_min"],
        "mount_point": disk["mount_point"],
        "size": disk["size"],
        "boot_id": record.boot_id(),
        "phase": phase,
    }


def remember(recorded: dict[str, Any], disk: dict[str, Any], phase: str, role: str = "") -> None:
    """Record a disk as this host's own; what is said here outlives a crash.

    role: under which it is recorded, if not its own.
    """
    recorded.setdefault("instance_id", str(uuids.uuid4()))
    recorded["disks"][role or disk["role"]] = entry(disk, phase)
    record.save(recorded)


def make(recorded: dict[str, Any], disk: dict[str, Any], uuid: str = "", role: str = "") -> None:
    """Make the filesystem; its UUID is recorded first.

    recorded: the host's record; uuid: the one to give it, unless the plan resumes our own
    formatting, which has one; role: as in remember.
    """
    device = filesystems.probe(disk["device"], disk["maj_min"])
    check(disk, device)
    if not disk["uuid"]:
        disk["uuid"] = uuid or str(uuids.uuid4())
        spend(recorded, disk)
    remember(recorded, disk, FORMATTING, role)
    filesystems.make(disk["role"], disk["fstype"], disk["uuid"], device)
    remember(recorded, disk, FORMATTED, role)
