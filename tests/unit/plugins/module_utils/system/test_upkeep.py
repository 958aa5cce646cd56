# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit looks for beside all that a run does, on a real directory."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.tree import AGNES_UID
from ansible_collections.agnes.host.plugins.module_utils.system.host import scripts, upkeep


def test_each_filesystem_is_there_once_and_what_is_gone_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    unknown: list[list[str]] = []
    paths = [str(tmp_path), str(tmp_path / "below"), str(tmp_path / "gone")]
    (filesystem,) = upkeep.filesystems(paths, unknown)
    info = os.statvfs(tmp_path)
    assert filesystem["path"] == paths[0]
    assert filesystem["used"] + filesystem["free"] <= info.f_blocks * info.f_frsize
    assert filesystem["used"] > 0
    assert unknown == [[f"the filesystem at '{paths[2]}'", "No such file or directory"]]


def test_what_the_product_has_discarded_is_named(tmp_path: Path) -> None:
    for name in ("system.duckdb", "system.duckdb.wal", "system.duckdb.wal.discarded.20261128"):
        (tmp_path / name).touch()
    unknown: list[list[str]] = []
    files = upkeep.database_files(str(tmp_path), unknown)
    assert files.discarded == ["system.duckdb.wal.discarded.20261128"]
    assert upkeep.database_files(str(tmp_path / "gone"), unknown) == ([], {})
    assert unknown == []


def test_a_place_that_can_not_be_read_is_unknown_and_said_once(tmp_path: Path) -> None:
    unknown: list[list[str]] = []
    with mock.patch.object(upkeep.os, "listdir", side_effect=OSError(5, "Input/output error")):
        assert upkeep.database_files(str(tmp_path), unknown) == ([], {})
    assert unknown == [[f"'{tmp_path}'", "Input/output error"]]


def test_files_of_a_database_that_are_another_user_s_are_named(tmp_path: Path) -> None:
    for name in ("system.duckdb", "operational.duckdb.wal", "instance.yaml"):
        (tmp_path / name).touch()
    unknown: list[list[str]] = []
    owner = os.getuid()
    assert owner != AGNES_UID
    wanted = {"system.duckdb": owner, "operational.duckdb.wal": owner}
    assert upkeep.database_files(str(tmp_path), unknown).foreign == wanted
    with mock.patch.object(upkeep, "AGNES_UID", owner):
        assert upkeep.database_files(str(tmp_path), unknown).foreign == {}
    assert unknown == []


def test_a_mount_unit_is_found_by_the_name_that_systemd_gives_its_place(tmp_path: Path) -> None:
    unknown: list[list[str]] = []
    for name in ("data.mount", "data\\x2dstate.mount", "data-other.mount"):
        (tmp_path / name).touch()
    with mock.patch.object(upkeep, "_UNITS", (str(tmp_path),)):
        points = upkeep.mount_units(["/data", "/data-state", "/data/state"], unknown)
    assert (points, unknown) == (["/data", "/data-state"], [])


def broken(path: str) -> None:
    raise OSError(5, "Input/output error", path)


def test_a_unit_that_can_not_be_looked_for_is_not_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown: list[list[str]] = []
    monkeypatch.setattr(upkeep, "_UNITS", (str(tmp_path),))
    monkeypatch.setattr(os, "lstat", broken)
    assert upkeep.mount_units(["/data"], unknown) == []
    assert unknown == [[f"'{tmp_path}/data.mount'", "Input/output error"]]


def test_jobs_that_can_not_be_listed_or_read_are_not_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job").write_text("0 3 * * * root tar c /data/state\n")
    monkeypatch.setattr(upkeep, "_JOBS", (f"{tmp_path}/*", f"{tmp_path}/none/*"))
    unknown: list[list[str]] = []
    monkeypatch.setattr(scripts.durable, "opened_file", broken)
    assert upkeep.copiers(unknown) == []
    assert unknown == [[f"'{tmp_path}/job'", "Input/output error"]]
    monkeypatch.setattr(os, "listdir", broken)
    assert upkeep.copiers(unknown) == []
    assert unknown[1:] == [
        [f"'{tmp_path}'", "Input/output error"],
        [f"'{tmp_path}/none'", "Input/output error"],
    ]


def test_jobs_and_the_scripts_that_they_start_are_read_but_not_the_product_s(
    tmp_path: Path,
) -> None:
    unknown: list[list[str]] = []
    product = tmp_path / "product.sh"
    product.write_text("tar c /data/state\n")
    script = tmp_path / "backup.sh"
    script.write_text("#!/bin/sh\n\nrsync -a /data/state /b\n")
    (tmp_path / "job").write_text(
        f"0 3 * * * root {script} && {product}\n5 5 * * * root cp /data/state/x /b\n"
    )
    (tmp_path / "job2").symlink_to(tmp_path)
    with (
        mock.patch.object(upkeep, "_JOBS", (f"{tmp_path}/job*",)),
        mock.patch.object(upkeep, "SCRIPTS", {"backup": str(product)}),
        mock.patch.object(upkeep, "called", lambda text: [w for w in text.split() if ".sh" in w]),
    ):
        copiers = upkeep.copiers(unknown)
    assert unknown == []
    assert [(each["path"], each["line"], each["inside"]) for each in copiers] == [
        (f"{tmp_path}/job", 2, True),
        (str(script), 3, False),
    ]
