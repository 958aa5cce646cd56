# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step of a move does, and what undoes it. Whether it is done, facts say: core/move_steps.py."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Optional

from ..core import fstab, switch
from ..core.backend import DUCKDB
from ..core.disks import COPY_TARGET
from ..core.errors import NotAsProved
from ..core.move_errors import (
    ImageGone,
    LockHeld,
    NotAsBefore,
    StateDiskHeld,
    StateDiskShared,
    StateNotAlone,
)
from ..core.move_steps import COMMIT
from ..core.project import digest
from ..core.retired import REPLACED
from ..core.scenes import ACTIVE, GATHER, UNCOVER
from ..system import durable, filesystems, ledger, markers, moving, record, trees, units
from ..system.commands import run
from ..system.compose import Compose
from ..system.holders import holders
from ..system.overlays import UNPROVED, proved_overlay
from ..system.stage import Stage
from ..system.switched import switched
from . import canary, places
from .common import Act, drop_line, remember_resting, unmount, until, write_marker
from .copy_steps import COPY_ACTS
from .gather_steps import GATHER_ACTS, leave_disk, release
from .uncover_steps import UNCOVER_ACTS, is_covered, list_what_shows
from .world import World

IDLE_SECONDS = 30.0
"""How long a process of the host may still use the state disk before the stop."""
QUIET_SECONDS = 5.0
"""The same after the stop: containers that have ended need a moment to go."""
APPLIER_LOCK = "db-state-applier.lock"


def _fence(world: World) -> None:
    world.save()
    units.hold()
    # Also where they are held already: a run that was killed may not have come to this. And by a
    # stale unit from an old fstab systemd would unmount what is mounted from here on.
    units.reload()


def _unfence(world: World) -> None:
    """The intent goes last: until then a crash is taken up again."""
    units.let_go()
    units.reload()
    ledger.remove(ledger.FENCE)


def _overlay(world: World) -> None:
    directory, name = world.intent["project_dir"], world.target.overlay
    path = os.path.join(directory, name)
    found = switched(
        world.project.docker, directory, world.source, world.target, world.read_env(),
        # An intent of an earlier version has neither.
        world.intent.get("profiles") or (), world.intent.get("backend") or DUCKDB,
        world.intent.get("chain") or (),
    )  # fmt: skip
    world.intent["chain"] = found.chain
    _publish_overlay(path, found.overlay)
    durable.keep_aside(world.env_path, REPLACED)
    _remember_proved(world, found.config, found.env_text)


def _publish_overlay(path: str, overlay: bytes) -> None:
    """Write an overlay that has passed the proof; an empty one is there already."""
    if not overlay:
        return
    if os.path.lexists(path):
        durable.keep_aside(path, REPLACED)
    durable.write(path, overlay.decode())


def _remember_proved(world: World, config: Mapping[str, Any], env_text: str) -> None:
    """Keep of the project that was proved what tells it from another one."""
    world.intent["proved"] = digest(config)
    world.intent["files"] = world.files_hash(env_text)
    world.save()


def _point(world: World) -> None:
    places.make_point(world.look(containers=False).new, world.name_aside)


def _point_undo(world: World) -> None:
    new, was = world.target.mounts["state"], world.intent["point_was"]
    if was != "directory":
        places.unmake_point(new, world.source.links.get(new, ""), world.name_aside)
        # A power cut between two of its calls, or of those that it undoes.
        places.tidy(new, world.name_aside)


def _with_new_line(world: World) -> str:
    """/etc/fstab as it will be while both layouts are in play."""
    old, new = world.source.mounts["state"], world.target.mounts["state"]
    text = durable.read_text(filesystems.FSTAB) or ""
    uuid, fstype = world.intent["uuid"], world.intent["fstype"]
    selinux = (world.intent.get("disk") or {}).get("selinux_type", "")
    return switch.with_state_line(text, uuid, old, new, fstype, selinux)


def _fstab(world: World) -> None:
    durable.write(filesystems.FSTAB, _with_new_line(world))


def _check_line(world: World) -> None:
    """Raise Failed where the line that will mount the disk after the stop does not work."""
    scene = world.look(containers=False)
    if scene.kind == GATHER or scene.mounted(scene.new):
        return
    entry = fstab.at(_with_new_line(world), scene.new)
    assert entry is not None
    filesystems.try_mount(entry)


