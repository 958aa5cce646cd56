# SPDX-License-Identifier: GPL-3.0-or-later
"""One torture case: a move with failures planted, then plain runs, and what must hold after each.

Run it through ``unshare``, see test_failpoints.py. Prints one JSON object: what was
found at the end, for a comparison with a move that nothing disturbed.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import between
import host
import patches
import promises
import quick
import troubles

from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Entry
from ansible_collections.agnes.host.plugins.module_utils.core.disks import shadow
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS, remount
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import remaining
from ansible_collections.agnes.host.plugins.module_utils.move import (
    context,
    failpoints,
    places,
    runner,
)
from ansible_collections.agnes.host.plugins.module_utils.system.host import durable, kernel
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger, moving

LOG = host.LOG


def _disk(device: str) -> dict[str, Any]:
    """What the plan says of the blank disk."""
    number = os.stat(device).st_rdev
    return {
        "role": "state", "action": "format", "mount_point": "/data-state", "device": device,
        "maj_min": f"{os.major(number)}:{os.minor(number)}", "size": host.SIZE, "fstype": host.FSTYPE,
        "identity": "none", "lost": "", "note": "", "selinux_type": "",
        "uuid": (host.record().get("disks") or {}).get("copy", {}).get("uuid", ""),
    }  # fmt: skip


def asked(begin: str, devices: dict[str, str]) -> dict[str, Any]:
    """The part of a request that hangs on the kind of move."""
    if begin == host.COPY_BACK:
        data = {"device": devices["data"], "uuid": host.UUIDS["data"], "mount_point": "/data"}
        return {"kind": "copy_back", "disk": data, "uuid": host.UUIDS["state"]}
    if begin == host.PROMOTE:
        disk = {**_disk(devices["state"]), "uuid": host.UUIDS["state"]}
        shadowed = os.path.ismount("/data/state") or ledger.read(ledger.INTENT)
        # As it would be planned: a move that went back has left a directory, and a disk to copy to.
        kind = "promote" if shadowed or host.layout_named_by_env().needs_state_disk else "copy"
        return {"kind": kind, "copy_that_counts": "shadowed", "disk": disk, "uuid": disk["uuid"]}
    if begin != host.COPY:
        kind = "late_remount" if begin == "flat" else "remount"
        return {"kind": kind, "disk": {}, "uuid": host.UUIDS["state"]}
    disk = _disk(devices["state"])
    return {"kind": "copy", "disk": disk, "uuid": disk["uuid"]}


def intended(source: Layout, target: Layout, part: dict[str, Any], **more: Any) -> MoveIntent:
    """A request for a move; part: what of it hangs on the kind of move."""
    if not KINDS[part["kind"]].copies:
        # Asked for the other way round, it is that other way's.
        part = {**part, "kind": remount(source, target).name}
    said = {
        "copy_that_counts": "",
        "direction": "forward",
        "facts": {},
        "timeout": 20,
        **part,
        **more,
    }
    return MoveIntent(source=source.name, target=target.name, **said)


def undone(intent: MoveIntent) -> list[tuple[str, str]]:
    """The steps that are left after a move that is on record."""
    moved = moving.look(intent.project_dir)["moved"]
    ended = context.MoveContext(replace(intent, id=moved, services=list(host.RUNNING)))
    ended.fresh = {"start", "prove", "canary"}
    return remaining(ended.look())


def once(
    target: Layout,
    source: Layout,
    armed: str,
    forget: bool,
    kind: dict[str, Any],
    how: str = "",
) -> tuple[int, dict[str, Any]]:
    """One run of the runner in a process of its own; its exit status and result.

    forget: no request, as after a reboot.
    """
    Path("/run/agnes-host").mkdir(mode=0o700, exist_ok=True)
    direction = "back" if how == "back" else "forward"
    request = intended(source, target, kind, request=str(uuid.uuid4()), direction=direction)
    if not forget:
        ledger.write(ledger.REQUEST, request.to_dict())
    child = os.fork()
    if child == 0:
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if armed:
            os.environ[failpoints.VARIABLE] = armed
        status = 70
        ledger.remove = promises.told_first
        try:
            status = runner.run_requested(lambda text: print(text, flush=True))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    if how == "contended":
        second_runner(child)
    _pid, status = os.waitpid(child, 0)
    status, result = os.waitstatus_to_exitcode(status), ledger.read(ledger.RESULT) or {}
    assert status != 70, Path(LOG).read_text()
    if status in (0, 1) and not forget and promises.UNTOLD not in Path(LOG).read_text():
        promises.check_result(result, status, request.request, target)
    return status, result


def fired() -> list[str]:
    """The points that fired so far."""
    path = Path(failpoints.FIRED)
    return path.read_text().split() if path.exists() else []


def is_copied(begin: str) -> bool:
    """Whether state gets to the disk by being copied."""
    return begin in (host.COPY, host.PROMOTE)


def check_place(begin: str, named: Layout) -> None:
    """State is where .env says, and a copy that is not proved is not at the layout's place."""
    uuid = host.state_uuid(begin)
    at = [p["target"] for p in moving.points() if p["uuid"] == uuid]
    if is_copied(begin) and not named.needs_state_disk:
        assert not os.path.islink(named.state_dir)
        assert named.mounts["state"] not in at or begin == host.PROMOTE
        assert moving.marker(named.state_dir)["role"] in ("active", "retired")
        roles = {moving.marker(p).get("role") for p in at if p != named.mounts["state"]}
        assert roles <= {"sealed"}, f"{at} shows a copy that is {roles}"
        return
    if begin == host.COPY_BACK and not named.needs_state_disk:
        check_copied_back(named)
        return
    if begin == host.COPY_BACK and not os.path.islink("/data/state"):
        assert moving.marker("/data/state")["role"] == "sealed", "shown before it was proved"
    assert named.mounts["state"] in at, f".env names {named.state_dir}, the disk is at {at}"
    fstab = Path("/etc/fstab").read_text()
    assert f" {named.mounts['state']} {host.FSTYPE} " in fstab, fstab
    if is_copied(begin):
        assert moving.marker(named.state_dir)["role"] in ("sealed", "active")


