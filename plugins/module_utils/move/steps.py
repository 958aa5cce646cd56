# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step of a move does, and what undoes it. Whether it is done, facts say: core/move/move_steps.py."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Optional

from ..core.compose.project import digest
from ..core.copy.retired import REPLACED
from ..core.disks import fstab
from ..core.disks.disks import COPY_TARGET, DIRECTORY
from ..core.host.errors import NotAsProved
from ..core.layout import generation, switch
from ..core.move.move_errors import (
    LockHeld,
    NotAsBefore,
    StateDiskHeld,
    StateDiskShared,
    StateNotAlone,
)
from ..core.move.move_kinds import SHADOWED
from ..core.move.move_status import ACTIVE
from ..core.move.move_steps import COMMIT
from ..system.compose import images
from ..system.compose.compose import Compose
from ..system.compose.overlays import UNPROVED, proved_overlay
from ..system.compose.stage import Stage
from ..system.compose.switched import switched
from ..system.disks import filesystems, protection
from ..system.disks.holders import holders
from ..system.host import durable, permit, record
from ..system.host.waiting import until
from ..system.layout import generations, markers, trees
from ..system.move import ledger, moving, units
from . import canary, places
from .common import Act, drop_line, remember_left_stopped, unmount, write_marker
from .context import MoveContext
from .copy_back_steps import COPY_BACK_ACTS, leave_disk, release
from .copy_steps import COPY_ACTS
from .promote_steps import PROMOTE_ACTS, is_shadowed, list_what_shows

IDLE_SECONDS = 30.0
"""How long a process of the host may still use the state disk before the stop."""
QUIET_SECONDS = 5.0
"""The same after the stop: containers that have ended need a moment to go."""
APPLIER_LOCK = "db-state-applier.lock"


def _intent(move: MoveContext) -> None:
    move.save()
    units.hold()
    # Also where they are held already: a run that was killed may not have come to this. And by a
    # stale unit from an old fstab systemd would unmount what is mounted from here on.
    units.reload()


def _forget(move: MoveContext) -> None:
    """The intent is deleted last: until then a move goes on after a crash."""
    units.let_go()
    units.reload()
    ledger.remove(ledger.INTENT)


def _overlay(move: MoveContext) -> None:
    directory, name = move.intent.project_dir, move.target.overlay
    path = os.path.join(directory, name)
    after = switched(
        move.project.docker, directory, move.source, move.target, move.read_env(),
        move.intent.profiles, move.intent.backend,
        move.intent.chain,
    )  # fmt: skip
    move.intent.chain = after.chain
    _publish_overlay(path, after.overlay)
    durable.keep_aside(move.env_path, REPLACED)
    _remember_proved(move, after.config, after.env_text)


def _publish_overlay(path: str, overlay: bytes) -> None:
    """Write an overlay that has passed the proof; an empty one is there already."""
    if not overlay:
        return
    if os.path.lexists(path):
        durable.keep_aside(path, REPLACED)
    durable.write(path, overlay.decode())


def _remember_proved(move: MoveContext, config: Mapping[str, Any], env_text: str) -> None:
    """Keep of the project that was proved what tells it from another one."""
    move.intent.proved = digest(config)
    move.intent.files = move.files_hash(env_text)
    move.save()


def _point(move: MoveContext) -> None:
    places.make_point(move.look(containers=False).new, move.name_aside)


def _point_undo(move: MoveContext) -> None:
    new = move.target.mounts["state"]
    if move.intent.before.point in ("absent", "link"):
        places.unmake_point(new, move.source.links.get(new, ""), move.name_aside)
        # A power cut between two of its calls, or of those that it undoes.
        places.tidy(new, move.name_aside)


def _with_new_line(move: MoveContext) -> str:
    """/etc/fstab as it will be while both layouts are in play."""
    old, new = move.source.mounts["state"], move.target.mounts["state"]
    text = durable.read_text(filesystems.FSTAB) or ""
    uuid, fstype = move.intent.uuid, move.intent.fstype
    selinux = move.intent.disk.get("selinux_type", "")
    return switch.with_state_line(text, uuid, old, new, fstype, selinux)


def _fstab(move: MoveContext) -> None:
    durable.write(filesystems.FSTAB, _with_new_line(move))


def _check_line(move: MoveContext) -> None:
    """Raise Failed where the line that will mount the disk after the stop does not work."""
    status = move.look(containers=False)
    if "fstab" not in status.kind.steps or status.mounted(status.new):
        return
    entry = fstab.at(_with_new_line(move), status.new)
    if entry is None:
        raise AssertionError("the new text has the new line")
    filesystems.try_mount(entry)


def _mount(move: MoveContext) -> None:
    # Empty after a boot that mounted it nowhere: fstab names the UUID, and the check that follows too.
    filesystems.mount(move.target.mounts["state"], move.device())


