# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that a run needs on a host, and the Debian package that brings each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..disks.disks import DiskPlan
from ..disks.growing import TOOLS
from ..move.move_kinds import KINDS
from .host_errors import ToolMissing

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for, whoever calls: the PATH that Debian gives to root."""

PACKAGES: Mapping[str, str] = {
    "wipefs": "util-linux",
    "blkid": "util-linux",
    "findfs": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "tar": "tar",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "resize2fs": "e2fsprogs",
    "xfs_growfs": "xfsprogs",
    "rsync": "rsync",
    "systemctl": "systemd",
}
"""Program -> package. All that is run on a host but the engine's client, which AH040 is for."""

ALWAYS = ("wipefs", "blkid", "findfs", "unshare", "mount", "tar")
"""What each run needs, the first two to know what is on a disk at all."""


def needed(disks: Sequence[DiskPlan], move: Mapping[str, Any]) -> list[str]:
    """The programs for what is planned; ``move``: as a plan has it, empty for none."""
    names = [f"mkfs.{disk.fstype}" for disk in disks if disk.action == "format"]
    names += [TOOLS[disk.fstype] for disk in disks if disk.grows]
    if move:
        names.append("systemctl")
        made = move["disk"]
        if made and not made["uuid"]:
            names.append(f"mkfs.{made['fstype']}")
        if KINDS[move["kind"]].copies:
            names.append("rsync")
    return [*ALWAYS, *names]


def check_tools(installed: Mapping[str, str], names: Iterable[str]) -> None:
    """Raise ToolMissing unless each of the programs is on the host; installed: program -> path."""
    missing = sorted({name for name in names if not installed.get(name)})
    if missing:
        packages = sorted({PACKAGES[name] for name in missing})
        raise ToolMissing(found=", ".join(missing), path=PATH, packages=" ".join(packages))
