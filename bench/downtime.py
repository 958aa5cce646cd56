# SPDX-License-Identifier: GPL-3.0-or-later
"""How much longer clients wait for a move of live state than for a bare `compose down` and `up`.

    make bench BENCH=remount        # or copy; see bench/README.md

Clients in a host of the lab ask the app through Caddy, all the time. Before each move the same
stack goes down and up with nothing done in between: the two form a pair, so that what else the
machine does falls on both. It is a measurement for people, never a test.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REMOUNT, COPY = "remount", "copy"
SIZES = (10, 2048)
LOADS = ("none", "light")
TOOLS = {
    "lab-probe": ROOT / "bench" / "files" / "probe.py",
    "lab-load": ROOT / "molecule" / "shared" / "files" / "load.py",
}
SETTLE_SECONDS = 2.0
BARE = """
set -eu
cd /opt/agnes
# What runs now is what is started again: a move does the same.
services=$(docker ps --format '{{.Label "com.docker.compose.service"}}' | sort)
date +%s.%N
docker compose --profile '*' down --timeout 90
date +%s.%N
docker compose --profile '*' up --detach --no-color $services
date +%s.%N
"""
BALLAST = """
set -eu
cd {state}
rm -rf ballast
mkdir ballast
cd ballast
# Half in one file as a database has it, half in many.
head -c {half}M /dev/urandom > large
mkdir files
head -c {half}M /dev/urandom | split -b {piece} -a 4 - files/
chown -R 999:999 .
sync
"""


@dataclass(frozen=True)
class Host:
    """A host of the lab."""

    name: str
    inventory: Path

    def play(self, *arguments: str) -> None:
        """Run playbooks on it. Ends the program when that fails."""
        command = ["ansible-playbook", "-i", "molecule/shared/inventory.yml"]
        done = subprocess.run(
            [*command, "-i", str(self.inventory), *arguments], cwd=ROOT, capture_output=True,
            text=True, check=False, env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"bench: {' '.join(arguments)} failed:\n{done.stdout[-3000:]}{done.stderr}")

    def sh(self, script: str) -> str:
        """The output of a shell script on it. Ends the program when that fails."""
        done = subprocess.run(
            ["docker", "exec", "-i", self.name, "bash", "-s"], input=script,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"bench: on {self.name}: {script}\n{done.stdout[-500:]}{done.stderr[-2000:]}")
        return done.stdout

    def read(self, path: str) -> str:
        """A file of it; empty when it is not there."""
        return self.sh(f"cat {path} 2>/dev/null || true")

    def now(self) -> float:
        """Its clock, which is that of the clients' log."""
        return float(self.sh("date +%s.%N"))


@dataclass(frozen=True)
class Gap:
    """One time that the stack was down."""

    waited: float
    """Seconds between two answers, at most."""
    stop: float
    between: float
    start: float
    steps: dict[str, float]
    """Of a move: the steps between stop and start, and their seconds."""


