# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that only shows it can write: a counter on each of its disks, every two seconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agnes_demo.files import replace_json, utc_now
from agnes_demo.paths import data_dir, state_dir
from agnes_demo.wait import hold_signals, stopped_within

INTERVAL_SECONDS = 2.0


def beat(root: Path, name: str) -> int:
    """Write the next count below `root`; makes `beats`, never `root`."""
    folder = root / "beats"
    if not folder.is_dir():
        folder.mkdir()
    path = folder / name
    try:
        count = int(json.loads(path.read_text("utf-8"))["count"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        count = 0
    replace_json(path, {"at": utc_now(), "count": count + 1})
    return count + 1


def main(name: str) -> None:
    """Beat until SIGTERM; an unwritable disk is reported each time and tried again."""
    hold_signals()
    roots = (data_dir(), state_dir())
    while True:
        for root in roots:
            try:
                beat(root, name)
            except OSError as error:
                print(f"{name}: {error}", file=sys.stderr, flush=True)
        if stopped_within(INTERVAL_SECONDS):
            return


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 -m agnes_demo.beat NAME")
    main(sys.argv[1])
