# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet costs its controller: a plan, and a rollout in which nothing is to be done.

    . .venv/bin/activate && python bench/fleet.py [--machines 2] [--forks 5] [10 50 100]

The hosts of the inventory share a few hosts of the lab, so that a small machine can have a hundred. The CPU seconds are
those of ansible-playbook and its children: what runs in the hosts is not in them, the client of the connection is. It is a
measurement for people, never a test.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MACHINE = "agnes-bench-fleet-{}"
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Cost:
    """Of one run of a playbook."""

    wall: float
    cpu: float
    """Seconds."""
    fork: int
    """Bytes that the largest of Ansible's forks had for itself."""
    whole: int
    """Bytes that ansible-playbook itself had."""


def _private(pid: int) -> int:
    """Bytes that a process has for itself; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
        ]
    except OSError:
        return []


class Memory:
    """Looks at a process and its children again and again, and keeps the most that each kind had."""

    def __init__(self, pid: int) -> None:
        self.pid, self.fork, self.whole = pid, 0, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self) -> None:
        while not self.ended.wait(LOOK_SECONDS):
            self.whole = max(self.whole, _private(self.pid))
            for child in _children(self.pid):
                self.fork = max(self.fork, _private(child))

    def end(self) -> None:
        """Look no more."""
        self.ended.set()
        self.thread.join()


def play(inventory: Path, *arguments: str) -> Cost:
    """Run a playbook; what it cost. Ends the program when it fails."""
    command = [
        "ansible-playbook",
        "-i",
        "molecule/shared/inventory.yml",
        "-i",
        str(inventory),
        *arguments,
    ]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        run = subprocess.Popen(
            command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        )  # fmt: skip
        memory = Memory(run.pid)
        code = run.wait()
        memory.end()
        if code:
            said.seek(0)
            sys.exit(f"bench: {' '.join(arguments)} failed:\n{said.read()[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - started, cpu, memory.fork, memory.whole)


def fleet(number: int, machines: int) -> dict[str, Any]:
    """An inventory of ``number`` hosts in up to four deployments, on ``machines`` hosts of the lab."""
    deployments: dict[str, Any] = {}
    for place in range(number):
        name = f"deployment{place % 4}"
        group = deployments.setdefault(name, {"hosts": {}, "vars": {"agnes_deployment": name}})
        group["hosts"][f"fleet-{place:03}"] = {"ansible_host": MACHINE.format(place % machines)}
    return {"agnes": {"children": deployments}}


def say(number: int, what: str, cost: Cost) -> None:
    """One row of the table."""
    print(
        f"| {number} | {what} | {cost.wall:.0f} s | {cost.wall / number:.2f} s | {cost.cpu / number:.2f} s "
        f"| {cost.fork >> 20} MiB | {cost.whole >> 20} MiB |",
        flush=True,
    )


def main(numbers: Sequence[int], machines: int, forks: int) -> None:
    """Make the hosts of the lab, measure each size of the fleet on them, remove them."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder) / "lab.json"
        names = [MACHINE.format(place) for place in range(machines)]
        lab.write_text(json.dumps({"agnes": {"hosts": {name: {} for name in names}}}))
        try:
            play(lab, "molecule/shared/create.yml", "molecule/shared/prepare.yml")
            play(lab, "site.yml", "-e", "layout=flat")
            print(f"{machines} hosts of the lab, {forks} forks\n")
            print("| hosts | | wall | wall a host | CPU a host | a fork | ansible-playbook |")
            print("|---|---|---|---|---|---|---|", flush=True)
            for number in numbers:
                inventory = Path(folder) / f"{number}.json"
                inventory.write_text(json.dumps(fleet(number, machines)))
                given = (
                    "playbooks/rollout.yml",
                    "--forks",
                    str(forks),
                    "-e",
                    f"rollout_report={folder}/report",
                )
                say(number, "plan", play(inventory, *given, "--check"))
                say(number, "rollout", play(inventory, *given))
        finally:
            play(lab, "molecule/shared/destroy.yml")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("numbers", nargs="*", type=int, default=[10, 50, 100])
    parser.add_argument("--machines", type=int, default=2)
    parser.add_argument("--forks", type=int, default=5)
    chosen = parser.parse_args()
    main(chosen.numbers, chosen.machines, chosen.forks)
