# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an upgrade of the stack is at work: the product's own script, our tool in its place, or a move."""

from __future__ import annotations

import os
from contextlib import suppress

from ..host.waiting import until

LOCK = "/var/lock/agnes-auto-upgrade.lock"
"""All of them hold it with flock while they work."""
_LOCKS = "/proc/locks"
_WAIT_SECONDS = 120.0
_POLL_SECONDS = 1.0


def at_work(path: str = LOCK) -> bool:
    """Whether another process holds the lock, which is not touched for that: a try could cost a tick its turn.

    The kernel names who holds what by device and inode (proc(5), /proc/locks).
    """
    with suppress(OSError):
        info = os.stat(path)
        device = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}"
        with open(_LOCKS, encoding="ascii") as file:
            rows = [line.split() for line in file]
        # Second column: the kind of lock, or an arrow for one who waits. Fifth: whose it is.
        held = [row[4] for row in rows if row[1] == "FLOCK" and row[5] == f"{device}:{info.st_ino}"]
        return any(pid != str(os.getpid()) for pid in held)
    return False


def last_begun(path: str = LOCK) -> int:
    """When an upgrade last opened the lock, in nanoseconds; 0 where there is none.

    The shell's ``exec 9>`` truncates the file, which marks it: so an upgrade that has begun and
    ended between two looks is seen, too.
    """
    with suppress(OSError):
        return os.stat(path).st_mtime_ns
    return 0


def wait_for(path: str = LOCK, seconds: float = _WAIT_SECONDS) -> None:
    """Wait until no other process holds it, for ``seconds`` at most."""
    until(lambda: not at_work(path), seconds, _POLL_SECONDS)
