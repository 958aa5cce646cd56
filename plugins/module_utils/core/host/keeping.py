# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the plan about secrets, certificates and the product's own host tools."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ..compose.certificates import NONE_PLACED, check_certificate
from ..compose.state_secrets import app_runs, contradictions, fill, say
from ..disks.disks import DiskPlan
from ..layout.boot import say as say_script
from ..layout.layouts import CERTIFICATES, Layout
from .facts import Host
from .host_tools import INSTALL, decide, keeps_env
from .host_tools import sentences as say_tools
from .keepers import keeper_notes


def unseen_or_new(disks: Sequence[DiskPlan]) -> tuple[bool, bool]:
    """Whether state is on a filesystem that is yet to be mounted, and whether on one yet to be made."""
    actions = {disk.role: disk.action for disk in disks}
    action = actions.get("state", "")
    action = actions.get("data", "") if action == "directory" else action
    return action == "mount", action == "format"


def _secrets(
    host: Host, layout: Layout, disks: Sequence[DiskPlan], request: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    unseen, new = unseen_or_new(disks)
    secrets = host["secrets"]
    seen = {} if unseen or new else secrets["in_state"].get(layout.state_dir, {})
    current = {*secrets["in_env"], *(str(key) for key in request.get("given_keys") or ())}
    taken, made = fill(seen, current, host["env"]["path"], app_runs(host["containers"]))
    used = bool(seen) and host["state"][layout.state_dir]["database"]
    return say(taken, made, used, unseen), contradictions(seen)


def _certificate(
    host: Host, layout: Layout, disks: Sequence[DiskPlan], request: Mapping[str, Any]
) -> list[str]:
    unseen, new = unseen_or_new(disks)
    placed = host["certificates"]["placed"].get(layout.state_dir, NONE_PLACED)
    if unseen or new:
        placed = {**NONE_PLACED, "found": "unknown" if unseen else "absent"}
    return check_certificate(
        host["certificates"],
        placed,
        list(request.get("profiles") or []),
        str(request.get("caddy_tls") or host["env"]["values"].get("CADDY_TLS") or ""),
        posixpath.join(layout.state_dir, CERTIFICATES),
    )


def _boot_note(host: Host, layout: Layout, given_keys: Sequence[Any], keeps: bool) -> list[str]:
    """What a boot takes away, where the layout itself outlives it; see also boot.check_boot."""
    scripts = " and ".join(map(say_script, host["boot_scripts"]))
    unread = [
        f"'{path}' can't be read ({why}): what it does at boot is not known"
        for path, why in host["boot_unread"].items()
    ]
    if scripts and keeps:
        return [
            *unread,
            f"{scripts} rewrites .env at each boot: agnes-host-env puts the keys of the layout back, and no others",
        ]
    if not scripts or layout.env() or not given_keys:
        return unread
    return [
        *unread,
        f"{scripts} rewrites .env at each boot: the keys that the inventory adds are missing until the next run",
    ]


_REPLACED = ("upgrade", "TLS rotation")
"""The keepers that the host's own tools replace."""


def host_tools(host: Host, disks: Sequence[DiskPlan], request: Mapping[str, Any]) -> str:
    """What to do with the tools of this collection; see core/host_tools.decide."""
    formats = any(disk.role == "data" and disk.action == "format" for disk in disks)
    setting = request.get("host_tools")
    # A YAML false is an answer, too.
    return decide(
        "auto" if setting in (None, "") else str(setting),
        host["record"],
        formats,
        host["project"]["path"],
    )


def secrets_and_keepers(
    host: Host, now: Layout, layout: Layout, disks: Sequence[DiskPlan], request: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Sentences of the plan, and notes; not to be asked in the middle of a move, which must be able to end.

    now: the layout that the project is in until a move is made; layout: the one that is asked for.
    request: ``given_keys``, the keys that the inventory has for ``.env``; ``caddy_tls``, its
    CADDY_TLS; ``profiles``; ``host_tools``, whether to replace the product's tools.
    Raises SecretUnusable, VaultKeyContradicts, CertificateUnusable and NoCertificate.
    """
    sentences, notes = _secrets(host, now, disks, request)
    notes += _certificate(host, now, disks, request)
    decision, keepers = host_tools(host, disks, request), host["keepers"]
    if decision == INSTALL:
        scripts = [keepers[name] for name in _REPLACED if name in keepers]
        there = [script["path"] for script in scripts if script["found"] != "absent"]
        keepers = {name: keeper for name, keeper in keepers.items() if name not in _REPLACED}
    else:
        there = []
    sentences += say_tools(decision, host["record"], there)
    notes += keeper_notes(keepers, layout)
    return sentences, [
        *notes,
        *_boot_note(
            host,
            layout,
            request.get("given_keys") or [],
            keeps_env(request, host["project"]["path"]),
        ),
    ]
