# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of agnes-host rebind and of growing: what raises each, and its whole sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from ansible_collections.agnes.host.plugins.module_utils.core.host import rebind_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.growing_errors import NotGrown
from ansible_collections.agnes.host.plugins.module_utils.core.host.rebind import (
    check_disk,
    check_now,
    check_reason,
    one_device,
)
from ansible_collections.agnes.host.plugins.module_utils.system.disks import growing
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed

from .hosts import ext4, inside
from .test_rebind import FLAT, RECORD, asked

KNOWN = [ext4("/dev/sdb", "u-data"), ext4("/dev/sdc", "u-state"), ext4("/dev/sdd", "u-state")]


def not_grown() -> None:
    """A filesystem that the kernel does not let grow."""
    mounted: Any = {"target": "/data", "source": "/dev/sdz", "fstype": "ext4"}
    with mock.patch.object(growing, "run", side_effect=Failed("Permission denied")):
        growing.grow(mounted)


REBIND: list[tuple[type[Refusal], Callable[[Path], object], str]] = [
    (
        errors.RebindNoReason,
        lambda tmp: check_reason(""),
        "AH187: nothing was changed, because no reason was given; look at what is shown above, and if it is what "
        "you want, say why: --because restore, new-boot-disk, replaced",
    ),
    (
        errors.RebindNotOneDisk,
        lambda tmp: one_device("state", "u-state", KNOWN),
        "AH188: the record is not changed: UUID u-state for the state disk is on 2 devices (/dev/sdc, /dev/sdd), and "
        "must be on exactly one; attach that disk, and detach each copy",
    ),
    (
        errors.RebindNotThisDisk,
        lambda tmp: check_disk(asked(inside=inside("extracts")), FLAT, RECORD),
        "AH189: the record is not changed: '/dev/sdc' (UUID u-state) can't be this host's state disk, because it "
        "holds no state; name the disk that does; this command never makes one",
    ),
    (
        errors.RebindNotNow,
        lambda tmp: check_now(asked(), RECORD, [], "UUID u-other", []),
        "AH193: the record is not changed now, because UUID u-other is mounted at /data-state; stop the stack "
        "('docker compose --profile '*' stop' in /opt/agnes), and unmount it, then run this again",
    ),
    (
        NotGrown,
        lambda tmp: not_grown(),
        "AH194: the filesystem at /data could not be grown to /dev/sdz (Permission denied); it works as it is: see "
        "AH194 in docs/errors.md, or set disks_grow: false to leave it",
    ),
]  # fmt: skip