def check_copied_back(named: Layout) -> None:
    """State is a proved directory of the data disk, which nothing shadows."""
    assert not os.path.islink(named.state_dir)
    assert not os.path.ismount(named.state_dir)
    assert os.stat(named.state_dir).st_dev == os.stat(named.mounts["data"]).st_dev
    assert moving.marker(named.state_dir)["role"] in ("sealed", "active")


def left_behind(devices: dict[str, str], before: dict[str, Any]) -> dict[str, Any]:
    """The state disk after state has gone from it: whole, and marked so that nobody takes it for state."""
    host.run("mount", "-o", "ro", devices["state"], "/mnt")
    try:
        assert host.manifest("/mnt") == before
        assert moving.marker("/mnt")["role"] == "retired"
        return {"role": "retired"}
    finally:
        host.run("umount", "/mnt")


def on_disk(start: list[Any], begin: str) -> bool:
    """Whether a start was on what was mounted before the move, where that is the copy that does not count."""
    number = os.stat(host.DEVICES["state"]).st_rdev
    own = start[1:] == [os.major(number), os.minor(number), "/data/state"]
    return begin == host.PROMOTE and own


def starts_before(store: dict[str, Any], begin: str) -> list[Any]:
    """The starts before the move on a copy that does not count."""
    return list(itertools.takewhile(lambda start: on_disk(start, begin), store["starts"]))


def check_starts(begin: str, named: Layout) -> None:
    """Each start saw the disk that was meant then."""
    store = json.loads(Path("/run/stand-in.json").read_text())
    number = os.stat(named.state_dir).st_dev
    disk = [os.major(number), os.minor(number)]
    assert store["wrong"] == [], store["wrong"]
    for start in store["starts"][len(starts_before(store, begin)) :]:
        assert start[0] in host.RUNNING, store["starts"]
        if begin not in host.SOURCES or start[3] == named.state_dir:
            assert start[1:3] == disk, store["starts"]
        elif begin == host.PROMOTE:
            data = os.stat("/data").st_dev
            assert start[1:3] == [os.major(data), os.minor(data)], store["starts"]


