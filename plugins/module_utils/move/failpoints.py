# SPDX-License-Identifier: GPL-3.0-or-later
"""Points at which a test can make a move fail; inert unless a test arms one.

Points are ``STEP.WHEN:MODE``, several with commas, from the environment or from a file in
memory. Each fires once in a process; the file is taken away when the first one does.
"""

from __future__ import annotations

import errno
import os
import signal

VARIABLE = "AGNES_HOST_FAILPOINT"
FILE = "/run/agnes-host/failpoint"
FIRED = "/run/agnes-host/failpoint.fired"

ERRORS = {"eio": errno.EIO, "enospc": errno.ENOSPC, "erofs": errno.EROFS}
MODES = ("kill", *ERRORS)
HANG = "hang"
"""Stops there until it gets SIGCONT: time to do something to the host, or to the run, just then."""

_fired: set[str] = set()


def _armed() -> list[str]:
    text = os.environ.get(VARIABLE, "")
    if not text:
        try:
            with open(FILE, encoding="ascii") as file:
                text = file.read()
        except OSError:
            return []
    return text.strip().split(",")


def reach(step: str, when: str) -> None:
    """Fail here if a test has armed this point."""
    for armed in _armed():
        point, _colon, mode = armed.partition(":")
        if point == f"{step}.{when}" and point not in _fired:
            _fire(point, mode)


def _fire(point: str, mode: str) -> None:
    _fired.add(point)
    if os.path.exists(FILE):
        os.unlink(FILE)
    with open(FIRED, "a", encoding="ascii") as file:
        file.write(f"{point}:{mode}\n")
    if mode == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == HANG:
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    raise OSError(ERRORS[mode], os.strerror(ERRORS[mode]), f"failpoint {point}")
