# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device is: by which name it is meant, whether it is blank, and whether it is the same one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..host.facts import Device, Host
from ..host.text import say_size
from .fstab import names_uuid, tag_of
from .mounts import on_top

GIB = 1024**3

WHOLE_DISKS = ("disk", "loop")
"""Kinds that may be formatted."""

MOUNTABLE = ("ext4", "xfs")
"""Filesystems that are mounted as they are, with consent."""

EPHEMERAL, REMOVABLE, ROTATIONAL = "ephemeral", "removable", "rotational"
"""Traits of a disk for which the plan has a note."""

NO_IDENTITY = "none"
"""Identity of a disk that nothing tells from others: loop devices, plain virtio."""


def about(device: Device, known: Sequence[Device]) -> str:
    """What tells a person which disk it is: size, model, identity."""
    identity = identity_of(device, known)
    parts = [say_size(device["size"]), device["model"] or ""]
    return ", ".join([*filter(None, parts), *([identity] if identity != NO_IDENTITY else [])])


def disks_here(known: Sequence[Device]) -> str:
    """The whole disks, for a message."""
    return (
        ", ".join(
            f"{device['path']} ({about(device, known)})"
            for device in known
            if device["kind"] in WHOLE_DISKS
        )
        or "none"
    )


_KERNEL_NAME = re.compile(r"/dev/((sd|vd|xvd|hd)[a-z]+|nvme\d+n\d+)")


def kernel_name_note(role: str, named: str, device: Device) -> list[str]:
    """A note where a disk that is to be formatted is named as the kernel numbers it."""
    if not _KERNEL_NAME.fullmatch(named):
        return []
    serial = device["serial"] or ""
    better = (
        f"'{serial}', its serial, does not change"
        if serial
        else "a link in /dev/disk/by-id does not change"
    )
    return [
        f"disks_{role}_device names '{named}', which may be another disk after the next boot; {better}"
    ]


def traits_note(role: str, device: Device) -> list[str]:
    """A note where a disk is of a kind that is bad for state."""
    if role != "state" or not device["traits"]:
        return []
    lost = (
        " (what is on it is gone when the machine is stopped)"
        if EPHEMERAL in device["traits"]
        else ""
    )
    return [f"{device['path']} for state is {' and '.join(device['traits'])}{lost}"]


def not_blank_because(device: Device) -> str:
    """Why a device is not proved blank, for a message; empty when it is.

    All must hold: no signature by low-level probes, no partition, no holder,
    opened exclusively, and zeros wherever samples were read.
    """
    if device["probed"]:
        return f"nothing certain ({device['probed']})"
    reasons = list(device["signatures"])
    if device["partitions"]:
        reasons.append(f"partitions {', '.join(device['partitions'])}")
    if device["holders"]:
        reasons.append(f"in use by {', '.join(device['holders'])}")
    if not reasons and not device["exclusive"]:
        reasons.append("something that keeps it open")
    if not reasons and not device["zeros"]:
        reasons.append("bytes that are not zero, of no known format")
    return ", ".join(reasons)


def is_free(device: Device) -> bool:
    """Whether nothing in the kernel uses the device, so that consent to format it can count."""
    return not device["holders"] and device["exclusive"]


def only_ours(device: Device, uuid: str) -> bool:
    """Whether all that is on the device can be our own mkfs with this UUID, cut short."""
    if device["partitions"] or device["probed"] or not is_free(device):
        return False
    return not device["signatures"] or device["filesystem"].get("uuid") == uuid


def _candidates(device: Device) -> list[tuple[str, str]]:
    # A cloud may give as serial the name that the device has in its console: no identity then.
    serial = device["serial"] or ""
    return [
        ("serial", "" if serial == device["kernel_name"] else serial),
        ("wwn", device["wwn"] or ""),
        ("path", device["by_path"] or ""),
    ]


