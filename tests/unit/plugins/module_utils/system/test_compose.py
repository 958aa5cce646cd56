# SPDX-License-Identifier: GPL-3.0-or-later
"""The project as the product's scripts call it, and that what was proved is what is there."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.overlay import cut
from ansible_collections.agnes.host.plugins.module_utils.core.compose.project import digest
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    DryRunActed,
    NotAsProved,
    VolumeLeftOver,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.move import steps
from ansible_collections.agnes.host.plugins.module_utils.move.context import MoveContext
from ansible_collections.agnes.host.plugins.module_utils.system.compose import upgrade
from ansible_collections.agnes.host.plugins.module_utils.system.compose.compose import Compose
from ansible_collections.agnes.host.tests.unit.plugins.module_utils.core.moving import intent

APP = {"volumes": [{"type": "bind", "source": "/data", "target": "/data"}], "profiles": ["full"]}
CONFIG: dict[str, Any] = {"name": "agnes", "services": {"app": APP, "bot": {"volumes": []}}}
PROVED = cut(CONFIG)


def docker(tmp: Path, body: str) -> str:
    path = tmp / "docker"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def says(tmp: Path, config: dict[str, Any]) -> str:
    return docker(tmp, f"echo '{json.dumps(config)}'")


def test_each_call_but_the_question_for_the_name_is_given_the_name(tmp_path: Path) -> None:
    said = f'printf "%s " "$@" >> {tmp_path}/said; echo $PWD >> {tmp_path}/said'
    compose = Compose(docker(tmp_path, f"{said}; echo '{json.dumps(CONFIG)}'"), f"{tmp_path}/")
    compose.config()
    compose.up(["app"], 9, ["--no-deps"])
    compose.down(90, 9)
    named = "compose --project-name agnes --profile *"
    assert (tmp_path / "said").read_text().splitlines() == [
        f"compose --profile * config --format json {tmp_path}",
        f"{named} up --detach --no-color --no-deps app {tmp_path}",
        f"{named} down --timeout 90 {tmp_path}",
    ]


def test_what_was_proved_is_there(tmp_path: Path) -> None:
    Compose(says(tmp_path, CONFIG), str(tmp_path)).check(digest(PROVED), PROVED)


def test_two_orders_mean_the_same_only_if_all_that_compose_resolves_is_the_same(
    tmp_path: Path,
) -> None:
    """Environment included, which no cut configuration has; .env is the same for both."""
    say = 'echo "$@" >> ' + f"{tmp_path}/said"
    body = 'case "$*" in *"a.yml --file b.yml"*) x=1;; *) x=${OTHER:-1};; esac'
    config = '{\\"name\\": \\"agnes\\", \\"services\\": {\\"app\\": {\\"environment\\": {\\"X\\": \\"$x\\"}}}}'
    for other, same in (("1", True), ("2", False)):
        client = docker(tmp_path, f'{say}; OTHER={other}; {body}; echo "{config}"')
        compose = Compose(client, str(tmp_path))
        assert compose.means_the_same(["a.yml", "b.yml"], ["b.yml", "a.yml"]) is same
    assert (tmp_path / "said").read_text().splitlines()[0] == (
        "compose --profile * --file a.yml --file b.yml config --format json"
    )


SHAPES: list[Any] = [
    ({"environment": {"A": "2"}}, True),
    ({"volumes": []}, True),
    ({"image": "x"}, True),
    ({"depends_on": {"bot": {}}}, False),
    ({"profiles": ["other"]}, False),
]


@pytest.mark.parametrize(("change", "differs"), SHAPES)
def test_a_service_has_another_shape_where_up_would_make_it_anew(
    tmp_path: Path, change: dict[str, Any], differs: bool
) -> None:
    app = {**APP, "environment": {"A": "1"}}
    before, after = (
        Compose(
            says(tmp_path, {**CONFIG, "services": {**CONFIG["services"], "app": each}}),
            str(tmp_path),
        ).shapes()
        for each in (app, {**app, **change})
    )
    assert (before["app"] != after["app"]) is differs
    assert before["bot"] == after["bot"]


OTHERS: list[Any] = [
    ({"app": {**APP, "volumes": []}}, {}, "service 'app' would mount nothing"),
    ({"app": {**APP, "profiles": []}}, {}, "service 'app' has another 'profiles'"),
    ({"new": APP}, {}, "service 'new' is new"),
    ({"bot": None}, {}, "service 'bot' is gone"),
    ({}, {"x": {"driver_opts": {"device": "/srv"}}}, "a volume is another"),
]


@pytest.mark.parametrize(("services", "volumes", "difference"), OTHERS)
def test_what_was_not_proved_is_told(
    tmp_path: Path, services: dict[str, Any], volumes: dict[str, Any], difference: str
) -> None:
    all_services = {**CONFIG["services"], **services}
    config = {
        **CONFIG,
        "services": {name: each for name, each in all_services.items() if each is not None},
        "volumes": volumes,
    }
    with pytest.raises(NotAsProved) as refused:
        Compose(says(tmp_path, config), str(tmp_path)).check(digest(PROVED), PROVED)
    assert f"({difference})" in str(refused.value)


@pytest.fixture
def move(tmp_path: Path) -> MoveContext:
    """A move whose step 'overlay' has proved the project in ``tmp_path``, with what it asks of the engine."""
    (tmp_path / "agnes" / "sub").mkdir(parents=True)
    for name in ("a.yml", "sub/b.yml", "beside.yaml"):
        (tmp_path / "agnes" / name).write_text(name)
    (tmp_path / "far.yml").write_text("far")
    chain = ["a.yml", "sub/b.yml", f"{tmp_path}/far.yml"]
    said = intent(project_dir=f"{tmp_path}/agnes", chain=chain, proved=digest(PROVED))
    context = SimpleNamespace(
        intent=MoveIntent.from_dict(said), env="A=1\n", read_env=lambda: context.env
    )
    context.target, context.save = LAYOUTS["flat"], lambda: None
    context.project = SimpleNamespace(docker=docker(tmp_path, "exit 9"))
    context.files_hash = lambda text: MoveContext.files_hash(cast(MoveContext, context), text)
    context.intent.files = context.files_hash("A=1\n")
    return cast(MoveContext, context)


CHANGES = ["agnes/a.yml", "agnes/sub/b.yml", "agnes/beside.yaml", "far.yml", "agnes/new.yml"]


def test_compose_is_not_asked_again_where_no_file_of_the_project_has_changed(
    move: MoveContext, tmp_path: Path
) -> None:
    (tmp_path / "agnes" / "notes.txt").write_text("changed")
    steps.check_proved(move)


def change(move: MoveContext, tmp_path: Path, name: str) -> None:
    """Somebody writes a file of the project."""
    if name == ".env":
        cast(Any, move).env = "A=2\n"
    else:
        (tmp_path / name).write_text("changed")


@pytest.mark.parametrize("name", [*CHANGES, ".env"])
def test_it_is_asked_where_one_has_changed(
    move: MoveContext, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(move, tmp_path, name)
    says(tmp_path, CONFIG)
    steps.check_proved(move)
    says(tmp_path, {**CONFIG, "services": {"app": APP}})

    def fails(*_arguments: object) -> None:
        raise VolumeLeftOver(service="app", volume="data")

    monkeypatch.setattr(steps, "proved_overlay", fails)
    with pytest.raises(NotAsProved):
        steps.check_proved(move)


@pytest.mark.parametrize("overlay", [b"", b"services: {}\n"], ids=["stays", "derived"])
def test_another_project_that_passes_the_proof_is_started(
    move: MoveContext, tmp_path: Path, overlay: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an upgrade leaves it between a power cut after the commit and the boot that goes on."""
    change(move, tmp_path, "agnes/a.yml")
    config = {**CONFIG, "services": {"app": APP}}
    says(tmp_path, config)
    monkeypatch.setattr(steps, "REPLACED", str(tmp_path / "replaced"))
    monkeypatch.setattr(steps, "proved_overlay", lambda *_arguments: (overlay, cut(config)))
    steps.check_proved(move)
    assert move.intent.proved == digest(cut(config))
    name = tmp_path / "agnes" / move.target.overlay
    assert (name.read_bytes() if overlay else b"") == overlay
    says(tmp_path, CONFIG)
    steps.check_proved(move)  # no file has changed since, so Compose is not asked


