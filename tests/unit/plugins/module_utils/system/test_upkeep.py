# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit looks for beside all that a run does, on a real directory."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.tree import AGNES_UID
from ansible_collections.agnes.host.plugins.module_utils.system.host import upkeep


def test_each_filesystem_is_there_once_and_what_is_gone_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    unknown: list[list[str]] = []
    paths = [str(tmp_path), str(tmp_path / "below"), str(tmp_path / "gone")]
    (found,) = upkeep.filesystems(paths, unknown)
    info = os.statvfs(tmp_path)
    assert found["path"] == paths[0]
    assert found["used"] + found["free"] <= info.f_blocks * info.f_frsize
    assert found["used"] > 0
    assert unknown == [[f"the filesystem at '{paths[2]}'", "No such file or directory"]]


def test_what_the_product_has_discarded_is_named(tmp_path: Path) -> None:
    for name in ("system.duckdb", "system.duckdb.wal", "system.duckdb.wal.discarded.20261128"):
        (tmp_path / name).touch()
    unknown: list[list[str]] = []
    assert upkeep.discarded(str(tmp_path), unknown) == ["system.duckdb.wal.discarded.20261128"]
    assert upkeep.discarded(str(tmp_path / "gone"), unknown) == []
    assert unknown == []


@pytest.mark.parametrize("look", [upkeep.discarded, upkeep.foreign])
def test_a_place_that_can_not_be_read_is_unknown(tmp_path: Path, look: object) -> None:
    unknown: list[list[str]] = []
    with mock.patch.object(upkeep.os, "listdir", side_effect=OSError(5, "Input/output error")):
        assert not look(str(tmp_path), unknown)  # type: ignore[operator]
    assert unknown == [[f"'{tmp_path}'", "Input/output error"]]


def test_files_of_a_database_that_are_another_user_s_are_named(tmp_path: Path) -> None:
    for name in ("system.duckdb", "operational.duckdb.wal", "instance.yaml"):
        (tmp_path / name).touch()
    unknown: list[list[str]] = []
    owner = os.getuid()
    assert owner != AGNES_UID
    wanted = {"system.duckdb": owner, "operational.duckdb.wal": owner}
    assert upkeep.foreign(str(tmp_path), unknown) == wanted
    with mock.patch.object(upkeep, "AGNES_UID", owner):
        assert upkeep.foreign(str(tmp_path), unknown) == {}
    assert unknown == []


def test_a_mount_unit_is_found_by_the_name_that_systemd_gives_its_place(tmp_path: Path) -> None:
    for name in ("data.mount", "data\\x2dstate.mount", "data-other.mount"):
        (tmp_path / name).touch()
    with mock.patch.object(upkeep, "_UNITS", (str(tmp_path),)):
        found = upkeep.mount_units(["/data", "/data-state", "/data/state"])
    assert found == ["/data", "/data-state"]


def test_jobs_and_the_scripts_that_they_start_are_read_but_not_the_product_s(
    tmp_path: Path,
) -> None:
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
        found = upkeep.copiers()
    assert [(each["path"], each["line"], each["inside"]) for each in found] == [
        (f"{tmp_path}/job", 2, True),
        (str(script), 3, False),
    ]
