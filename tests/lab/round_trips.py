# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips nested to flat to nested on a real test host under load, with kills at random.

After each move: every acknowledged row is there, secrets and certificates are those of the
beginning, one place has the state; after each round trip a run changes nothing. SEED chooses the
kills, TRIPS how many round trips. A failure keeps its evidence, and the host as it is.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import testinfra

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(Path(__file__).resolve().parent)]

import moved
import records
import strikes
from play import play, prepared, start

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import remount

HOST = "agnes-round-trips"
VARIABLES = {
    "layout": "nested",
    "lab_state_disk": True,
    "lab_shadowed": ["agnes-state-applier.tick", "db-state-applier.lock"],
    "disks_data_device": "/dev/disk/by-id/google-data",
    "state_layout_canary_url": "https://agnes.test/api/rows",
}
SECOND = 0.3
"""How often a move is struck twice: the second blow meets what goes on after the first."""
EVIDENCE = {
    "engine.log": "journalctl --no-pager --unit agnes-host-move",
    "journal.log": "journalctl --no-pager --lines 2000",
    "journal.jsonl": "cat /var/lib/agnes-host/journal.jsonl",
    "explain.txt": "agnes-host explain; cat /var/lib/agnes-host/*.json",
    "mounts.txt": "findmnt --real; cat /etc/fstab; ls -la /data /data-state /data/state; grep -e DIR -e FILE /opt/agnes/.env",
    "containers.txt": "docker ps --all; for c in $(docker ps -aq); do docker logs --tail 50 $c 2>&1; done",
    "load.jsonl": "cat /srv/load.jsonl",
}


class Broken(Exception):
    """Something does not hold."""


@dataclass(frozen=True)
class Blow:
    """What is killed, and when: after a line of the journal, and a delay."""

    kind: str
    step: str
    phase: str
    delay: float

    def __str__(self) -> str:
        return f"{self.kind} {self.delay:.2f} s after '{self.step}' {self.phase}"


@dataclass
class Tally:
    """What came about."""

    moves: int = 0
    missed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)


def blows(chance: random.Random, source: str, target: str) -> Iterator[Blow]:
    """One or two; the second is for what goes on after the first, at its step or a later one."""
    steps = remount(LAYOUTS[source], LAYOUTS[target]).steps
    kinds: tuple[str, ...] = strikes.KINDS
    for _number in range(2 if chance.random() < SECOND else 1):
        step = chance.choice(steps)
        yield Blow(
            chance.choice(kinds), step, chance.choice(("begin", "done")),
            min(chance.expovariate(3), 3.0),
        )  # fmt: skip
        steps, kinds = steps[steps.index(step) :], (strikes.ENGINE, strikes.HOST)


def say(text: str) -> None:
    """A line of progress."""
    print(f"round-trips: {time.strftime('%H:%M:%S')} {text}", flush=True)


def make_host() -> None:
    """A host of today with two disks, its stack running, and clients that write."""
    for playbook in ("shared/create.yml", "nested_to_flat/prepare.yml"):
        done = play("round-trips-make", {HOST: VARIABLES}, playbook=ROOT / "molecule" / playbook)
        if done.returncode:
            sys.exit(f"round-trips: the host can't be made: {done.stdout[-3000:]}{done.stderr}")


def remove_host() -> None:
    """The host and its disks."""
    path = ROOT / "molecule" / "shared" / "destroy.yml"
    command, env = prepared("round-trips-remove", {HOST: VARIABLES}, playbook=path)
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)


def run(target: str) -> list[records.Record]:
    """A run that must end well; what it did."""
    done = play("round-trips", {HOST: {**VARIABLES, "layout": target}})
    if done.returncode:
        raise Broken(f"the run to {target} failed:\n{done.stdout[-4000:]}{done.stderr[-1000:]}")
    return records.read("round-trips", "site")


def move(host: Any, source: str, target: str, planned: list[Blow], tally: Tally) -> None:
    """A move to ``target`` with its blows, then whatever it takes, by plain runs."""
    first = start("round-trips-struck", {HOST: {**VARIABLES, "layout": target}})
    running: subprocess.Popen[bytes] | None = first
    for blow in planned:
        at = strikes.strike(HOST, running, blow.kind, blow.step, blow.phase, blow.delay)
        if not at:
            tally.missed += 1
            continue
        tally.kinds[blow.kind] += 1
        tally.places[at] += 1
        say(f"  killed: {blow}; the journal was at '{at}'")
        if blow.kind == strikes.HOST:
            strikes.boot(HOST)
        if blow.kind != strikes.ENGINE:
            running = None
    if running is None:
        # Nobody waits for the engine any more: whatever is left of the run ends by itself.
        if first.poll() is None:
            strikes.kill(first)
        run(target)
    elif first.wait():
        log = (ROOT / ".cache" / "round-trips-struck.log").read_text("utf-8")
        raise Broken(f"the run to {target} failed:\n{log[-4000:]}")
    moved.check(host, LAYOUTS[target])
    tally.moves += 1


def keep_evidence(folder: Path) -> None:
    """What the host has to say."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in EVIDENCE.items():
        argv = ["docker", "exec", HOST, "sh", "-c", command]
        done = subprocess.run(argv, capture_output=True, check=False)
        (folder / name).write_bytes(done.stdout + done.stderr)


def trips(seed: int, count: int, tally: Tally) -> None:
    """All of them. Raises Broken or AssertionError."""
    host = testinfra.get_host(f"docker://{HOST}")
    chance = random.Random(seed)
    for number in range(1, count + 1):
        for source, target in (("nested", "flat"), ("flat", "nested")):
            planned = list(blows(chance, source, target))
            say(f"trip {number} of {count}, to {target}: {'; then '.join(map(str, planned))}")
            move(host, source, target, planned, tally)
        changed = [record for record in run("nested") if record["changed"]]
        if changed:
            raise Broken(f"a run on a host that is right changed {json.dumps(changed)[:2000]}")


def main() -> None:
    """Entry point."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    count = int(os.environ.get("TRIPS") or 20)
    say(f"SEED={seed} TRIPS={count}")
    make_host()
    tally, began = Tally(), time.monotonic()
    try:
        trips(seed, count, tally)
    except (Broken, AssertionError, TimeoutError, subprocess.CalledProcessError) as error:
        folder = ROOT / ".cache" / "round-trips" / str(seed)
        keep_evidence(folder)
        traceback.print_exc()
        sys.exit(
            f"round-trips: FAILED after {tally.moves} moves: {error}\n"
            f"round-trips: evidence in {folder}; the host is kept: docker exec -it {HOST} bash; again: SEED={seed}"
        )
    host = testinfra.get_host(f"docker://{HOST}")
    acknowledged = {entry["row"] for entry in moved.load(host) if entry["row"]}
    there = moved.rows(host)
    say(f"kills by kind: {dict(tally.kinds)}; that came too late: {tally.missed}")
    say(f"kills by the journal's last line: {dict(sorted(tally.places.items()))}")
    say(
        f"{count} round trips, {tally.moves} moves, {sum(tally.kinds.values())} kills: "
        f"{len(acknowledged)} rows acknowledged, {len(acknowledged & there)} of them found "
        f"({time.monotonic() - began:.0f} s)"
    )
    remove_host()


if __name__ == "__main__":
    main()
