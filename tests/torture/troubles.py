# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a move, or looks as if it did, by name; and what mends it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import host

from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger, moving

sys.path.append(str(Path(__file__).resolve().parents[1]))
from real import sample


def mend() -> None:
    """What ``stuck`` has done is undone."""
    host.run("chattr", "-i", "/etc/fstab")


def _earlier_try(device: str, role: str) -> None:
    """The disk as an earlier try left it, or as something else did."""
    host.run("mkfs.ext4", "-q", "-U", host.UUIDS["state"], device)
    host.run("mount", device, "/mnt")
    marker = {"format": 1, "instance_id": "i", "layout": "flat", "role": role, "epoch": 1}
    Path("/mnt/.agnes-state.json").write_text(json.dumps(marker))
    for number in range(400):
        Path(f"/mnt/of-an-earlier-try-{number}").write_text("x")
    host.run("umount", "/mnt")
    disk = {"uuid": host.UUIDS["state"], "phase": "formatted"}
    recorded = {"format": 1, "instance_id": "i", "disks": {"copy": disk}}
    Path("/var/lib/agnes-host").mkdir(mode=0o700)
    Path("/var/lib/agnes-host/record.json").write_text(json.dumps(recorded))


HELD = {"held": "", "upgraded": "/var/lock/agnes-auto-upgrade.lock"}
"""What is held for a while: a file of state, or the product's lock."""


def _waited_for(how: str) -> bool:
    """Whether the runner has come to where it must wait for it."""
    path = Path(ledger.JOURNAL if how == "held" else ledger.REQUEST)
    return path.exists() and (how != "held" or '"step": "idle"' in path.read_text())


def _hold(how: str, path: str) -> None:
    """A process that has a file open and locked, until it has been waited for; /run/held is there until then."""
    Path("/run/held").touch()
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    if os.fork() == 0:
        while not _waited_for(how):
            time.sleep(0.05)
        time.sleep(2)
        os.unlink("/run/held")
        os._exit(0)
    os.close(fd)


def upgrade() -> bool:
    """The product's upgrade, as cron calls it every few minutes; whether its lock was free.

    It goes by .env, and starts what it finds stopped; without the lock it does nothing.
    """
    with open(HELD["upgraded"], "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        subprocess.run(
            ["docker", "compose", "up", "--detach", *host.RUNNING], cwd="/opt/agnes", check=True,
            env={**os.environ, "BY_UPGRADE": "1"},
        )  # fmt: skip
    return True


def _ticking() -> None:
    """The upgrade's cron is due all the time."""
    if os.fork() == 0:
        while True:
            upgrade()
            time.sleep(0.2)


def _watch(path: str) -> None:
    """A process that looks at a path all the time; /run/missing is there if it has once been gone."""
    if os.fork() == 0:
        while True:
            try:
                os.lstat(path)
            except FileNotFoundError:
                Path("/run/missing").touch()
                os._exit(0)


def _write_shadowed(point: Path, name: str) -> None:
    with moving.parent_of(str(point)) as parent:
        fd = os.open(f"{point.name}/{name}", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=parent)
        os.close(fd)


def _breaking(devices: dict[str, str], state: Path) -> None:
    """A disk that can't write what it has taken: its image lies on a filesystem that is full by then.

    It stands in for a device that returns EIO; the error is the kernel's own, and comes when it flushes.
    """
    host.run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", "/srv")
    with open("/srv/state.img", "wb") as file:
        file.truncate(24 << 20)
    devices["state"] = host.run("losetup", "--find", "--show", "/srv/state.img")
    host.KEPT.append(os.open(devices["state"], os.O_RDONLY | os.O_CLOEXEC))
    host.run("losetup", "--detach", devices["state"])
    (state / "large").write_bytes(os.urandom(6 << 20))


def _odd(state: Path, sparse: int) -> None:
    """Everything that a copy can lose, beside what every host has."""
    before = {path.name: path.read_bytes() for path in state.iterdir() if path.is_file()}
    sample.SPARSE = sparse
    sample.make(state)
    for name in ("duckdb-tmp", "lost+found"):
        shutil.rmtree(state / name)
    for name, content in before.items():
        if name not in ("system.duckdb",):
            (state / name).write_bytes(content)


def disturb(how: str, devices: dict[str, str], state: Path) -> None:
    """What stands in the way of a copy, or looks as if it did."""
    if how == "stale":
        _earlier_try(devices["state"], "incomplete")
    elif how == "foreign":
        _earlier_try(devices["state"], "active")
    elif how == "large":
        # Enough to be read before the stop, too.
        (state / "large").write_bytes(os.urandom(6 << 20))
    elif how == "full":
        (state / "large").write_bytes(os.urandom(19 << 20))
    elif how == "worth":
        _write_shadowed(state, "users.txt")
    elif how == "half":
        text = Path("/opt/agnes/.env").read_text()
        Path("/opt/agnes/.env").write_text(f"{text}STATE_DIR=/data-state\n")
    elif how == "ticking":
        _ticking()
    elif how == "stale unit":
        with Path(host.SYSTEMD).open() as file:
            view = json.load(file)
        view["fstab"] += "UUID=gone /data-state ext4 nofail 0 2\n"
        Path(host.SYSTEMD).write_text(json.dumps(view))
        Path("/run", how).touch()
    elif how in HELD:
        _hold(how, HELD[how] or str(state / "system.duckdb"))
    elif how in ("lingers", "stuck", "slow", "rows differ", "half down"):
        Path("/run", how).touch()
    elif how.startswith("reload "):
        Path("/run/reloads").write_text(how.split()[1])
    elif how == "watched":
        _watch("/data/state")
    elif how == "not blank":
        host.run("mkfs.ext4", "-q", devices["state"])
    elif how == "inodes":
        for number in range(6500):
            (state / str(number)).touch()
    elif how == "read-only":
        host.run("blockdev", "--setro", devices["state"])
    elif how == "breaks":
        _breaking(devices, state)
    elif how == "no database":
        for path in state.glob("system.duckdb*"):
            path.unlink()
    elif how in ("odd", "odd and large"):
        _odd(state, 20 << 30 if how == "odd and large" else 32 << 20)
    elif how == "root full":
        # Another filesystem than the disks: the one with the journal and the intent.
        host.run("mount", "-o", "remount,size=4k", "/var/lib")
        with suppress(OSError):
            Path("/var/lib/filler").write_bytes(bytes(1 << 20))
    elif how == "retired":
        marker = json.loads((state / ".agnes-state.json").read_text())
        (state / ".agnes-state.json").write_text(json.dumps({**marker, "role": "retired"}))