def _mount_undo(move: MoveContext) -> None:
    unmount(move.target.mounts["state"])


def _umount(move: MoveContext) -> None:
    unmount(move.source.mounts["state"])


@contextmanager
def product_lock(
    path: str, directory: Optional[int] = None, seconds: float = 120
) -> Iterator[None]:
    """Hold one of the product's own locks; raises LockHeld when it does not come free."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    flags |= 0 if directory is not None else os.O_CREAT
    fd = os.open(path, flags, 0o644, dir_fd=directory)

    def taken() -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        if not until(taken, seconds):
            raise LockHeld(path=path, found="one of the product's scripts", seconds=int(seconds))
        yield
    finally:
        os.close(fd)


def _idle(move: MoveContext) -> None:
    services = move.project.compose.config()["services"]
    move.project.check_idle(services, move.source)
    path = move.source.state_dir
    with trees.opened(path) as directory:
        try:
            # Held back, the applier can't start again; one that still runs is waited for.
            with product_lock(APPLIER_LOCK, directory):
                pass
        except FileNotFoundError:
            pass
        # Read and written again after the commit.
        markers.read(directory)
    for place in (move.source.mounts["state"], move.target.mounts["state"]):
        places.check_aside(os.path.dirname(place))
    _check_line(move)
    images.check_there(move.project.docker, services, move.wanted, move.project.directory)
    shared = moving.others(move.project.docker, move.project.name, move.all_held())
    if shared:
        raise StateDiskShared(path=path, found=", ".join(shared))
    _nobody(move, IDLE_SECONDS, containers=False)
    # By the way that it will be sent after the commit: an address that is wrong is found now. A move
    # that goes on may find the stack down, or starting.
    if move.project.is_up(move.wanted):
        shadowed = move.kind.state_was == SHADOWED and is_shadowed(move)
        # Containers that were started before the mount work with what it shadows.
        with moving.shadowed(path) if shadowed else trees.opened(path) as directory:
            _send_canary(move, path, directory)


def _nobody(move: MoveContext, seconds: float, containers: bool) -> None:
    places, users = move.all_held(), [""]

    def none() -> bool:
        users[:] = [each for held in places for each in holders(held, containers)]
        return not users

    if not until(none, seconds):
        raise StateDiskHeld(path=move.source.state_dir, found=", ".join(users[:5]))


def _stop(move: MoveContext) -> None:
    remember_left_stopped(move)
    move.went_down()
    move.project.down()


def start_again(move: MoveContext) -> None:
    """Start what ran before; from here on, what is stopped has been stopped by somebody."""
    intent = move.intent
    scale = intent.scale
    # The move sees to the disks itself; where a boot has not found them, nobody else has.
    permit.give()
    move.project.up(move.wanted, intent.alone, intent.timeout, scale)
    move.came_up()
    move.intent.started = record.boot_id()
    # Not known, it is started again: no full disk may keep the stack down.
    with suppress(OSError):
        move.save()


def leave_stopped(move: MoveContext, say: Callable[[str], None]) -> None:
    """What somebody has stopped since the move has started it stays stopped, also after the move.

    After a boot nobody has: what Docker does not start again by itself is started as before.
    """
    if not move.was_started:
        return
    stopped = set(move.wanted) - move.project.running() - move.project.unstarted()
    if stopped:
        # What has failed is no wish of anybody: it is started again, and its failure told.
        stopped -= move.project.crashed()
    if not stopped:
        return
    move.intent.services = sorted(set(move.wanted) - stopped)
    move.intent.left_stopped = sorted({*move.intent.left_stopped, *stopped})
    remember_left_stopped(move)
    move.save()
    text = f"stopped by somebody after the move had started it, and left stopped: {', '.join(sorted(stopped))}"
    say(text)
    ledger.note(move.id, "start", "left", text)


def _stop_undo(move: MoveContext) -> None:
    """Start only on what is state now: the old disk or directory, at its old place."""
    if move.kind.state_was == SHADOWED:
        try:
            list_what_shows(move)
        except OSError:
            # Where all is still as before the stack shall run; what undoes unlist tries again, and tells.
            if not is_shadowed(move):
                raise
    if not set(move.wanted) <= move.project.running():
        _check_as_before(move)
        start_again(move)


def _check_as_before(move: MoveContext) -> None:
    status = move.look(containers=False)
    if status.committed or not status.intact:
        at = [point["source"] for point in status.facts["points"] if point["target"] == status.old]
        now = " and ".join([*at, f"a {status.unmounted(status.old)['kind']} without its mount"])
        raise NotAsBefore(path=status.old, found=now)
    # A boot may have left its mount point unmounted, and what is there is on the root disk then.
    move.check_data_disk()


def _quiet(move: MoveContext) -> None:
    _nobody(move, QUIET_SECONDS, containers=True)


def _commit(move: MoveContext) -> None:
    move.env_before = move.read_env()
    durable.write(move.env_path, move.env_after(move.env_before))


def _commit_undo(move: MoveContext) -> None:
    """Only in the process whose commit failed, and before anything was started by it."""
    if move.env_before:
        durable.write(move.env_path, move.env_before)


def _line(move: MoveContext) -> None:
    old, new = move.source.mounts["state"], move.target.mounts["state"]
    text = durable.read_text(filesystems.FSTAB) or ""
    durable.write(filesystems.FSTAB, switch.without_line(text, old, new))


def _place(move: MoveContext) -> None:
    old = move.source.mounts["state"]
    places.retire(old, move.target.links.get(old, ""), move.name_aside)


def _start(move: MoveContext) -> None:
    """No start without the proof that the state, and it alone, is where .env points."""
    status = move.look(containers=False)
    if not status.committed or not status.there or status.mounted(status.old):
        at = sorted({point["target"] for point in status.facts["points"]})
        reason = f"layout {status.source.name} in .env" if not status.committed else None
        raise StateNotAlone(
            path=status.new, found=reason or f"mounts at {', '.join(at) or 'no place'}"
        )
    move.check_data_disk()
    check_proved(move)
    release(move)
    start_again(move)


def check_proved(move: MoveContext) -> None:
    """Raise NotAsProved where the project is not the one that was proved, and fails the proof.

    Compose is asked only where a file of it has changed since: the stack is down. Another one may
    be right too, such as the files of an upgrade: after the commit a move has to end with them.
    """
    proved, text = move.intent.proved, move.read_env()
    if not proved or move.files_hash(text) == move.intent.files:
        return
    docker, directory = move.project.docker, move.intent.project_dir
    try:
        Compose(docker, directory).check(proved)
    except NotAsProved as error:
        path = os.path.join(directory, move.target.overlay)
        stage, chain = Stage(docker, directory, {}, text), switch.chain_in(text)
        try:
            anew = proved_overlay(stage, move.target, chain, os.path.lexists(path))
        except UNPROVED as why:
            raise error from why
        _publish_overlay(path, anew[0])
        _remember_proved(move, anew[1], text)


def _prove(move: MoveContext) -> None:
    move.project.wait(move.wanted, move.intent.timeout, move.target)


def _send_canary(move: MoveContext, state_dir: str, directory: int) -> None:
    url = move.intent.canary_url
    if url and move.wanted:
        canary.send(url, state_dir, directory, move.id)


def _canary(move: MoveContext) -> None:
    path = move.target.state_dir
    with trees.opened(path) as directory:
        _send_canary(move, path, directory)


def _marker(move: MoveContext) -> None:
    with trees.opened(move.target.state_dir) as directory:
        marker = markers.read(directory)
        epoch = markers.epoch(marker) + 1
        # A copy has the count of the day on which it was begun, or none.
        newest = max(generation.number(marker), generation.number(generations.read()))
        counted = {generation.KEY: newest} if newest else {}
        write_marker(
            directory,
            move,
            {**marker, **counted, "layout": move.target.name, "role": ACTIVE, "epoch": epoch},
        )


def _record(move: MoveContext) -> None:
    for path in (move.source.mounts["state"], move.target.mounts["state"]):
        places.tidy(path, move.name_aside)
    recorded = record.load()
    if move.kind.state_goes == DIRECTORY:
        leave_disk(move, recorded)
    elif move.intent.before.point in ("absent", "link"):
        # What a crash may have left undone of make_point; the mount is there by now.
        protection.protect(move.target.mounts["state"])
    if COPY_TARGET in recorded["disks"]:
        # It holds the state now, and no other disk may take its place.
        recorded["disks"]["state"] = recorded["disks"].pop(COPY_TARGET)
    recorded["move"] = {
        "id": move.id, "source": move.source.name, "target": move.target.name,
        "uuid": move.intent.uuid, "at": ledger.now(),
    }  # fmt: skip
    record.save(recorded)


ACTS: Mapping[str, Act] = {
    "intent": Act(_intent, _forget),
    "overlay": Act(_overlay),
    "point": Act(_point, _point_undo, ("point",)),
    "fstab": Act(_fstab, drop_line, ("new_line",)),
    **COPY_ACTS,
    **COPY_BACK_ACTS,
    **PROMOTE_ACTS,
    "expose": Act(_mount, _mount_undo),
    "mount": Act(_mount, _mount_undo),
    "idle": Act(_idle),
    "stop": Act(_stop, _stop_undo),
    "quiet": Act(_quiet),
    COMMIT: Act(_commit, _commit_undo),
    "umount": Act(_umount),
    "line": Act(_line),
    "place": Act(_place),
    "start": Act(_start),
    "prove": Act(_prove),
    "canary": Act(_canary),
    "marker": Act(_marker),
    "record": Act(_record),
    "forget": Act(_forget),
}
"""Every step of core/move/move_steps.py, by id."""
