#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a run must leave alone on a host: a JSON value to compare with a later one.

Standard library only: it runs on the test host.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path

FILES = ("/etc/fstab", "/opt/agnes")
TREES = ("/data", "/data-state")
COMINGS_AND_GOINGS = (".tmp", ".wal", ".new", "duckdb-tmp")
"""What the running stack itself makes and removes."""


def run(*command: str) -> list[str]:
    """Lines of a command's output."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def sums() -> dict[str, str]:
    """Path -> mode, owner and hash of each file that an operator or the product wrote."""
    by_path = {}
    for top in FILES:
        paths = [Path(top), *Path(top).rglob("*")]
        for path in [path for path in paths if path.is_file()]:
            info = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            by_path[str(path)] = f"{info.st_uid}:{info.st_gid} {info.st_mode:o} {digest}"
    return by_path


def tree() -> dict[str, str]:
    """Path -> kind, owner and mode of everything on the disks."""
    by_path = {}
    for top in TREES:
        for folder, folders, files in os.walk(top):
            for path in [folder, *(os.path.join(folder, name) for name in folders + files)]:
                if any(part in path for part in COMINGS_AND_GOINGS):
                    continue
                info = os.lstat(path)
                kind = stat.filemode(info.st_mode)[0]
                by_path[path] = (
                    f"{kind} {info.st_uid}:{info.st_gid} {stat.S_IMODE(info.st_mode):04o}"
                )
    return by_path


def containers() -> dict[str, list[str]]:
    """Container -> id, start and restarts: what shows that nothing was recreated or restarted."""
    ids = run("docker", "ps", "--all", "--quiet")
    if not ids:
        return {}
    form = "{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}"
    lines = run("docker", "inspect", "--format", form, *ids)
    return {line.split()[0]: line.split()[1:] for line in lines}


def main() -> None:
    """Entry point."""
    mounts = run("findmnt", "--real", "--noheadings", "--raw", "--output", "TARGET,SOURCE,OPTIONS")
    snapshot = {
        "files": sums(),
        "tree": tree(),
        "containers": containers(),
        "mounts": sorted(line for line in mounts if line.startswith(TREES)),
    }
    print(json.dumps(snapshot, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