@contextmanager
def host(name: str, variables: dict[str, Any], *playbooks: str) -> Iterator[Host]:
    """A host made by ``playbooks``, removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "hosts.json"
        inventory.write_text(json.dumps({"agnes": {"hosts": {name: variables}}}))
        made = Host(name, inventory)
        try:
            made.play("molecule/shared/create.yml", *playbooks)
            for tool, path in TOOLS.items():
                subprocess.run(
                    ["docker", "cp", "-q", path, f"{name}:/usr/local/bin/{tool}"], check=True
                )
            yield made
        finally:
            made.play("molecule/shared/destroy.yml")


@contextmanager
def clients(on: Host, load: str) -> Iterator[None]:
    """Clients that ask, and with ``load`` light others that write rows."""
    names = ["lab-probe", *(["lab-load"] if load == "light" else [])]
    for name in names:
        on.sh(
            f"systemd-run --quiet --collect --unit {name} python3 /usr/local/bin/{name} /srv/{name}.log"
        )
    time.sleep(SETTLE_SECONDS)
    try:
        yield
    finally:
        on.sh(f"systemctl stop {' '.join(names)}")


def fill(on: Host, state_dir: str, mib: int) -> None:
    """Give state ``mib`` MiB beside what the stack has there."""
    piece = "64k" if mib <= 64 else "512k"
    on.sh(BALLAST.format(state=state_dir, half=mib // 2, piece=piece))


def waited(on: Host, since: float, until: float) -> float:
    """The longest time without an answer between two moments."""
    times = sorted(float(line) for line in on.read("/srv/lab-probe.log").split())
    times = [since, *(at for at in times if since <= at <= until), until]
    return max(late - early for early, late in zip(times, times[1:]))


def bare(on: Host) -> Gap:
    """Down and up, and nothing else."""
    times = [float(line) for line in on.sh(BARE).split()]
    time.sleep(SETTLE_SECONDS)
    gap = waited(on, times[0] - 1, on.now())
    return Gap(gap, times[1] - times[0], 0.0, times[2] - times[1], {})


def _moments(on: Host) -> dict[tuple[str, str], float]:
    """(step, phase) of the last move -> when."""
    lines = [json.loads(line) for line in on.read("/var/lib/agnes-host/journal.jsonl").splitlines()]
    last = lines[-1]["move"]
    return {
        (line["step"], line["phase"]): datetime.fromisoformat(line["at"]).timestamp()
        for line in lines
        if line["move"] == last
    }


def move(on: Host, layout: str) -> Gap:
    """The state goes to ``layout``."""
    since = on.now() - 1
    on.play("site.yml", "-e", f"layout={layout}")
    time.sleep(SETTLE_SECONDS)
    gap, at = waited(on, since, on.now()), _moments(on)
    stopped, started = at["stop", "done"], at["start", "begin"]
    ends = [(when, step) for (step, phase), when in at.items() if phase == "done"]
    between = sorted(pair for pair in ends if stopped < pair[0] < started)
    steps, before = {}, stopped
    for when, step in between:
        steps[step], before = when - before, when
    steps["start"] = started - before
    return Gap(
        gap, stopped - at["stop", "begin"], started - stopped, at["start", "done"] - started, steps
    )


def show(what: str, pairs: Sequence[tuple[Gap, Gap]]) -> None:
    """The medians and the worst of pairs of a bare gap and one with a move."""
    more = [moved.waited - alone.waited for alone, moved in pairs]
    print(
        f"{what}: {statistics.median(more):+.2f} s (median of {len(more)}; worst {max(more):+.2f} s)",
        flush=True,
    )
    for name, gaps in (("bare", [p[0] for p in pairs]), ("move", [p[1] for p in pairs])):
        parts = [
            f"{part} {statistics.median(getattr(g, part) for g in gaps):.2f}"
            for part in ("waited", "stop", "between", "start")
        ]
        print(f"    {name}: {', '.join(parts)}")
    steps = pairs[0][1].steps
    said = [f"{s} {statistics.median(p[1].steps[s] for p in pairs):.3f}" for s in steps]
    print(f"    between: {', '.join(said)}", flush=True)


def pair(on: Host, layout: str) -> tuple[Gap, Gap]:
    """A bare gap and then a move, told as they come."""
    alone = bare(on)
    moved = move(on, layout)
    print(
        f"  to {layout}: bare {alone.waited:.2f} s, move {moved.waited:.2f} s "
        f"(load average {os.getloadavg()[0]:.1f})", flush=True,
    )  # fmt: skip
    return alone, moved


def remount(sizes: Sequence[int], loads: Sequence[str], runs: int) -> None:
    """The state disk goes there and back."""
    with host("agnes-bench-remount", {}, "molecule/shared/prepare.yml") as on:
        on.play("site.yml", "-e", "layout=nested")
        for mib in sizes:
            fill(on, "/data/state", mib)
            for load in loads:
                with clients(on, load):
                    pairs = [
                        pair(on, layout) for _run in range(runs) for layout in ("flat", "nested")
                    ]
                show(f"remount, {mib} MiB, load {load}", pairs)


def copy(sizes: Sequence[int], loads: Sequence[str], runs: int) -> None:
    """State in a directory of the data disk goes to a blank disk, on a fresh host each time."""
    variables = {"lab_state_disk": False, "disks_data_device": "/dev/disk/by-id/google-data"}
    for mib in sizes:
        for load in loads:
            pairs = []
            for _run in range(runs):
                with host("agnes-bench-copy", variables, "molecule/shared/today.yml") as on:
                    on.play("site.yml", "-e", "layout=nested", "-e", "disks_state_device=")
                    fill(on, "/data/state", mib)
                    with clients(on, load):
                        pairs.append(pair(on, "flat"))
            show(f"copy, {mib} MiB, load {load}", pairs)


def options(description: str | None) -> argparse.ArgumentParser:
    """The options of each measurement that has sizes of state: ``--mib`` and ``--runs``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--mib", type=int, nargs="+", default=SIZES)
    parser.add_argument("--runs", type=int, default=3)
    return parser


def main() -> None:
    """Entry point."""
    parser = options(__doc__)
    parser.add_argument("kinds", nargs="+", choices=[REMOUNT, COPY])
    parser.add_argument("--load", nargs="+", choices=LOADS, default=LOADS)
    asked = parser.parse_args()
    # Its hosts are removed, however it is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for kind in asked.kinds:
        {REMOUNT: remount, COPY: copy}[kind](asked.mib, asked.load, asked.runs)


if __name__ == "__main__":
    main()
