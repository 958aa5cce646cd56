# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's own tools decide: where state must be, and where a certificate comes from. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..disks.disks import FORMATTED, FORMATTING
from ..layout.layouts import DISKS, Layout, layout_at, resolve_state_dir
from .host_tool_errors import HostDiskAway, NotThisLayout, SourceUnknown

CHAIN_URL, KEY_URL = "TLS_FULLCHAIN_URL", "TLS_PRIVKEY_URL"
"""Keys of ``.env`` that say where the product's rotation fetches the pair; the second may be empty."""

PROJECT_DIR = "/opt/agnes"
"""The one project directory that the tools know, which is the product's."""

SCHEMES = ("https://", "file:///")

_USER = re.compile(r"//[^/@]*@")


def layout_of(env: Mapping[str, str], recorded: Mapping[str, Any], env_path: str) -> Layout:
    """The layout that ``.env`` names. Raises NotThisLayout when there is none, or no record of this host."""
    state_dir = resolve_state_dir(env)
    layout = layout_at(state_dir)
    disks = recorded.get("disks") or {}
    if layout is None or not disks:
        recorded_disks = f"disks for {', '.join(sorted(disks))}" if disks else "no disk"
        raise NotThisLayout(state_dir=state_dir, env_path=env_path, found=recorded_disks)
    return layout


def wanted_disks(layout: Layout, recorded: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Mount point -> role and UUID of each disk that the record has, in the order in which they are mounted."""
    disks = recorded.get("disks") or {}
    uuids = {role: str((disks.get(role) or {}).get("uuid") or "") for role in DISKS}
    return {
        layout.mounts[role]: (role, uuid)
        for role, uuid in uuids.items()
        if role in layout.mounts and (uuid or (role == "state" and layout.needs_state_disk))
    }


def state_disk(layout: Layout, recorded: Mapping[str, Any]) -> tuple[str, str]:
    """Role and UUID of the disk of the record that state is on."""
    disks = wanted_disks(layout, recorded)
    disk = disks.get(layout.mounts["state"]) or disks.get(layout.mounts["data"])
    return disk or ("state", "")


def check_shown(
    layout: Layout, recorded: Mapping[str, Any], shown: Mapping[str, tuple[str, str]]
) -> None:
    """Raise HostDiskAway unless each disk of the record is what its mount point shows.

    shown: mount point -> UUID and root of the topmost mount there; both empty where nothing is mounted.
    """
    for path, (role, uuid) in wanted_disks(layout, recorded).items():
        there, root = shown.get(path, ("", ""))
        if (there, root) == (uuid, "/") and uuid:
            continue
        if not root:
            reason = "nothing is mounted there"
        elif root != "/":
            reason = f"the directory {root} of a disk is mounted there"
        else:
            reason = f"the filesystem with UUID {there or 'unknown'} is mounted there"
        raise HostDiskAway(role=role, uuid=uuid or "not in the record", path=path, found=reason)


def without_secrets(source: str) -> str:
    """An address for messages: without user, password and query, which may hold a token."""
    return _USER.sub("//", source).partition("?")[0].partition("#")[0]


def check_source(key: str, source: str, env_path: str) -> None:
    """Raise SourceUnknown for an address that nothing is fetched from: a key never goes over plain HTTP."""
    if not source.lower().startswith(SCHEMES):
        raise SourceUnknown(key=key, source=without_secrets(source), env_path=env_path)


INSTALL, REMOVE, LEAVE = "install", "remove", ""
"""What a run does with the tools that replace the product's."""

KEPT = "host_tools"
"""Key of the record: what the tools have replaced, and so whether they are on this host."""

REPLACES: Mapping[str, str] = {
    "auto-upgrade": "/usr/local/bin/agnes-auto-upgrade.sh",
    "tls-rotate": "/usr/local/bin/agnes-tls-rotate.sh",
}
"""Command of ``agnes-host`` -> the product's script that it stands in for."""

_OURS = "# Set aside by agnes.host: "
_CALLS = re.compile(r"/agnes-(auto-upgrade|tls-rotate)(\.sh)?(?![\w.-])")


def decide(setting: str, recorded: Mapping[str, Any], formats: bool, project_dir: str) -> str:
    """What to do with the tools.

    setting: agnes_compose_host_tools, ``auto`` for hosts that were provisioned here: whose data disk
    this collection has formatted, or formats now (``formats``).
    """
    there, disk = KEPT in recorded, (recorded.get("disks") or {}).get("data") or {}
    asked = setting.lower()
    if asked == "false" or project_dir.rstrip("/") != PROJECT_DIR:
        return REMOVE if there else LEAVE
    ours = formats or disk.get("phase") in (FORMATTING, FORMATTED)
    return INSTALL if asked == "true" or ours or there else LEAVE


def keeps_env(request: Mapping[str, Any], project_dir: str) -> bool:
    """Whether the host puts the keys of the layout in ``.env`` back: agnes_compose_keep_env."""
    asked = str(request.get("keep_env") or "").lower() in ("true", "yes", "on", "1")
    return asked and project_dir.rstrip("/") == PROJECT_DIR


def sentences(decision: str, recorded: Mapping[str, Any], scripts: Sequence[str]) -> list[str]:
    """What the plan says of it. scripts: those of the product that are on the host."""
    there, names = KEPT in recorded, "agnes-auto-upgrade and agnes-tls-rotate"
    if decision == INSTALL and not there:
        instead = f", in place of {' and '.join(scripts)}, which are set aside" if scripts else ""
        return [f"install {names} with their timers{instead}"]
    if decision == REMOVE:
        return [f"remove {names}, and put back what they have replaced"]
    return []


def without_calls(crontab: str) -> str:
    """A file of cron in which lines that start what we replace are comments of ours."""
    return "".join(
        f"{_OURS}{line}" if _CALLS.search(line) and not line.lstrip().startswith("#") else line
        for line in crontab.splitlines(keepends=True)
    )


def with_calls(crontab: str) -> str:
    """The same with those lines as they were."""
    return "".join(
        line[len(_OURS) :] if line.startswith(_OURS) else line
        for line in crontab.splitlines(keepends=True)
    )
