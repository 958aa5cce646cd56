# SPDX-License-Identifier: GPL-3.0-or-later
"""``agnes-host rebind``: take a disk for this host's own, after showing what is on it.

Only the record, the count of this host and the disk's line in /etc/fstab are written; the disk is not.
Killed anywhere, the same command goes on.
"""

from __future__ import annotations

import os
import syslog
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Optional

from ..core.compose.project import APP, PRODUCT_NAME
from ..core.disks import fstab
from ..core.disks.devices import identity_of
from ..core.disks.disks import FORMATTING
from ..core.host import rebind as core
from ..core.host.errors import FstabConflict, Refusal
from ..core.host.facts import Device, Inside
from ..core.host.guard import ENGINE_UNIT, HELD
from ..core.host.host_tools import PROJECT_DIR
from ..core.host.rebind import Asked, Database
from ..core.host.rebind_errors import RebindNotNow
from ..core.layout.generation import is_older, number
from ..core.layout.layouts import DISKS, Layout, layout_at, resolve_state_dir
from ..core.layout.tree import DATABASE
from ..system.compose import engine
from ..system.copy import duckdb_check
from ..system.disks import contents, devices, filesystems, formatting, fstab_file, unseen
from ..system.host import durable, record
from ..system.host.commands import Failed, run
from ..system.layout import dotenv_file, generations, trees
from ..system.move import ledger, moving, units
from .turn import UPGRADE_LOCK, environment, held

LOCK_SECONDS = 60.0


def _layout(project_dir: str) -> Layout:
    """The layout that ``.env`` names: without the file nothing tells it."""
    path = dotenv_file.path_in(project_dir)
    state_dir = resolve_state_dir(environment(project_dir))
    layout = layout_at(state_dir)
    if durable.read_stat(path) is None or layout is None:
        raise RebindNotNow(
            found=f"{path} is not there or names no layout, as on a new boot disk",
            action="run site.yml with the UUIDs of both disks in disks_adopt, which needs no rebind; or put it back",
        )
    return layout


def _inside(device: Device, mount_point: str, mounted: bool) -> Inside:
    if mounted:
        return devices.look_at(mount_point)
    return unseen.look(device["path"], device["filesystem"].get("type", ""))


def _asked(
    role: str, uuid: str, layout: Layout, holds_state: bool, known: Sequence[Device]
) -> tuple[Asked, str]:
    """The disk, and what else is mounted in its place, for people; empty for nothing."""
    device, point = core.one_device(role, uuid, known), layout.mounts[role]
    maj_min, there, root = moving.mount_at(point)
    mounted = (maj_min, root) == (device["maj_min"], "/")
    shown = f"UUID {there or 'none'}" if root and not mounted else ""
    free = mounted or device["exclusive"]
    inside: Inside = {"unknown": "it is in use", "contents": None}
    if free and not shown:
        inside = _inside(device, point, mounted)
    return Asked(role, uuid, point, device, inside, mounted, holds_state), shown


@contextmanager
def _top(asked: Asked, state_dir: str) -> Iterator[int]:
    """A descriptor of the directory of state on the disk, mounted or not."""
    if asked.mounted:
        with trees.opened(state_dir) as fd:
            yield fd
        return
    with unseen.opened(asked.device["path"], asked.device["filesystem"]["type"]) as top:
        if asked.role == "state":
            yield top
            return
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open("state", flags, dir_fd=top)
        try:
            yield fd
        finally:
            os.close(fd)


