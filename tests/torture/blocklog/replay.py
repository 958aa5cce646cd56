# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot from states that a power cut can have left, let the runner recover, and say what holds.

``replay.py RECORDING FOLDER``, run through ``unshare``; states come as JSON lines on stdin,
in the order of their windows, and a verdict on each goes to stdout.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import case
import host
import quick

from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Entry
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger, moving
from blocklog import log, machine
from blocklog.record import request

SECONDS = 100
_CUT_OFF = re.compile(r"\.\.agnes-state\.json\.[0-9a-f]{12}\.new$")
"""What is left of a marker that was being written, until it is written again."""

_GROWS = re.compile(r'"size": \d+')
"""Of what the stack writes to while it runs."""


class Machine:
    """One boot of one state; all of it in a process that ends with it."""

    def __init__(self, recording: dict[str, Any], at: int) -> None:
        self.recording = recording
        self.begin: str = recording["begin"]
        self.source = LAYOUTS[host.SOURCES.get(self.begin, self.begin)]
        self.target = next(layout for layout in LAYOUTS.values() if layout is not self.source)
        store = self._store(at)
        self.acknowledged = set(store.get("rows") or ())
        begun = [m["step"] for m in recording["marks"] if m["when"] == "before" and m["at"] <= at]
        self.ended = set(begun[:-1])
        self.undone = {
            m["step"] for m in recording["marks"] if m["when"] == "undo_before" and m["at"] <= at
        }
        self.store = {**store, "starts": [], "rows": []}
        self.uuids: set[str] = set()
        self.union = [
            Entry(os.fsencode(path), "file", content=content)
            for path, content in recording["union"]
        ]

    def _store(self, at: int) -> dict[str, Any]:
        """What the stack was like at this entry of the log."""
        stores = [moment["store"] for moment in self.recording["timeline"] if moment["at"] <= at]
        store: dict[str, Any] = stores[-1] if stores else self.recording["store"]
        return store

    def boot(self, folder: Path, image: Path) -> None:
        """What a boot does: the file systems replay their journals, and fstab is mounted."""
        machine.nodes(folder)
        self.devices = machine.attach(image)
        machine.name_disks(self.devices, "boot 1")
        host.DEVICES.update(self.devices)
        machine.enter(folder, self.devices)
        Path("/run/stand-in.json").write_text(json.dumps(self.store))
        os.mkdir("/run/agnes-host", 0o700)
        host.run("mount", "--all", "--types", "ext4")

    def check_boot(self) -> None:
        """What must hold before anything is run.

        Where nobody goes on with the move, it has not begun, or nothing is left of it: it has
        ended, or has gone back. And the journal tells people of all that was done.
        """
        self.check()
        for phase, wanted in (("done", self.ended), ("undo", self.undone)):
            told = {line["step"] for line in ledger.tail(10000) if line["phase"] == phase}
            assert wanted <= told, f"the journal lacks {sorted(wanted - told)}, {phase}"
        if ledger.read(ledger.INTENT) is None:
            if host.layout_named_by_env() is self.target:
                self.check_end()
            else:
                self._compare("start", *(["back"] if "back" in self.recording else []))

    def check(self) -> None:
        """What must hold whenever the runner is not running."""
        named = host.layout_named_by_env()
        case.check_place(self.begin, named)
        self._check_files(named)
        self._check_starts(named)
        self._check_markers()
        if self.begin == host.COPY:
            self.uuids |= {"", host.state_uuid(self.begin)} - {host.UUIDS["data"]}
        if os.path.exists("/run/mkfs.log"):
            lost = {line.rstrip(".") for line in Path("/run/mkfs.log").read_text().split()}
            assert lost <= self.uuids, f"formatted what held a file system: {lost}"

    def _check_files(self, named: Layout) -> None:
        before = self.recording["before"]
        now = {
            path: entry
            for path, entry in case.manifest(named.state_dir, self.begin).items()
            if not _CUT_OFF.search(path)
        }
        assert now == before, (
            f"state differs: {set(map(str, now.items())) ^ set(map(str, before.items()))}"
        )
        fstab = Path("/etc/fstab").read_text()
        assert fstab.startswith("# a comment\nproc /proc proc defaults 0 0\n"), fstab
        fields = [line.split() for line in fstab.splitlines() if line.strip()[:1] not in ("", "#")]
        assert all(len(line) == 6 for line in fields), fstab
        assert len({line[1] for line in fields}) == len(fields), fstab

    def _check_starts(self, named: Layout) -> None:
        store = json.loads(Path("/run/stand-in.json").read_text())
        number = os.stat(named.state_dir).st_dev
        for service, major, minor, state in store["starts"]:
            assert service in host.RUNNING, store["starts"]
            if self.begin not in host.SOURCES or state == named.state_dir:
                assert (major, minor) == (os.major(number), os.minor(number)), store["starts"]
        self._check_rows(named, store)

    def _check_rows(self, named: Layout, store: dict[str, Any]) -> None:
        """Acknowledged rows are in state; where a copy shadowed it, that copy's are kept, too."""
        rows = set(Path(named.state_dir, "rows.log").read_text().split())
        wanted = self.acknowledged | set(store["rows"])
        if self.begin == host.PROMOTE:
            disk = self.devices["state"]
            case.check_union(self.union, self.source, disk)
            lost = wanted - host.rows(self.source.mounts["state"], disk)
            assert not lost, f"{len(lost)} acknowledged rows are in neither copy"
            ended = next(m["at"] for m in self.recording["marks"] if m["step"] == "quiet")
            wanted = self.acknowledged - set(self._store(ended)["rows"])
            wanted |= {
                row
                for row, start in zip(store["rows"], store["starts"])
                if not case.on_disk(start, self.begin)
            }
        lost = wanted - rows
        assert not lost, f"{len(lost)} acknowledged rows are lost"

    def _check_markers(self) -> None:
        """No two copies say that they are the state."""
        named = host.layout_named_by_env()
        if self.begin not in host.SOURCES or (self.begin == host.PROMOTE and named is self.source):
            return  # one disk; or two copies, of which one counts by decision
        beside = self.source if case.is_copied(self.begin) else self.target
        roles = [moving.marker(beside.state_dir).get("role")]
        try:
            machine.mount(self.devices["state"], "/mnt", "ext4")
        except OSError:
            return  # not formatted yet
        roles.append(moving.marker("/mnt").get("role"))
        host.run("umount", "/mnt")
        assert roles.count("active") <= 1, roles

    def recover(self) -> str:
        """The unit, if the intent is there, then a run that asks for the layout. Returns what was run."""
        runs = ["boot"] if ledger.read(ledger.INTENT) is not None else []
        for kind in (*runs, "plain"):
            asked = request(self.begin, self.devices)
            status, result = case.once(self.target, self.source, "", kind == "boot", asked)
            try:
                assert status == 0, f"it ended with {status}"
                self.check()
            except AssertionError as error:
                told = Path(case.LOG).read_text()
                raise AssertionError(f"after the {kind} run ({result}): {error}\n{told}") from error
        return "+".join([*runs, "plain"])

    def check_end(self) -> None:
        """The host is as after a move that nothing disturbed, and nothing is left to do."""
        part = {**request(self.begin, self.devices), "uuid": host.state_uuid(self.begin)}
        left = case.undone(case.intended(self.source, self.target, part))
        assert left == [("intent", "before")], left
        self._compare("end")

    def check_rest(self) -> None:
        """No temporary file is left for good."""
        written = ("/etc", "/opt/agnes", "/var/lib/agnes-host", self.target.state_dir)
        left = [
            os.path.join(folder, name)
            for top in written
            for folder, _folders, names in os.walk(top)
            for name in names
            if name.endswith(".new")
        ]
        assert not left, f"temporary files are left: {left}"

    def _compare(self, *moments: str) -> None:
        """The host is as it was at one of these moments of the recording."""
        now = _told(case.end_state(self.target), host.state_uuid(self.begin))
        wanted = [_told(self.recording[moment], self.recording["uuid"]) for moment in moments]
        differs = [sorted({*now.splitlines()} ^ {*each.splitlines()}) for each in wanted]
        assert now in wanted, f"not as at {' or '.join(moments)}: {differs}"


