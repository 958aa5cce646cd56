# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit looks for beside all that a run does. Read-only."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable

from ...core.host.facts import Filesystem, Host, Upkeep
from ...core.host.text import clean
from ...core.layout.layouts import mount_points, state_dirs
from ...core.layout.tree import DATABASE
from ..copy import retired
from ..layout import trees

_DISCARDED = f"{DATABASE}.wal.discarded."
"""How the names begin of what the product could not replay, and has moved aside."""
_SHOWN = 5


def filesystems(paths: Iterable[str], unknown: list[list[str]]) -> list[Filesystem]:
    """How full each filesystem is, by the first path in it; why one is not known goes to ``unknown``."""
    found: list[Filesystem] = []
    seen = set()
    for path in paths:
        try:
            device, info = os.stat(path).st_dev, os.statvfs(path)
        except OSError as error:
            unknown.append([f"the filesystem at '{path}'", str(error.strerror)])
            continue
        if device not in seen:
            seen.add(device)
            found.append(
                {
                    "path": path,
                    "used": (info.f_blocks - info.f_bfree) * info.f_frsize,
                    "free": info.f_bavail * info.f_frsize,
                    "used_inodes": info.f_files - info.f_ffree,
                    "free_inodes": info.f_favail,
                }
            )
    return found


def _certificates(host: Host) -> dict[str, int]:
    ends = {}
    for path, placed in host["certificates"]["placed"].items():
        try:
            ends[path] = int(ssl.cert_time_to_seconds(placed["until"]) - time.time())
        except ValueError:
            continue
    return ends


def discarded(state_dir: str, unknown: list[list[str]]) -> list[str]:
    """Names of what the product has discarded of its database in a STATE_DIR."""
    try:
        with trees.opened(state_dir) as directory:
            names = sorted(n for n in os.listdir(directory) if n.startswith(_DISCARDED))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        unknown.append([f"'{state_dir}'", str(error.strerror)])
        return []
    return names[:_SHOWN]


def look(host: Host) -> Upkeep:
    """Everything. host: what was observed."""
    unknown: list[list[str]] = []
    targets = {mount["target"] for mount in host["mounts"]}
    engine = [host["engine"]["root_dir"]] if host["engine"]["here"] else []
    found: Upkeep = {
        "filesystems": filesystems(["/", *engine, *sorted(mount_points() & targets)], unknown),
        "certificates": _certificates(host),
        "retired": [],
        "discarded": {path: discarded(path, unknown) for path in state_dirs()},
        "unknown": unknown,
    }
    try:
        found["retired"] = retired.find()
    except OSError as error:
        unknown.append(["what runs have set aside", str(error)])
    cleaned: Upkeep = clean(found)
    return cleaned
