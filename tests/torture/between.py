# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the runner on a host where state is not to be found: nothing may be started, and then it is mended."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import host

from ansible_collections.agnes.host.plugins.module_utils.move import explain, runner
from ansible_collections.agnes.host.plugins.module_utils.system.disks import devices

Run = Callable[[bool], tuple[int, dict[str, Any]]]
"""A run of the runner; True: without a request, as after a boot."""

DOCS = Path(__file__).resolve().parents[2] / "docs"
ERRORS, RECOVERY = ((DOCS / name).read_text() for name in ("errors.md", "move-by-hand.md"))
"""Read before the root directory is another one."""
_COPY = "/data/state"


def _starts_nothing(name: str, run: Run, forget: bool = False) -> dict[str, Any]:
    before = Path("/run/stand-in.json").read_text()
    status, result = run(forget)
    assert Path("/run/stand-in.json").read_text() == before, f"{name}: started without state"
    return {"armed": name, "status": status, "message": result["message"], "running": []}


def _unmounted() -> list[str]:
    """All that is at the data disk's mount point on the root disk."""
    return sorted(map(str, Path("/data").rglob("*")))


def _away(run: Run) -> dict[str, Any]:
    """A boot without the data disk; the product's startup script has made directories there."""
    host.reboot("/data")
    before, known = _unmounted(), devices.devices
    devices.devices = lambda: [d for d in known() if d["path"] != host.DEVICES["data"]]
    runner.BOOT_SECONDS = 0.2
    try:
        end = _starts_nothing("away", run, forget=True)
    finally:
        devices.devices = known
    assert _unmounted() == before, "written to the data disk's unmounted mount point"
    return end


def _late(*points: str) -> Callable[[Run], dict[str, Any]]:
    """A boot for which disks came too late: attached, listed, and not mounted when the runner begins."""

    def late(run: Run) -> dict[str, Any]:
        host.reboot(*points)
        status, result = run(True)
        return {
            "armed": f"late {points}",
            "status": status,
            "message": result["message"],
            "running": [],
        }

    return late


def _taken(run: Run) -> dict[str, Any]:
    """The copy has been moved away after the commit, and is brought back."""
    assert "taken      /data is root's until the start" in explain.explain()
    os.rename(_COPY, "/data/elsewhere")
    end = _starts_nothing("taken", run)
    os.rename("/data/elsewhere", _COPY)
    return end


def _replaced(run: Run) -> dict[str, Any]:
    """The same, and another directory is in its place meanwhile."""
    os.rename(_COPY, "/data/elsewhere")
    Path(_COPY).mkdir()
    end = _starts_nothing("replaced", run)
    Path(_COPY).rmdir()
    os.rename("/data/elsewhere", _COPY)
    return end


def _lost(run: Run) -> dict[str, Any]:
    """The copy has been deleted after the commit, and is made anew as the documentation says."""
    shutil.rmtree(_COPY)
    end = _starts_nothing("lost", run)
    section = ERRORS.split("### AH126 ")[1].split("\n###")[0]
    lines = [line.strip() for line in section.splitlines() if line.startswith("      ")]
    script = "\n".join(lines).replace("UUID=UUID", f"UUID={host.UUIDS['state']}")
    subprocess.run(["sh", "-euc", script], check=True)
    return end


def _stopped(run: Run) -> dict[str, Any]:
    """Somebody stops a service while a committed move has not ended; it stays so, and the move ends."""
    path = Path("/run/stand-in.json")
    store = json.loads(path.read_text())
    for item in store["containers"].values():
        if item["service"] == "app":
            item.update(state="exited", exit=137)
    path.write_text(json.dumps(store))
    Path("/run/stopped").write_text("app")
    status, result = run(False)
    running = sorted(
        item["service"]
        for item in json.loads(path.read_text())["containers"].values()
        if item["state"] == "running"
    )
    assert "app" in host.record()["left_stopped"]
    return {"armed": "stopped", "status": status, "message": result["message"], "running": running}


def by_hand(step: str) -> str:
    """What docs/move-by-hand.md says for the last step of a journal: the last cell of its row."""
    rows = re.findall(r"^\| ((?:`\w+` ?)+)\|.*\| ([^|]+) \|$", RECOVERY, re.MULTILINE)
    (told,) = [cell for names, cell in rows if f"`{step}`" in names]
    return str(told)


def _block(letter: str) -> str:
    """The commands of a block of that page."""
    section = RECOVERY.split(f"\n**{letter}**, ")[1].split("\n\n")[1]
    return "\n".join(line.strip() for line in section.splitlines())


def _by_hand(_run: Run) -> dict[str, Any]:
    """An operator without a run goes by docs/move-by-hand.md, and starts the product."""
    intent = json.loads(Path("/var/lib/agnes-host/intent.json").read_text())
    step = json.loads(Path("/var/lib/agnes-host/journal.jsonl").read_text().splitlines()[-1])[
        "step"
    ]
    layout = host.layout_named_by_env()
    cell = by_hand(step)
    if "the row of `place`" in cell:
        cell += by_hand("place")
    script = re.findall("`(umount [^`]+)`", cell)
    if "put the line back" in cell:
        with open("/etc/fstab", "a") as file:
            file.write(intent["before"]["old_line"] + "\n")
    flat, link = layout.name == "flat", os.path.islink("/data/state")
    meant = {
        "A": flat and not link and not os.path.ismount("/data/state"),
        "B": os.stat("/data").st_uid == 0,
        "C": True,
        "D": flat and not link,
    }
    for letter in re.findall(r"\b([A-D])\b", cell):
        if meant[letter]:
            script.append(_block(letter).replace("0755 /data", "0775 /data"))
    script.append("cd /opt/agnes && BY_UPGRADE=1 docker compose up --detach app scheduler")
    done = subprocess.run(
        ["sh", "-uc", "\n".join(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}: {done.stderr}"
    assert Path(layout.state_dir, "system.duckdb").exists()
    running = sorted(
        item["service"]
        for item in json.loads(Path("/run/stand-in.json").read_text())["containers"].values()
        if item["state"] == "running"
    )
    return {"armed": f"{script}", "status": 0, "message": done.stderr, "running": running}


EVENTS: dict[str, Callable[[Run], dict[str, Any]]] = {
    "away": _away, "stopped": _stopped, "late data": _late("/data"), "late state": _late("/data/state", "/data-state"),
    "late both": _late("/data", "/data/state", "/data-state"), "taken": _taken, "replaced": _replaced, "lost": _lost,
    "by hand": _by_hand,
}  # fmt: skip
"""By the name of the run."""
