# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of the database around a stand-in for docker; tests/torture has the real thing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core import copy_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.system import duckdb_check
from ansible_collections.agnes.host.plugins.module_utils.system.duckdb_check import Rows

DOCKER = [sys.executable, str(Path(__file__).with_name("docker_stand_in.py"))]


def test_rows_are_counted_and_files_stay(tmp_path: Path) -> None:
    (tmp_path / "system.duckdb").write_bytes(b"12345")
    (tmp_path / "system.duckdb.wal").write_bytes(b"1")
    found = duckdb_check.count(DOCKER, "agnes:1", str(tmp_path))
    assert (found, found.total()) == (Rows("1", {"main.t": 5}), 5)


FAILS = [
    ("fails", errors.DatabaseUnreadable, "IO Error: could not read the file"),
    ("babbles", errors.DatabaseUnreadable, "an answer that is no count"),
    ("touches", errors.DatabaseTouched, "changed its files (system.duckdb)"),
]


@pytest.mark.parametrize(("how", "cls", "found"), FAILS, ids=[f[0] for f in FAILS])
def test_what_goes_wrong_is_refused(
    how: str, cls: type[Exception], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system.duckdb").write_bytes(b"12345")
    monkeypatch.setenv("STAND_IN", how)
    with pytest.raises(cls) as refused:
        duckdb_check.count(DOCKER, "agnes:1", str(tmp_path))
    assert found in str(refused.value)


def test_no_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.DatabaseUnreadable, match=r"there is no system\.duckdb"):
        duckdb_check.count(DOCKER, "agnes:1", str(tmp_path))


def test_the_container_can_reach_and_change_nothing() -> None:
    argv = duckdb_check.container(["docker"], "agnes:1", "/run/x", 999, 999)
    text = " ".join(argv)
    for option in (
        "--rm", "--network none", "--pull never", "--read-only", "--cap-drop ALL", "--user 999:999",
        "type=bind,source=/run/x,target=/check,readonly",
    ):  # fmt: skip
        assert option in text


COMPARED = [
    (Rows("1", {"main.a": 1}), ""),
    (Rows("1", {"main.a": 2}), "table main.a: 1 and 2"),
    (Rows("1", {}), "table main.a: 1 and none"),
    (Rows("2", {"main.a": 1, "main.b": 0}), "DuckDB 1 and 2; table main.b: none and 0"),
]


@pytest.mark.parametrize(("target", "wanted"), COMPARED)
def test_compare(target: Rows, wanted: str) -> None:
    source = Rows("1", {"main.a": 1})
    if not wanted:
        duckdb_check.compare(source, target, ("/a", "/b"))
        return
    with pytest.raises(errors.DatabaseDiffers) as refused:
        duckdb_check.compare(source, target, ("/a", "/b"))
    assert f"({wanted})" in str(refused.value)