def _mount(world: World) -> None:
    # Empty after a boot that mounted it nowhere: fstab names the UUID, and the check that follows too.
    filesystems.mount(world.target.mounts["state"], world.device())


def _mount_undo(world: World) -> None:
    unmount(world.target.mounts["state"])


def _umount(world: World) -> None:
    unmount(world.source.mounts["state"])


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


def _idle(world: World) -> None:
    services = world.project.compose.config()["services"]
    world.project.check_idle(services, world.source)
    path = world.source.state_dir
    with trees.opened(path) as directory:
        try:
            # Fenced, the applier can't start again; one that still runs is waited for.
            with product_lock(APPLIER_LOCK, directory):
                pass
        except FileNotFoundError:
            pass
        # Read and written again after the commit.
        markers.read(directory)
    for place in (world.source.mounts["state"], world.target.mounts["state"]):
        places.check_aside(os.path.dirname(place))
    _check_line(world)
    _check_images(world, services)
    shared = moving.others(world.project.docker, world.project.name, world.all_held())
    if shared:
        raise StateDiskShared(path=path, found=", ".join(shared))
    _nobody(world, IDLE_SECONDS, containers=False)
    # By the way that it will be sent after the commit: an address that is wrong is found now. A move
    # that goes on may find the stack down, or starting.
    if world.project.is_up(world.wanted):
        covered = world.intent.get("kind") == UNCOVER and is_covered(world)
        # Containers that were started before the mount work with what lies beneath it.
        with moving.beneath(path) if covered else trees.opened(path) as directory:
            _send_canary(world, path, directory)


def _check_images(world: World, services: Mapping[str, Any]) -> None:
    """Raise ImageGone for a service that could not be started again: its tag has been taken away since."""
    for name in sorted(set(world.wanted) & set(services)):
        image = services[name]["image"]
        show = [world.project.docker, "image", "inspect", "--format", "{{.Id}}", image]
        if image and run(show, codes=()).code:
            raise ImageGone(image=image, service=name, project=world.project.directory)


def _nobody(world: World, seconds: float, containers: bool) -> None:
    places, found = world.all_held(), [""]

    def none() -> bool:
        found[:] = [each for held in places for each in holders(held, containers)]
        return not found

    if not until(none, seconds):
        raise StateDiskHeld(path=world.source.state_dir, found=", ".join(found[:5]))


def _stop(world: World) -> None:
    remember_resting(world)
    world.went_down()
    world.project.down()


def start_again(world: World) -> None:
    """Start what ran before; from here on, what is stopped has been stopped by somebody."""
    intent = world.intent
    scale = intent.get("scale") or {}
    world.project.up(world.wanted, intent["alone"], intent["timeout"], scale)
    world.came_up()
    world.intent["started"] = record.boot_id()
    # Not known, it is started again: no full disk may keep the stack down.
    with suppress(OSError):
        world.save()


def leave_stopped(world: World, say: Callable[[str], None]) -> None:
    """What somebody has stopped since the move has started it stays stopped, also after the move.

    After a boot nobody has: what Docker does not start again by itself is started as before.
    """
    if not world.was_started:
        return
    stopped = set(world.wanted) - world.project.running() - world.project.unstarted()
    if stopped:
        # What has failed is no wish of anybody: it is started again, and its failure told.
        stopped -= world.project.crashed()
    if not stopped:
        return
    world.intent["services"] = sorted(set(world.wanted) - stopped)
    world.intent["resting"] = sorted({*world.intent["resting"], *stopped})
    remember_resting(world)
    world.save()
    text = f"stopped by somebody after the move had started it, and left stopped: {', '.join(sorted(stopped))}"
    say(text)
    ledger.note(world.id, "start", "left", text)


def _stop_undo(world: World) -> None:
    """No start but on what is state now: the disk or directory of before, where it was before."""
    if world.intent.get("kind") == UNCOVER:
        try:
            list_what_shows(world)
        except OSError:
            # Where all is still as before the stack shall run; what undoes unlist tries again, and tells.
            if not is_covered(world):
                raise
    if not set(world.wanted) <= world.project.running():
        _check_as_before(world)
        start_again(world)


def _check_as_before(world: World) -> None:
    scene = world.look(containers=False)
    if scene.committed or not scene.intact:
        at = [point["source"] for point in scene.facts["points"] if point["target"] == scene.old]
        found = " and ".join([*at, f"a {scene.bare(scene.old)['kind']} beneath"])
        raise NotAsBefore(path=scene.old, found=found)
    # A boot may have left its mount point bare, and what is there is on the root disk then.
    world.check_data_disk()


