# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``agnes-host`` on the host: for people, and for the units of systemd."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from ..core.host import status as core_status
from ..core.host.errors import Refusal
from ..core.host.text import clean, shown
from ..core.layout.layouts import DISKS
from ..host_tools.guard import count_at_stop, guard, start_held
from ..host_tools.keep_env import keep_env
from ..host_tools.rebind import rebind
from ..host_tools.rotate import rotate
from ..host_tools.status import status
from ..host_tools.turn import NotNow
from ..host_tools.upgrade import upgrade
from ..system.host.commands import Failed
from .explain import by_subject, explain
from .runner import run_requested

USAGE = (
    "usage: agnes-host status [--json] | explain [--json] | tls-rotate | auto-upgrade [--again] | keep-env | "
    "guard [--wait SECONDS [--start] | --stopped] | rebind [--state UUID] [--data UUID] [--because WORD]"
)
HELP = f"""{USAGE}

status        layout, disks, containers, certificate; exit status 1 when something is wrong
explain       all that matters in trouble, and what to do next
rebind        what is on a disk; with --because (restore, replaced, new-boot-disk) the host takes it as its own
guard         whether Docker may start on the disks that are there
auto-upgrade  fetch the images, start what is new, go back if that does not come up
tls-rotate    fetch the certificate, check it, place it, see that Caddy serves it
keep-env      put the layout's keys in /opt/agnes/.env back

Only root can call it. status, explain, and rebind without --because change nothing."""


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{shown(text)}\n")
    stream.flush()


def _say(text: str) -> None:
    _write(sys.stdout, text)


def _status(as_json: bool) -> int:
    """Exit status 1 says that something is wrong."""
    observed = status()
    _say(json.dumps(clean(observed)) if as_json else "\n".join(core_status.lines(observed)))
    return 1 if observed["problems"] else 0


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


def _guard(seconds: float, counts: bool, starts: bool = False) -> int:
    guard(_say, seconds, counts=counts)
    if starts:
        start_held(_say)
    return 0


def _count() -> int:
    count_at_stop(_say)
    return 0


def _options(given: Sequence[str]) -> dict[str, str]:
    """The options of rebind, each once and with its value; empty for anything else."""
    names, values = given[::2], given[1::2]
    known = ("--state", "--data", "--because")
    if len(names) != len(values) or len(set(names)) != len(names) or set(names) - set(known):
        return {}
    return {name[2:]: value for name, value in zip(names, values)}


def _rebind(options: dict[str, str]) -> int:
    # As low-level probes write them: in small letters.
    uuids = {role: options[role].lower() for role in DISKS if options.get(role)}
    rebind(_say, uuids, options.get("because", ""))
    return 0


def _upgrade(again: bool) -> int:
    upgrade(_say, again)
    return 0


def main() -> int:
    """Entry point; returns the exit status."""
    asked = sys.argv[1:]
    as_json = asked[1:] == ["--json"]
    if asked in (["help"], ["--help"], ["-h"]):
        _say(HELP)
        return 0
    if asked and os.geteuid():
        # What only root can read must not be taken for something that is wrong.
        _write(sys.stderr, f"agnes-host: only root can do this; run 'sudo agnes-host {asked[0]}'")
        return 1
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
        if asked[:1] == ["rebind"] and {"state", "data"} & set(options := _options(asked[1:])):
            return _rebind(options)
        if asked == ["guard"]:
            return _guard(0.0, counts=False)
        if asked == ["guard", "--stopped"]:
            return _count()
        if asked[:2] == ["guard", "--wait"] and len(asked) > 2 and asked[2].isdecimal():
            if asked[3:] in ([], ["--start"]):
                return _guard(float(asked[2]), counts=True, starts=bool(asked[3:]))
    except NotNow as error:
        _say(str(error))
        return 0
    except (Refusal, Failed, OSError) as error:
        _write(sys.stderr, f"agnes-host: {error}")
        return 1
    _write(sys.stderr, USAGE)
    return 2
