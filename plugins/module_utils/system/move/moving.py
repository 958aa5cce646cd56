# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at what a move is about: mounts, what they shadow, .env, fstab, the intent. Read-only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Optional

from ...core.compose.stack import UP
from ...core.copy.retired import ASIDE
from ...core.disks import fstab, shadow
from ...core.disks.mounts import Mount, at_state, of_device
from ...core.host.errors import Refusal
from ...core.layout import dotenv
from ...core.layout.backend import UNKNOWN, backend_of, is_stub
from ...core.layout.layouts import is_below, resolve_data_dir, state_dirs
from ...core.layout.state_on import CONFIG_DISK
from ...core.move.move_errors import CanNotLook
from ...core.move.move_facts import move_facts, place_of
from ...core.move.move_status import Leftover, MoveFacts, Moving, Unmounted, no_leftovers
from ..compose import engine
from ..copy import manifest_file
from ..disks import fstab_file, mountinfo
from ..disks.devices import maj_min_of
from ..disks.kernel_users import kernel_users
from ..disks.mountinfo import Line
from ..host import durable, kernel, record
from ..host.commands import Failed, last_line, run
from ..host.processes import while_it_runs
from ..host.replaceable import directory_fixed, fixed
from ..layout import dotenv_file, markers, trees
from . import ledger, units

_SHOWN = 20
STAGE = "/run/agnes-host/copy"
"""Where a copy is made: below a directory of root's only, and no mount point of a layout."""
COPY_NAME = "copy-of-state"
"""Name of a copy that is made on the data disk, in the directory of what is set aside there."""
_UUIDS: dict[tuple[str, str], str] = {}


def _uuid(maj_min: str, source: str) -> str:
    """The UUID of a mounted filesystem's device; asked once in a process."""
    if not of_device(maj_min, source):
        return ""
    key = (maj_min, source)
    if key not in _UUIDS:
        probe = ["blkid", "--probe", "--output", "value", "--match-tag", "UUID", source]
        _UUIDS[key] = run(probe, codes=(0, 2, 8)).out.strip()
    return _UUIDS[key]


def points() -> list[Mount]:
    """The mounts at or below the table's state directories, each of which is asked for its UUID."""
    mounts = at_state(line.as_mount("") for line in mountinfo.read())
    return [{**each, "uuid": _uuid(each["maj_min"], each["source"])} for each in mounts]


@dataclass(frozen=True)
class Held:
    """What a move needs for itself: a whole filesystem, or one directory of it."""

    maj_min: str
    path: str = ""
    """The directory, as this namespace has it; empty for the whole filesystem."""
    inside: str = ""
    """The same, as the filesystem has it."""

    def reached_by(self, mount: Line) -> bool:
        """Whether a mount leads there."""
        if mount.maj_min != self.maj_min:
            return False
        root = mount.root
        return not self.inside or is_below(root, self.inside) or is_below(self.inside, root)

    def is_mounted_for(self, pid: str) -> bool:
        """Whether a process has it mounted. Raises OSError for a process that is gone."""
        return any(self.reached_by(mount) for mount in mountinfo.read(f"/proc/{pid}/mountinfo"))

    def has(self, path: str) -> bool:
        """Whether a path of a file that is known to be on that filesystem is there."""
        return not self.path or (path + "/").startswith(self.path + "/")


def held_directory(path: str) -> Held:
    """The directory at ``path`` on its parent's filesystem, without what is mounted there."""
    above = os.path.dirname(path)
    holding = [line for line in mountinfo.read() if is_below(above, line.target)]
    # The longest target holds it, and of those at one place the last.
    line = max(reversed(holding), key=lambda each: len(each.target))
    inside = os.path.join(line.root, os.path.relpath(path, line.target))
    return Held(line.maj_min, path, os.path.normpath(inside))


@contextmanager
def parent_of(path: str) -> Iterator[int]:
    """The directory that holds ``path``, as its filesystem has it, with no mount in it."""
    parent = os.path.dirname(path)
    # First without following links; the copy is then made of that very directory.
    with trees.opened(parent) as fd:
        try:
            with kernel.without_mounts(f"/proc/self/fd/{fd}") as below:
                if os.fstat(below).st_ino != os.fstat(fd).st_ino:
                    raise CanNotLook(path=path, found="another directory than the one opened")
                yield below
        except OSError as error:
            if error.filename == f"/proc/self/fd/{fd}":
                raise CanNotLook(path=path, found=error.strerror) from error
            raise


