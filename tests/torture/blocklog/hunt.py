# SPDX-License-Identifier: GPL-3.0-or-later
"""Record a move, and judge states of it on all processors."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocklog import log

TORTURE = Path(__file__).resolve().parents[1]
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private"]


@dataclass(frozen=True)
class Judged:
    """The verdict on a state, and the step that was under way."""

    state: log.State
    phase: str
    ok: bool
    why: str
    ran: str


def environment(root: Path) -> dict[str, str]:
    """For the scripts of a checkout, or of a copy of one."""
    path = [str(root / "tests/torture"), str(root / ".collections")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}


class Recording:
    """A recorded move, in a folder; ``kind`` is where it begins, and ``back`` if it goes back."""

    def __init__(self, root: Path, folder: Path, kind: str) -> None:
        self.root, self.folder, self.kind = root, folder, kind
        script = root / "tests/torture/blocklog/record.py"
        folder.mkdir(parents=True)
        done = subprocess.run(
            [*UNSHARE, sys.executable, str(script), str(folder), *kind.split()], env=environment(root),
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"nothing was recorded: {done.stderr[-3000:]}")
        self.moves: dict[str, Any] = json.loads((folder / "moves.json").read_text())
        ended = self.moves.get("ended")
        windows = log.windows(folder / "log.raw")
        self.windows = [each for each in windows if ended is None or each.start < ended]

    def states(self, wanted: int, seed: int) -> list[log.State]:
        """Distinct states; fewer where there are fewer."""
        base, rng = log.Image.read(self.folder / "base.raw"), random.Random(seed)
        return list(log.states(base, self.windows, self.moves["began"], wanted, rng))

    def phase(self, state: log.State) -> str:
        """The step that was under way, or had just ended; ``undo-STEP`` on the way back."""
        marks = self.moves["marks"]
        number = bisect_right([mark["at"] for mark in marks], state.at)
        return _phase(marks[number - 1]) if number else "begin"

    def judge(
        self, states: Sequence[log.State], stop: bool = False, whole: bool = True
    ) -> list[Judged]:
        """Boot each, and let the runner recover if ``whole``; with ``stop`` none after a bad one."""
        workers = os.cpu_count() or 1
        bad = threading.Event()
        parts = [sorted(states[i::workers], key=lambda s: s.window) for i in range(workers)]
        with ThreadPoolExecutor(workers) as pool:
            jobs = [pool.submit(self._work, i, p, bad, stop, whole) for i, p in enumerate(parts)]
            return [judged for job in jobs for judged in job.result()]

    def command(self, number: int) -> list[str]:
        """What judges states of this recording."""
        script = self.root / "tests/torture/blocklog/replay.py"
        return [*UNSHARE, sys.executable, str(script), str(self.folder), f"{self.folder}-{number}"]

    def _work(
        self,
        number: int,
        states: Sequence[log.State],
        bad: threading.Event,
        stop: bool,
        whole: bool,
    ) -> list[Judged]:
        results = []
        with subprocess.Popen(
            self.command(number), env=environment(self.root), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            for state in states:
                if stop and bad.is_set():
                    break
                given = json.dumps([state.window, state.chosen, state.at, whole])
                process.stdin.write(given + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the judge died on {state}")
                verdict = json.loads(line)
                ran, why = str(verdict.get("ran", "")), str(verdict.get("why", ""))
                results.append(Judged(state, self.phase(state), verdict["ok"], why, ran))
                if not verdict["ok"]:
                    bad.set()
            process.stdin.close()
        return results


def _phase(mark: dict[str, Any]) -> str:
    step, when = str(mark["step"]), str(mark["when"])
    return f"undo-{step}" if when.startswith("undo") else step


def counts(recording: Recording, judged: Sequence[Judged]) -> str:
    """How many states of which kinds, and in which step, for people."""
    phases = Counter(each.phase for each in judged)
    kinds = Counter(each.state.how for each in judged)
    steps = list(dict.fromkeys(_phase(mark) for mark in recording.moves["marks"]))
    by_step = ", ".join(f"{step} {phases[step]}" for step in ["begin", *steps] if phases[step])
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    good = sum(each.ok for each in judged)
    return f"{recording.kind}: {len(judged)} distinct states ({by_kind}), {good} good; {by_step}"


def told(recording: Recording, judged: Sequence[Judged], seed: int) -> str:
    """What is wrong, and how to see it again."""
    bad = [each for each in judged if not each.ok]
    lines = [f"{len(bad)} of {len(judged)} states are bad, seed {seed}, {recording.folder}:"]
    for each in bad[:5]:
        given = json.dumps([each.state.window, each.state.chosen, each.state.at, True])
        lines.append(f"- {each.phase}: {each.state}\n{each.why[:3000]}")
        lines.append(f"  again: echo '{given}' | {' '.join(recording.command(0))}")
    return "\n".join(lines)
