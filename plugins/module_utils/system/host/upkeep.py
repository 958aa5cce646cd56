# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit looks for beside all that a run does. Read-only."""

from __future__ import annotations

import glob
import os
import ssl
import time
from collections.abc import Iterable

from ...core.disks.mounts import on_top
from ...core.host.copiers import called, copying_lines
from ...core.host.facts import Copier, Filesystem, Host, Upkeep
from ...core.host.keepers import SCRIPTS
from ...core.host.text import clean
from ...core.layout.layouts import mount_points, state_dirs
from ...core.layout.tree import AGNES_UID, DATABASE
from ..copy import retired
from ..layout import trees
from . import durable

_DISCARDED = f"{DATABASE}.wal.discarded."
"""How the names begin of what the product could not replay, and has moved aside."""
_SHOWN = 5
_DATABASES = tuple(
    f"{name}{wal}" for name in (DATABASE, "operational.duckdb") for wal in ("", ".wal")
)
_UNITS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_JOBS = (
    "/etc/crontab",
    "/etc/cron.d/*",
    "/etc/cron.*ly/*",
    "/var/spool/cron/crontabs/*",
    "/var/spool/cron/*",
    "/etc/systemd/system/*.service",
)
_LIMIT = 1 << 20


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


def foreign(state_dir: str, unknown: list[list[str]]) -> dict[str, int]:
    """Name -> owner of each file of a database in a STATE_DIR that is not the product's user's."""
    found = {}
    try:
        with trees.opened(state_dir) as directory:
            for name in set(_DATABASES) & set(os.listdir(directory)):
                uid = os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid
                if uid != AGNES_UID:
                    found[name] = uid
    except (FileNotFoundError, NotADirectoryError):
        return found
    except OSError as error:
        unknown.append([f"'{state_dir}'", str(error.strerror)])
    return found


def mount_units(points: Iterable[str]) -> list[str]:
    """The mount points for which there is a unit of systemd's, but those that it makes of fstab."""
    names = {p: p.strip("/").replace("-", "\\x2d").replace("/", "-") + ".mount" for p in points}
    return sorted(
        point
        for point, name in names.items()
        if any(os.path.exists(os.path.join(folder, name)) for folder in _UNITS)
    )


def _text(path: str) -> str:
    """A file's text, a link's too; empty where it is gone, no file, or can't be read."""
    try:
        return durable.read_text(os.path.realpath(path), _LIMIT) or ""
    except OSError:
        return ""


def copiers() -> list[Copier]:
    """The lines of jobs that copy a place of state. The product's own tools are looked at elsewhere."""
    jobs = {path: _text(path) for pattern in _JOBS for path in sorted(glob.glob(pattern))}
    started = {path for text in jobs.values() for path in called(text)}
    texts = {**jobs, **{path: _text(path) for path in sorted(started - set(jobs))}}
    product = set(SCRIPTS.values())
    return [
        line
        for path, text in texts.items()
        if path not in product
        for line in copying_lines(path, text)
    ][:_SHOWN]


def look(host: Host) -> Upkeep:
    """Everything. host: what was observed."""
    unknown: list[list[str]] = []
    targets = {mount["target"] for mount in on_top(host["mounts"])}
    engine = [host["engine"]["root_dir"]] if host["engine"]["here"] else []
    found: Upkeep = {
        "filesystems": filesystems(["/", *engine, *sorted(mount_points() & targets)], unknown),
        "certificates": _certificates(host),
        "retired": [],
        "foreign": {path: foreign(path, unknown) for path in state_dirs()},
        "mount_units": mount_units(mount_points()),
        "copiers": copiers(),
        "discarded": {path: discarded(path, unknown) for path in state_dirs()},
        "unknown": unknown,
    }
    try:
        found["retired"] = retired.find()
    except OSError as error:
        unknown.append(["what runs have set aside", str(error)])
    cleaned: Upkeep = clean(found)
    return cleaned
