# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.host import keepers


def test_keepers_are_found_with_what_starts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = {
        name: f"{tmp_path}/{name}.sh" for name in ("watchdog", "backup", "upgrade", "linked")
    }
    monkeypatch.setattr(keepers, "SCRIPTS", scripts)
    monkeypatch.setattr(keepers, "_STARTERS", (f"{tmp_path}/cron", f"{tmp_path}/*.service"))
    (tmp_path / "watchdog.sh").write_text("find /data/state -name x\n")
    (tmp_path / "linked.sh").symlink_to("watchdog.sh")
    (tmp_path / "backup.sh").mkdir()
    (tmp_path / "cron").write_text(f"*/5 * * * * {tmp_path}/upgrade.sh\n")
    (tmp_path / "w.service").write_text(f"[Service]\nExecStart={tmp_path}/watchdog.sh\n")
    (tmp_path / "d.service").mkdir()
    seen = keepers.observe()
    assert {name: keeper["found"] for name, keeper in seen.items()} == {
        "watchdog": "found", "backup": "unknown", "upgrade": "absent", "linked": "found",
    }  # fmt: skip
    assert seen["watchdog"]["finds"] and seen["linked"]["finds"]
    assert seen["watchdog"]["started_by"] == [f"{tmp_path}/w.service"]