def _quiet(world: World) -> None:
    _nobody(world, QUIET_SECONDS, containers=True)


def _commit(world: World) -> None:
    world.env_before = world.read_env()
    durable.write(world.env_path, world.env_after(world.env_before))


def _commit_undo(world: World) -> None:
    """Only in the process whose commit failed, and before anything was started by it."""
    if world.env_before:
        durable.write(world.env_path, world.env_before)


def _line(world: World) -> None:
    old, new = world.source.mounts["state"], world.target.mounts["state"]
    text = durable.read_text(filesystems.FSTAB) or ""
    durable.write(filesystems.FSTAB, switch.without_line(text, old, new))


def _place(world: World) -> None:
    old = world.source.mounts["state"]
    places.retire(old, world.target.links.get(old, ""), world.name_aside)


def _start(world: World) -> None:
    """No start without the proof that the state, and it alone, is where .env points."""
    scene = world.look(containers=False)
    if not scene.committed or not scene.there or scene.mounted(scene.old):
        at = sorted({point["target"] for point in scene.facts["points"]})
        found = f"layout {scene.source.name} in .env" if not scene.committed else None
        raise StateNotAlone(
            path=scene.new, found=found or f"mounts at {', '.join(at) or 'no place'}"
        )
    world.check_data_disk()
    check_proved(world)
    release(world)
    start_again(world)


def check_proved(world: World) -> None:
    """Raise NotAsProved where the project is not the one that was proved, and fails the proof.

    Compose is asked only where a file of it has changed since: the stack is down. Another one may
    be right too, such as the files of an upgrade: after the commit a move has to end with them.
    """
    proved, text = world.intent.get("proved"), world.read_env()
    if not proved or world.files_hash(text) == world.intent["files"]:
        return
    docker, directory = world.project.docker, world.intent["project_dir"]
    try:
        Compose(docker, directory).check(proved)
    except NotAsProved as error:
        path = os.path.join(directory, world.target.overlay)
        stage, chain = Stage(docker, directory, {}, text), switch.chain_in(text)
        try:
            found = proved_overlay(stage, world.target, chain, os.path.lexists(path))
        except UNPROVED as why:
            raise error from why
        _publish_overlay(path, found[0])
        _remember_proved(world, found[1], text)


def _prove(world: World) -> None:
    world.project.wait(world.wanted, world.intent["timeout"], world.target)


def _send_canary(world: World, state_dir: str, directory: int) -> None:
    url = world.intent["canary_url"]
    if url and world.wanted:
        canary.send(url, state_dir, directory, world.id)


def _canary(world: World) -> None:
    path = world.target.state_dir
    with trees.opened(path) as directory:
        _send_canary(world, path, directory)


def _marker(world: World) -> None:
    with trees.opened(world.target.state_dir) as directory:
        found = markers.read(directory)
        epoch = markers.epoch(found) + 1
        write_marker(
            directory,
            world,
            {**found, "layout": world.target.name, "role": ACTIVE, "epoch": epoch},
        )


def _record(world: World) -> None:
    for path in (world.source.mounts["state"], world.target.mounts["state"]):
        places.tidy(path, world.name_aside)
    found = record.load()
    if world.intent.get("kind") == GATHER:
        leave_disk(world, found)
    elif world.intent["point_was"] != "directory":
        places.guard(world.target.mounts["state"])
    if COPY_TARGET in found["disks"]:
        # It holds the state now, and no other disk may take its place.
        found["disks"]["state"] = found["disks"].pop(COPY_TARGET)
    found["move"] = {
        "id": world.id, "source": world.source.name, "target": world.target.name,
        "uuid": world.intent["uuid"], "at": ledger.now(),
    }  # fmt: skip
    record.save(found)


ACTS: Mapping[str, Act] = {
    "fence": Act(_fence, _unfence),
    "overlay": Act(_overlay),
    "point": Act(_point, _point_undo),
    "fstab": Act(_fstab, drop_line),
    **COPY_ACTS,
    **GATHER_ACTS,
    **UNCOVER_ACTS,
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
    "unfence": Act(_unfence),
}
"""Every step of core/move_steps.py, by id."""
