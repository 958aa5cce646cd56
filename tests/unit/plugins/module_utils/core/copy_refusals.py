# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of copying, and of what mounts shadow: the class, what raises it, the whole sentence."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from ansible_collections.agnes.host.plugins.module_utils.core.copy import copy_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.copy import copying as core
from ansible_collections.agnes.host.plugins.module_utils.core.copy.copying import Proof, Room
from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Rules, Totals
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.system.copy import (
    copying,
    duckdb_check,
    manifest,
)
from ansible_collections.agnes.host.plugins.module_utils.system.copy.copying import Copy
from ansible_collections.agnes.host.plugins.module_utils.system.copy.duckdb_check import Rows

KEY = bytes(32)
STATE = ("/data/state", "/run/copy")
ALL_BUT_PROC = Rules(without=tuple(name for name in os.listdir("/") if name != "proc"))
DEPTH = manifest.MAX_DEPTH


def script(tmp: Path, body: str) -> str:
    path = tmp / "script"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def opened(path: Path) -> int:
    path.mkdir(exist_ok=True)
    return os.open(path, os.O_RDONLY)


def changing(tmp: Path) -> None:
    """The walk of a tree whose file is written to just before it is read."""
    (tmp / "log").write_bytes(b"1")

    def write(path: bytes, _info: object) -> bool:
        (tmp / os.fsdecode(path)).write_bytes(b"12")
        return True

    list(manifest.walk(opened(tmp), KEY, read=write))


def differing(tmp: Path) -> None:
    source, target = opened(tmp / "a"), opened(tmp / "b")
    (tmp / "a" / "new\nline").write_bytes(b"1")
    Copy(source, target, *STATE).prove(str(tmp), copying.ReadAhead(KEY))


def failing(tmp: Path) -> None:
    body = "echo 'rsync: [receiver] write failed: No space left' >&2; echo 'rsync error: x' >&2; exit 11"
    Copy(opened(tmp / "a"), opened(tmp / "b"), *STATE, program=script(tmp, body)).final()


def linked(tmp: Path) -> None:
    (tmp / "link").symlink_to(tmp)
    with copying.proved_source(f"{tmp}/link", Proof("8:32", True)):
        pass


def locked_twice(tmp: Path) -> None:
    copying.lock(opened(tmp), "/run/copy")
    copying.lock(opened(tmp), "/run/copy")


def touching(tmp: Path) -> None:
    (tmp / "system.duckdb").touch()
    body = f"""echo >> '{tmp}/system.duckdb'; echo '[{{"version": "1", "rows": {{}}}}]'"""
    duckdb_check.count([script(tmp, body)], "agnes:1", str(tmp))


def deep(tmp: Path) -> None:
    os.makedirs(tmp / "/".join(["d"] * (DEPTH + 1)))
    list(manifest.walk(opened(tmp), KEY))


Trigger = Callable[[Path], object]
COPYING: list[tuple[type[Refusal], Trigger, str]] = [
    (
        errors.TreeChanged,
        changing,
        "AH080: 'log' changed while it was read (size 1 and then 2, or another time), so what was "
        "read is not from one point in time; stop what writes there, and run again",
    ),
    (
        errors.TreeCrosses,
        lambda tmp: list(manifest.walk(opened(Path("/")), KEY, ALL_BUT_PROC, quiet=False)),
        "AH081: 'proc' is on another filesystem than 'the top of the tree' or is mounted there, and "
        "a copy stays on one filesystem; unmount it, or move it out of the way",
    ),
    (
        errors.FlaggedFiles,
        lambda tmp: core.check_flags("/data/state", Totals(flagged=("'old' immutable",))),
        "AH082: '/data/state' has files with the immutable or append-only flag, which no copy "
        "carries (found 'old' immutable); take the flag off with 'chattr -i -a', and run again",
    ),
    (
        errors.LinkedOutside,
        lambda tmp: core.check_names("/data/state", Totals(outside=("'key'",))),
        "AH098: '/data/state' has files that are hard links to names outside of it (found 'key'), and "
        "on another disk they would not be links any more; find out who made them (uid 999 may want "
        "root to open another file), then take the link away",
    ),
    (
        errors.CopyDiffers,
        differing,
        "AH083: the copy at '/run/copy' differs from '/data/state' (1 differences: 'new\\nline': is "
        "missing in the copy); the copy is not used, state stays at '/data/state': run again, and "
        "look at the kernel's log for errors of the disk",
    ),
    (
        errors.CopyFailed,
        failing,
        "AH084: copying '/data/state' to '/run/copy' failed (rsync ended with 11: rsync: [receiver] "
        "write failed: No space left); the copy is not used, state stays at '/data/state': correct "
        "the cause, and run again",
    ),
    (
        errors.RsyncUnusable,
        lambda tmp: copying.check_rsync("/nonexistent/rsync"),
        "AH085: rsync can't be used to copy state: '/nonexistent/rsync' is not installed; install "
        "the distribution's rsync package",
    ),
    (
        errors.RsyncUnusable,
        lambda tmp: copying.check_rsync(
            script(tmp, "echo '    symlinks, symtimes, hardlinks, no ACLs'")
        ),
        "AH085: rsync can't be used to copy state: it was built without ACLs, xattrs; install the "
        "distribution's rsync package",
    ),
    (
        errors.SourceUnproved,
        linked,
        "AH086: '{tmp}/link' is not proved to be the state that shall be copied (found no directory, "
        "or a link on the way, wanted state), and a copy of it would delete what the target has; "
        "mount the right disk, or find out what took the state away",
    ),
    (
        errors.NoRoom,
        lambda tmp: core.check_room(
            STATE, Totals(allocated=100, inodes=9), Room(99, 9, 9), Totals()
        ),
        "AH087: '/run/copy' has no room for a copy of '/data/state' (found 99 bytes, wanted 110 "
        "bytes: a tenth more than there is to copy); attach a larger disk, or make room",
    ),
    (
        errors.SyncFailed,
        lambda tmp: Copy(-1, -1, *STATE).sync(),
        "AH088: the kernel could not write the copy at '/run/copy' to its disk (Bad file "
        "descriptor), and reports that only once, so the copy can't be used; state stays at "
        "'/data/state': replace the disk, or format it anew for another try",
    ),
    (
        errors.DatabaseUnreadable,
        lambda tmp: duckdb_check.count(["docker"], "agnes:1", str(tmp)),
        "AH092: the database in '{tmp}' can't be opened read-only with agnes:1 (there is no "
        "system.duckdb); the copy is not used: see whether the product opens the original, and run "
        "again",
    ),
    (
        errors.DatabaseDiffers,
        lambda tmp: duckdb_check.compare(Rows("1", {"main.a": 2}), Rows("1", {}), STATE),
        "AH093: the database in '/run/copy' has other rows than the one in '/data/state' (table "
        "main.a: 2 and none); the copy is not used, state stays at '/data/state': run again",
    ),
    (
        errors.DatabaseTouched,
        touching,
        "AH095: opening the database in '{tmp}' read-only changed its files (system.duckdb); the "
        "copy is not used: see whether the image is the one that the product runs",
    ),
    (
        errors.TreeTooDeep,
        deep,
        f"AH096: '{'/'.join(['d'] * DEPTH)[:80]}' has directories more than {DEPTH} deep, which no "
        "state has; find out what made them, then move them out of the way",
    ),
    (
        errors.CopyBusy,
        locked_twice,
        "AH097: another process is copying to '/run/copy' (it holds the lock on that directory); "
        "wait until it has ended, or find out what it is",
    ),
]
