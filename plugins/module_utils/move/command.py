# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``agnes-host`` on the host: for people, and for the units of systemd."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from ..core.host import status as core_status
from ..core.host.errors import Refusal
from ..core.host.text import clean, shown
from ..host_tools.guard import guard
from ..host_tools.keep_env import keep_env
from ..host_tools.rotate import rotate
from ..host_tools.status import status
from ..host_tools.turn import NotNow
from ..host_tools.upgrade import upgrade
from ..system.host.commands import Failed
from .explain import by_subject, explain
from .runner import run_requested

USAGE = "usage: agnes-host status [--json] | explain [--json] | tls-rotate | auto-upgrade [--again] | keep-env | guard [--wait SECONDS]"


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{shown(text)}\n")
    stream.flush()


def _say(text: str) -> None:
    _write(sys.stdout, text)


def _status(as_json: bool) -> int:
    """Exit status 1 says that something is wrong."""
    found = status()
    _say(json.dumps(clean(found)) if as_json else "\n".join(core_status.lines(found)))
    return 1 if found["problems"] else 0


def _explain(as_json: bool) -> int:
    lines = explain()
    _say(json.dumps(clean([by_subject(line) for line in lines])) if as_json else "\n".join(lines))
    return 0


def _rotate() -> int:
    rotate(_say)
    return 0


def _keep_env() -> int:
    keep_env(_say)
    return 0


def _guard(seconds: float) -> int:
    guard(_say, seconds)
    return 0


def _upgrade(again: bool) -> int:
    upgrade(_say, again)
    return 0


def main() -> int:
    """Entry point; returns the exit status."""
    asked = sys.argv[1:]
    as_json = asked[1:] == ["--json"]
    try:
        if asked[:1] == ["explain"] and (as_json or not asked[1:]):
            return _explain(as_json)
        if asked[:1] == ["status"] and (as_json or not asked[1:]):
            return _status(as_json)
        if asked == ["move"]:
            return run_requested(_say)
        if asked == ["tls-rotate"]:
            return _rotate()
        if asked[:1] == ["auto-upgrade"] and asked[1:] in ([], ["--again"]):
            return _upgrade(bool(asked[1:]))
        if asked == ["keep-env"]:
            return _keep_env()
        if asked == ["guard"]:
            return _guard(0.0)
        if asked[:2] == ["guard", "--wait"] and len(asked) == 3 and asked[2].isdecimal():
            return _guard(float(asked[2]))
    except NotNow as error:
        _say(str(error))
        return 0
    except (Refusal, Failed, OSError) as error:
        _write(sys.stderr, f"agnes-host: {error}")
        return 1
    _write(sys.stderr, USAGE)
    return 2
