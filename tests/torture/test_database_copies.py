# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a database whose writer was killed, opened with the demo stack's image in a real engine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import copy_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.copy.copying import Proof
from ansible_collections.agnes.host.plugins.module_utils.system.copy import copying, duckdb_check
from ansible_collections.agnes.host.plugins.module_utils.system.disks.devices import maj_min_of

DOCKER = ["docker"]
IMAGE = os.environ.get("AGNES_CHECK_IMAGE", "agnes-demo:1")
ROWS = 500

WRITER = f"""
import duckdb, os
con = duckdb.connect("/state/system.duckdb")
con.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, note VARCHAR)")
con.execute('CREATE SCHEMA "odd ""name"'), con.execute('CREATE TABLE "odd ""name"."t.t" (a INT)')
con.execute("CHECKPOINT")
for n in range({ROWS}):
    con.execute("INSERT INTO notes VALUES (?, ?)", [n, "x" * 100])
os._exit(137)  # the end of process 1 by SIGKILL: nothing is closed
"""

SHADOWING = """
import duckdb
duckdb.connect("/state/system.duckdb").execute(
    "CREATE MACRO duckdb_tables() AS TABLE SELECT 'a' AS database_name, 'b' AS schema_name,"
    " 'c' AS table_name, false AS internal, false AS temporary"
)
"""


def _usable() -> bool:
    if os.geteuid() != 0 or not shutil.which("docker") or not shutil.which("rsync"):
        return False
    command = ["docker", "image", "inspect", IMAGE]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not _usable(), reason=f"needs root, rsync, and an engine that has the image {IMAGE}"
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """State of a writer that was killed, with a log that is not checkpointed."""
    path = tmp_path / "state"
    path.mkdir()
    os.chown(path, 999, 999)
    done = subprocess.run(
        [*DOCKER, "run", "--rm", "--network", "none", "--user", "999:999",
         "--mount", f"type=bind,source={path},target=/state", "--entrypoint", "python3",
         IMAGE, "-c", WRITER], capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 137, done.stderr
    assert (path / "system.duckdb.wal").stat().st_size > 1000
    yield path


def copied(state: Path, tmp_path: Path) -> Path:
    target, folder = tmp_path / "copy", tmp_path / "manifests"
    target.mkdir()
    folder.mkdir(mode=0o700)
    proof = Proof(maj_min_of(state.stat().st_dev), is_mount=False)
    with copying.opened_copy(str(state), str(target), proof) as copy:
        copy.final()
        copy.prove(str(folder), copying.ReadAhead(bytes(32)))
    return target


def count(path: Path) -> duckdb_check.Rows:
    return duckdb_check.count(DOCKER, IMAGE, str(path))[0]


def test_the_group_has_every_row_and_opening_it_changes_nothing(
    state: Path, tmp_path: Path
) -> None:
    target = copied(state, tmp_path)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in target.iterdir()}
    source, target_rows = duckdb_check.count(DOCKER, IMAGE, str(state), str(target))
    assert dict(target_rows.rows) == {"main.notes": ROWS, 'odd "name.t.t': 0}
    duckdb_check.compare(source, target_rows, (str(state), str(target)))
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in target.iterdir()} == before


def test_a_copy_without_its_log_has_other_rows(state: Path, tmp_path: Path) -> None:
    target = copied(state, tmp_path)
    (target / "system.duckdb.wal").unlink()
    with pytest.raises(errors.DatabaseDiffers, match=f"table main.notes: {ROWS} and 0"):
        duckdb_check.compare(count(state), count(target), ("/source", "/target"))


def test_a_copy_with_a_log_cut_short_does_not_pass(state: Path, tmp_path: Path) -> None:
    target = copied(state, tmp_path)
    with open(target / "system.duckdb.wal", "r+b") as file:
        file.truncate((target / "system.duckdb.wal").stat().st_size * 2 // 3)
    with pytest.raises((errors.DatabaseDiffers, errors.DatabaseUnreadable)):
        duckdb_check.compare(count(state), count(target), ("/source", "/target"))


def test_a_damaged_database_is_refused(state: Path, tmp_path: Path) -> None:
    target = copied(state, tmp_path)
    with open(target / "system.duckdb", "r+b") as file:
        file.write(b"\0" * 8192)
    with pytest.raises(errors.DatabaseUnreadable, match=f"AH092: .*'{target}'.* valid DuckDB"):
        duckdb_check.count(DOCKER, IMAGE, str(state), str(target))


def test_what_is_in_a_database_does_not_decide_what_is_asked(state: Path) -> None:
    subprocess.run(
        [*DOCKER, "run", "--rm", "--network", "none", "--user", "999:999",
         "--mount", f"type=bind,source={state},target=/state", "--entrypoint", "python3",
         IMAGE, "-c", SHADOWING], check=True,
    )  # fmt: skip
    assert count(state).rows["main.notes"] == ROWS


def test_an_image_that_is_not_here_is_refused_and_not_fetched(state: Path) -> None:
    with pytest.raises(errors.DatabaseUnreadable, match="AH092"):
        duckdb_check.count(DOCKER, "agnes-absent:1", str(state))


def test_shadowed_rows_are_counted_apart_from_those_on_it(state: Path, tmp_path: Path) -> None:
    mounted = copied(state, tmp_path)
    (mounted / "system.duckdb.wal").unlink()
    # As /data is: the user of the database can pass through it.
    tmp_path.chmod(0o755)
    subprocess.run(["mount", "--bind", str(mounted), str(state)], check=True)
    try:
        on_it = duckdb_check.glance(DOCKER, IMAGE, str(state), (999, 999))
        shadowed = duckdb_check.glance(DOCKER, IMAGE, str(tmp_path), (999, 999), "state")
    finally:
        subprocess.run(["umount", str(state)], check=True)
    assert (on_it.rows["main.notes"], shadowed.rows["main.notes"]) == (0, ROWS)
