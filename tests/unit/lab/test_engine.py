# SPDX-License-Identifier: GPL-3.0-or-later
"""The set-up asks once before it installs anything, and never touches an engine that answers."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import engine
import pytest


class Answers:
    """Stands for a person at a terminal: counts how often they are asked."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, prompt: str = "") -> str:
        self.asked.append(prompt)
        return self.answer


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal, and no CI."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)


def test_a_yes_is_asked_for_once_and_names_what_will_be_installed(
    terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers("y")
    monkeypatch.setattr(builtins, "input", answers)
    engine.ask(["docker.io", "mmdebstrap"])
    assert answers.asked == [
        "setup: the lab needs docker.io, mmdebstrap from the distribution's packages; install now? [y/N] "
    ]


@pytest.mark.parametrize("answer", ["", "n", "maybe"])
def test_anything_but_a_yes_installs_nothing(
    terminal: None, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(builtins, "input", Answers(answer))
    monkeypatch.setattr(engine.shutil, "which", lambda _name: "/usr/bin/apt-get")
    monkeypatch.setattr(engine.os, "geteuid", lambda: 0)
    ran: list[Any] = []
    monkeypatch.setattr(engine.subprocess, "run", lambda *args, **_more: ran.append(args))
    with pytest.raises(SystemExit, match="nothing was installed"):
        engine.install(["docker.io"])
    assert not ran


def test_without_a_terminal_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with pytest.raises(SystemExit, match=r"the lab needs docker\.io"):
        engine.ask(["docker.io"])


def test_ci_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    answers = Answers("n")
    monkeypatch.setattr(builtins, "input", answers)
    engine.ask(["docker.io"])
    assert not answers.asked


def test_an_engine_that_answers_is_neither_installed_nor_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "engine_answers", lambda: True)
    monkeypatch.setattr(engine, "TOOLS", {"sh": "dash"})
    for name in ("install", "start"):
        monkeypatch.setattr(engine, name, lambda *_args: pytest.fail("touched"))
    engine.main()


def test_what_only_the_torture_needs_is_asked_for_there_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted: list[list[str]] = []
    monkeypatch.setattr(engine, "engine_answers", lambda: True)
    monkeypatch.setattr(engine, "TOOLS", {"sh": "dash"})
    monkeypatch.setattr(engine, "TORTURE_TOOLS", {"no-such-command": "a-package"})
    monkeypatch.setattr(engine, "install", wanted.append)
    engine.main()
    assert wanted == []
    engine.main(["torture"])
    assert wanted == [["a-package"]]
