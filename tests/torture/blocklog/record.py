# SPDX-License-Identifier: GPL-3.0-or-later
"""Record a whole move: every write and flush of every file system that it writes, in one log.

``record.py FOLDER BEGIN [back]``, run through ``unshare``. Leaves in FOLDER the image as it
was when the move began (base.raw), the log (log.raw), and what was true at which entry of it
(moves.json). ``back``: right after the commit the move meets an error, and goes back.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import case
import host

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import BEFORE, COMMIT
from ansible_collections.agnes.host.plugins.module_utils.move import runner
from blocklog import log, machine

MARKS = "/run/marks.jsonl"
_DAEMON = "qemu-storage-daemon"


def request(begin: str, devices: dict[str, str]) -> dict[str, Any]:
    """The part of a request that hangs on the kind of move; disks have serials here."""
    kind = case.asked(begin, devices)
    if kind["disk"]:
        kind["disk"].update(identity="serial:DISK-state", size=machine.SIZES["state"])
    return kind


def prepare(folder: Path, begin: str) -> dict[str, Any]:
    """In a process of its own: a host where nothing moves, flushed and unmounted; what it is like."""
    machine.nodes(folder)
    devices = machine.attach(folder / "disk.raw")
    machine.format_all(devices, begin == host.COPY)
    root = folder / "root"
    root.mkdir()
    for role in machine.OWN:
        place = str(root) + machine.PLACES.get(role, "")
        os.makedirs(place, exist_ok=True)
        machine.mount(f"{folder}/dev/{os.path.basename(devices[role])}", place, "ext4")
    machine.furnish(folder)
    for role in reversed(machine.OWN):
        host.run("umount", str(root) + machine.PLACES.get(role, ""))
    machine.enter(folder, devices)
    source = LAYOUTS[host.SOURCES.get(begin, begin)]
    machine.provision(source, devices, begin)
    store = Path("/run/stand-in.json").read_text()
    prepared = {
        "before": case.manifest(source.state_dir, begin), "store": json.loads(store), "union": [],
    }  # fmt: skip
    if begin == host.PROMOTE:
        union = host.whole(source.mounts["state"], devices["state"])
        prepared["union"] = [[os.fsdecode(entry.path), entry.content] for entry in union]
    os.sync()
    return prepared


def in_a_child(act: Callable[[], Any], results: Path) -> Any:
    """Run ``act`` in a mount namespace that is gone afterwards; what it returns."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            out = os.open(results, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            machine.unshare()
            os.write(out, json.dumps(act()).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _pid, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"a step of the preparation failed: {status}")
    return json.loads(results.read_text())


def export(folder: Path) -> subprocess.Popen[bytes]:
    """The image as a file, through a driver that logs what is written and flushed."""
    for name in ("log.raw", "exported"):
        (folder / name).touch()
    exported = folder / "exported"
    daemon = subprocess.Popen(
        [
            _DAEMON,
            "--blockdev", f"driver=file,node-name=file,filename={folder}/disk.raw",
            "--blockdev", "driver=raw,node-name=disk,file=file",
            "--blockdev", f"driver=file,node-name=log,filename={folder}/log.raw",
            "--blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log,log-super-update-interval=1",
            "--export", f"type=fuse,id=out,node-name=logged,mountpoint={exported},writable=on,growable=off",
        ]
    )  # fmt: skip
    end = time.monotonic() + 20
    while os.stat(exported).st_size != machine.SIZE:
        if daemon.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{_DAEMON} does not export the image: is there a /dev/fuse?")
        time.sleep(0.01)
    return daemon


class Recorder:
    """Notes at which entry of the log which step is under way; while the stack runs, it writes rows."""

    def __init__(self, log: int, before: set[str]) -> None:
        self.log = log
        self.before = before
        self.fails = False

    def at(self) -> int:
        """How many entries there are now."""
        return log.length(os.pread(self.log, 64, 0))

    def reach(self, step: str, when: str) -> None:
        """In place of the failpoints."""
        with open(MARKS, "a") as file:
            file.write(json.dumps({"at": self.at(), "step": step, "when": when}) + "\n")
        if step in self.before and when == "before":
            host.run("docker", "write")
        if self.fails and (step, when) == (COMMIT, "after"):
            raise OSError(errno.EIO, "the recorded move meets this error")


def record(folder: Path, begin: str, back: bool, prepared: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own: the move, recorded; ``back``: what is recorded ends where it began."""
    source = LAYOUTS[host.SOURCES.get(begin, begin)]
    target = next(layout for layout in LAYOUTS.values() if layout is not source)
    machine.nodes(folder)
    devices = machine.attach(folder / "exported")
    machine.name_disks(devices, "boot 0")
    kept = os.open(folder / "log.raw", os.O_RDONLY)
    machine.enter(folder, devices)
    Path("/run/block.log").touch()
    machine.bind(f"/proc/self/fd/{kept}", "/run/block.log")
    Path("/run/stand-in.json").write_text(json.dumps(prepared["store"]))
    host.run("mount", "--all", "--types", "ext4")
    os.mkdir("/run/agnes-host", 0o700)
    asked = request(begin, devices)
    steps = KINDS[str(asked["kind"])].order
    recorder = Recorder(kept, {step for step, phase in steps if phase == BEFORE})
    prepared["start"] = case.end_state(target)
    os.sync()
    os.sync()
    prepared["began"] = recorder.at()
    runner.reach = recorder.reach
    if back:
        recorder.fails = True
        _status, result = case.once(target, source, "", False, asked)
        if result["code"] != "AH069":
            raise RuntimeError(f"it has not gone back: {result}")
        prepared["back"], prepared["ended"] = case.end_state(target), recorder.at()
        recorder.fails, asked = False, request(begin, devices)
    status, result = case.once(target, source, "", False, asked)
    if status:
        raise RuntimeError(f"{result}\n{Path(case.LOG).read_text()}")
    lines = {name: Path(name).read_text().splitlines() for name in (MARKS, "/run/timeline.jsonl")}
    return {
        **prepared, "begin": begin,
        "marks": [json.loads(line) for line in lines[MARKS]],
        "timeline": [json.loads(line) for line in lines["/run/timeline.jsonl"]],
        "end": case.end_state(target), "uuid": host.state_uuid(begin),
    }  # fmt: skip


def main() -> None:
    folder, begin, back = Path(sys.argv[1]), sys.argv[2], sys.argv[3:] == ["back"]
    with (folder / "disk.raw").open("wb") as file:
        file.truncate(machine.SIZE)
    machine.tools(folder)
    prepared = in_a_child(lambda: prepare(folder, begin), folder / "prepared.json")
    host.run("cp", "--sparse=always", str(folder / "disk.raw"), str(folder / "base.raw"))
    daemon = export(folder)
    try:
        in_a_child(lambda: record(folder, begin, back, prepared), folder / "moves.json")
    finally:
        time.sleep(0.2)
        daemon.terminate()
        daemon.wait()


if __name__ == "__main__":
    main()
