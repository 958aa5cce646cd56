# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds on a host whenever the runner is not running: said by itself, not by comparison.

A comparison with a move that nothing disturbed can't see what both lack.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import host

from ansible_collections.agnes.host.plugins.module_utils.core.copy.retired import REPLACED
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS
from ansible_collections.agnes.host.plugins.module_utils.move import places
from ansible_collections.agnes.host.plugins.module_utils.system.host import kernel
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger, moving, units

PLACES = sorted({layout.mounts["state"] for layout in LAYOUTS.values()})


UNTOLD = "the result can't be written: "
"""In the log of a run whose result is lost, as on a disk that is full."""
_remove = ledger.remove


def told_first(path: str) -> None:
    """In place of ledger.remove: a run takes the request's end for that of its move, and reads the result then."""
    if path == ledger.REQUEST and UNTOLD not in Path(host.LOG).read_text():
        request, result = (ledger.read(each) or {} for each in (path, ledger.RESULT))
        assert result.get("request") == request["request"], (
            "the request goes before its result is there"
        )
    _remove(path)


def _fstab() -> dict[str, str]:
    """Mount point -> spec of the table's places."""
    lines = [line.split() for line in Path("/etc/fstab").read_text().splitlines()]
    return {f[1]: f[0] for f in lines if len(f) > 1 and not f[0].startswith("#") and f[1] in PLACES}


def stopped() -> set[str]:
    """The services that somebody has stopped while a move went on: /run/stopped has them."""
    path = Path("/run/stopped")
    return set(path.read_text().split()) if path.exists() else set()


def running() -> list[str]:
    """The services that run."""
    containers = json.loads(Path("/run/stand-in.json").read_text())["containers"].values()
    return sorted(item["service"] for item in containers if item["state"] == "running")


def check_intent(intent: dict[str, Any] | None) -> None:
    """The product's units are held back as long as there is an intent, and no longer.

    A move that is on record has ended, but for letting go.
    """
    if intent is None:
        assert units.held_units() == [], "units are held back, and nothing is under way"
    elif (host.record().get("move") or {}).get("id") != intent["id"]:
        assert units.open_units() == [], "units that the intent does not hold back"
        check_point(intent)


def check_point(intent: dict[str, Any]) -> None:
    """From its making on, nothing can be written to the new mount point."""
    path = LAYOUTS[intent["target"]].mounts["state"]
    made = intent["kind"] != "copy_back" and intent["before"]["point"] in ("absent", "link")
    if made and intent["direction"] == "forward" and moving.unmounted(path)["kind"] == "directory":
        assert _is_immutable(path), "the unmounted mount point can be written to"


def _is_immutable(path: str) -> bool:
    with moving.parent_of(path) as parent:
        fd = os.open(os.path.basename(path), os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)
        try:
            return kernel.is_immutable(fd)
        finally:
            os.close(fd)


def owner_of_data() -> tuple[int, int, int]:
    """User, group and mode of /data."""
    info = os.stat("/data")
    return info.st_uid, info.st_gid, info.st_mode & 0o7777


def check_owner(intent: dict[str, Any] | None, named: Layout, begin: str) -> None:
    """/data is its owner's; where .env names a copy in it, root's alone until the first start on it."""
    owner = owner_of_data()
    starts = json.loads(Path("/run/stand-in.json").read_text())["starts"]
    started = any(start[3] == named.state_dir for start in starts)
    if not os.path.ismount("/data"):
        return
    if begin == host.COPY_BACK and not named.needs_state_disk and not started:
        assert owner == (0, host.DATA_OWNER[1], 0o755), f"others can rename state: {owner}"
    elif not (intent or {}).get("data_taken"):
        assert owner == host.DATA_OWNER, owner


def check_settled(named: Layout, begin: str) -> None:
    """Without an intent the host is in one layout, whole: nothing of a move is left half-way."""
    assert running() == sorted(set(host.RUNNING) - stopped()), running()
    points = moving.points()
    on_disk = begin not in (host.COPY, host.COPY_BACK) or named.needs_state_disk
    if begin == host.PROMOTE and not named.needs_state_disk:
        # Gone back: from the stop on to what the mount shadows.
        on_disk = bool(points)
    wanted = [named.mounts["state"]] if on_disk else []
    assert [p["target"] for p in points] == wanted, f"{named.name}: {points}"
    assert list(_fstab()) == wanted, Path("/etc/fstab").read_text()
    assert moving.mount_at(moving.STAGE)[0] == ""
    for path in PLACES:
        link = named.links.get(path)
        if link:
            assert os.path.islink(path), path
            assert os.readlink(path) == link
        elif path != named.state_dir:
            assert not os.path.lexists(path), path
    seen = json.loads(Path(host.SYSTEMD).read_text())
    assert seen["fstab"] == Path("/etc/fstab").read_text(), "systemd goes by an old fstab"
    assert seen["held"] == [], "systemd still holds units back"