def test_a_move_that_has_proved_nothing_yet_goes_on(move: MoveContext) -> None:
    move.intent.proved = ""
    cast(Any, move).env = "A=2\n"
    steps.check_proved(move)


CHANGES = r"""
[ "$1" = ps ] || exit 0
asked=$(cat "$0.asked" 2>/dev/null || echo 0); echo $((asked + 1)) > "$0.asked"
[ $asked = 0 ] && name=old || name=new
printf "id-$name\tagnes-app-1\texited\tapp\t\n"
"""
"""A docker that lists another container from the second time on, as after an upgrade."""


@pytest.mark.parametrize("upgrading", ["at work", "began and ended", ""])
def test_containers_that_an_upgrade_changes_meanwhile_are_not_laid_to_the_dry_run(
    tmp_path: Path, upgrading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    begun = iter([1, 2] if upgrading else [1, 1])
    monkeypatch.setattr(upgrade, "at_work", lambda: upgrading == "at work")
    monkeypatch.setattr(upgrade, "last_begun", lambda: next(begun))
    monkeypatch.setattr(upgrade, "wait_for", lambda: waits.append("waited"))
    compose = Compose(docker(tmp_path, CHANGES), str(tmp_path))
    if upgrading:
        assert compose.recreated(["app"]) == set()
        assert waits == ["waited"]
    else:
        with pytest.raises(DryRunActed, match="agnes-app-1"):
            compose.recreated(["app"])


def test_an_upgrade_that_begins_is_seen_by_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert upgrade.last_begun(str(lock)) == 0
    lock.touch()
    os.utime(lock, (1, 1))
    subprocess.run(["bash", "-c", f"exec 9>{lock}"], check=True)
    assert upgrade.last_begun(str(lock)) > 10**9


def test_an_upgrade_is_at_work_while_it_holds_its_lock(tmp_path: Path) -> None:
    """Asked on a tmpfs, as /var/lock is: there the numbers of a file are those of its locks."""
    hold = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        # One's own is no one else's: the upgrade itself asks Compose, too.
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not upgrade.at_work(file.name)
        fcntl.flock(file, fcntl.LOCK_UN)
        with subprocess.Popen(
            [sys.executable, "-c", hold, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdin and other.stdout
            other.stdout.readline()
            assert upgrade.at_work(file.name)
            began = time.monotonic()
            upgrade.wait_for(file.name, 0.1)
            assert time.monotonic() - began < 5
            other.stdin.close()
        assert not upgrade.at_work(file.name)
    assert not upgrade.at_work(str(tmp_path / "none"))
