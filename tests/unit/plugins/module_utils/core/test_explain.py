# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``agnes-host explain`` says of disks that must be mounted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.move import command, explain, publish
from ansible_collections.agnes.host.plugins.module_utils.system.host import commands, durable

from .hosts import flat_host, nested_host
from .moving import intent, move_facts_of

RECORD = {"disks": {"data": {"uuid": "u-data"}, "state": {"uuid": "u-state"}}}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The lines of a host, by role; of its disks those mounted that are said to be."""

    def screen(
        name: str, shown: dict[str, str], attached: str = "", listed: str = "", **differs: Any
    ) -> dict[str, str]:
        made: Any = {"nested": nested_host, "flat": flat_host}[name]()
        facts = {**move_facts_of(made), **differs}
        facts["points"] = [p for p in facts["points"] if p["target"] in shown]
        at = {path: ("8:1", uuid, "/") for path, uuid in shown.items()}
        monkeypatch.setattr(explain.moving, "look", lambda _dir: facts)
        monkeypatch.setattr(explain.moving, "mount_at", lambda path: at.get(path, ("", "", "")))
        monkeypatch.setattr(explain.record, "read", lambda: RECORD)
        monkeypatch.setattr(explain.ledger, "read", lambda _path: None)
        monkeypatch.setattr(explain.ledger, "tail", lambda _count: [])
        monkeypatch.setattr(
            explain,
            "run",
            lambda argv, codes: commands.Done(int(argv[1][5:] not in attached), "", ""),
        )
        monkeypatch.setattr(durable, "read_text", lambda _path: listed)
        lines = [line.partition(" ") for line in explain.explain()]
        return {word: rest.strip() for word, _space, rest in reversed(lines)}

    return screen


@pytest.mark.parametrize(("name", "path"), [("nested", "/data/state"), ("flat", "/data-state")])
def test_a_state_disk_that_is_not_mounted_is_named_with_the_command(
    screen: Any, name: str, path: str
) -> None:
    shown = screen(
        name, {"/data": "u-data"}, "u-data u-state", f"UUID=u-state {path} ext4 nofail\n"
    )
    assert shown["MISSING"] == f"{path}: the state disk (UUID u-state) is not mounted there"
    assert "mounted" not in shown
    assert f"; 'mount {path}', then run site.yml" in shown["next"]
    assert shown["next"].startswith("start nothing, and stop what runs")


def test_without_a_line_in_fstab_the_command_names_the_disk(screen: Any) -> None:
    shown = screen("nested", {"/data": "u-data"}, "u-data u-state")
    assert "'mount UUID=u-state /data/state'" in shown["next"]


def test_a_disk_that_is_away_is_to_be_attached_first(screen: Any) -> None:
    shown = screen("nested", {"/data": "u-data"}, "u-data")
    assert (
        "attach the disk with UUID u-state, then 'mount UUID=u-state /data/state'" in shown["next"]
    )


def test_both_are_named_and_the_data_disk_comes_first(screen: Any) -> None:
    shown = screen("nested", {}, "u-data u-state")
    assert "'mount UUID=u-data /data', then 'mount UUID=u-state /data/state'" in shown["next"]


def test_in_the_middle_of_a_move_the_move_says_which_disks(screen: Any) -> None:
    env = {**LAYOUTS["flat"].env()}
    shown = screen("nested", {"/data": "u-data"}, "u-data u-state", intent=intent(), env=env)
    assert shown["MISSING"].startswith("/data-state: the state disk")
    assert "a move from nested to flat is not ended" in shown["next"]


def test_with_both_mounted_nothing_is_to_be_done(screen: Any) -> None:
    shown = screen("nested", {"/data": "u-data", "/data/state": "u-state"})
    assert "MISSING" not in shown
    assert shown["next"] == "nothing is to be done"


@pytest.mark.parametrize("chain", ["", "docker-compose.yml:docker-compose.flat-mount.yml"])
def test_an_env_that_was_rewritten_is_no_reason_to_mount_the_disk_at_another_place(
    screen: Any, chain: str
) -> None:
    """STATE_DIR is gone, and the disk is where it was: what a run says of it (AH004) is what is to be done."""
    env = {"COMPOSE_FILE": chain} if chain else {}
    shown = screen("flat", {"/data": "u-data", "/data-state": "u-state"}, "u-data u-state", env=env)
    assert shown["layout"].endswith("STATE_DIR=/data/state, by /opt/agnes/.env")
    assert shown["next"] == (
        ".env puts state at /data/state, and the state disk is mounted at /data-state: mount nothing, set "
        "STATE_DIR=/data-state again if that is this host's state, and find out what rewrote the file (AH004 in "
        "docs/errors.md); then run site.yml"
    )


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"STATE_DIR": "/srv/state"}, ".env puts state at /srv/state, where no layout has it: see AH003 in"),
        (
            {"STATE_DIR": "/data-state", "COMPOSE_FILE": "docker-compose.yml:docker-compose.host-mount.yml"},
            ".env puts state at /data-state, and COMPOSE_FILE ends with another layout's overlay than "
            "docker-compose.flat-mount.yml: find out what rewrote the file, then run site.yml",
        ),
    ],
)  # fmt: skip
def test_an_env_of_no_layout_is_said_with_the_key_that_is_wrong(
    screen: Any, env: dict[str, str], said: str
) -> None:
    at = {"/data": "u-data"} | ({"/data-state": "u-state"} if "COMPOSE_FILE" in env else {})
    assert screen("flat", at, "u-data u-state", env=env)["next"].startswith(said)


def test_the_published_code_is_what_the_command_needs_and_nothing_else() -> None:
    sources = publish.sources()
    assert {"move/command.py", "move/explain.py", "move/runner.py", "system/move/moving.py"} <= set(
        sources
    )
    assert {"core/move/presence.py", "core/__init__.py", "move/__init__.py"} <= set(sources)
    assert not {"move/publish.py", "core/move/plan_file.py", "core/host/rollout.py"} & set(sources)


def test_the_published_code_runs_without_the_collection(tmp_path: Path) -> None:
    for path, text in publish.files().items():
        target = tmp_path / publish.PACKAGE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for given, said in (
        (["--help"], (0, f"{command.HELP}\n", "")),
        ([], (2, "", f"{command.USAGE}\n")),
    ):
        done = subprocess.run(
            [sys.executable, "-s", "-m", publish.PACKAGE, *given], cwd=tmp_path, env={},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == said


def test_without_root_the_command_asks_for_sudo_and_looks_at_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What such a user can't read is no file that somebody should move aside."""
    monkeypatch.setattr(command.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(command, "status", lambda: pytest.fail("it has looked"))
    monkeypatch.setattr("sys.argv", ["agnes-host", "status", "--json"])
    assert command.main() == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "", "agnes-host: only root can do this; run 'sudo agnes-host status'\n",
    )  # fmt: skip


def test_an_fstab_that_is_a_link_is_read_as_mount_reads_it(
    screen: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "real").write_text("UUID=u-state /data/state ext4 nofail\n")
    (tmp_path / "fstab").symlink_to("real")
    read_text = durable.read_text
    monkeypatch.setattr(explain.filesystems, "FSTAB", f"{tmp_path}/fstab")
    screen("nested", {"/data": "u-data"}, "u-data u-state")
    monkeypatch.setattr(durable, "read_text", read_text)
    shown = explain.explain(str(tmp_path))
    assert "; 'mount /data/state', then run site.yml" in shown[-1]
