# SPDX-License-Identifier: GPL-3.0-or-later
"""Our site.yml against the same host made with stock modules: seconds, and their ratio.

    . .venv/bin/activate && python bench/run.py [RUNS]

Both sides run on a host of their own, in turn, so that whatever else the machine
does falls on both. It is a measurement for people, never a test.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS, STOCK = "agnes-bench-ours", "agnes-bench-stock"
SIDES = {OURS: ["site.yml", "-e", "layout=flat"], STOCK: ["bench/stock.yml"]}


def play(inventory: Path, *arguments: str) -> float:
    """Run a playbook; its seconds. Ends the program when it fails."""
    command = ["ansible-playbook", "-i", "molecule/shared/inventory.yml", "-i", str(inventory)]
    started = time.monotonic()
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"bench: {' '.join(arguments)} failed:\n{done.stdout[-3000:]}{done.stderr}")
    return time.monotonic() - started


def report(what: str, ours: list[float], stock: list[float]) -> None:
    """One line: the medians, and how many times as long ours takes."""
    left, right = statistics.median(ours), statistics.median(stock)
    print(
        f"{what:<28} ours {left:5.1f} s   stock {right:5.1f} s   ratio {left / right:.2f}"
        f"   ({len(ours)} runs)",
        flush=True,
    )


def main(runs: int) -> None:
    """Make two hosts, time the first run and later runs on each, remove them."""
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "hosts.json"
        inventory.write_text(json.dumps({"agnes": {"hosts": {OURS: {}, STOCK: {}}}}))
        try:
            play(inventory, "molecule/shared/create.yml", "molecule/shared/prepare.yml")
            first = {
                s: [play(inventory, *a, "--limit", f"{s},localhost")] for s, a in SIDES.items()
            }
            report("two blank disks to running", first[OURS], first[STOCK])
            again: dict[str, list[float]] = {side: [] for side in SIDES}
            for _run in range(runs):
                for side, arguments in SIDES.items():
                    again[side].append(play(inventory, *arguments, "--limit", f"{side},localhost"))
            report("a host that is right", again[OURS], again[STOCK])
        finally:
            play(inventory, "molecule/shared/destroy.yml")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