def _ago(seconds: float) -> str:
    hours, minutes = divmod(max(0, int(seconds // 60)), 60)
    return f"{hours // 24} days {hours % 24} h ago" if hours else f"{minutes} min ago"


def _database(
    asked: Asked, layout: Layout, containers: Sequence[Mapping[str, Any]]
) -> Optional[Database]:
    """The database on the disk, or None where there is none. Raises OSError."""
    with _top(asked, layout.state_dir) as directory:
        files = []
        for name in (DATABASE, f"{DATABASE}.wal"):
            try:
                files.append(os.stat(name, dir_fd=directory, follow_symlinks=False))
            except FileNotFoundError:
                continue
    if not files:
        return None
    newest = max(info.st_mtime for info in files)
    written = f"{contents.moment(newest)} UTC, {_ago(time.time() - newest)}"
    rows, why = _rows(asked, layout, containers, (files[0].st_uid, files[0].st_gid))
    return Database(sum(info.st_size for info in files), written, rows, why)


def _rows(
    asked: Asked, layout: Layout, containers: Sequence[Mapping[str, Any]], owner: tuple[int, int]
) -> tuple[Mapping[str, int], str]:
    """Rows of each table, by the product's own image; or why they are not counted."""
    app = [each for each in containers if each["service"] == APP]
    if not app:
        return {}, "it takes an engine that runs, and a container of service app"
    if not asked.mounted:
        return {}, "the disk is not mounted"
    if any(each["status"] == "running" for each in app):
        return {}, "app has it open"
    try:
        docker = [engine.client()]
        glanced = duckdb_check.glance(docker, str(app[0]["image"]), layout.state_dir, owner)
    except (Failed, Refusal) as error:
        return {}, f"it can't be opened: {error}"
    return glanced.rows, ""


def _containers() -> list[dict[str, Any]]:
    """Those of the project; none where the engine does not run. Raises RebindNotNow for one that does not answer."""
    try:
        return engine.containers(engine.client(), PRODUCT_NAME)
    except (Refusal, Failed, OSError, ValueError) as error:
        if run(["systemctl", "is-active", "--quiet", ENGINE_UNIT], codes=()).code == 0:
            raise RebindNotNow(
                found=f"the engine runs and does not answer ({error})",
                action="see 'docker info', or stop it ('systemctl stop docker docker.socket')",
            ) from error
        return []


def _with_line(text: str, asked: Asked, recorded: Mapping[str, Any], known: list[Device]) -> str:
    """Fstab with a line that mounts this disk. Raises FstabConflict for a line of another one."""
    entry = fstab.at(text, asked.mount_point)
    fstype = asked.device["filesystem"]["type"]
    if entry is None:
        return fstab.with_line(
            text, fstab.line_for(asked.role, asked.uuid, asked.mount_point, fstype)
        )
    if devices.resolve(entry.spec, known)["maj_min"] == asked.device["maj_min"]:
        return text
    old = str(((recorded.get("disks") or {}).get(asked.role) or {}).get("uuid") or "")
    if not fstab.names_uuid(entry.spec, old):
        raise FstabConflict(
            line=entry.line, mount_point=asked.mount_point, found=entry.spec
        )  # fmt: skip
    return fstab.with_filesystem(text, entry, asked.uuid, fstype)


def rebind(
    say: Callable[[str], None],
    uuids: Mapping[str, str],
    because: str,
    project_dir: str = PROJECT_DIR,
    lock: str = UPGRADE_LOCK,
) -> None:
    """Show what is on the disks, and take them for this host's own.

    uuids: role -> UUID. because: one of core.REASONS, or empty to be shown only, which ends with
    RebindNoReason. Raises a Refusal, Failed or OSError, and then the record is as it was.
    """
    with held(LOCK_SECONDS, lock):
        if durable.read_stat(ledger.INTENT) is not None:
            raise RebindNotNow(
                found="a move of the state is not ended", action="let it end ('agnes-host explain')"
            )
        _rebind(say, uuids, because, project_dir)


def _rebind(
    say: Callable[[str], None], uuids: Mapping[str, str], because: str, project_dir: str
) -> None:
    recorded, kept, layout = record.load(), generations.load(), _layout(project_dir)
    known, containers = devices.devices(), _containers()
    text = fstab_file.read(filesystems.FSTAB)
    own_disk = "state" in uuids or bool((recorded.get("disks") or {}).get("state"))
    state_role = "state" if own_disk or layout.needs_state_disk else "data"
    running = [each["name"] for each in containers if each["status"] == "running"]
    disks, lines = [], text
    for role in DISKS:
        if role not in uuids:
            continue
        asked, shown = _asked(role, uuids[role], layout, role == state_role, known)
        core.check_now(asked, recorded, known, shown, running)
        core.check_disk(asked, layout, recorded, because)
        database = _database(asked, layout, containers) if asked.holds_state else None
        for line in core.lines(asked, recorded, kept, known, database):
            say(line)
        lines = _with_line(lines, asked, recorded, known)
        disks.append(asked)
    if _is_bound(disks, recorded, kept) and lines == text:
        say("nothing is to be done: the record has it so")
        return
    core.check_reason(because)
    if lines != text:
        # First: the record is what says which line of it was this disk's.
        durable.write(filesystems.FSTAB, lines)
        units.reload()
        say(f"wrote the mount in {filesystems.FSTAB}")
    _write(disks, recorded, kept, known, because)
    named = " and ".join(f"UUID {each.uuid} as its {each.role} disk" for each in disks)
    syslog.openlog("agnes-host")
    syslog.syslog(f"rebind: this host has {named} (because: {because})")
    say(f"this host has {named} (because: {because})")
    commands = [f"'{command}' ({what})" for what, command in HELD.values()]
    say(
        f"next: start what is held back, with {' or '.join(commands)}; then run site.yml, which checks all of it"
    )


def _is_bound(disks: Sequence[Asked], recorded: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """Whether the record has these disks, this instance and this age."""
    mine = str(recorded.get("instance_id") or "")
    for each in disks:
        marker = core.marker_of(each)
        known = (recorded.get("disks") or {}).get(each.role) or {}
        if known.get("uuid") != each.uuid or known.get("phase") == FORMATTING:
            return False
        if marker and (str(marker.get("instance_id") or "") != mine or is_older(marker, kept)):
            return False
    return True


def _write(
    disks: Sequence[Asked], recorded: dict[str, Any], kept: Mapping[str, Any],
    known: list[Device], because: str,
) -> None:  # fmt: skip
    """The record first, with all of it in one write; then the count of what is older."""
    at = contents.moment(time.time())
    recorded[core.REBINDS] = core.noted(recorded, disks, kept, because, at)
    for each in disks:
        marker = core.marker_of(each)
        if marker.get("instance_id"):
            recorded["instance_id"] = str(marker["instance_id"])
        was = recorded["disks"].get(each.role) or {}
        same = was.get("uuid") == each.uuid and was.get("phase")
        phase = was["phase"] if same and was["phase"] != FORMATTING else "adopted"
        device = {
            "uuid": each.uuid, "fstype": each.device["filesystem"]["type"],
            "device": each.device["path"], "identity": identity_of(each.device, known), "lost": "",
            "maj_min": each.device["maj_min"], "mount_point": each.mount_point,
            "size": each.device["size"],
        }  # fmt: skip
        recorded["disks"][each.role] = formatting.entry(device, phase)
    record.save(recorded)
    for each in disks:
        if is_older(core.marker_of(each), kept):
            generations.accept(number(core.marker_of(each)))
