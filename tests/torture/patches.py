# SPDX-License-Identifier: GPL-3.0-or-later
"""Troubles that come between two steps, or inside of one: planted in the runner of a case."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import host

from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import COMMIT
from ansible_collections.agnes.host.plugins.module_utils.move import context, places, runner, steps
from ansible_collections.agnes.host.plugins.module_utils.system.host import durable, record
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger, moving


def _at(acts: dict[tuple[str, str], Callable[[], None]]) -> None:
    """Do something once in a case, where a step is reached; each run is a process of its own."""
    reach = runner.reach

    def also(step: str, when: str) -> None:
        done = Path(f"/run/at {step}.{when}")
        if (step, when) in acts and not done.exists():
            done.touch()
            acts[step, when]()
        reach(step, when)

    runner.reach = also


def corrupt() -> None:
    """From now on the copy differs from state after the last pass, at the same time stamp."""
    act = steps.ACTS["final"].act

    def damaged(move: context.MoveContext) -> None:
        act(move)
        path = f"{moving.STAGE}/system.duckdb"
        info = os.stat(path)
        with open(path, "r+b") as file:
            file.write(b"x")
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    runner.ACTS = {**steps.ACTS, "final": replace(steps.ACTS["final"], act=damaged)}


def _take(path: str) -> None:
    host.run("umount", path)
    # Were it immutable, nobody could start on it by mistake.
    host.run("chattr", "-i", path)


def unmounted() -> None:
    """Once, the state disk goes away when the stack is about to start on it."""
    _at({("start", "before"): lambda: _take("/data-state")})


def data_gone() -> None:
    """Once, the data disk goes away when the state disk is at its new place only."""

    def away() -> None:
        host.run("umount", "/data")
        Path("/data/state").mkdir(exist_ok=True)

    _at({("line", "after"): away})


def gone_on_the_way_back() -> None:
    """Once, it is away while going back would start the stack on it."""
    _at(
        {
            ("stop", "undo_before"): lambda: _take("/data/state"),
            ("mount", "undo_before"): lambda: host.run("mount", "/data/state") and None,
        }
    )


def gone_in_between() -> None:
    """Once, after a way back that failed: the disk that counts no more goes away, and fstab has its line."""
    _at({("unlist", "undo_after"): lambda: host.run("umount", "/data/state") and None})


def mounted_again() -> None:
    """Once, on the way back, something has mounted the disk over the state."""
    _at(
        {
            ("stop", "undo_before"): lambda: (
                host.run("mount", host.DEVICES["state"], "/data/state") and None
            )
        }
    )


def not_replaced() -> None:
    """From the commit on .env can't be replaced, until going back has started what ran."""
    env = "/opt/agnes/.env"
    _at(
        {
            (COMMIT, "before"): lambda: host.run("mount", "--bind", env, env) and None,
            ("point", "undo_before"): lambda: host.run("umount", env) and None,
        }
    )


def _committing() -> Path:
    """A file that is there from the commit on."""
    _at({(COMMIT, "before"): lambda: None})
    return Path(f"/run/at {COMMIT}.before")


def flush_fails(name: str, often: bool) -> None:
    """In the first run, the flush of an .env that names this layout is an error: once, or each time."""
    flush, folder, left = os.fsync, os.stat("/opt/agnes"), [often]
    committing = _committing()

    def failing(fd: int) -> None:
        if os.path.samestat(os.fstat(fd), folder) and committing.exists():
            first = not Path("/run/failed").exists() or Path("/run/failed").read_text() == str(
                os.getpid()
            )
            if first and host.layout_named_by_env().name == name and left:
                Path("/run/failed").write_text(str(os.getpid()))
                if not often:
                    left.clear()
                raise OSError(errno.EIO, "the flush has failed")
        flush(fd)

    durable.os.fsync = failing


def unflushed(name: str) -> None:
    """Killed when an .env has its place that names this layout, and nobody has flushed that.

    The next process must, before it does or undoes anything.
    """
    flush, folder, committing = os.fsync, os.stat("/opt/agnes"), _committing()
    reach = runner.reach

    def flushed(fd: int) -> None:
        if os.path.samestat(os.fstat(fd), folder):
            seen = Path("/run/killed")
            if not seen.exists() and committing.exists():
                if host.layout_named_by_env().name == name:
                    seen.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            elif seen.exists():
                Path("/run/flushed").touch()
        flush(fd)

    def checked(step: str, when: str) -> None:
        if os.path.exists("/run/killed") and not os.path.exists("/run/flushed"):
            raise RuntimeError(f"'{step}' relies on an .env that nobody has flushed")
        reach(step, when)

    durable.os.fsync, runner.reach = flushed, checked


def forged(role: str) -> None:
    """A directory of uid 999's is in the link's place that says it is a copy of this host's."""

    def put() -> None:
        path = Path("/data/state")
        os.rename(path, "/data/the-link")
        path.mkdir()
        marker = json.loads(Path("/data-state/.agnes-state.json").read_text())
        record.save({**record.load(), "instance_id": marker["instance_id"]})
        text = json.dumps({**marker, "role": role})
        (path / ".agnes-state.json").write_text(text)
        Path("/run/forged").write_text(str(path.stat().st_ino))

    def look() -> None:
        if os.stat("/data/state").st_ino == int(Path("/run/forged").read_text()):
            path = Path("/run/stand-in.json")
            store = json.loads(path.read_text())
            store["wrong"].append("a start in a directory that uid 999 has made, and holds open")
            path.write_text(json.dumps(store))

    _at({("nest", "before"): put, ("start", "before"): look})


def intent_not_saved() -> None:
    """No room on the root disk from the moment on when /data is given back."""
    write = ledger.write

    def full(path: str, value: dict[str, Any]) -> None:
        taken = (ledger.read(ledger.INTENT) or {}).get("data_taken")
        if path == ledger.INTENT and taken and not value["data_taken"]:
            raise OSError(errno.ENOSPC, "no room for the intent")
        write(path, value)

    ledger.write = full


def half_unmade() -> None:
    """Killed once on the way back, when link and directory have changed places and the directory is still aside."""
    settle, seen = places._settle, Path("/run/half unmade")

    def killed(aside: int, name: str) -> None:
        if not seen.exists() and (ledger.read(ledger.INTENT) or {}).get("direction") == "back":
            seen.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        settle(aside, name)

    places._settle = killed


PATCHES = {
    "corrupted": corrupt,
    "unmounted": unmounted,
    "data gone": data_gone,
    "gone on the way back": gone_on_the_way_back,
    "not replaced": not_replaced,
    "mounted again": mounted_again,
    "flush fails once forward": lambda: flush_fails("flat", often=False),
    "flush fails back": lambda: flush_fails("nested", often=True),
    "gone in between": gone_in_between,
    "unflushed forward": lambda: unflushed("flat"),
    "unflushed back": lambda: unflushed("nested"),
    "forged incomplete": lambda: forged("incomplete"),
    "forged sealed": lambda: forged("sealed"),
    "intent not saved": intent_not_saved,
    "half unmade": half_unmade,
}
"""By name, as a case is given it."""
