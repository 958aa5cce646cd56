# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of today goes from nested to flat: by the steps that the product's documentation has, and by ours.

    make bench BENCH=by_hand BENCHFLAGS="--mib 10 2048 --runs 3"

Each pair is on a fresh host whose state disk is at /data/state. First by hand: what an operator types, as one script,
so nobody has to think or to look anything up. Then the host is put back, and `site.yml` is run. Printed are the wall
time and how long clients waited. By hand nothing is locked, flushed or compared, and what would bring the containers
back meanwhile is not held back. It is a measurement for people, never a test.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from downtime import SETTLE_SECONDS, Host, clients, fill, host, options, waited

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".collections"))
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

FLAT = LAYOUTS["flat"].mounts["state"]

BEFORE = """
set -eu
mkdir -p /var/tmp/before
cp -a /etc/fstab /opt/agnes/.env /var/tmp/before/
"""
BY_HAND = """
set -eu
date +%s.%N
cd /opt/agnes
services=$(docker ps --format '{{.Label "com.docker.compose.service"}}' | sort)
docker compose --profile '*' down --timeout 90
# A copy on the boot disk, and back again onto the same disk: the documentation has it so.
cp -a /data/state /var/tmp/state
umount /data/state
rmdir /data/state
sed -i '\\| /data/state |d' /etc/fstab
echo "UUID=$(blkid --probe --output value --match-tag UUID /dev/sdc) @flat@ ext4 defaults,nofail 0 2" >> /etc/fstab
mkdir @flat@
mount @flat@
cp -a /var/tmp/state/. @flat@/
# The two lines without which the containers do not see it.
echo STATE_DIR=@flat@ >> .env
sed -i '/^COMPOSE_FILE=/s/$/:docker-compose.flat-mount.yml/' .env
docker compose --profile '*' up --detach --no-color $services
date +%s.%N
test "$(docker exec agnes-app-1 stat -c %d @flat@)" = "$(stat -c %d @flat@)"
""".replace("@flat@", FLAT)
BACK = """
set -eu
cd /opt/agnes
services=$(docker ps --format '{{.Label "com.docker.compose.service"}}' | sort)
docker compose --profile '*' down --timeout 90
umount @flat@
rmdir @flat@
cp -a /var/tmp/before/fstab /etc/fstab
cp -a /var/tmp/before/.env .env
mkdir /data/state
mount /data/state
docker compose --profile '*' up --detach --no-color $services
rm -rf /var/tmp/state /var/tmp/before
""".replace("@flat@", FLAT)


@dataclass(frozen=True)
class Took:
    """One move, in seconds."""

    wall: float
    waited: float


def by_hand(on: Host) -> Took:
    """The documentation's steps; the host is nested again after it."""
    on.sh(BEFORE)
    began, ended = (
        float(line) for line in on.sh(BY_HAND).splitlines() if line.replace(".", "").isdigit()
    )
    time.sleep(SETTLE_SECONDS)
    took = Took(ended - began, waited(on, began - 1, on.now()))
    on.sh(BACK)
    time.sleep(SETTLE_SECONDS)
    return took


def ours(on: Host) -> Took:
    """The same host by ``site.yml``, which adopts it, too."""
    began = on.now()
    on.play("site.yml", "-e", "layout=flat")
    ended = on.now()
    time.sleep(SETTLE_SECONDS)
    return Took(ended - began, waited(on, began - 1, on.now()))


def measure(mib: int, runs: int) -> None:
    """Pairs, each on a fresh host."""
    variables = {"lab_state_disk": True, "disks_data_device": "/dev/disk/by-id/google-data"}
    pairs = []
    for _run in range(runs):
        with host("agnes-bench-by-hand", variables, "molecule/shared/today.yml") as on:
            fill(on, "/data/state", mib)
            with clients(on, "none"):
                pairs.append((by_hand(on), ours(on)))
            hand, own = pairs[-1]
            print(
                f"  by hand: {hand.wall:.2f} s, clients waited {hand.waited:.2f} s; ours: {own.wall:.2f} s, "
                f"{own.waited:.2f} s (load average {os.getloadavg()[0]:.1f})", flush=True,
            )  # fmt: skip
    print(f"{mib} MiB, medians of {runs}:")
    for what in ("wall", "waited"):
        hand, own = (
            statistics.median(getattr(pair[side], what) for pair in pairs) for side in (0, 1)
        )
        name = "wall time" if what == "wall" else "clients waited"
        print(
            f"    {name}: by hand {hand:.2f} s, ours {own:.2f} s, {own / hand:.2f} of it",
            flush=True,
        )


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    asked = options(__doc__).parse_args(arguments)
    # Its hosts are removed, however it is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for mib in asked.mib:
        measure(mib, asked.runs)


if __name__ == "__main__":
    main(sys.argv[1:])
