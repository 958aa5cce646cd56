# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a run are asked in the observation, and what becomes of their answers."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from documented import options_of

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import NoArtifacts
from ansible_collections.agnes.host.plugins.module_utils.parts import (
    caddy,
    look,
    project,
    stack,
    tree,
)
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed

from .hosts import flat_host, host

SETTINGS: dict[str, Any] = {
    "project_dir": "/opt/agnes", "certificate": "", "private_key": "", "layout": "", "wanted": "",
    "override": False, "image": "", "artifacts_dir": "/srv/files", "profiles": ["tls"],
    "env": {"DOMAIN": "agnes.test"}, "secrets": {"KEY": "s3cret-of-flat"}, "host_tools": "auto", "keep_env": False,
}  # fmt: skip
PROJECT = {"services": {"app": {}}, "recreates": [], "proved": "hash", "notes": ["a note"]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Part -> what it was asked; each would do nothing."""
    asked_of: dict[str, Any] = {}
    answers = {
        tree: {},
        project: PROJECT,
        stack: {"unknown": "", "proved": {}},
        caddy: {"certificate": "c"},
    }

    def answering(module: Any, answer: dict[str, Any]) -> None:
        def run(params: dict[str, Any], actions: Actions) -> dict[str, Any]:
            assert actions.check, "an observation changes nothing"
            asked_of[module.__name__.rpartition(".")[2]] = params
            return dict(answer)

        monkeypatch.setattr(module, "run", run)

    for module, answer in answers.items():
        answering(module, answer)
    return asked_of


def test_each_part_is_asked_for_the_layout_and_the_disks_that_the_host_has(
    asked: dict[str, Any],
) -> None:
    answers = look.look(flat_host(), SETTINGS)
    assert sorted(asked) == ["caddy", "project", "stack", "tree"]
    assert (answers["layout"], answers["mounted"]) == ("flat", ["/data", "/data-state"])
    assert answers["project"]["notes"] == ["a note"]
    assert answers["caddy"] == {
        "certificate": "c", "actions": [], "unknown": "", "refusal": "", "code": "",
    }  # fmt: skip
    assert asked["stack"]["services"] == PROJECT["services"]
    assert asked["project"]["secrets"] == SETTINGS["secrets"]


BESIDE = {"project": {"prove_only"}, "tree": set(), "stack": set(), "caddy": set()}
"""Options that are the module's own matter, and not the part's."""


@pytest.mark.parametrize(
    ("part", "module"),
    [("tree", "state_tree"), ("project", "project"), ("stack", "stack"), ("caddy", "caddy")],
)
def test_a_part_is_given_each_option_of_its_module(
    part: str, module: str, asked: dict[str, Any]
) -> None:
    look.look(flat_host(), SETTINGS)
    assert options_of(module).keys() - BESIDE[part] <= set(asked[part])


def test_a_host_without_a_layout_is_only_asked_for_its_project_and_that_where_files_are_given(
    asked: dict[str, Any],
) -> None:
    answers = look.look(host(), {**SETTINGS, "layout": "flat"})
    assert ([*asked], answers["layout"], answers["proof"]) == (["project"], "flat", True)
    asked.clear()
    bare = look.look(host(), {**SETTINGS, "artifacts_dir": ""})
    assert (asked, bare) == ({}, {"layout": "", "mounted": [], "proof": False})


AWAY: list[Any] = [
    pytest.param({"engine": {"error": "none"}}, id="no-engine"),
    pytest.param({"env": {"path": "e", "exists": True, "values": {"STATE_DIR": "/srv"}, "trouble": []}}, id="refused-anyway"),
]  # fmt: skip


@pytest.mark.parametrize("differs", AWAY)
def test_where_the_plan_refuses_by_itself_nobody_is_asked(
    differs: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert look.look(flat_host(**differs), SETTINGS)["layout"] == ""
    assert asked == {}


def test_an_image_that_is_not_here_is_not_fetched_to_look_at_it(
    asked: dict[str, Any],
) -> None:
    look.look(flat_host(), {**SETTINGS, "artifacts_dir": "", "image": "agnes:2"})
    assert (asked["project"]["image"], asked["project"]["fetch"]) == ("agnes:2", False)


@pytest.mark.parametrize("error", [NoArtifacts(found="s3cret-of-flat"), Failed("s3cret-of-flat")])
def test_what_could_not_be_asked_says_why_without_a_secret(
    error: Exception, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_params: Any, _actions: Actions) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(project, "run", run)
    answer = look.look(flat_host(), SETTINGS)["project"]
    said = answer["refusal"] or answer["unknown"]
    assert "(hidden)" in said
    assert "s3cret" not in said
    assert bool(answer["refusal"]) == isinstance(error, NoArtifacts)
    assert [*asked] == ["tree"]


@pytest.fixture
def lock() -> Iterator[str]:
    """On a tmpfs, as /var/lock is: there the numbers of a file are those of its locks."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        yield file.name


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_an_upgrade_changes_meanwhile_is_not_known_and_no_refusal(
    when: str, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    monkeypatch.setattr(look.upgrade, "at_work", partial(look.upgrade.at_work, lock))
    held: list[subprocess.Popen[str]] = []

    def take() -> None:
        command = ["flock", lock, "sh", "-c", "echo held; exec cat"]
        held.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert held[0].stdout
        assert held[0].stdout.readline() == "held\n"

    def run(_params: Any, _actions: Actions) -> dict[str, Any]:
        if when == "after":
            take()
        raise NoArtifacts(found="half written")

    if when == "before":
        take()
    monkeypatch.setattr(project, "run", run)
    answer = look.look(flat_host(), SETTINGS)["project"]
    assert (answer["refusal"], answer["code"]) == ("", "")
    assert "half written" in answer["unknown"]
    held[0].communicate()
    assert not look.upgrade.at_work()


def test_caddy_is_not_asked_while_the_stack_is_to_be_started(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_params: Any, actions: Actions) -> dict[str, Any]:
        actions.take("service caddy", "absent", "up")
        return {}

    monkeypatch.setattr(stack, "run", run)
    answers = look.look(flat_host(), SETTINGS)
    assert "caddy" not in answers
    assert "caddy" not in asked
    assert [action["what"] for action in answers["stack"]["actions"]] == ["service caddy"]
