# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.host import keepers


def test_keepers_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = {
        name: f"{tmp_path}/{name}.sh" for name in ("watchdog", "backup", "upgrade", "linked")
    }
    monkeypatch.setattr(keepers, "SCRIPTS", scripts)
    (tmp_path / "watchdog.sh").write_text("find /data/state -name x\n")
    (tmp_path / "linked.sh").symlink_to("watchdog.sh")
    (tmp_path / "backup.sh").mkdir()
    seen = keepers.observe()
    assert {name: keeper["found"] for name, keeper in seen.items()} == {
        "watchdog": "found", "backup": "unknown", "upgrade": "absent", "linked": "found",
    }  # fmt: skip
    assert seen["watchdog"]["finds"] and seen["linked"]["finds"]


def test_one_in_a_folder_that_can_not_be_read_is_not_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "SCRIPTS", {"backup": f"{tmp_path}/backup.sh"})
    assert keepers.observe()["backup"]["found"] == "absent"

    def broken(*_: object, **__: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    for call in ("open", "stat", "lstat"):
        monkeypatch.setattr(f"os.{call}", broken)
    assert keepers.observe()["backup"]["found"] == "unknown"
