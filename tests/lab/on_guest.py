# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests ask of a virtual host, from inside and, as clients do, from outside."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from engine import cache
from guest import Guest, by_id
from images import DOMAIN
from records import ROOT

NAME = "agnes-vm"
Hosts = Callable[[str], Guest]
"""Layout -> a guest that is off, with a copy of the disks of a host that was provisioned so."""

CHAIN = "docker-compose.yml:docker-compose.prod.yml:docker-compose.slow.yml:docker-compose.tls.yml"
SLOW = ROOT / "tests" / "vm" / "docker-compose.slow.yml"


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
