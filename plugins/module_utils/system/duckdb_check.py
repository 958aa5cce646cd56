# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a copy of the database with the product's own image, read-only, and counting its rows.

The container has no network, no capabilities and no right to write: the directory is bound
read-only, and the files are proved to be the same bytes afterwards. Of what is in the
database, only the names of tables and numbers of rows leave the container.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.copy_errors import DatabaseDiffers, DatabaseTouched, DatabaseUnreadable
from ..core.manifest import Entry, Rules
from . import manifest, trees
from .commands import Failed, last_line, run

DATABASE = "system.duckdb"
AT = "/check"
"""Where the container has the directory."""

_SECONDS = 600.0

SCRIPT = f"""
import json, sys, duckdb
# Nothing is loaded, spilled or fetched: what opens is what lies there.
settings = {{"temp_directory": "", "autoinstall_known_extensions": "false"}}
connection = duckdb.connect(sys.argv[1] + "/{DATABASE}", read_only=True, config=settings)
quote = lambda name: '"' + name.replace('"', '""') + '"'
tables = connection.execute(
    "SELECT database_name, schema_name, table_name FROM duckdb_tables()"
    " WHERE NOT internal AND NOT temporary ORDER BY ALL"
).fetchall()
rows = {{}}
for table in tables:
    found = connection.execute("SELECT count(*) FROM " + ".".join(map(quote, table))).fetchone()
    rows[".".join(table[1:])] = found[0]
print(json.dumps({{"version": duckdb.__version__, "rows": rows}}))
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


def container(
    docker: Sequence[str], image: str, directory: str, uid: int, gid: int, below: str = ""
) -> list[str]:
    """The command that runs ``SCRIPT`` on the directory. ``docker`` is the client with its options.

    below: the path of the database's directory in ``directory``, of which then the container
    sees nothing that is mounted there. Nothing is pulled: the image is the one that the product
    runs here.
    """
    more = ",bind-recursive=disabled" if below else ""
    return [
        *docker, "run", "--rm", "--network", "none", "--pull", "never", "--read-only",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", f"{uid}:{gid}",
        "--mount", f"type=bind,source={directory},target={AT},readonly{more}", "--workdir", "/",
        "--entrypoint", "python3", image, "-c", SCRIPT, os.path.join(AT, below).rstrip("/"),
    ]  # fmt: skip


def parse(out: str) -> Rows:
    """The answer of ``SCRIPT``, its last line; ValueError for anything else."""
    answer: Any = json.loads(last_line(out))
    rows = {str(table): int(count) for table, count in answer["rows"].items()}
    return Rows(str(answer["version"]), rows)


def _files(directory: str, key: bytes) -> tuple[list[Entry], tuple[int, int]]:
    """The files of the database, and its owner."""
    with trees.opened(directory) as fd:
        info = os.stat(DATABASE, dir_fd=fd, follow_symlinks=False)
        without = [name for name in os.listdir(fd) if not name.startswith(DATABASE)]
        found = list(manifest.walk(fd, key, Rules(without=tuple(without))))
    # The top's own attributes are not what is at stake here.
    return found[1:], (info.st_uid, info.st_gid)


def check_there(fd: int, directory: str, image: str) -> None:
    """Raise DatabaseUnreadable unless an open directory has a database: it would be found too late."""
    try:
        os.stat(DATABASE, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        raise DatabaseUnreadable(path=directory, image=image, found=f"there is no {DATABASE}")


def count(docker: Sequence[str], image: str, directory: str) -> Rows:
    """Open the database in ``directory`` read-only and count; its files must stay as they are.

    The path must lead there for the engine, too. Raises DatabaseUnreadable, DatabaseTouched,
    and TreeChanged when somebody else writes there.
    """
    key = manifest.new_key()
    try:
        before, (uid, gid) = _files(directory, key)
    except FileNotFoundError:
        raise DatabaseUnreadable(path=directory, image=image, found=f"there is no {DATABASE}")
    try:
        found = parse(run(container(docker, image, directory, uid, gid), seconds=_SECONDS).out)
    except Failed as error:
        raise DatabaseUnreadable(path=directory, image=image, found=str(error))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DatabaseUnreadable(path=directory, image=image, found="an answer that is no count")
    after, _owner = _files(directory, key)
    if before != after:
        changed = sorted({os.fsdecode(entry.path) for entry in set(before) ^ set(after)})
        raise DatabaseTouched(path=directory, found=", ".join(changed[:5]))
    return found


def glance(
    docker: Sequence[str], image: str, directory: str, owner: tuple[int, int], below: str = ""
) -> Rows:
    """Count rows as they are now, as evidence for people: no proof, of what may be written to.

    below: as for container. Raises Failed, also when the database is in use.
    """
    command = container(docker, image, directory, *owner, below)
    try:
        return parse(run(command, seconds=_SECONDS).out)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failed("an answer that is no count")


def compare(source: Rows, target: Rows, paths: tuple[str, str]) -> None:
    """Raise DatabaseDiffers unless both have the same tables with as many rows."""
    tables = sorted(source.rows.keys() | target.rows.keys())
    found = [
        f"table {table}: {source.rows.get(table, 'none')} and {target.rows.get(table, 'none')}"
        for table in tables
        if source.rows.get(table) != target.rows.get(table)
    ]
    if source.version != target.version:
        found.insert(0, f"DuckDB {source.version} and {target.version}")
    if found:
        raise DatabaseDiffers(source=paths[0], target=paths[1], found="; ".join(found[:5]))
