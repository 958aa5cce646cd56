#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A move under attack by uid 999, and another one after it: ``hostile.py FOLDER BEGINNING ATTACK SEED [STEP]``.

Run it through ``unshare``, as case.py. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import attacks
import case
import host

from ansible_collections.agnes.host.plugins.module_utils.core.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.system import copying, mountinfo

TWO_PLACES = "a start with two places that state may be at"
"""Of docker_stand_in.py."""
NOT_OURS = "(AH124: '/data/state' must be a link"
OWN = ("/etc/fstab", "/etc/systemd")
"""What a move does change in /etc."""


def outside() -> dict[str, Any]:
    """All that is in /etc, and the canaries: kind, owner, mode, times, content of some."""
    found: dict[str, Any] = {}
    for top in ("/etc",):
        for folder, folders, names in os.walk(top):
            for name in (".", *folders, *names):
                path = os.path.normpath(os.path.join(folder, name))
                if path.startswith(OWN) or path == "/etc":
                    continue
                info = os.lstat(path)
                found[path] = [
                    info.st_mode,
                    info.st_uid,
                    info.st_gid,
                    info.st_size,
                    info.st_mtime_ns,
                ]
    for path in attacks.OUTSIDE:
        info = os.lstat(path)
        found[path] = [Path(path).read_text(), info.st_mode, info.st_uid, info.st_mtime_ns]
    return found


def mounted() -> set[str]:
    """Mount points, without those that a move makes."""
    own = ("/data/state", "/data-state", "/run/agnes-host/copy")
    return {line.target for line in mountinfo.read() if line.target not in own}


def prepare(attack: str) -> None:
    """Root's files, and the room that an attack needs."""
    for path in attacks.OUTSIDE:
        Path(path).write_text(f"root's {path}")
        os.chmod(path, 0o600)
    if attack == "hardlinks":
        os.link("/data/canary", attacks.LINKED)


def running() -> bool:
    """Whether what ran before runs."""
    store = json.loads(Path("/run/stand-in.json").read_text())
    return all(
        store["containers"].get(f"agnes-{name}-1", {}).get("state") == "running"
        for name in host.RUNNING
    )


def forgive(attack: str) -> None:
    """What the attack does itself at the moment of a start: the link of ours is something else then."""
    path = Path("/run/stand-in.json")
    if attack == "state":
        store = json.loads(path.read_text())
        store["wrong"] = [each for each in store["wrong"] if each != TWO_PLACES]
        path.write_text(json.dumps(store))


def main() -> None:
    """Entry point."""
    folder, begin, attack, seed, *step = sys.argv[1:]
    signal.alarm(170)
    copying.STALL_SECONDS = 3.0
    source = LAYOUTS[host.SOURCES.get(begin, begin)]
    target = next(layout for layout in LAYOUTS.values() if layout is not source)
    devices = host.enter(Path(folder), begin)
    host.provision(source, devices, "none", begin)
    host.systemd()
    before = host.manifest(source.state_dir)
    prepare(attack)
    untouched, mounts = outside(), mounted()
    with attacks.under(attack, int(seed), "".join(step), case.LOG) as turns:
        status, result = case.once(target, source, "", False, case.asked(begin, devices))
        named, up = host.layout_named_by_env().name, running()
        link = os.readlink("/data/state") if os.path.islink("/data/state") else ""
        problems = {path: found for path, found in outside().items() if untouched[path] != found}
    problems.update(dict.fromkeys(mounted() - mounts, "mounted"))
    report = {"turns": turns[0], "status": status, "message": result.get("message", ""),
              "named": named, "up": up, "touched": problems, "link": link, "again": {}}  # fmt: skip
    status, result = case.once(target, source, "", False, case.asked(begin, devices))
    if attack == "state" and NOT_OURS in result.get("message", ""):
        # What the attack has left there is left as found, until somebody does what docs/errors.md says.
        os.rename("/data/state", "/data/found")
        status, result = case.once(target, source, "", False, case.asked(begin, devices))
    report["again"] = {"status": status, "message": result.get("message", "")}
    report["log"] = Path(case.LOG).read_text()
    if status == 0:
        forgive(attack)
        case.check(before, begin)
        assert running()
        assert outside() == untouched
    print(json.dumps(report).replace(host.state_uuid(begin), "UUID-OF-STATE"))


if __name__ == "__main__":
    main()
