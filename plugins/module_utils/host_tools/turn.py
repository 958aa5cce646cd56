# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is: one tool at a time, none while a move is not ended, none on a wrong disk."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from ..core.host.errors import Refusal
from ..core.host.host_tool_errors import HostDiskAway
from ..core.host.host_tools import (
    PROJECT_DIR,
    check_shown,
    layout_of,
    state_disk,
    wanted_disks,
)
from ..core.layout import dotenv
from ..core.layout.generation import check_not_older
from ..core.layout.layouts import Layout
from ..core.move.move_errors import LockHeld
from ..system.compose import upgrade
from ..system.host import durable, record
from ..system.host.waiting import given, until
from ..system.layout import dotenv_file, generations
from ..system.move import ledger, moving

UPGRADE_LOCK = upgrade.LOCK
"""The product's own upgrade holds it while it works, and so does a move."""

POLL_SECONDS = 1.0


class NotNow(Exception):
    """Another one works; nothing was done, and that is no error. The message says who."""


def _taken(fd: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextmanager
def held(seconds: float, path: str = UPGRADE_LOCK) -> Iterator[None]:
    """Hold the lock of the product's upgrade; raises LockHeld when it is taken for longer than ``seconds``."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        if not until(partial(_taken, fd), seconds, POLL_SECONDS):
            holder = "an upgrade, a rotation or a move at work"
            raise LockHeld(path=path, found=holder, seconds=int(seconds))
        yield
    finally:
        os.close(fd)


@contextmanager
def turn(seconds: float = 0.0, path: str = UPGRADE_LOCK) -> Iterator[None]:
    """Hold the same as a tool does; raises NotNow when it is taken for longer than ``seconds``.

    Also while a move is begun and not ended: who carries it out holds the lock only while it works.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(held(seconds, path))
        except LockHeld:
            what = f"another upgrade, rotation or move is at work (it holds {path})"
            raise NotNow(f"{what}; nothing was done") from None
        if durable.read_stat(ledger.INTENT) is not None:
            raise NotNow("a move of the state is not ended; nothing was done before it is")
        yield


def environment(project_dir: str = PROJECT_DIR) -> dict[str, str]:
    """``.env`` as its readers take it. Raises Unreadable."""
    return dotenv.read(dotenv_file.read(project_dir) or "")


def layout_here(env: dict[str, str], project_dir: str = PROJECT_DIR) -> Layout:
    """The layout of this host, with each of its disks where it belongs. Raises NotThisLayout, HostDiskAway, StateOlder."""
    recorded = record.load()
    layout = layout_of(env, recorded, dotenv_file.path_in(project_dir))
    shown = {path: moving.mount_at(path)[1:] for path in wanted_disks(layout, recorded)}
    check_shown(layout, recorded, shown)
    marker, kept = moving.marker(layout.state_dir), generations.load()
    check_not_older(marker, kept, layout.state_dir, *state_disk(layout, recorded))
    return layout


def layout_soon(env: dict[str, str], project_dir: str, seconds: float) -> Layout:
    """The same, where a disk may still appear within ``seconds``: nothing is mounted in its place."""
    return given(partial(layout_here, env, project_dir), HostDiskAway, seconds, POLL_SECONDS)


def count(say: Callable[[str], None], state_dir: str, seconds: float = 0.0) -> None:
    """Count how new state is, unless that was done less than ``seconds`` ago.

    A disk that is full, say, is no reason to keep the stack down.
    """
    try:
        generations.count_if_due(state_dir, seconds)
    except (Refusal, OSError) as error:
        say(f"an older snapshot of this state would not be seen, as it can't be counted: {error}")
