# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine and Compose are, from a docker that is a script, and with how many questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.facts import Engine
from ansible_collections.agnes.host.plugins.module_utils.system.compose import engine

PLUGIN = {
    "SchemaVersion": "0.1.0", "Vendor": "Docker Inc.", "Version": "v2.26.1",
    "ShortDescription": "Docker Compose", "Name": "compose", "Path": "/usr/libexec/x",
}  # fmt: skip
CLIENT: dict[str, Any] = {"Debug": False, "Context": "default", "Plugins": [{"Name": "x"}, PLUGIN]}
BASE: dict[str, Any] = {"ServerVersion": "26.1.5", "DockerRootDir": "/var/lib/docker"}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is observed where ``docker info`` prints ``info``, and what was asked."""

    def ask(info: dict[str, Any], banner: str = "Docker version 26") -> tuple[Engine, list[str]]:
        (tmp_path / "info").write_text(json.dumps(info))
        script = tmp_path / "docker"
        script.write_text(
            f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\ncase $1 in info) cat {tmp_path}/info;; '
            f"compose) echo 2.20.0;; context) echo unix:///run/docker.sock;; *) echo '{banner}';; esac\n"
        )
        script.chmod(0o755)
        monkeypatch.setattr(engine, "which", lambda name: str(script) if name == "docker" else None)
        return engine.observe_engine(), (tmp_path / "asked").read_text().split()

    return ask


def test_a_client_that_says_who_it_is_is_asked_nothing_else(asked: Any) -> None:
    observed, questions = asked({**BASE, "ClientInfo": CLIENT})
    assert (observed["platform"], observed["version"], observed["error"]) == (
        "Docker",
        "26.1.5",
        "",
    )
    assert observed["compose"].endswith("/docker compose")
    assert observed["compose_version"] == "2.26.1"
    assert observed["endpoint"] == "unix:///var/run/docker.sock"
    assert questions == ["info"]


@pytest.mark.parametrize(
    "plugins",
    [
        None,
        [],
        [{"Name": "buildx", "Version": "v0.1"}],
        [{**PLUGIN, "Err": "exec format error"}],
        [{"Name": "compose"}],
    ],
)
def test_compose_is_asked_itself_where_the_client_does_not_know_it(
    asked: Any, plugins: Any
) -> None:
    observed, questions = asked({**BASE, "ClientInfo": {**CLIENT, "Plugins": plugins}})
    assert observed["compose_version"] == "2.20.0"
    assert questions == ["info", "compose"]


@pytest.mark.parametrize(
    ("banner", "platform"), [("Docker version 19", "Docker"), ("podman version 5", "Podman")]
)
def test_a_client_that_says_nothing_of_itself_is_asked(
    asked: Any, banner: str, platform: str
) -> None:
    observed, questions = asked(BASE, banner)
    assert (observed["platform"], observed["compose_version"]) == (platform, "2.20.0")
    assert observed["endpoint"] == "unix:///run/docker.sock"
    assert questions == ["info", "context", "--version", "compose"]


def test_a_client_of_an_engine_that_does_not_answer_is_no_engine(asked: Any) -> None:
    observed, _questions = asked({"ServerErrors": ["no socket"], "ClientInfo": CLIENT})
    assert observed["error"] == "the engine does not answer (no socket)"


def test_the_endpoint_of_another_context_is_asked_for(asked: Any) -> None:
    observed, questions = asked({**BASE, "ClientInfo": {**CLIENT, "Context": "remote"}})
    assert observed["endpoint"] == "unix:///run/docker.sock"
    assert questions == ["info", "context"]
