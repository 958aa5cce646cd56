# SPDX-License-Identifier: GPL-3.0-or-later
"""``agnes-host guard``: whether Docker may start, asked before it does.

Started by systemd before Docker's unit, which does not start when this ends badly. What is only
late is mounted by its line in /etc/fstab; nothing else is changed, and nothing is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..core.disks import fstab
from ..core.disks.devices import identity_of
from ..core.host.errors import Refusal
from ..core.host.guard import Attached, Seen, away, layout_to_guard, to_mount
from ..core.host.guard_errors import GuardDiskAway
from ..core.host.host_tools import PROJECT_DIR, wanted_disks
from ..core.layout.layouts import Layout, mount_points, state_dirs
from ..system.disks import devices, filesystems, fstab_file, protection
from ..system.host import durable, record
from ..system.host.commands import Failed
from ..system.host.waiting import given
from ..system.layout import dotenv_file, generations
from ..system.move import ledger, moving
from .turn import count, environment, layout_here

_POLL_SECONDS = 2.0

MESSAGE = "/run/motd.d/agnes-host"
"""Shown at each login, see pam_motd(8); gone with the next boot."""


def _attached(uuids: set[str]) -> dict[str, list[Attached]]:
    """The devices with each filesystem; a device that another one is made of is not counted."""
    known = devices.devices()
    attached: dict[str, list[Attached]] = {uuid: [] for uuid in uuids}
    for each in known:
        uuid = each["filesystem"].get("uuid", "")
        if uuid in attached and not each["holders"]:
            carrier = Attached(each["path"], each["maj_min"], identity_of(each, known))
            attached[uuid].append(carrier)
    return attached


def _seen(recorded: Mapping[str, Any]) -> Seen:
    uuids = {str(disk.get("uuid") or "") for disk in (recorded.get("disks") or {}).values()}
    points = sorted(mount_points())
    shown = {path: moving.mount_at(path) for path in points}
    return Seen(
        shown=shown,
        attached=_attached(uuids - {""}),
        listed={e.mount_point for e in fstab.entries(fstab_file.read(filesystems.FSTAB))},
        markers={path: moving.marker(path) for path in state_dirs() if not os.path.islink(path)},
        protection={path: protection.look(path) for path in points},
        read_only=[path for path in points if shown[path][0] and protection.is_read_only(path)],
        kept=generations.load(),
    )


def _mount(path: str, role: str, uuid: str, seen: Seen) -> None:
    """Mount by the line of fstab. Raises GuardDiskAway where that fails, which another try may not."""
    try:
        filesystems.mount(path, seen.attached[uuid][0].maj_min)
    except (Failed, OSError, Refusal) as error:
        if moving.mount_at(path)[1:] != (uuid, "/"):
            raise away(role, uuid, path, f"it can't be mounted: {error}", seen) from error


def _try(say: Callable[[str], None], recorded: Mapping[str, Any], project_dir: str) -> Layout:
    """One look, and the mounts that are due. Raises a Refusal while a disk is not in its place."""
    env_path = dotenv_file.path_in(project_dir)
    while True:
        seen = _seen(recorded)
        layout = layout_to_guard(environment(project_dir), recorded, seen, env_path)
        missing = to_mount(layout, recorded, seen)
        if not missing:
            return layout
        # One after the other: what is mounted shows the place of the next.
        role, uuid = wanted_disks(layout, recorded)[missing[0]]
        _mount(missing[0], role, uuid, seen)
        say(f"mounted the {role} disk (UUID {uuid}) at {missing[0]}, where it was missing")


def _tell(text: str) -> None:
    """Have a text shown at each login, or none. What can't be written is in the journal all the same."""
    with suppress(OSError):
        if text:
            durable.make_directory(os.path.dirname(MESSAGE))
            durable.write(MESSAGE, text)
        elif durable.read_stat(MESSAGE) is not None:
            os.unlink(MESSAGE)


def guard(
    say: Callable[[str], None],
    seconds: float = 0.0,
    project_dir: str = PROJECT_DIR,
    counts: bool = False,
) -> None:
    """End well when Docker may start.

    seconds: how long a disk is waited for; counts: whether Docker starts now, so that state is newer
    than it was from here on.
    Raises a Refusal, Failed or OSError when it must not; the message at the login says the same.
    """
    if durable.read_stat(ledger.INTENT) is not None:
        say("a move of the state is not ended, and sees to the disks itself: Docker may start")
        _tell("")
        return
    try:
        layout = _wait(seconds, say, project_dir)
    except (Refusal, Failed, OSError) as error:
        _tell(f"\nAgnes does not run on this host.\n{error}\n'agnes-host explain' says more.\n\n")
        raise
    _tell("")
    if counts:
        count(say, layout.state_dir)
    say(f"the disks of layout {layout.name} are in their places: Docker may start")


def count_at_stop(say: Callable[[str], None], project_dir: str = PROJECT_DIR) -> None:
    """Count when Docker has stopped: what the containers wrote is newer than each snapshot till then.

    Does nothing while a move is not ended. Raises a Refusal or OSError where the disks are not in their places.
    """
    if durable.read_stat(ledger.INTENT) is None:
        count(say, layout_here(environment(project_dir), project_dir).state_dir)


def _wait(seconds: float, say: Callable[[str], None], project_dir: str) -> Layout:
    """Look until all is right, or it is late, or something is found that waiting does not change."""
    said = seconds <= 0

    def look() -> Layout:
        nonlocal said
        try:
            return _try(say, record.load(), project_dir)
        except GuardDiskAway as refusal:
            if not said:
                say(f"waiting for {int(seconds)} s: {refusal}")
            said = True
            raise

    return given(look, GuardDiskAway, seconds, _POLL_SECONDS)
