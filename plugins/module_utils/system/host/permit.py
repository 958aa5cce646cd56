# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard that is on this host, and the permit without which it lets no container of the stack start.

The permit is an empty directory on a tmpfs, so no boot finds one. Where the guard holds back the stack
alone, containers mount it read-only: while it is not there, the engine can't start them.
"""

from __future__ import annotations

import os
from contextlib import suppress

from ...core.compose.overlay import PERMIT
from ...core.host.guard import DROP_IN, OFF, STACK, guard_in
from . import durable
from .actions import Actions


def guard_here() -> str:
    """Which guard is on this host: one of core/host/guard.GUARDS."""
    return guard_in(durable.read_text(DROP_IN))


def is_needed() -> bool:
    """Whether containers of this host are to have the permit."""
    return guard_here() == STACK


def is_given() -> bool:
    """Whether containers that need the permit can start."""
    return os.path.isdir(PERMIT)


def give() -> None:
    """Let containers start, with any guard: where one takes the place of another, some need it and some do not."""
    if guard_here() != OFF:
        os.makedirs(PERMIT, 0o755, exist_ok=True)


def take_away() -> None:
    """Let none start any more; those that run keep what they have mounted."""
    with suppress(FileNotFoundError):
        os.rmdir(PERMIT)


def keep(wanted: str, actions: Actions) -> None:
    """Have it where containers need it. For a run, which has seen the disks in their places."""
    if wanted == STACK and not is_given():
        actions.take(PERMIT, "absent", "there", lambda: os.makedirs(PERMIT, 0o755, exist_ok=True))
