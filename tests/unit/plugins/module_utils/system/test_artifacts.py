# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.compose import artifacts
from ansible_collections.agnes.host.plugins.module_utils.system.host import commands
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import (
    Failed,
    last_line,
    run,
)


def packed(*members: tuple[str, bytes, int, bytes]) -> bytes:
    """An archive of (name, type, mode, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, mode, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size = kind, mode, len(content)
            info.linkname = "/etc/shadow" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_from_a_tar_only_regular_files_below_the_directory_are_taken() -> None:
    text = b"x"
    files = artifacts._from_tar(
        packed(
            ("./docker-compose.yml", tarfile.REGTYPE, 0o644, text),
            ("./scripts/ops/a.sh", tarfile.REGTYPE, 0o755, text),
            ("./scripts", tarfile.DIRTYPE, 0o755, b""),
            ("./link", tarfile.SYMTYPE, 0o777, b""),
            ("./hard", tarfile.LNKTYPE, 0o644, b""),
            ("./fifo", tarfile.FIFOTYPE, 0o644, b""),
            ("../up", tarfile.REGTYPE, 0o644, text),
            ("a/../../up", tarfile.REGTYPE, 0o644, text),
            ("/etc/cron.d/x", tarfile.REGTYPE, 0o644, text),
        )
    )
    assert files == {
        "docker-compose.yml": artifacts.File(text, False),
        "scripts/ops/a.sh": artifacts.File(text, True),
    }
    assert [file.mode for file in files.values()] == [0o644, 0o755]


def test_from_a_directory_links_and_special_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.sh").write_bytes(b"\xff")
    (tmp_path / "sub" / "a.sh").chmod(0o700)
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "folder").symlink_to("sub")
    os.mkfifo(tmp_path / "fifo")
    assert artifacts.from_directory(str(tmp_path)) == {
        "sub/a.sh": artifacts.File(b"\xff", True),
        "b": artifacts.File(b"", False),
    }


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("Error response from daemon: No such image: agnes:2", "is not on this host, and is not fetched to look at it"),
        ("Cannot connect to the Docker daemon", "can't be looked into (.*Cannot connect to the Docker daemon)"),
    ],
)  # fmt: skip
def test_an_image_is_not_fetched_to_look_at_it(tmp_path: Path, error: str, why: str) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\n[ "$2 $3" = "--pull never" ] || exit 0\necho >&2 "{error}"; exit 1\n'
    )
    docker.chmod(0o755)
    with pytest.raises(
        Failed, match=rf"^image 'agnes:2' {why.replace('(', '[(]').replace(')', '[)]')}$"
    ):
        artifacts.from_image(str(docker), "agnes:2", fetch=False)


TEST_FAILED = [
    (["sh", "-c", "echo one >&2; echo two >&2; echo >&2; exit 3"], "'sh -c echo one >&2; echo two "
     ">&2; echo >&2; exit 3' failed (3): two"),
    (["sh", "-c", "exit 1"], "'sh -c exit 1' failed (1): it printed nothing"),
    (["no-such-command-here", "x"], "'no-such-command-here' is not installed"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "message"), TEST_FAILED)
def test_a_command_that_fails_says_why(command: list[str], message: str) -> None:
    with pytest.raises(Failed) as failed:
        run(command)
    assert str(failed.value) == message


def test_a_command_that_does_not_end_is_ended() -> None:
    with pytest.raises(Failed, match=r"^'sleep 60' did not end within 0 s$"):
        run(["sleep", "60"], seconds=0.1)


HOSTILE = {
    "PATH": "/nowhere", "HOME": "/home/nobody", "LC_ALL": "tlh_KX", "TMPDIR": "/nowhere",
    "COMPOSE_FILE": "other.yml", "DOCKER_HOST": "tcp://other:2375", "DOCKER_CONTEXT": "other",
    "DATA_DIR": "/elsewhere", "LD_LIBRARY_PATH": "/nowhere",
}  # fmt: skip
PROXIES = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "localhost", "DOCKER_CONFIG": "/root/d"}


def test_a_command_sees_one_environment_whoever_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in commands.PASSED:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**HOSTILE, **PROXIES}.items():
        monkeypatch.setenv(name, value)
    fixed = {"PATH": commands.PATH, "HOME": "/root", "LC_ALL": "C"}
    assert dict(line.split("=", 1) for line in run(["env"]).out.split()) == {**fixed, **PROXIES}
    assert commands.which("env") == "/usr/bin/env"


def test_a_process_that_takes_over_a_run_has_the_environment_of_that_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the same Compose, too: DOCKER_CONFIG may have a plugin of its own."""
    for name in commands.PASSED:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**HOSTILE, **PROXIES}.items():
        monkeypatch.setenv(name, value)
    given, of_the_run = json.loads(json.dumps(commands.passed())), commands.environment()
    assert given == PROXIES
    for name in {**HOSTILE, **PROXIES}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://of-another-run:3128")
    monkeypatch.setenv("HOME", "/")
    commands.take_over(given)
    assert commands.environment() == of_the_run


def test_any_exit_code_can_be_taken_and_there_is_no_input() -> None:
    assert run(["sh", "-c", "exit 9"], codes=()).code == 9
    assert run(["cat"]).out == ""


@pytest.mark.parametrize(("text", "line"), [("a\n b \n\n", "b"), ("", "it printed nothing")])
def test_last_line(text: str, line: str) -> None:
    assert last_line(text) == line


@pytest.mark.parametrize("check", [True, False])
def test_an_action_is_done_unless_it_is_a_check_run(check: bool) -> None:
    done: list[int] = []
    actions = Actions(check)
    assert actions.result()["changed"] is False
    actions.take("a", "x", "y", lambda: done.append(1))
    actions.take("b", "y", "z")
    assert done == ([] if check else [1])
    assert actions.result(more=2) == {
        "changed": True,
        "actions": [
            {"what": "a", "before": "x", "after": "y"},
            {"what": "b", "before": "y", "after": "z"},
        ],
        "diff": {"before": "a: x\nb: y\n", "after": "a: y\nb: z\n"},
        "more": 2,
    }


def test_a_failed_action_is_not_noted() -> None:
    actions = Actions(check=False)
    with pytest.raises(OSError):
        actions.take("a", "x", "y", lambda: os.stat("/no/such/path"))
    assert actions.items == []
