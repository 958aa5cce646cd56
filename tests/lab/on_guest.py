# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests ask of a virtual host, from inside and, as clients do, from outside."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import guest_image
from engine import cache
from guest import DATA, STATE, Disk, Guest, by_id, fresh, image
from images import DOMAIN
from records import ROOT

NAME = "agnes-vm"
Hosts = Callable[[str], Guest]
"""Layout -> a guest that is off, with a copy of the disks of a host that was provisioned so."""

SERIALS = {"root": "ROOT0001", "data": DATA, "state": STATE}
"""Name of a disk's image -> its serial."""

CHAIN = "docker-compose.yml:docker-compose.prod.yml:docker-compose.slow.yml:docker-compose.tls.yml"
SLOW = ROOT / "tests" / "vm" / "docker-compose.slow.yml"
LOOK = r"""
set -eu
qemu-img convert -U -O raw "$1" "$2/look.raw"
mount -o loop "$2/look.raw" /mnt
shift 2
cd /mnt
ls -A
find "$@" -printf '%p %y %m %U %s %T@ %C@\n' -type f -exec sha256sum {} + 2>&1 || true
"""


def disks_in(folder: Path) -> list[Disk]:
    """The disks whose images are in a folder."""
    return [Disk(folder / f"{n}.qcow2", s, slot) for slot, (n, s) in enumerate(SERIALS.items())]


def copy_of(source: Path, folder: Path, boot: Path) -> Guest:
    """A guest that is off, with a copy of the disks in a folder; boot: what guests start from."""
    fresh(folder)
    for name in SERIALS:
        image(folder / f"{name}.qcow2", source / f"{name}.qcow2")
    guest = Guest(NAME, folder, boot, guest_image.accelerator(boot))
    guest.disks = disks_in(folder)
    return guest


def variables(guest: Guest, layout: str) -> dict[str, dict[str, Any]]:
    """An inventory of it alone."""
    return {NAME: guest.variables(layout=layout, agnes_compose_guard="engine")}


def relax(guest: Guest) -> None:
    """Let the stack that a first run will bring have limits of time that an emulated host can keep."""
    guest.output(
        f"mkdir -p /opt/agnes; cat > /opt/agnes/{SLOW.name} <<'END'\n{SLOW.read_text()}END\n"
        f"echo COMPOSE_FILE={CHAIN} > /opt/agnes/.env; chmod 600 /opt/agnes/.env"
    )


def request(guest: Guest, *more: str) -> Any:
    """What the app answers through Caddy to a client outside. Raises CalledProcessError."""
    curl = [
        "curl", "--silent", "--show-error", "--fail", "--max-time", "30",
        "--cacert", str(cache() / "tls" / "ca.pem"),
        "--resolve", f"{DOMAIN}:{guest.https}:127.0.0.1", *more,
        f"https://{DOMAIN}:{guest.https}/api/rows",
    ]  # fmt: skip
    return json.loads(subprocess.run(curl, check=True, capture_output=True, text=True).stdout)


def add_row(guest: Guest) -> int:
    """Its id."""
    return int(request(guest, "--request", "POST")["id"])


def rows(guest: Guest, seconds: float = 420) -> set[int]:
    """The rows that the app has, as soon as it answers. Raises CalledProcessError."""
    end = time.monotonic() + seconds
    while True:
        try:
            return set(request(guest)["ids"])
        except subprocess.CalledProcessError:
            if time.monotonic() > end:
                raise
            time.sleep(2)


def carried(guest: Guest, serial: str) -> str:
    """Where the disk with a serial is mounted: all mount points, one a line."""
    return guest.run(
        f"findmnt --noheadings --output TARGET --source $(readlink -f {by_id(serial)})"
    ).stdout


def look(image: Path, *places: str) -> list[str]:
    """All that is at places of a disk whose guest is off or stands still: mode, owner, times, hash; and the names at its top."""
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        argv = ["unshare", "--mount", "sh", "-c", LOOK, "look", str(image), folder, *places]
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return sorted(done.stdout.splitlines())


def parents(guest: Guest) -> list[str]:
    """What is on the filesystems that the state disk's mount point may be on."""
    root, data = (disk.image for disk in guest.disks[:2])
    return [*look(root, "data", "data-state", "opt/agnes", "var/lib/agnes-host"), *look(data, ".")]
