# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a test host: waits for a line of the move's journal, then kills. Standard library only.

Arguments: step (or NOW), phase, seconds to wait after it, and what to kill here (engine, connection,
nothing). Prints step and phase of the last line that the journal has then; nothing when the move
ended before.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

JOURNAL = Path("/var/lib/agnes-host/journal.jsonl")
LOCK = Path("/run/agnes-host/lock")
ENOUGH = Path("/run/strike-enough")
PATIENCE = 600.0


def lines_from(offset: int) -> list[dict[str, str]]:
    """The whole lines after ``offset``."""
    try:
        with JOURNAL.open("rb") as file:
            file.seek(offset)
            text = file.read().decode()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def engine() -> list[int]:
    """The engine's process, by the name that it leaves in its lock."""
    words = LOCK.read_text().replace(",", " ").split()
    pid = int(words[words.index("process") + 1])
    name = Path(f"/proc/{pid}/cmdline")
    return [pid] if name.exists() and b"agnes_host" in name.read_bytes() else []


def connection() -> list[int]:
    """All that came into this host from outside, and what it has started: but not this."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    pids = [pid for pid, parent in parents.items() if parent == 0 and pid not in (1, os.getpid())]
    for pid in pids:
        pids += [child for child, parent in parents.items() if parent == pid]
    return pids


def main(step: str, phase: str, delay: float, what: str) -> None:
    """Entry point."""
    offset = JOURNAL.stat().st_size if JOURNAL.exists() and step != "NOW" else 0
    ENOUGH.unlink(missing_ok=True)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        lines = lines_from(offset)
        if step == "NOW" or any((line["step"], line["phase"]) == (step, phase) for line in lines):
            break
        if ENOUGH.exists() or any(line["step"] == "forget" for line in lines):
            return
        time.sleep(0.003)
    else:
        return
    time.sleep(delay)
    last = lines_from(offset)[-1]
    for pid in {"engine": engine, "connection": connection}.get(what, list)():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    print(last["step"], last["phase"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
