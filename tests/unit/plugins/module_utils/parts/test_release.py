# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases are looked at with Compose alone; what Compose says is seen in the scenario overlay_derived."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    ComposeInvalid,
    ComposeTooOld,
    NoArtifacts,
    NoEngine,
)
from ansible_collections.agnes.host.plugins.module_utils.parts import project, release
from ansible_collections.agnes.host.plugins.module_utils.system.compose.artifacts import File
from ansible_collections.agnes.host.plugins.module_utils.system.compose.scratch import Scratch
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Done, Failed

FILES = {"docker-compose.yml": File(b"services: {}\n", False), "scripts/a.sh": File(b"#\n", True)}


@pytest.fixture
def compose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Done]:
    """What Compose says of its version; the test may change it. No file of the host's /tmp is written."""
    answers = [Done(0, "2.26.1\n", "")]
    monkeypatch.setattr(project, "client", lambda: "docker")
    monkeypatch.setattr(release, "run", lambda *_argv, **_more: answers[-1])
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return answers


def look(directory: Path) -> list[Any]:
    return release.look([str(directory)], ["tls"])


def test_a_directory_without_compose_files_is_refused(compose: list[Done], tmp_path: Path) -> None:
    with pytest.raises(NoArtifacts, match="is no directory"):
        look(tmp_path / "none")
    (tmp_path / "Caddyfile").write_text("")
    with pytest.raises(NoArtifacts, match=r"has no docker-compose\.yml"):
        look(tmp_path)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_compose_that_is_absent_or_too_old_is_refused(
    compose: list[Done], tmp_path: Path
) -> None:
    compose.append(Done(1, "", "unknown command"))
    with pytest.raises(NoEngine, match="'docker compose' is not installed"):
        look(tmp_path)
    compose.append(Done(0, "2.24.3\n", ""))
    with pytest.raises(ComposeTooOld, match=r"2\.24\.3"):
        look(tmp_path)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_release_that_compose_rejects_in_every_way_is_told(
    compose: list[Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rejected(self: Scratch, chain: Sequence[str]) -> dict[str, Any]:
        raise ComposeInvalid(files=chain[0], found=f"{self.directory}/x and {self.env_text()!r}")

    monkeypatch.setattr(Scratch, "resolve", rejected)
    one = tmp_path / "one"
    one.mkdir()
    for name in ("", ".prod", ".postgres", ".postgres-host-mount"):
        (one / f"docker-compose{name}.yml").write_text("services: {}\n")
    secret = "7b1d"
    (one / ".env").write_text(f"JWT_SECRET_KEY={secret}\nAGNES_TAG=9\nSTATE_DIR=/elsewhere\n")
    fits = look(one)
    assert [(fit["layout"], fit["backend"], fit["kept"]) for fit in fits] == [
        ("nested", "duckdb", False), ("flat", "duckdb", False),
        ("nested", "side_car", False), ("flat", "side_car", False),
    ]  # fmt: skip
    (trap,) = fits[0]["traps"]
    assert trap.startswith("AH043: Compose rejects docker-compose.yml: /opt/agnes/x and ")
    assert "AGNES_TAG=9" in trap
    assert "JWT_SECRET_KEY=hidden" in trap
    assert secret not in str(fits)
    assert "/elsewhere" not in str(fits)


def test_two_releases_whose_directories_have_one_name_are_told_apart(
    compose: list[Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        release, "_fit", lambda name, _product, _settings, of, _before: {"release": name,
        "layout": of.layout.name, "kept": True},
    )  # fmt: skip
    directories = [tmp_path / "a" / "host", tmp_path / "b" / "host"]
    for directory in directories:
        directory.mkdir(parents=True)
        (directory / "docker-compose.yml").write_text("services: {}\n")
    fits = release.look([str(each) for each in directories], [])
    assert {fit["release"] for fit in fits} == {str(each) for each in directories}


def test_a_command_sees_the_files_and_the_directory_is_gone_after_it(tmp_path: Path) -> None:
    stage = Scratch("docker", str(tmp_path / "agnes"), FILES, "A=1\n")
    done = stage.launch(["sh", "-c", "pwd; cat .env scripts/a.sh; find . -type f | sort"], (0,), 10)
    assert done.out.split("\n")[:3] == [f"{tmp_path}/agnes", "A=1", "#"]
    assert done.out.split()[3:] == ["./.env", "./docker-compose.yml", "./scripts/a.sh"]
    with pytest.raises(Failed):
        stage.launch(["false"], (0,), 10)
    assert list(tmp_path.iterdir()) == []
    other = stage.with_env("A=2\n")
    assert isinstance(other, Scratch)
    assert other.launch(["cat", ".env"], (0,), 10).out == "A=2\n"
