# SPDX-License-Identifier: GPL-3.0-or-later
"""A move under attack by uid 999, and another one after it: ``hostile.py FOLDER BEGINNING ATTACK SEED [STEP]``.

Run it through ``unshare``, as case.py. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import attacks
import case
import host

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.layout.choice import choose_layout
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.system.copy import copying
from ansible_collections.agnes.host.plugins.module_utils.system.disks import mountinfo
from ansible_collections.agnes.host.plugins.module_utils.system.host.host import observe

FORGIVEN = {
    # Our link is something else at the moment of a start.
    "state": ("a start with two places that state may be at", "a start with no link for readers"),
    # What the move takes out of its place can go nowhere, and so stays where it is.
    "aside": ("a start with no link for readers",),
}
"""Attack -> what docker_stand_in.py finds wrong with a start, and the attack itself does."""
FOUND = {
    "(AH124: '/data/state' must be a link": "/data/state",
    "(AH120: '/data/.agnes-host-aside/copy-of-state' ": "/data/.agnes-host-aside/copy-of-state",
}
"""What the attack has left in our link's place is left as found, until somebody does what docs/errors.md says."""
GIVEN_BACK = "/data is its owner's again"
"""What the runner says right before the start, when uid 999 can rename state again."""
OWN = ("/etc/fstab", "/etc/systemd")
"""What a move does change in /etc."""


def outside() -> dict[str, Any]:
    """All that is in /etc, and the canaries: kind, owner, mode, times, content of some."""
    by_path: dict[str, Any] = {}
    for top in ("/etc",):
        for folder, folders, names in os.walk(top):
            for name in (".", *folders, *names):
                path = os.path.normpath(os.path.join(folder, name))
                if path.startswith(OWN) or path == "/etc":
                    continue
                info = os.lstat(path)
                by_path[path] = [
                    info.st_mode,
                    info.st_uid,
                    info.st_gid,
                    info.st_size,
                    info.st_mtime_ns,
                ]
    for path in attacks.OUTSIDE:
        info = os.lstat(path)
        by_path[path] = [Path(path).read_text(), info.st_mode, info.st_uid, info.st_mtime_ns]
    return by_path


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
    """Take out what the attack does itself."""
    path = Path("/run/stand-in.json")
    store = json.loads(path.read_text())
    store["wrong"] = [each for each in store["wrong"] if each not in FORGIVEN.get(attack, ())]
    path.write_text(json.dumps(store))


def afterwards(layout: Layout, devices: dict[str, str]) -> str:
    """What the next plan says of what has come into our link's place since the move has ended.

    Moved aside then, as the sentence tells the operator to do, and the link is back. A place that
    is empty is no such case: nobody but the move could have left it so.
    """
    said = ""
    for path, target in layout.links.items():
        if os.path.lexists(path) and not os.path.islink(path):
            said = "nothing"
            try:
                choose_layout(observe(devices["data"], devices["state"], "/opt/agnes"), layout.name)
            except Refusal as refusal:
                said = str(refusal)
            os.rename(path, f"{path}-afterwards")
            os.symlink(target, path)
    return said


def check_rows(places: set[int], _begin: str, named: Layout) -> None:
    """What a start wrote into state is there; what it wrote into a directory of uid 999's in its place, is not ours."""
    written = [json.loads(line) for line in Path("/run/written.jsonl").read_text().splitlines()]
    rows = set(Path(named.state_dir, "rows.log").read_text().split())
    assert rows <= {each["row"] for each in written}
    assert {each["row"] for each in written if each["inode"] in places} <= rows


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
    before, places = host.manifest(source.state_dir), {os.stat(source.state_dir).st_ino}
    prepare(attack)
    untouched, mounts = outside(), mounted()
    with attacks.under(attack, int(seed), "".join(step), case.LOG) as turns:
        status, result = case.once(target, source, "", False, case.asked(begin, devices))
        named, up = host.layout_named_by_env().name, running()
        link = os.readlink("/data/state") if os.path.islink("/data/state") else ""
        problems = {path: now for path, now in outside().items() if untouched[path] != now}
    problems.update(dict.fromkeys(mounted() - mounts, "mounted"))
    report = {"turns": turns[0], "status": status, "message": result.get("message", ""),
              "named": named, "up": up, "later": "", "given_back": GIVEN_BACK in Path(case.LOG).read_text(), "touched": problems, "link": link, "again": {}}  # fmt: skip
    if status == 0 and named == target.name and attack in ("state", "afterwards"):
        report["later"] = afterwards(target, devices)
    status, result = case.once(target, source, "", False, case.asked(begin, devices))
    for said, path in FOUND.items():
        if attack == "state" and said in result.get("message", ""):
            os.rename(path, f"{path}-found")
            status, result = case.once(target, source, "", False, case.asked(begin, devices))
    report["again"] = {"status": status, "message": result.get("message", "")}
    report["left"] = [str(each) for each in sorted(Path("/data").rglob("*"))]
    report["log"] = Path(case.LOG).read_text()
    if status == 0:
        forgive(attack)
        places.add(os.stat(host.layout_named_by_env().state_dir).st_ino)
        rows = partial(check_rows, places) if attack == "state" else case.check_rows
        case.check(before, begin, rows)
        assert running()
        assert outside() == untouched
    print(json.dumps(report).replace(host.state_uuid(begin), "UUID-OF-STATE"))


if __name__ == "__main__":
    main()
