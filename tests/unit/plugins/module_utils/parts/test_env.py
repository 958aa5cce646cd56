# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's ``.env`` is read in one place, also where the project is put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Unreadable
from ansible_collections.agnes.host.plugins.module_utils.parts import project
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions


def test_an_env_that_is_a_link_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "client", lambda: "docker")
    (tmp_path / "real").write_text("STATE_DIR=/x\n")
    (tmp_path / ".env").symlink_to("real")
    params = {
        "layout": "flat",
        "moves_to": "",
        "project_dir": str(tmp_path),
        "image": "",
        "artifacts_dir": "",
    }
    with pytest.raises(Unreadable, match=rf"^AH010: '{tmp_path}/.env' can't be read"):
        project.run(params, Actions(True))
