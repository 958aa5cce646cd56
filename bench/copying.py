# SPDX-License-Identifier: GPL-3.0-or-later
"""How long our copy of a state directory takes, with the proof of every byte, beside what is done by hand.

    make bench BENCH=copying BENCHFLAGS="--mib 10 2048 --runs 5"

Three ways in turn, from one ext4 to another one that is made anew each time, both in files on this machine, until all is
on the disk: ours; ``rsync -aHAX`` followed by ``rsync -c``; ``cp -a`` and one pass of sha256sum over the copy. What is
printed is the median of each, and ours as a multiple of the others. Needs root. It is a measurement for people, never a test.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from downtime import options

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.agnes.host.plugins.module_utils.core.copy.copying import Proof
from ansible_collections.agnes.host.plugins.module_utils.move.copy_steps import BUDGET_SECONDS
from ansible_collections.agnes.host.plugins.module_utils.system.copy.copying import (
    ReadAhead,
    opened_copy,
)
from ansible_collections.agnes.host.plugins.module_utils.system.disks.devices import maj_min_of

INSIDE = "AGNES_BENCH_INSIDE"
TREE = """
set -eu
cd "$1"
# Half as a database has it, half in many small files, in folders.
head -c "$2"M /dev/urandom > system.duckdb
mkdir files
head -c "$2"M /dev/urandom | split -b "$3" -a 4 - files/
cd files
for first in $(ls | cut -c1-3 | sort -u); do mkdir ".$first"; mv "$first"? ".$first"; done
chown -R 999:999 "$1"
sync -f "$1"
"""
BY_RSYNC = """
set -eu
rsync -aHAX "$1/" "$2/"
sync -f "$2"
rsync -aHAXc "$1/" "$2/"
sync -f "$2"
"""
BY_CP = """
set -eu
cp -a "$1/." "$2/"
sync -f "$2"
find "$2" -type f -print0 | xargs -0 sha256sum > "$3/sums"
"""


def sh(script: str, *arguments: object) -> None:
    """Run a shell script. Ends the program when that fails."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"bench: {script}\n{done.stderr[-2000:]}")


@contextmanager
def filesystem(folder: Path, name: str, mib: int) -> Iterator[Path]:
    """An ext4 of its own, mounted; gone at the end."""
    image, point = folder / f"{name}.img", folder / name
    with open(image, "wb") as file:
        file.truncate(mib << 20)
    point.mkdir(exist_ok=True)
    sh('mkfs.ext4 -q -F "$1" && mount -o loop "$1" "$2"', image, point)
    try:
        yield point
    finally:
        sh('umount "$1" && rm "$2"', point, image)


def ours(source: Path, target: Path, folder: Path) -> None:
    """The passes of a move's copy, with nobody who writes, and its proof."""
    proof = Proof(maj_min_of(source.stat().st_dev), source.is_mount())
    with opened_copy(str(source), str(target), proof) as copy:
        copy.check_room()
        copy.precopy(BUDGET_SECONDS)
        copy.final()
        copy.sync()
        copy.prove(str(folder), ReadAhead())


def by_rsync(source: Path, target: Path, _folder: Path) -> None:
    """rsync, and again by content."""
    sh(BY_RSYNC, source, target)


def by_cp(source: Path, target: Path, folder: Path) -> None:
    """cp, and one pass of hashing over the copy."""
    sh(BY_CP, source, target, folder)


WAYS: dict[str, Callable[[Path, Path, Path], None]] = {
    "ours": ours,
    "rsync -aHAX, rsync -c": by_rsync,
    "cp -a, sha256sum": by_cp,
}


def measure(folder: Path, mib: int, runs: int) -> None:
    """All ways in turn, and print what they took."""
    room = 2 * mib + 256
    took: dict[str, list[float]] = {name: [] for name in WAYS}
    with filesystem(folder, "source", room) as source:
        sh(TREE, source, max(mib // 2, 1), "4k" if mib <= 64 else "64k")
        count = sum(len(files) for _path, _folders, files in os.walk(source))
        for _run in range(runs):
            for name, way in WAYS.items():
                with filesystem(folder, "target", room) as target:
                    began = time.monotonic()
                    way(source, target, folder)
                    took[name].append(time.monotonic() - began)
    medians = {name: statistics.median(seconds) for name, seconds in took.items()}
    print(f"{mib} MiB, {count} files (load average {os.getloadavg()[0]:.1f}):")
    for name, seconds in took.items():
        ratio = "" if name == "ours" else f", ours is {medians['ours'] / medians[name]:.2f} of it"
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"    {name}: {medians[name]:.2f} s ({spread}){ratio}", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    asked = options(__doc__).parse_args(arguments)
    if not os.environ.get(INSIDE):
        # What is mounted is gone with this process, however it ends.
        again = ["unshare", "--mount", "--propagation", "private", sys.executable, __file__]
        os.execvpe(again[0], [*again, *arguments], {**os.environ, INSIDE: "1"})
    (ROOT / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / ".cache") as name:
        for mib in asked.mib:
            measure(Path(name), mib, asked.runs)


if __name__ == "__main__":
    main(sys.argv[1:])
