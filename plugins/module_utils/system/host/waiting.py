# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until something is so: the one loop that asks, and sleeps in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_POLL_SECONDS = 0.1
_T = TypeVar("_T")


def until(check: Callable[[], bool], seconds: float, poll: float = _POLL_SECONDS) -> bool:
    """Whether ``check`` comes true within ``seconds``; it is asked every ``poll`` seconds."""
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() >= end:
            return False
        time.sleep(poll)
    return True


def given(ask: Callable[[], _T], not_yet: type[Exception], seconds: float, poll: float) -> _T:
    """What ``ask`` gives, which may raise ``not_yet`` for up to ``seconds``; after that it is raised."""
    answers: list[_T] = []
    late: list[Exception] = []

    def asked() -> bool:
        try:
            answers.append(ask())
        except not_yet as error:
            late[:] = [error]
        return bool(answers)

    if not until(asked, seconds, poll):
        raise late[0]
    return answers[0]