def _told(state: dict[str, Any], uuid: str) -> str:
    text = _GROWS.sub("", json.dumps(state, indent=1, sort_keys=True))
    return text.replace(uuid, "UUID-OF-STATE")


def verdict(recording: dict[str, Any], folder: Path, at: int, whole: bool) -> dict[str, Any]:
    """Boot the image in FOLDER and judge it. What went wrong is in ``why``.

    whole: also let the runner recover.
    """
    subject = Machine(recording, at)
    try:
        subject.boot(folder, folder / "image.raw")
        try:
            subject.check_boot()
        except AssertionError as error:
            raise AssertionError(f"after the boot: {error}") from error
        ran = "boot"
        if whole:
            ran = subject.recover()
            subject.check_end()
            subject.check_rest()
    except Exception as error:
        trace = "" if isinstance(error, AssertionError) else traceback.format_exc()
        return {"ok": False, "why": f"{type(error).__name__}: {error}\n{trace}"}
    return {"ok": True, "ran": ran}


def in_a_child(recording: dict[str, Any], folder: Path, at: int, whole: bool) -> dict[str, Any]:
    """The verdict of a process with a mount namespace of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS)
        machine.unshare()
        with os.fdopen(writer, "w") as out:
            out.write(json.dumps(verdict(recording, folder, at, whole)))
            out.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    _pid, status = os.waitpid(child, 0)
    judged: dict[str, Any] = (
        json.loads(text) if text else {"ok": False, "why": f"no verdict: {status}"}
    )
    return judged


def main() -> None:
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    recording = json.loads((source / "moves.json").read_text())
    windows = log.windows(source / "log.raw")
    image, done = log.Image.read(source / "base.raw"), 0
    folder.mkdir(exist_ok=True)
    machine.tools(folder)
    quick.in_place()
    for line in sys.stdin:
        number, chosen, at, whole = json.loads(line)
        while done < number:
            image = image.after(windows[done].writes)
            done += 1
        writes = [windows[number].writes[i] for i in chosen]
        image.after(writes).save(folder / "image.raw", machine.SIZE)
        started = time.monotonic()
        answer = in_a_child(recording, folder, at, whole)
        answer["seconds"] = round(time.monotonic() - started, 3)
        (folder / "image.raw").unlink()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
