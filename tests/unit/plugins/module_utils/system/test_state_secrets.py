# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout import dotenv
from ansible_collections.agnes.host.plugins.module_utils.system.layout import state_secrets

JWT = "JWT_SECRET_KEY"


def secret_of(top: Path) -> tuple[str, str, str]:
    secret = state_secrets.read(str(top))[JWT]
    assert secret.path == f"{top}/.jwt_secret"
    return secret.found, secret.why, secret.value


def test_a_file_with_a_secret(tmp_path: Path) -> None:
    (tmp_path / ".jwt_secret").write_text("s3cret\n")
    assert secret_of(tmp_path) == ("found", "", "s3cret")


def test_none_and_no_directory(tmp_path: Path) -> None:
    assert secret_of(tmp_path) == ("absent", "", "")
    assert secret_of(tmp_path / "none") == ("absent", "", "")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("s3cret\n")
    (tmp_path / ".jwt_secret").symlink_to("shadow")
    assert secret_of(tmp_path)[0] == "unknown"
    (tmp_path / "link").symlink_to(tmp_path)
    assert state_secrets.read(f"{tmp_path}/link")[JWT].found == "unknown"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_answer_and_does_not_hang(tmp_path: Path, make: object) -> None:
    make(tmp_path / ".jwt_secret")  # type: ignore[operator]
    assert secret_of(tmp_path)[0] == "unknown"


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / ".jwt_secret").open("wb") as file:
        file.truncate(1 << 40)
    assert secret_of(tmp_path) == ("unknown", "it has more than 4096 bytes", "")


def test_the_observation_has_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / ".jwt_secret").write_text("s3cret\n")
    (state / ".session_secret").write_text("another\n")
    (tmp_path / ".env").write_text(
        "JWT_SECRET_KEY=s3cret\nSESSION_SECRET=one\nSCHEDULER_API_TOKEN=\n"
    )
    (tmp_path / "link").symlink_to(state)
    monkeypatch.setattr(state_secrets, "state_dirs", lambda: [str(state), f"{tmp_path}/link"])
    seen = state_secrets.observe(dotenv.read((tmp_path / ".env").read_text()))
    assert seen["in_env"] == [JWT, "SESSION_SECRET"]
    assert list(seen["in_state"]) == [str(state)]
    same = {key: item["same"] for key, item in seen["in_state"][str(state)].items()}
    assert (same.pop(JWT), same.pop("SESSION_SECRET")) == (True, False)
    assert set(same.values()) == {None}
    assert "s3cret" not in repr(seen)