def identity_of(device: Device, known: Sequence[Device]) -> str:
    """What tells a disk from all others here, as ``serial:...``, ``wwn:...`` or ``path:...``.

    The first of the three that only this disk has; ``none`` when there is none.
    """
    others = [
        candidate
        for other in known
        if other["maj_min"] != device["maj_min"] and other["kind"] in WHOLE_DISKS
        for candidate in _candidates(other)
    ]
    for kind, value in _candidates(device):
        if value and (kind, value) not in others:
            return f"{kind}:{value}"
    return NO_IDENTITY


def carriers(named: str, known: Sequence[Device]) -> list[Device]:
    """The devices that carry a name which is no path: ``UUID=``, ``LABEL=``, or a serial."""
    tag, wanted = tag_of(named)
    if tag == "UUID":
        return [d for d in known if names_uuid(named, d["filesystem"].get("uuid", ""))]
    if tag == "LABEL":
        return [d for d in known if wanted and d["filesystem"].get("label") == wanted]
    kind, separator, value = named.partition("=")
    serial = value if separator and kind == "SERIAL" else named
    return [d for d in known if d["kind"] in WHOLE_DISKS and d["serial"] == serial]


def unprobed(known: Sequence[Device]) -> str:
    """For a message: the devices of which it could not be found out what is on them; else empty."""
    paths = [device["path"] for device in known if device["probed"]]
    return f"; what is on {', '.join(paths)} could not be found out" if paths else ""


def not_one(named: str, matches: Sequence[Device], known: Sequence[Device] = ()) -> str:
    """Why a name that is no path does not mean one device, for a message; empty when it does."""
    if len(matches) == 1:
        return ""
    if not matches:
        return f"no disk carries{unprobed(known)}"
    return f"{len(matches)} devices carry ({', '.join(sorted(d['path'] for d in matches))})"


def mounts_on(host: Host, device: Device) -> list[str]:
    """Where the device, its partitions, and what is stacked on them are mounted."""
    by_name = {item["kernel_name"]: item for item in host["devices"]}
    pending, numbers = [device], set()
    while pending:
        item = pending.pop()
        if item["maj_min"] not in numbers:
            numbers.add(item["maj_min"])
            names = [*item["partitions"], *item["holders"]]
            pending += [by_name[name] for name in names if name in by_name]
    return [mount["target"] for mount in on_top(host["mounts"]) if mount["maj_min"] in numbers]


def format_text(device: Device, identity: str, lost: str) -> str:
    """The consent to lose what is on a disk, as a person would set it."""
    # As JSON, which YAML takes as it is: a label may hold any quote.
    consent = {"device": device["path"], "identity": identity, "found": lost}
    return f"to lose what is on it set disks_format: [{json.dumps(consent)}]"


def consent_text(device: Device, identity: str, lost: str) -> str:
    """The consent that would apply to a disk that is not blank, as a person would set it."""
    if not is_free(device):
        return "free it first"
    filesystem, ways = device["filesystem"], []
    if filesystem.get("type") in MOUNTABLE:
        ways.append(f"to mount it unchanged set disks_adopt: [{filesystem['uuid']}]")
    if device["kind"] in WHOLE_DISKS:
        ways.append(format_text(device, identity, lost))
    return ", or ".join(ways) or "name the whole disk"


def was_spent(spent: Sequence[Mapping[str, Any]], path: str, identity: str, lost: str) -> bool:
    """Whether a consent for this disk with this finding has been used up on this host.

    A disk with an identity is the same one under any path.
    """
    return any(
        (item.get("identity"), item.get("found")) == (identity, lost)
        and (identity != NO_IDENTITY or item.get("device") == path)
        for item in spent
    )


def consented(
    consents: Sequence[Mapping[str, Any]], names: Sequence[str], identity: str, lost: str
) -> bool:
    """Whether one of ``consents`` is for this device (by one of ``names``) with this finding."""
    return any(
        consent.get("device") in names
        and consent.get("identity") == identity
        and consent.get("found") == lost
        for consent in consents
    )
