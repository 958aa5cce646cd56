# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit looks for beside all that a run does. Read-only."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable
from typing import NamedTuple

from ...core.disks.mounts import on_top
from ...core.host.copiers import called, copying_lines
from ...core.host.facts import Copier, Filesystem, Host, Upkeep
from ...core.host.keepers import SCRIPTS
from ...core.host.text import clean
from ...core.layout.layouts import mount_points, state_dirs
from ...core.layout.tree import AGNES_UID, DATABASE
from ..copy import retired
from ..layout import trees
from . import listing, scripts

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


def filesystems(paths: Iterable[str], unknown: list[list[str]]) -> list[Filesystem]:
    """How full each filesystem is, by the first path in it; why one is not known goes to ``unknown``."""
    measured: list[Filesystem] = []
    seen = set()
    for path in paths:
        try:
            device, info = os.stat(path).st_dev, os.statvfs(path)
        except OSError as error:
            unknown.append([f"the filesystem at '{path}'", str(error.strerror)])
            continue
        if device not in seen:
            seen.add(device)
            measured.append(
                {
                    "path": path,
                    "used": (info.f_blocks - info.f_bfree) * info.f_frsize,
                    "free": info.f_bavail * info.f_frsize,
                    "used_inodes": info.f_files - info.f_ffree,
                    "free_inodes": info.f_favail,
                }
            )
    return measured


def _certificates(host: Host) -> dict[str, int]:
    ends = {}
    for path, placed in host["certificates"]["placed"].items():
        try:
            ends[path] = int(ssl.cert_time_to_seconds(placed["until"]) - time.time())
        except ValueError:
            continue
    return ends


class DatabaseFiles(NamedTuple):
    """What is wrong with the files of the databases in a STATE_DIR."""

    discarded: list[str]
    """Names of what the product has discarded."""
    foreign: dict[str, int]
    """Name -> owner, of those that are not the product's user's."""


def database_files(state_dir: str, unknown: list[list[str]]) -> DatabaseFiles:
    """Look at them; why that can't be done goes to ``unknown``."""
    files = DatabaseFiles([], {})
    try:
        with trees.opened(state_dir) as directory:
            names = sorted(os.listdir(directory))
            files.discarded.extend([n for n in names if n.startswith(_DISCARDED)][:_SHOWN])
            for name in filter(_DATABASES.__contains__, names):
                uid = os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid
                if uid != AGNES_UID:
                    files.foreign[name] = uid
    except (FileNotFoundError, NotADirectoryError):
        return files
    except OSError as error:
        unknown.append([f"'{state_dir}'", str(error.strerror)])
    return files


def mount_units(points: Iterable[str], unknown: list[list[str]]) -> list[str]:
    """The mount points for which there is a unit of systemd's, but those that it makes of fstab."""
    with_units = set()
    for point in points:
        name = point.strip("/").replace("-", "\\x2d").replace("/", "-") + ".mount"
        for path in (os.path.join(folder, name) for folder in _UNITS):
            try:
                if listing.is_there(os.path.realpath(path)):
                    with_units.add(point)
            except OSError as error:
                unknown.append([f"'{path}'", str(error.strerror)])
    return sorted(with_units)


def copiers(unknown: list[list[str]]) -> list[Copier]:
    """The lines of jobs that copy a place of state. The product's own tools are looked at elsewhere."""
    unread: dict[str, str] = {}
    paths = [path for pattern in _JOBS for path in scripts.matching(pattern, unread)]
    jobs = {path: scripts.text(path, unread) for path in paths}
    started = {path for text in jobs.values() for path in called(text)}
    texts = {**jobs, **{path: scripts.text(path, unread) for path in sorted(started - set(jobs))}}
    unknown += [[f"'{path}'", why] for path, why in unread.items()]
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
    databases = {path: database_files(path, unknown) for path in state_dirs()}
    engine = [host["engine"]["root_dir"]] if host["engine"]["here"] else []
    upkeep: Upkeep = {
        "filesystems": filesystems(["/", *engine, *sorted(mount_points() & targets)], unknown),
        "certificates": _certificates(host),
        "retired": [],
        "foreign": {path: each.foreign for path, each in databases.items()},
        "mount_units": mount_units(mount_points(), unknown),
        "copiers": copiers(unknown),
        "discarded": {path: each.discarded for path, each in databases.items()},
        "unknown": unknown,
    }
    try:
        upkeep["retired"] = retired.find()
    except OSError as error:
        unknown.append(["what runs have set aside", str(error)])
    cleaned: Upkeep = clean(upkeep)
    return cleaned