@contextmanager
def shadowed(path: str) -> Iterator[int]:
    """The directory that is shadowed by the mount at ``path``. Raises CanNotLook, OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with parent_of(path) as above:
        fd = os.open(os.path.basename(path), flags, dir_fd=above)
        try:
            yield fd
        finally:
            os.close(fd)


def _leftover(directory: int, name: str) -> Leftover:
    info = os.stat(name, dir_fd=directory, follow_symlinks=False)
    kind = trees.kind_of(info)
    leftover: Leftover = {"name": name, "kind": kind, "size": info.st_size, "stub": False}
    if kind == "directory":
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
        try:
            leftover["size"] = len(os.listdir(fd))
        finally:
            os.close(fd)
    elif kind == "file" and name == shadow.STUB:
        leftover["stub"] = has_stub(directory)
    return leftover


def unmounted(path: str, all_of_it: bool = False) -> Unmounted:
    """What is at ``path`` on its parent's filesystem, without what is mounted there.

    all_of_it: every entry, however many there are.
    """
    seen: Unmounted = {"kind": "absent", "target": "", "entries": []}
    try:
        with parent_of(path) as parent:
            return _unmounted_in(
                parent, os.path.basename(path), seen, None if all_of_it else _SHOWN
            )
    except FileNotFoundError:
        return seen
    except (CanNotLook, OSError) as error:
        # Only a move must know; every other run goes on.
        return {"kind": "unknown", "target": str(error), "entries": []}


def _unmounted_in(parent: int, name: str, seen: Unmounted, shown: Optional[int]) -> Unmounted:
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    seen["kind"] = trees.kind_of(info)
    if seen["kind"] == "link":
        seen["target"] = os.readlink(name, dir_fd=parent)
    elif seen["kind"] == "directory":
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            entries = [_leftover(fd, each) for each in sorted(os.listdir(fd))]
        finally:
            os.close(fd)
        # However many leftovers there are, none hides anything else.
        stand = set(no_leftovers({**seen, "entries": entries}))
        seen["entries"] = sorted(entries, key=lambda e: e["name"] not in stand)[:shown]
    return seen


def _instance_in(directory: int) -> str:
    """The text of an instance.yaml. Raises OSError for what is no regular file."""
    with durable.opened_file(shadow.STUB, directory) as file:
        return file.read(1 << 20).decode("utf-8", "replace")


def has_stub(directory: int) -> bool:
    """Whether the instance.yaml in an open directory is the one that the product makes by itself."""
    try:
        return is_stub(_instance_in(directory))
    except OSError:
        return False


def _backend_in(directory: int) -> str:
    try:
        return backend_of(_instance_in(directory))
    except FileNotFoundError:
        return backend_of("")
    except OSError:
        return UNKNOWN


def backend(state_dir: str) -> str:
    """The database backend of the state in ``state_dir``. Raises PlaceUnreadable."""
    with trees.looking(state_dir), trees.opened(state_dir) as fd:
        return _backend_in(fd)
    return backend_of("")


def marker(state_dir: str) -> dict[str, Any]:
    """The marker in a directory, or an empty one. Raises PlaceUnreadable."""
    with trees.looking(state_dir), trees.opened(state_dir) as directory:
        return markers.read_if_any(directory)
    return {}


def shadowed_marker(path: str) -> dict[str, Any]:
    """The marker in the directory at a path, without what is mounted there, or an empty one."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        with parent_of(path) as parent:
            fd = os.open(os.path.basename(path), flags, dir_fd=parent)
            try:
                return markers.read_if_any(fd)
            finally:
                os.close(fd)
    except (OSError, CanNotLook):
        return {}


def mount_at(path: str) -> tuple[str, str, str]:
    """(MAJ:MIN, UUID, root) of the topmost mount at a path; empty values when nothing is mounted."""
    at = [line for line in mountinfo.read() if line.target == path]
    return (
        (at[-1].maj_min, _uuid(at[-1].maj_min, at[-1].source), at[-1].root) if at else ("", "", "")
    )


class Files(NamedTuple):
    """What a host says of itself; read once, so that all of an observation goes by the same."""

    env: Optional[str]
    """The text of ``.env``, None where there is none."""
    fstab: str
    record: Mapping[str, Any]


def files_of(project_dir: str) -> Files:
    """Read them. Raises Unreadable."""
    return Files(dotenv_file.read(project_dir), fstab_file.read(), record.read())


def _measured(path: str, unmeasured: dict[str, str], of: str = "") -> tuple[int, int]:
    """Bytes and files in a directory; somebody may be writing there. Of one that is absent, none.

    unmeasured: takes why it can't be known, for ``of``, or for the path itself.
    """
    try:
        with trees.looking(path), trees.opened(path) as directory:
            totals = manifest_file.measure(directory)
            return totals.allocated, totals.files
    except Refusal as refusal:
        # Only a copy must know, so no other run stops for it.
        unmeasured[of or path] = str(refusal.facts.get("found") or refusal)
    return 0, 0


def _used(state_dir: str) -> tuple[int, int]:
    """Bytes and files that are used on the filesystem; of a directory that is not there, none."""
    with trees.looking(state_dir):
        space = os.statvfs(state_dir)
        return (space.f_blocks - space.f_bfree) * space.f_frsize, space.f_files - space.f_ffree
    return 0, 0


