# SPDX-License-Identifier: GPL-3.0-or-later
"""200,000 small files and a sparse file of 20 GiB: copied, proved, in bounded memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.copy.memory import LIMIT

FILES = 200_000
SPARSE = 20 << 30
MEMORY_MIB = 64
"""What a manifest may take beside what is remembered; a list of entries would take four times as much."""
REMEMBERED = 600
"""Bytes that a file of either tree may take beside that, where it is remembered: see system/copy/memory.py."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

CHILD = """
import json, os, resource, sys, time
from pathlib import Path
from ansible_collections.agnes.host.plugins.module_utils.core.copy.copying import Proof
from ansible_collections.agnes.host.plugins.module_utils.system.copy import copying, memory
from ansible_collections.agnes.host.plugins.module_utils.system.disks.devices import maj_min_of
source, target, folder, limit = sys.argv[1:]
memory.LIMIT = int(limit)
proof = Proof(maj_min_of(os.stat(source).st_dev), False, holds=("d0",))
times, known = {}, copying.ReadAhead(bytes(32))
with copying.opened_copy(source, target, proof) as copy:
    for name, act in (
        ("room", copy.check_room), ("round", copy.round), ("final", copy.final), ("sync", copy.sync),
        ("ahead", lambda: copy.read_ahead(known)), ("prove", lambda: copy.prove(folder, known)),
    ):
        started = time.monotonic()
        found = act()
        times[name] = round(time.monotonic() - started, 1)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"times": times, "peak": peak, "entries": found.entries}))
"""


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Path]:
    """The tree."""
    top = tmp_path / "source"
    top.mkdir()
    for number in range(FILES):
        if number % 1000 == 0:
            (top / f"d{number // 1000}").mkdir()
        (top / f"d{number // 1000}" / str(number)).write_bytes(b"%d" % number)
    with open(top / "sparse", "wb") as file:
        file.truncate(SPARSE)
    yield top


@pytest.mark.parametrize("limit", [0, LIMIT])
def test_many_files_and_a_sparse_one(many: Path, tmp_path: Path, limit: int) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "manifests").mkdir(mode=0o700)
    command = [
        sys.executable,
        "-c",
        CHILD,
        *(str(tmp_path / n) for n in ("source", "target", "manifests")),
        str(limit),
    ]
    started = time.monotonic()
    env = {**os.environ, "PYTHONPATH": ".collections"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    measured = json.loads(done.stdout)
    print(f"\n{FILES} files, {limit} remembered: {time.monotonic() - started:.0f} s, {measured}")
    assert measured["entries"] == FILES + FILES // 1000 + 2
    assert measured["peak"] < MEMORY_MIB + 2 * limit * REMEMBERED / (1 << 20)
    assert (tmp_path / "target" / "sparse").stat().st_blocks == 0
