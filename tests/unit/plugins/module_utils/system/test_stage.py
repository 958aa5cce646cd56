# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from stage_stand_in import run_in_copy

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    ComposeInvalid,
    NoStage,
    PathOfOurs,
    ProjectName,
)
from ansible_collections.agnes.host.plugins.module_utils.system.compose import stage as stages
from ansible_collections.agnes.host.plugins.module_utils.system.compose.artifacts import File
from ansible_collections.agnes.host.plugins.module_utils.system.compose.stage import Stage
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Done

ENV = "JWT_SECRET_KEY=topsecret\nDOMAIN=example\nCOMPOSE_FILE=docker-compose.yml:mine.yml\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a file of its own, an old .env and one of the product's files."""
    monkeypatch.setattr(stages, "run", run_in_copy)
    path = tmp_path / "agnes"
    (path / "config").mkdir(parents=True)
    (path / "config" / "mine.env").write_text("MINE=1\n")
    (path / "mine.yml").write_text("mine")
    (path / "docker-compose.yml").write_text("old")
    (path / ".env").write_text("OLD=1\n")
    return path


def docker(project: Path, body: str) -> str:
    """A docker command that does what ``body`` says."""
    path = project.parent / "docker"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


FILES = {"docker-compose.yml": File(b"new", False), "scripts/a.sh": File(b"#!", True)}

SHOW = r"""
list() { for f in $(find . -type f | sort); do printf '%s=%s ' "$f" "$(tr '\n' ' ' < "$f")"; done; }
printf '{"name": "agnes", "services": {"app": {"profiles": ["%s"]}}}' "$(list)"
"""


def shown(stage: Stage) -> dict[str, str]:
    """The files that a command sees on a stage, with their content."""
    (text,) = stage.config()["services"]["app"]["profiles"]
    return dict(item.split("=", 1) for item in text.rstrip().split(" ./") if item)


def test_a_stage_is_the_project_as_it_will_be_and_leaves_it_as_it_is(project: Path) -> None:
    stage = Stage(docker(project, SHOW), str(project), FILES, "A=1\n")
    stage.put("mine.yml", b"other")
    files = {name.removeprefix("./"): text.strip() for name, text in shown(stage).items()}
    assert files == {
        "docker-compose.yml": "new", "scripts/a.sh": "#!", "mine.yml": "other",
        "config/mine.env": "MINE=1", ".env": "A=1",
    }  # fmt: skip
    assert (project / "docker-compose.yml").read_text() == "old"
    assert (project / "mine.yml").read_text() == "mine"
    assert (project / ".env").read_text() == "OLD=1\n"
    assert not (project / "scripts").exists()


def test_a_stage_of_a_project_that_is_not_there_yet(project: Path) -> None:
    path = project.parent / "new" / "agnes"
    files = shown(Stage(docker(project, SHOW), str(path), FILES, "A=1\n"))
    assert sorted(name.removeprefix("./") for name in files) == [
        ".env", "docker-compose.yml", "scripts/a.sh",
    ]  # fmt: skip
    assert not path.parent.exists()


ASKED = """
[ "$3" != '*' ] || printf '%s ' "$@" >> "$(dirname "$0")/asked"
grep COMPOSE_FILE .env >> "$(dirname "$0")/asked"
echo '{"name": "agnes", "services": {}}'
"""


def test_compose_is_told_of_no_file_but_by_env(project: Path) -> None:
    stage = Stage(docker(project, ASKED), f"{project}/", FILES, ENV)
    stage.resolve(["docker-compose.yml", "sub/extra.yml"])
    stage.config()
    said = "compose --profile * config --format json "
    assert (project.parent / "asked").read_text().splitlines() == [
        f"{said}COMPOSE_FILE=docker-compose.yml:sub/extra.yml",
        f"{said}COMPOSE_FILE=docker-compose.yml:mine.yml",
    ]


def test_what_is_resolved_holds_no_secrets(project: Path) -> None:
    config = {"name": "agnes", "services": {"app": {
        "environment": {"JWT": "topsecret"},
        "volumes": [{"type": "bind", "source": "/opt/shared", "target": "/c"}],
    }}}  # fmt: skip
    stage = Stage(docker(project, f"echo '{json.dumps(config)}'"), str(project), FILES, ENV)
    resolved = stage.config()
    assert resolved["services"]["app"]["volumes"][0]["source"] == "/opt/shared"
    assert "topsecret" not in repr(resolved)


def test_a_refusal_of_compose_hides_secrets_and_names_the_projects_path(project: Path) -> None:
    body = 'echo >&2 "$PWD/mine.yml: topsecret is bad for example"; exit 1'
    with pytest.raises(ComposeInvalid) as refused:
        Stage(docker(project, body), str(project), FILES, ENV).config()
    assert str(refused.value) == (
        f"AH043: Compose rejects docker-compose.yml: {project}/mine.yml: (hidden) is bad for example; "
        "correct the file"
    )


@pytest.mark.parametrize("name", ["agnes_live", "agnes-prod", ""])
def test_a_project_of_another_name_is_refused(project: Path, name: str) -> None:
    body = f'echo \'{{"name": "{name}", "services": {{}}}}\''
    with pytest.raises(ProjectName):
        Stage(docker(project, body), str(project), FILES, ENV).config()


OURS = "/run/agnes-host/stage-x/shared"


@pytest.mark.parametrize(
    "part",
    [
        {"services": {"app": {"volumes": [{"type": "bind", "source": OURS, "target": "/x"}]}}},
        {"volumes": {"x": {"driver_opts": {"o": "bind", "device": OURS}}}},
    ],
)
def test_no_path_of_ours_gets_into_a_configuration(project: Path, part: dict[str, object]) -> None:
    body = f"echo '{json.dumps({'name': 'agnes', **part})}'"
    with pytest.raises(PathOfOurs):
        Stage(docker(project, body), str(project), FILES, ENV).config()


def test_no_stage_is_laid_over_the_root(project: Path) -> None:
    with pytest.raises(NoStage, match="no directory above '/nowhere/agnes' is there"):
        Stage(docker(project, ""), "/nowhere/agnes", FILES, ENV).config()


def test_a_mount_that_fails_is_no_answer_of_compose(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "run", lambda *a, **k: Done(97, "", "mount: unknown filesystem\n"))
    with pytest.raises(NoStage, match="'mount: unknown filesystem'"):
        Stage(docker(project, ""), str(project), FILES, ENV).config()


def test_nothing_is_left_open(project: Path) -> None:
    stage = Stage(docker(project, SHOW), str(project), FILES, ENV)
    before = len(os.listdir("/proc/self/fd"))
    stage.config()
    assert len(os.listdir("/proc/self/fd")) == before