def check_rows(begin: str, named: Layout) -> None:
    """What each start wrote is there, and nothing else."""
    store = json.loads(Path("/run/stand-in.json").read_text())
    before = starts_before(store, begin)
    if begin == host.PROMOTE:
        assert set(store.get("rows", [])) <= host.rows("/data/state", host.DEVICES["state"])
    if not (begin == host.PROMOTE and os.path.ismount("/data/state")):
        rows = Path(named.state_dir, "rows.log").read_text().split()
        assert len(rows) == len(store["starts"]) - len(before), f"{rows} of {store['starts']}"


def manifest(path: str, begin: str) -> dict[str, list[Any]]:
    """What counts as state at ``path``: where the shadowed copy counts, that, until it shows by itself."""
    shadowed = begin == host.PROMOTE and path == "/data/state" and os.path.ismount(path)
    return host.shadowed_manifest(path) if shadowed else host.manifest(path)


def check_union(union: list[Entry], source: Layout, disk: str) -> None:
    """Nothing that was in one of two copies is nowhere now, by content."""
    gone = shadow.lost(union, host.whole(source.mounts["state"], disk)) if union else []
    assert not gone, f"lost: {gone}"


def check(
    before: dict[str, Any], begin: str, rows: Callable[[str, Layout], None] = check_rows
) -> None:
    """What must hold whenever the runner is not running, however it ended."""
    named = host.layout_named_by_env()
    check_place(begin, named)
    now = manifest(named.state_dir, begin)
    assert now == before, (
        f"state differs: {set(map(str, now.items())) ^ set(map(str, before.items()))}"
    )
    fstab = Path("/etc/fstab").read_text()
    assert fstab.startswith("# a comment\nproc /proc proc defaults 0 0\n")
    check_starts(begin, named)
    rows(begin, named)
    intent = ledger.read(ledger.INTENT)
    promises.check_intent(intent)
    promises.check_owner(intent, named, begin)
    if intent is None:
        promises.check_settled(named, begin)
    if is_copied(begin) and not named.needs_state_disk:
        promises.check_copy(begin, intent, fired())
    for path in ("/var/lib/agnes-host/journal.jsonl", LOG, ledger.RESULT):
        if os.path.exists(path):
            assert host.SECRET not in Path(path).read_text(), path


def end_state(target: Layout) -> dict[str, Any]:
    """All that a later run or an operator could tell apart."""
    facts = moving.look("/opt/agnes")
    store = json.loads(Path("/run/stand-in.json").read_text())
    aside = {
        parent: sorted(
            f"{oct(os.lstat(os.path.join(parent, places.ASIDE, n)).st_mode)}:"
            + ",".join(sorted(os.listdir(os.path.join(parent, places.ASIDE, n))))
            for n in os.listdir(os.path.join(parent, places.ASIDE))
        )
        for parent in ("/", "/data", "/data-state")
        if os.path.isdir(os.path.join(parent, places.ASIDE))
    }
    volatile = {"intent": facts["intent"], "moved": bool(facts["moved"])}
    for place in facts["unmounted"].values():
        # One line for each start, and some cases have one more.
        place["entries"] = [e for e in place["entries"] if e["name"] != "rows.log"]
    flags = {}
    for path in moving.state_dirs():
        with moving.parent_of(path) as parent:
            name = os.path.basename(path)
            if (
                os.path.isdir(f"/proc/self/fd/{parent}/{name}")
                and facts["unmounted"][path]["kind"] != "link"
            ):
                fd = os.open(name, os.O_RDONLY, dir_fd=parent)
                flags[path] = kernel.is_immutable(fd)
                os.close(fd)
    return {
        "immutable": flags,
        "owner of data": promises.owner_of_data(),
        **{key: value for key, value in facts.items() if key not in ("used", "moved", "points")},
        **volatile,
        "points": sorted([p["target"], p["uuid"]] for p in facts["points"]),
        "fstab": Path("/etc/fstab").read_text(),
        "dotenv": Path("/opt/agnes/.env").read_text(),
        "containers": {n: c["state"] for n, c in store["containers"].items()},
        "left_stopped": host.record().get("left_stopped"),
        "recorded": sorted(host.record().get("disks") or {}),
        "aside": aside,
        "overlay": durable.read_text(f"/opt/agnes/{target.overlay}"),
        "stages": [n for n in os.listdir("/run/agnes-host") if n.startswith("stage-")],
    }


HOWS = ("boot", "back", "reverse", "mended", "contended", "ticked", *between.EVENTS)
SECOND: dict[str, Any] = {}