def check_result(result: dict[str, Any], status: int, asked: str, target: Layout) -> None:
    """A run that has ended leaves its result, which answers the request, and no request."""
    assert not os.path.exists(ledger.REQUEST), "the request is still there"
    assert result.get("request") == asked, f"{result} does not answer {asked}"
    assert result["ok"] == (status == 0), result
    if status == 0 and result["layout"] == target.name and result["move"]:
        # Whoever says so has seen it: no process relies on what another one has proved.
        assert {"start", "prove", "canary"} <= set(result["steps"]), result
    intent = ledger.read(ledger.INTENT)
    if status == 0 or result["code"] == "AH069":
        assert intent is None, f"it has ended, and the intent is still there: {result}"
    elif result["code"] == "AH070" and "'failpoint intent.undo_after'" not in result["message"]:
        # There the last undo of all is done, and the intent gone: nothing is left to do.
        assert intent is not None, f"it has not ended, and nobody knows any more: {result}"


def _role_of_copy() -> str:
    """Role of the marker on the disk that is copied to, wherever that is mounted now."""
    at = [p["target"] for p in moving.points()] + [moving.STAGE]
    for path in at:
        if moving.mount_at(path)[0]:
            return str(moving.marker(path).get("role") or "")
    device = host.DEVICES["state"]
    if subprocess.run(["mount", device, "/mnt"], capture_output=True, check=False).returncode:
        return ""
    role = str(moving.marker("/mnt").get("role") or "")
    host.run("umount", "/mnt")
    return role


def check_copy(begin: str, intent: dict[str, Any] | None, fired: list[str]) -> None:
    """A copy is sealed only from its seal to the end of the process that has proved it."""
    role = _role_of_copy()
    if role != "sealed" or not fired:
        # After a boot it is mounted nowhere; the next try marks it incomplete first of all.
        return
    assert intent is not None, "given up, and yet the copy is sealed"
    step = fired[-1].split(".")[0]
    steps = KINDS[begin].steps
    assert steps.index(step) >= steps.index("seal"), f"sealed, and it has ended at {step}"


def _chain() -> list[str]:
    lines = Path("/opt/agnes/.env").read_text().splitlines()
    return next(x.split("=")[1].split(":") for x in lines if x.startswith("COMPOSE_FILE="))


def _check_marker(target: Layout, before: dict[str, Any]) -> dict[str, Any]:
    marker = moving.marker(target.state_dir)
    assert marker["role"] == "active", marker
    assert marker["layout"] == target.name, marker
    assert marker["epoch"] > before.get("epoch", 0), marker
    return marker


def _check_aside(source: Layout, begin: str, before: dict[str, Any]) -> None:
    """What was set aside is root's only; the directory that was copied is kept, retired and whole."""
    aside = Path(os.path.dirname(source.mounts["state"]), places.ASIDE)
    kept = sorted(aside.iterdir()) if aside.exists() else []
    for path in [aside, *kept] if kept else []:
        info = path.lstat()
        assert (info.st_uid, oct(info.st_mode & 0o7777)) == (0, "0o700"), path
    if begin in (host.COPY, host.PROMOTE):
        assert len(kept) == 1, kept
        by_hand = kept[0].name == "state-by-hand"
        assert by_hand or moving.marker(str(kept[0])).get("role") == "retired"
        assert host.manifest(str(kept[0])) == before


def check_ended(target: Layout, source: Layout, begin: str, before: dict[str, Any]) -> None:
    """What a move that has ended well leaves. before: the manifest of state as it was."""
    assert host.layout_named_by_env() is target
    assert ledger.read(ledger.INTENT) is None
    check_settled(target, begin)
    _check_marker(target, {"epoch": 1})
    record = host.record()
    assert (record["move"]["source"], record["move"]["target"]) == (source.name, target.name)
    assert set(record.get("left_stopped") or ()) == set(host.LEFT_STOPPED) | stopped(), record.get(
        "left_stopped"
    )
    uuid = host.state_uuid(begin)
    assert record["move"]["uuid"] == uuid
    if begin == host.COPY:
        assert record["disks"]["state"]["uuid"] == uuid
        assert "copy" not in record["disks"], record["disks"]
    overlay = Path("/opt/agnes", target.overlay).read_text()
    assert target.state_dir in overlay or not target.env(), f"no overlay of ours: {overlay}"
    assert _chain()[-1] == target.overlay, _chain()
    for name in (".env", target.overlay):
        kept = list(Path(REPLACED, "opt/agnes").glob(f"{name}.*"))
        assert kept, f"{name} was replaced, and what it was is nowhere"
    _check_aside(source, begin, before)
    if begin == host.COPY_BACK:
        return
    path = target.mounts["state"]
    assert moving.unmounted(path)["kind"] == "directory"
    assert _is_immutable(path), "the unmounted mount point can be written to"
