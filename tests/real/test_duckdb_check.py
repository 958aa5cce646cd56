# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of the database around a stand-in for docker; tests/torture has the real thing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import copy_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.system.copy import duckdb_check
from ansible_collections.agnes.host.plugins.module_utils.system.copy.duckdb_check import Rows

DOCKER = [sys.executable, str(Path(__file__).with_name("docker_stand_in.py"))]


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    """Two directories with a database."""
    for name, content in (("source", b"12345"), ("copy", b"123")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "system.duckdb").write_bytes(content)
    return [str(tmp_path / "source"), str(tmp_path / "copy")]


def test_rows_are_counted_in_each_and_files_stay(two: list[str]) -> None:
    Path(two[0], "system.duckdb.wal").write_bytes(b"1")
    counted = duckdb_check.count(DOCKER, "agnes:1", *two)
    assert counted == [Rows("1", {"main.t": 5}), Rows("1", {"main.t": 3})]
    assert counted[0].total() == 5


UNREADABLE, TOUCHED = errors.DatabaseUnreadable, errors.DatabaseTouched
FAILS = [
    ("fails", UNREADABLE, "'{source} or {copy}' can't be opened", "docker: no such image"),
    ("refuses", UNREADABLE, "in '{copy}' can't be opened", "(IOException: \\x1b[2Jcould not read it)"),
    ("babbles", UNREADABLE, "'{source} or {copy}'", "an answer that is no count"),
    ("forgets", UNREADABLE, "'{source} or {copy}'", "1 counts for 2 databases"),
    ("invents", UNREADABLE, "'{source} or {copy}'", "3 counts for 2 databases"),
    ("touches the source", TOUCHED, "in '{source}'", "changed its files (system.duckdb)"),
    ("touches the copy", TOUCHED, "in '{copy}'", "changed its files (system.duckdb)"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "cls", "which", "said"), FAILS, ids=[f[0] for f in FAILS])
def test_what_goes_wrong_is_refused(
    how: str, cls: type[Exception], which: str, said: str, two: list[str]
) -> None:
    with pytest.raises(cls) as refused:
        duckdb_check.count(["env", f"STAND_IN={how}", *DOCKER], "agnes:1", *two)
    assert which.format(source=two[0], copy=two[1]) in str(refused.value)
    assert said in str(refused.value)


def test_no_database_is_refused(two: list[str]) -> None:
    Path(two[1], "system.duckdb").unlink()
    with pytest.raises(errors.DatabaseUnreadable, match=r"/copy' .*there is no system\.duckdb"):
        duckdb_check.count(DOCKER, "agnes:1", *two)


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_leads_elsewhere_is_no_database(two: list[str], kind: str) -> None:
    path = Path(two[1], "system.duckdb.wal")
    path.symlink_to("../0/system.duckdb.wal") if kind == "link" else os.mkfifo(path)
    with pytest.raises(errors.DatabaseUnreadable, match=r"/copy' .*wal is neither a file nor"):
        duckdb_check.count(DOCKER, "agnes:1", *two)


def test_the_container_can_reach_and_change_nothing() -> None:
    argv = duckdb_check.container(["docker"], "agnes:1", ["/run/x", "/y"], (999, 998))
    text = " ".join(argv)
    for option in (
        "--rm", "--network none", "--pull never", "--read-only", "--cap-drop ALL", "--user 999:998",
        "--mount type=bind,source=/run/x,target=/check/0,readonly --mount",
        "--mount type=bind,source=/y,target=/check/1,readonly --workdir",
    ):  # fmt: skip
        assert option in text
    assert argv[-2:] == ["/check/0", "/check/1"]


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