def second_runner(first: int) -> None:
    """Another ``agnes-host move`` while the first one stops the stack."""
    while not os.path.exists(ledger.JOURNAL) or '"stop"' not in Path(ledger.JOURNAL).read_text():
        time.sleep(0.02)
    try:
        runner.run_requested(lambda _text: None)
        SECOND.update(first=first, found="it has run")
    except Refusal as refusal:
        SECOND.update(first=first, found=str(refusal))


def main() -> None:
    """``case.py FOLDER SOURCE LEFTOVERS RUN...``: each RUN is armed points, empty for a plain run.

    A RUN that begins with ``boot`` comes after a reboot: nothing is mounted but by fstab,
    /run is empty, and nobody asks for anything. ``back`` gives the move up, ``reverse`` asks
    for a move the other way, ``mended`` comes after what was in the way is gone, and in
    ``contended`` a second runner is started beside the first. Before ``ticked`` the product's
    upgrade has found its lock free. The others are in between.py.
    """
    folder, source_name, leftovers, *runs = sys.argv[1:]
    signal.alarm(400)
    quick.in_place()
    source = LAYOUTS[host.SOURCES.get(source_name, source_name)]
    target = next(layout for layout in LAYOUTS.values() if layout is not source)
    devices = host.enter(Path(folder), source_name)
    host.provision(source, devices, leftovers, source_name)
    host.systemd()
    if source_name != host.PROMOTE:
        # There the stack writes to the copy that does not count until it is stopped.
        Path("/run/writes").touch()
    troubles.disturb(leftovers, devices, Path(source.state_dir))
    if leftovers in patches.PATCHES:
        patches.PATCHES[leftovers]()
    before = manifest(source.state_dir, source_name)
    two = source_name == host.PROMOTE or leftovers in host.CONFLICTS
    union = host.whole(source.mounts["state"], devices["state"]) if two else []
    kind: dict[str, Any] = {
        "copy_that_counts": leftovers if leftovers in ("mounted", "shadowed") else ""
    }
    history = []
    for armed in runs:
        how, _comma, points = (
            armed.partition(",") if armed.split(",")[0] in HOWS else ("", "", armed)
        )
        if how in between.EVENTS:
            run = partial(once, target, source, "", kind=kind)
            history.append(between.EVENTS[how](run))
            continue
        forget = how == "boot"
        if forget:
            host.reboot()
            try:
                check(before, source_name)
                check_union(union, source, devices["state"])
            except AssertionError as error:
                sys.exit(f"after the reboot: {error}")
            if ledger.read(ledger.INTENT) is None:
                continue
        kind.update(asked(source_name, devices))
        ends = (source, target) if how == "reverse" else (target, source)
        if how == "ticked":
            assert troubles.upgrade(), "a dead runner holds the upgrade's lock"
            check(before, source_name)
        if how == "mended":
            troubles.mend()
        status, result = once(*ends, points, forget, kind, how)
        history.append({"armed": armed, "status": status, "message": result.get("message", ""),
                        "running": promises.running()})  # fmt: skip
        try:
            check(before, source_name)
            check_union(union, source, devices["state"])
        except AssertionError as error:
            log = Path(LOG).read_text()
            sys.exit(f"after '{armed}' ({status}, {result}): {error}\n{log}")
    if history[-1]["status"] == 0 and host.layout_named_by_env() is target:
        promises.check_ended(target, source, source_name, before)
    part = {**asked(source_name, devices), "uuid": host.state_uuid(source_name)}
    left = undone(intended(source, target, part))
    end = end_state(target)
    if source_name == host.COPY_BACK and host.layout_named_by_env() is target:
        end["left"] = left_behind(devices, before)
        assert not end["immutable"]["/data/state"], "nothing can be written into state"
    report = {"fired": fired(), "history": history, "left": left, "end": end,
              "log": Path(LOG).read_text(), "missing": os.path.exists("/run/missing"), "second": SECOND,
              "layout": host.layout_named_by_env().name}  # fmt: skip
    text = json.dumps(report).replace(host.state_uuid(source_name), "UUID-OF-STATE")
    print(text.replace(host.UUIDS["data"], "UUID-OF-DATA"))


if __name__ == "__main__":
    main()
