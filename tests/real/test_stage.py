# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage on real mounts: what a command sees at the project's path, and what is left of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import NoStage
from ansible_collections.agnes.host.plugins.module_utils.system.compose import stage as stages
from ansible_collections.agnes.host.plugins.module_utils.system.compose.artifacts import File
from ansible_collections.agnes.host.plugins.module_utils.system.compose.stage import Stage
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import run

FILES = {"new.yml": File(b"new", False), "scripts/a.sh": File(b"#!", True)}


pytestmark = pytest.mark.usefixtures("private_mounts")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "opt" / "agnes"
    (path / "config").mkdir(parents=True)
    (path / "config" / "mine.env").write_text("MINE=1\n")
    (path / ".env").write_text("OLD=1\n")
    return path


def seen(stage: Stage, command: str) -> list[str]:
    return stage.launch(["sh", "-c", command], (0,), 30).out.splitlines()


def left() -> tuple[str, list[str]]:
    """The mounts of this process, and what is in /run."""
    return Path("/proc/self/mountinfo").read_text(), sorted(os.listdir("/run"))


def test_a_command_sees_the_project_as_it_will_be_at_its_own_path(project: Path) -> None:
    before = left()
    stage = Stage("docker", str(project), FILES, "NEW=1\n")
    assert seen(stage, "pwd; echo $PWD; cat .env; find . -type f | sort; ls /run") == [
        str(project), str(project), "NEW=1",
        "./.env", "./config/mine.env", "./new.yml", "./scripts/a.sh", *before[1],
    ]  # fmt: skip
    assert (project / ".env").read_text() == "OLD=1\n"
    assert left() == before


def test_a_project_that_is_not_there_is_shown_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "opt" / "agnes"
    stage = Stage("docker", str(path), FILES, "NEW=1\n")
    assert seen(stage, "pwd; ls -A; ls -A ..") == [
        str(path), ".env", "new.yml", "scripts", "agnes",
    ]  # fmt: skip
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["a:b", "a,b=c", "a\\b", 'a "b"', "-o", "x:/etc,y"])
def test_any_name_of_the_directory_is_shown(tmp_path: Path, name: str) -> None:
    """Colon, comma and backslash mean something in the options of a mount."""
    path = tmp_path / name / "agnes"
    path.mkdir(parents=True)
    (path / "theirs").write_text("")
    stage = Stage("docker", str(path), FILES, "NEW=1\n")
    assert seen(stage, "pwd; ls -A") == [str(path), ".env", "new.yml", "scripts", "theirs"]


def test_nothing_can_be_written_to_a_stage(project: Path) -> None:
    stage = Stage("docker", str(project), FILES, "NEW=1\n")
    done = stage.launch(["sh", "-c", "echo x > made"], (), 30)
    assert done.code != 0
    assert "Read-only file system" in done.err


def test_a_kill_leaves_nothing(project: Path) -> None:
    before = left()
    code = (
        "import sys; from ansible_collections.agnes.host.plugins.module_utils.system.compose.stage import Stage;"
        f"Stage('docker', {str(project)!r}, {{}}, 'SECRET=1\\n').launch(['sh', '-c', 'touch {project}/../on; "
        "exec sleep 60'], (), 60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)},
                               start_new_session=True)  # fmt: skip
    end = time.monotonic() + 20
    while not (project.parent / "on").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert (project.parent / "on").exists()
    os.killpg(process.pid, 9)
    process.wait()
    assert left() == before


def test_a_mount_that_the_kernel_refuses_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = stages._SHOWN.replace("-t overlay", "-t nosuchfs")
    monkeypatch.setattr(stages, "_SHOWN", script)
    with pytest.raises(NoStage, match=r"wrong fs type|unknown filesystem"):
        seen(Stage("docker", str(project), FILES, ""), "true")


def test_the_directory_that_a_command_is_run_in_is_its_pwd(project: Path) -> None:
    link = project.parent.parent / "link"
    link.symlink_to(project.parent)
    done = run(["sh", "-c", "echo $PWD"], cwd=f"{link}/agnes")
    assert done.out == f"{link}/agnes\n"
