# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.errors import ComposeInvalid
from ansible_collections.agnes.host.plugins.module_utils.system import stage as stages
from ansible_collections.agnes.host.plugins.module_utils.system.artifacts import File
from ansible_collections.agnes.host.plugins.module_utils.system.stage import staged

ENV = "JWT_SECRET_KEY=topsecret\nDOMAIN=example\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a file of its own, an old .env and one of the product's files."""
    monkeypatch.setattr(stages, "_PARENT", f"{tmp_path}/run")
    found = tmp_path / "agnes"
    (found / "config").mkdir(parents=True)
    (found / "config" / "mine.env").write_text("MINE=1\n")
    (found / "mine.yml").write_text("mine")
    (found / "docker-compose.yml").write_text("old")
    (found / ".env").write_text("OLD=1\n")
    return found


def docker(project: Path, body: str) -> str:
    """A docker command that does what ``body`` says."""
    path = project.parent / "docker"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


FILES = {"docker-compose.yml": File(b"new", False), "scripts/a.sh": File(b"#!", True)}


def test_a_stage_is_the_project_as_it_will_be_and_leaves_it_as_it_is(project: Path) -> None:
    with staged("docker", str(project), FILES, ENV) as stage:
        path = Path(stage.path)
        assert (path / "docker-compose.yml").read_text() == "new"
        assert (path / "scripts" / "a.sh").read_bytes() == b"#!"
        assert (path / "mine.yml").read_text() == "mine"
        assert (path / "config" / "mine.env").read_text() == "MINE=1\n"
        assert (path / ".env").read_text() == ENV
        stage.put("mine.yml", b"other")
        assert (path / "mine.yml").read_text() == "other"
    assert (project / "docker-compose.yml").read_text() == "old"
    assert (project / "mine.yml").read_text() == "mine"
    assert (project / ".env").read_text() == "OLD=1\n"
    assert not (project / "scripts").exists()


def test_a_stage_is_roots_only_and_gone_at_the_end_even_after_a_failure(project: Path) -> None:
    top = project.parent / "run"
    with pytest.raises(RuntimeError), staged("docker", str(project), FILES, ENV) as stage:
        assert top.stat().st_mode & 0o077 == 0
        assert Path(stage.path).is_relative_to(top)
        raise RuntimeError
    assert [*top.iterdir()] == []


def test_a_stage_of_a_project_that_is_not_there_yet(project: Path) -> None:
    with staged("docker", f"{project}-new", FILES, ENV) as stage:
        assert sorted(os.listdir(stage.path)) == [".env", "docker-compose.yml", "scripts"]


def test_files_of_others_beside_the_products_are_in_the_stage(project: Path) -> None:
    with staged("docker", str(project), {"config/theirs": File(b"", False)}, ENV) as stage:
        assert (Path(stage.path) / "config" / "mine.env").exists()


CONFIG = """
printf '%s' '{"services": {"app": {"environment": {"JWT": "topsecret"}, "volumes": [
  {"type": "bind", "source": "'"$PWD"'/config", "target": "/c"},
  {"type": "bind", "source": "'"$PWD"'-other", "target": "/o"},
  {"type": "volume", "source": "data", "target": "/data"}]}}}'
"""


def test_what_is_resolved_has_the_projects_paths_and_no_secrets(project: Path) -> None:
    with staged(docker(project, CONFIG), str(project), FILES, ENV) as stage:
        found = stage.resolve(["docker-compose.yml"])
        other = f"{os.path.realpath(stage.path)}-other"
    assert [m["source"] for m in found["services"]["app"]["volumes"]] == [
        f"{project}/config", other, "data",
    ]  # fmt: skip
    assert "topsecret" not in repr(found)


ASKED = """
printf '%s\\n' "$@" > "$(dirname "$0")/asked"
echo '{"services": {}}'
"""


def test_compose_is_asked_for_every_profile_with_the_stages_files_and_env(project: Path) -> None:
    with staged(docker(project, ASKED), f"{project}/", FILES, ENV) as stage:
        stage.resolve(["docker-compose.yml", "mine.yml"])
        top = stage.path
    assert (project.parent / "asked").read_text().splitlines() == [
        "compose", "--project-name", "agnes", "--project-directory", top,
        "--env-file", f"{top}/.env", "--profile", "*", "--file", f"{top}/docker-compose.yml",
        "--file", f"{top}/mine.yml", "config", "--format", "json",
    ]  # fmt: skip


def test_a_refusal_of_compose_hides_secrets_and_names_the_projects_path(project: Path) -> None:
    body = 'echo >&2 "$PWD/mine.yml: topsecret is bad for example"; exit 1'
    with (
        staged(docker(project, body), str(project), FILES, ENV) as stage,
        pytest.raises(ComposeInvalid) as refused,
    ):
        stage.resolve(["docker-compose.yml", "mine.yml"])
    assert str(refused.value) == (
        f"AH043: Compose rejects docker-compose.yml: {project}/mine.yml: (hidden) is bad for example; "
        "correct the file"
    )