def _free(data: str, unmeasured: dict[str, str]) -> tuple[int, int]:
    """Bytes and inodes that a copy may take on the data disk, with what an earlier try has there.

    unmeasured: see _measured.
    """
    try:
        space = os.statvfs(data)
    except OSError as error:
        unmeasured[data] = error.strerror or str(error)
        return 0, 0
    there, files = _measured(os.path.join(data, ASIDE, COPY_NAME), unmeasured, data)
    inodes = space.f_favail + files if space.f_files else -1
    return space.f_bavail * space.f_frsize + there, inodes


def _config_disk() -> str:
    """MAJ:MIN of the disk that the product's upgrade mounts at STATE_DIR by itself, or empty."""
    with trees.looking(CONFIG_DISK):
        return maj_min_of(os.stat(CONFIG_DISK).st_rdev)
    return ""


def others(docker: str, project: str, held: Sequence[Held]) -> list[str]:
    """Running containers of other projects that have one of the places mounted.

    Raises Failed where Docker does not say, and OSError where the kernel does not.
    """
    running = [each for each in engine.listed(docker) if each.state in UP]
    names = {each.container_id: each.name for each in running if each.project != project}
    if not names:
        return []
    # One that goes away in between makes inspect exit 1 and still print the others.
    done = run([docker, "inspect", "--format", "{{.Id}} {{.State.Pid}}", *names], codes=(0, 1))
    if done.code and any("no such" not in line.lower() for line in done.err.splitlines()):
        raise Failed(f"the containers can't be looked at: {last_line(done.err)}")
    pids = dict(line.split() for line in done.out.splitlines() if line.strip())
    return sorted(
        names[container_id]
        for container_id, pid in pids.items()
        if pid != "0" and any(_has_mounted(pid, each) for each in held)
    )


def _has_mounted(pid: str, held: Held) -> bool:
    with while_it_runs():
        return held.is_mounted_for(pid)
    return False


def _kernel_users(disks: Iterable[str], unread: dict[str, str]) -> list[str]:
    """See kernel_users. unread: takes why it could not be read: only a move must know."""
    try:
        return sorted({use for disk in disks for use in kernel_users(disk)})
    except OSError as error:
        unread[str(error.filename)] = error.strerror or str(error)
        return []


def _blocked(project_dir: str) -> dict[str, str]:
    """Path -> why a move could not write there, for what it must replace or rename."""
    files = {path: fixed(path) for path in ("/etc/fstab", dotenv_file.path_in(project_dir))}
    parents = {os.path.dirname(path) for path in state_dirs()}
    # An unmounted mount point is immutable, and what shows there then is no matter.
    shown = [path for path in parents if path == "/" or mount_at(path)[0]]
    reasons = {**files, **{path: directory_fixed(path) for path in shown}}
    return {path: why for path, why in reasons.items() if why}


def _intent() -> Optional[dict[str, Any]]:
    """The intent, without what only commands are given: the address of a proxy may have a password."""
    intent = ledger.read_intent(ledger.INTENT)
    return replace(intent, environment={}).to_dict() if intent else None


def observe(
    project_dir: str, env: Mapping[str, str], mounts: Iterable[Mount],
    docker: str = "", project: str = "", measured: bool = False,
) -> Moving:  # fmt: skip
    """What only a move asks. With ``docker``, containers of other projects are looked for too.

    env: the keys of ``.env``; measured: also add up state that is in a plain directory, and what
    is free for one.
    """
    # Never through a link.
    state_dir = place_of(env)
    disks = {m["maj_min"] for m in at_state(mounts) if not m["maj_min"].startswith("0:")}
    unmeasured: dict[str, str] = {}
    unread: dict[str, str] = {}
    used, files = _used(state_dir)
    if not disks:
        used, files = _measured(state_dir, unmeasured) if measured else (0, 0)
    free = _free(resolve_data_dir(env), unmeasured) if measured else (0, 0)
    return {
        "intent": _intent(),
        "open_units": units.open_units(),
        "held_units": units.held_units(),
        "unmounted": {path: unmounted(path) for path in state_dirs()},
        "shadows": {},
        "backend": backend(state_dir),
        "blocked": _blocked(project_dir),
        "kernel_users": _kernel_users(disks, unread),
        "kernel_unread": unread,
        "staged": mount_at(STAGE)[1],
        "others": others(docker, project, [Held(disk) for disk in disks])
        if docker and disks
        else [],
        "used": used,
        "files": files,
        "free": free[0],
        "free_inodes": free[1],
        "unmeasured": unmeasured,
        "config_disk": _config_disk(),
    }


def look(project_dir: str) -> MoveFacts:
    """All that a move goes by, as it is now. Raises Unreadable."""
    read = files_of(project_dir)
    values, mounts = dotenv.read(read.env or ""), points()
    entries = [vars(entry) for entry in fstab.entries(read.fstab)]
    marker_of = {path: marker(path) for path in state_dirs()}
    moving = observe(project_dir, values, mounts)
    return move_facts(moving, values, mounts, entries, marker_of, read.record)
