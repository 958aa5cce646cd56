# SPDX-License-Identifier: GPL-3.0-or-later
"""``agnes-host guard``: whether Docker, or the stack alone, may start, asked before it does.

Started by systemd before Docker's unit. With guard ``engine`` that unit does not start when this ends badly;
with ``stack`` it does, and containers of the stack do not: see system/host/permit.py. What is only late is
mounted by its line in /etc/fstab; nothing else is changed, and nothing is made but the permit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..core.compose.project import PRODUCT_NAME
from ..core.compose.stack import held_back
from ..core.disks import fstab
from ..core.disks.devices import identity_of
from ..core.host.errors import Refusal
from ..core.host.guard import ENGINE, HELD, Attached, Seen, away, layout_to_guard, to_mount
from ..core.host.guard_errors import GuardDiskAway
from ..core.host.host_tools import PROJECT_DIR, wanted_disks
from ..core.layout.layouts import Layout, mount_points, state_dirs
from ..system.compose import engine
from ..system.disks import devices, filesystems, fstab_file, protection
from ..system.host import durable, permit, record
from ..system.host.commands import Failed, run
from ..system.host.waiting import given
from ..system.layout import dotenv_file, generations
from ..system.move import ledger, moving
from .turn import count, environment, layout_here

_POLL_SECONDS = 2.0
_START_SECONDS = 300.0

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
        guard=permit.guard_here(),
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
    """End well when Docker, or the stack, may start.

    seconds: how long a disk is waited for; counts: whether it starts now, so that state is newer
    than it was from here on, and the permit is given or taken away.
    Raises a Refusal, Failed or OSError when it must not; the message at the login says the same.
    """
    held = HELD.get(permit.guard_here(), HELD[ENGINE])[0]
    if durable.read_stat(ledger.INTENT) is not None:
        say(f"a move of the state is not ended, and sees to the disks itself: {held} may start")
        _tell("")
        if counts:
            permit.give()
        return
    try:
        layout = _wait(seconds, say, project_dir)
    except (Refusal, Failed, OSError) as error:
        if counts:
            permit.take_away()
        _tell(f"\nAgnes does not run on this host.\n{error}\n'agnes-host explain' says more.\n\n")
        raise
    _tell("")
    if counts:
        count(say, layout.state_dir)
        permit.give()
    say(f"the disks of layout {layout.name} are in their places: {held} may start")


def start_held(say: Callable[[str], None]) -> None:
    """Start what the engine would have started, had it been let: by restart policy, and nothing stopped by hand."""
    docker = engine.client()
    names, unknown = held_back(engine.endings(docker, PRODUCT_NAME))
    for name in unknown:
        say(
            f"whether somebody has stopped {name} is not known, so it stays: 'docker start {name}' starts it"
        )
    if names:
        say(f"starting {', '.join(names)}, which Docker could not start")
        run([docker, "start", *names], seconds=_START_SECONDS)


def admit(say: Callable[[str], None], project_dir: str = PROJECT_DIR) -> None:
    """Look as at a start, and start what was held back, on a host that holds back the stack and still does."""
    if permit.is_needed() and not permit.is_given():
        guard(say, project_dir=project_dir, counts=True)
        start_held(say)


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
