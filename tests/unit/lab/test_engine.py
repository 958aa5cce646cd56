# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab asks once, at a terminal, before it installs anything, and never touches an engine that answers."""

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


@pytest.mark.parametrize("answer", ["", "y", "Yes"])
def test_a_yes_is_asked_for_once_and_names_what_will_be_installed(
    terminal: None, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    answers = Answers(answer)
    monkeypatch.setattr(builtins, "input", answers)
    engine.ask(["docker.io", "mmdebstrap"])
    assert answers.asked == [
        "lab: it needs docker.io, mmdebstrap from the distribution's packages; install now? [Y/n] "
    ]


@pytest.mark.parametrize("answer", ["n", "no", "maybe"])
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


@pytest.mark.parametrize(("ci", "terminal"), [("", False), ("true", False), ("true", True)])
def test_without_a_terminal_and_in_ci_it_says_what_it_installs_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, terminal: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal)
    answers = Answers("n")
    monkeypatch.setattr(builtins, "input", answers)
    engine.ask(["docker.io", "rsync"])
    assert not answers.asked
    assert capsys.readouterr().out == (
        "lab: it needs docker.io, rsync from the distribution's packages\n"
    )


def test_the_end_of_input_is_no_yes(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(_prompt: str = "") -> str:
        raise EOFError

    monkeypatch.setattr(builtins, "input", ended)
    with pytest.raises(SystemExit, match="nothing was installed"):
        engine.ask(["docker.io"])


def test_an_engine_that_answers_is_neither_installed_nor_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "engine_answers", lambda: True)
    monkeypatch.setattr(engine, "TOOLS", {"sh": "dash"})
    for name in ("install", "start"):
        monkeypatch.setattr(engine, name, lambda *_args: pytest.fail("touched"))
    engine.main()


@pytest.mark.parametrize("what", ["torture", "vm"])
def test_what_only_some_tests_need_is_asked_for_there_only(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    wanted: list[list[str]] = []
    monkeypatch.setattr(engine, "engine_answers", lambda: True)
    monkeypatch.setattr(engine, "TOOLS", {"sh": "dash"})
    monkeypatch.setitem(engine.FOR, what, {"no-such-command": "a-package"})
    monkeypatch.setattr(engine, "install", wanted.append)
    engine.main()
    assert wanted == []
    engine.main([what])
    assert wanted == [["a-package"]]
