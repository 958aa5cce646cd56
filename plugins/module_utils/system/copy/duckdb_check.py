# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a copy of the database with the product's own image, read-only, and counting its rows.

The container has no network, no capabilities and no right to write: the directories are bound
read-only, and nobody has written to the files afterwards. Of what is in the database, only
the names of tables, numbers of rows and the beginning of an error leave the container.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...core.copy.copy_errors import DatabaseDiffers, DatabaseTouched, DatabaseUnreadable
from ...core.copy.manifest import show
from ..host.commands import Failed, last_line, run
from ..layout import trees

DATABASE = "system.duckdb"
AT = "/check"
"""Below it the container has the directories, by their number."""

_SECONDS = 600.0
_SAID = 300
"""Characters of an error that are passed on."""

SCRIPT = f"""
import concurrent.futures, json, sys, duckdb
# Nothing is loaded, spilled or fetched: what opens is what lies there.
settings = {{"temp_directory": "", "autoinstall_known_extensions": "false"}}
quote = lambda name: '"' + name.replace('"', '""') + '"'
def count(directory):
    connection = duckdb.connect(directory + "/{DATABASE}", read_only=True, config=settings)
    tables = connection.execute(
        # By its full name: a macro in the database could stand in for it.
        "SELECT database_name, schema_name, table_name FROM system.main.duckdb_tables()"
        " WHERE NOT internal AND NOT temporary ORDER BY ALL"
    ).fetchall()
    rows = {{}}
    for table in tables:
        row = connection.execute("SELECT count(*) FROM " + ".".join(map(quote, table))).fetchone()
        rows[".".join(table[1:])] = row[0]
    return {{"version": duckdb.__version__, "rows": rows}}
def answer(directory):
    try:
        return count(directory)
    except Exception as error:
        return {{"error": type(error).__name__ + ": " + str(error)}}
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(json.dumps(list(pool.map(answer, sys.argv[1:]))))
"""


@dataclass(frozen=True)
class Rows:
    """What a database holds, by the image's own DuckDB."""

    version: str
    rows: Mapping[str, int]
    """Schema and table -> rows."""

    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


class Unopened(Failed):
    """One database can't be opened; the message says why."""

    def __init__(self, message: str, directory: str) -> None:
        super().__init__(message)
        self.directory = directory


def container(
    docker: Sequence[str],
    image: str,
    directories: Sequence[str],
    owner: tuple[int, int],
    below: str = "",
) -> list[str]:
    """The command that runs ``SCRIPT`` on directories. ``docker`` is the client with its options.

    owner: uid and gid to run as. below: the path of the database's directory in each of
    ``directories``, of which then the container sees nothing that is mounted there. Nothing
    is pulled: the image is the one that the product runs here.
    """
    more = ",bind-recursive=disabled" if below else ""
    mounts, places = [], []
    for number, directory in enumerate(directories):
        at = f"{AT}/{number}"
        mounts += ["--mount", f"type=bind,source={directory},target={at},readonly{more}"]
        places.append(os.path.join(at, below).rstrip("/"))
    return [
        *docker, "run", "--rm", "--network", "none", "--pull", "never", "--read-only",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", f"{owner[0]}:{owner[1]}",
        *mounts, "--workdir", "/", "--entrypoint", "python3", image, "-c", SCRIPT, *places,
    ]  # fmt: skip


def _said(text: str) -> str:
    """What the database says, for a message: it may be anything, and long."""
    lines = text.strip().splitlines() or [""]
    return show(lines[0][:_SAID].encode("utf-8", "replace"))[1:-1]


def _answers(out: str, directories: Sequence[str]) -> list[Rows]:
    """The last line that ``SCRIPT`` printed: of each directory, in order.

    Raises Unopened for one that could not be opened, Failed for what is no answer.
    """
    try:
        answers: Any = json.loads(last_line(out))
        if len(answers) != len(directories):
            raise Failed(f"{len(answers)} counts for {len(directories)} databases")
        counted = []
        for directory, answer in zip(directories, answers):
            if "error" in answer:
                raise Unopened(_said(str(answer["error"])), directory)
            rows = {str(table): int(number) for table, number in answer["rows"].items()}
            counted.append(Rows(str(answer["version"]), rows))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise Failed("an answer that is no count")
    return counted


def _ask(
    docker: Sequence[str], image: str, directories: Sequence[str], owner: tuple[int, int],
    below: str = "",
) -> list[Rows]:  # fmt: skip
    command = container(docker, image, directories, owner, below)
    return _answers(run(command, seconds=_SECONDS).out, directories)


def _times(directory: str, image: str) -> tuple[dict[str, tuple[int, ...]], tuple[int, int]]:
    """What the kernel changes with each write, of each file of a database; and its owner.

    Nobody but the kernel sets ctime, and what was written before lies there since longer than
    its clock is coarse: the container alone takes many ticks to start. Raises DatabaseUnreadable
    when there is no database.
    """
    times: dict[str, tuple[int, ...]] = {}
    with trees.opened(directory) as fd:
        owner = check_there(fd, directory, image)
        for name in (each for each in os.listdir(fd) if each.startswith(DATABASE)):
            with suppress(FileNotFoundError):
                info = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
                    # A link of the copy's could lead to the source, and a FIFO nowhere.
                    said = f"{_said(name)} is neither a file nor a directory"
                    raise DatabaseUnreadable(path=directory, image=image, found=said)
                times[name] = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    return times, (owner.st_uid, owner.st_gid)


def check_there(fd: int, directory: str, image: str) -> os.stat_result:
    """Raise DatabaseUnreadable unless an open directory has a database: it would be found too late."""
    try:
        return os.stat(DATABASE, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        raise DatabaseUnreadable(path=directory, image=image, found=f"there is no {DATABASE}")


def count(docker: Sequence[str], image: str, *directories: str) -> list[Rows]:
    """Open the databases in ``directories`` read-only and count; their files must stay as they are.

    One container does it, as whoever owns the first. The paths must lead there for the engine,
    too. Raises DatabaseUnreadable, DatabaseTouched.
    """
    before = [_times(directory, image) for directory in directories]
    try:
        counted = _ask(docker, image, directories, before[0][1])
    except Failed as error:
        path = error.directory if isinstance(error, Unopened) else " or ".join(directories)
        raise DatabaseUnreadable(path=path, image=image, found=str(error))
    for directory, (had, _owner) in zip(directories, before):
        changed = set(had.items()) ^ set(_times(directory, image)[0].items())
        if changed:
            names = sorted({name for name, _written in changed})
            raise DatabaseTouched(path=directory, found=", ".join(names[:5]))
    return counted


def glance(
    docker: Sequence[str], image: str, directory: str, owner: tuple[int, int], below: str = ""
) -> Rows:
    """Count rows as they are now, as evidence for people: no proof, of what may be written to.

    below: as for container. Raises Failed, also when the database is in use.
    """
    return _ask(docker, image, [directory], owner, below)[0]


def compare(source: Rows, target: Rows, paths: tuple[str, str]) -> None:
    """Raise DatabaseDiffers unless both have the same tables with as many rows."""
    tables = sorted(source.rows.keys() | target.rows.keys())
    differing = [
        f"table {_said(table)}: {source.rows.get(table, 'none')} and {target.rows.get(table, 'none')}"
        for table in tables
        if source.rows.get(table) != target.rows.get(table)
    ]
    if source.version != target.version:
        differing.insert(0, f"DuckDB {source.version} and {target.version}")
    if differing:
        raise DatabaseDiffers(source=paths[0], target=paths[1], found="; ".join(differing[:5]))
