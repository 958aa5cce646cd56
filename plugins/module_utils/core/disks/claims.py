# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filesystem says of itself, by its label, its marker and the names at its top.

A variable says which disk is which, and may be wrong. The disk itself says more: the top of a
state disk has the marker or the database, that of a data disk has data's tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..host.errors import AgnesDisks, CouldNotLook, WrongRole
from ..host.facts import Contents, Device, Host, Inside
from ..layout.layouts import DISKS
from ..layout.tree import DATA_NAMES, DATABASE, MARKER
from .devices import MOUNTABLE, about, is_free, not_blank_because

LABELS = {"data": "agnes-data", "state": "agnes-state"}
"""Label of each filesystem that we make; ext4 allows 16 bytes, xfs 12."""

NOT_LOOKED: Inside = {"unknown": "it was not looked into", "contents": None}


def inside(host: Host, place: str) -> Inside:
    """What is in a filesystem, by its mount point, or by MAJ:MIN where it is not mounted."""
    return host["inside"].get(place) or NOT_LOOKED


def _of_state(contents: Contents) -> list[str]:
    names = [DATABASE] if DATABASE in contents["names"] else []
    role = contents["marker"].get("role")
    return (
        [f"{MARKER} at its top{f' ({role})' if role else ''}"] if contents["marker"] else []
    ) + names


def _of_data(contents: Contents) -> list[str]:
    tree = [f"{name}/" for name in DATA_NAMES if name in contents["names"]]
    below = ["state/system.duckdb"] if DATABASE in contents["state_names"] else []
    # One name of the tree may be anybody's.
    return below + (tree if len(tree) > 1 or below else [])


def claims(label: str, looked_at: Inside) -> dict[str, list[str]]:
    """Role -> what says that the filesystem has it; empty where nothing does."""
    said = {role: [f"its label '{label}'"] if label == LABELS[role] else [] for role in DISKS}
    contents = looked_at["contents"]
    if contents:
        state, data = _of_state(contents), _of_data(contents)
        said["state"] += state
        # What a run has made by mistake on a state disk that was mounted for data proves nothing.
        said["data"] += [] if state else data
    return said


def _check(said: Mapping[str, list[str]], role: str, mount_point: str, device: str) -> None:
    other = next(each for each in DISKS if each != role)
    if said[other]:
        raise WrongRole(
            device=device,
            mount_point=mount_point,
            role=role,
            other=other,
            found=", ".join(said[other]),
        )


def check_mounted_role(looked_at: Inside, role: str, mount_point: str, device: str) -> None:
    """Raise WrongRole when what is mounted is the other disk; a label counts for nothing there."""
    said = claims("", looked_at)
    if not said[role]:
        _check(said, role, mount_point, device)


def check_role(host: Host, role: str, mount_point: str, device: Device) -> None:
    """Raise WrongRole when a filesystem that is to be mounted says that it is the other disk."""
    said = claims(device["filesystem"].get("label", ""), inside(host, device["maj_min"]))
    _check(said, role, mount_point, device["path"])


def instance_of(looked_at: Inside) -> str:
    """The instance that the state marker in a filesystem names; empty where there is none."""
    contents = looked_at["contents"]
    markers = (contents["marker"], contents["state_marker"]) if contents else ()
    return next((str(m["instance_id"]) for m in markers if m.get("instance_id")), "")


def check_looked(host: Host, device: Device) -> None:
    """Raise CouldNotLook unless it is known what is on a filesystem that is to be adopted."""
    unknown = inside(host, device["maj_min"])["unknown"]
    if unknown:
        raise CouldNotLook(what=f"'{device['path']}'", found=unknown)


def _is_agnes(host: Host, device: Device) -> bool:
    alone = device["filesystem"].get("type") in MOUNTABLE and len(device["signatures"]) == 1
    said = claims(device["filesystem"].get("label", ""), inside(host, device["maj_min"]))
    return bool(alone and is_free(device) and any(said.values()))


def _say(host: Host, role: str, device: Device) -> str:
    contents, uuid = inside(host, device["maj_min"])["contents"], device["filesystem"]["uuid"]
    whose = ""
    if contents:
        marker = contents["marker"] or contents["state_marker"]
        known = [f"instance {marker['instance_id']}" if marker.get("instance_id") else ""]
        known.append(f"epoch {marker['epoch']}" if marker.get("epoch") else "")
        known.append(f"last written {contents['newest']}" if contents["newest"] else "")
        whose = "".join(f", {text}" for text in known if text)
    reason = not_blank_because(device)
    return f"'{device['path']}' ({about(device, host['devices'])}, {reason}, UUID {uuid}) has its {role}{whose}"


def check_known(
    host: Host, wanted: Sequence[tuple[str, str]], adopt: Collection[str],
    formatted: Collection[str],
) -> None:  # fmt: skip
    """Raise AgnesDisks when disks of an Agnes host are named on a host that knows none of them.

    wanted: role and mount point of each disk that is not mounted; adopt: UUIDs that are
    adopted; formatted: MAJ:MIN of the disks that are lost by consent.
    """
    if host["record"].get("disks"):
        return
    numbers = {role: host["asked"][role]["maj_min"] for role, _point in wanted}
    here = {role: next((d for d in host["devices"] if d["maj_min"] == number), None)
            for role, number in numbers.items()}  # fmt: skip
    known = {role: device for role, device in here.items() if device and _is_agnes(host, device)}
    known = {role: d for role, d in known.items() if d["maj_min"] not in formatted}
    if all(device["filesystem"]["uuid"] in adopt for device in known.values()):
        return
    for role, point in wanted:
        if role in known:
            check_role(host, role, point, known[role])
    raise AgnesDisks(
        found=", and ".join(_say(host, role, device) for role, device in known.items()),
        uuids=", ".join(device["filesystem"]["uuid"] for device in known.values()),
    )
