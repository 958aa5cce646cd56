# SPDX-License-Identifier: GPL-3.0-or-later
"""The DuckDB file: one connection, held open for the life of the process."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import duckdb

from agnes_demo.files import sync_dir, utc_now

# Entry N-1 takes the schema from N-1 to N.
MIGRATIONS = (
    "CREATE TABLE rows (id BIGINT PRIMARY KEY, note VARCHAR NOT NULL, created_at VARCHAR NOT NULL)",
    "ALTER TABLE rows ADD COLUMN source VARCHAR DEFAULT 'api'",
)
LATEST_SCHEMA = len(MIGRATIONS)


class StoreError(Exception):
    """The database can't be used; the message is for the operator."""


class Store:
    """Rows in STATE_DIR/system.duckdb."""

    def __init__(self, state: Path, schema: int = LATEST_SCHEMA) -> None:
        """Open or make the file in `state` and bring it to `schema`."""
        self.path = state / "system.duckdb"
        self._temp = state / "duckdb-tmp"
        self._lock = threading.Lock()
        self._con = self._open()
        self.schema = self._migrate(schema)

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            return duckdb.connect(str(self.path), config={"temp_directory": str(self._temp)})
        except duckdb.Error as error:
            first_line = str(error).splitlines()[0]
            raise StoreError(f"cannot open {self.path}: {first_line}") from error

    def _version(self) -> int:
        self._con.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        row = self._con.execute("SELECT max(version) FROM schema_version").fetchone()
        return row[0] if row and row[0] is not None else 0

    def _migrate(self, target: int) -> int:
        current = self._version()
        if current > target:
            raise StoreError(
                f"{self.path} has schema {current}, newer than this version's {target}"
            )
        if 0 < current < target:
            self._keep_copy()
        for version in range(current + 1, target + 1):
            self._con.execute("BEGIN")
            self._con.execute(MIGRATIONS[version - 1])
            self._con.execute("DELETE FROM schema_version")
            self._con.execute("INSERT INTO schema_version VALUES (?)", [version])
            self._con.execute("COMMIT")
        return target

    def _keep_copy(self) -> None:
        """CHECKPOINT, then copy the file to system.duckdb.pre-migrate."""
        self._con.execute("CHECKPOINT")
        # Closed for the copy: closing a second descriptor of the file drops DuckDB's lock on it.
        self._con.close()
        copy = self.path.with_name(self.path.name + ".pre-migrate")
        tmp = copy.with_name(copy.name + ".tmp")
        shutil.copy2(self.path, tmp)
        with tmp.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(tmp, copy)
        sync_dir(copy.parent)
        self._con = self._open()

    def add(self, note: str) -> tuple[int, int]:
        """Commit a row; its id and the number of rows."""
        with self._lock:
            self._con.execute("BEGIN")
            try:
                (row,) = self._one("SELECT coalesce(max(id), 0) + 1 FROM rows")
                self._con.execute(
                    "INSERT INTO rows (id, note, created_at) VALUES (?, ?, ?)",
                    [row, note, utc_now()],
                )
                (count,) = self._one("SELECT count(*) FROM rows")
                self._con.execute("COMMIT")
            except Exception:
                self._con.execute("ROLLBACK")
                raise
        return row, count

    def _one(self, query: str) -> tuple[int]:
        row = self._con.execute(query).fetchone()
        assert row is not None  # an aggregate always gives one row
        return row

    def count(self) -> int:
        """Number of rows."""
        with self._lock:
            return self._one("SELECT count(*) FROM rows")[0]

    def ids(self) -> list[int]:
        """All ids, in order."""
        with self._lock:
            return [
                row for (row,) in self._con.execute("SELECT id FROM rows ORDER BY id").fetchall()
            ]

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file."""
        with self._lock:
            self._con.execute("CHECKPOINT")

    def close(self) -> None:
        """CHECKPOINT and close: no .wal is left behind."""
        with self._lock:
            self._con.execute("CHECKPOINT")
            self._con.close()
