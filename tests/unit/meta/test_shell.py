# SPDX-License-Identifier: GPL-3.0-or-later
"""Each shell line that is shipped is one to bash."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from .repo import ROOT, below, files, load, read

TASKS = [
    name
    for name in [*below("roles", "playbooks", "molecule"), "site.yml"]
    if name.endswith((".yml", ".yaml")) and name in files()
]
SHELL = ("ansible.builtin.shell", "shell", "ansible.legacy.shell")


def complaint(script: str) -> str:
    """What bash says of a script that it only parses; empty when it is right."""
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode or done.stderr else ""


def plain(text: str) -> str:
    """A command with a word in place of each expression of Jinja, which bash never sees."""
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}", "", text, flags=re.S)
    return re.sub(r"\{\{.*?\}\}", "word", text, flags=re.S)


def shell_tasks(value: Any) -> Iterator[str]:
    """The command of each shell task, however deep it stands in blocks, handlers and plays."""
    if isinstance(value, list):
        for item in value:
            yield from shell_tasks(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in SHELL:
                yield item if isinstance(item, str) else item["cmd"]
            else:
                yield from shell_tasks(item)


COMMANDS = [(name, command) for name in TASKS for command in shell_tasks(load(name))]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_shell_task_is_bash(name: str, command: str) -> None:
    assert complaint(plain(command)) == "", name


def test_no_shell_task_is_overlooked() -> None:
    written = sum(len(re.findall(r"^\s*(?:- )?\S*\bshell:", read(name), re.M)) for name in TASKS)
    assert len(COMMANDS) == written
    assert written > 0


def is_script(name: str) -> bool:
    if name.endswith(".sh"):
        return True
    try:
        return bool(re.match(r"#!\s*/\S*(/|env )(ba|da)?sh\b", read(name)[:80]))
    except UnicodeDecodeError:
        return False


SCRIPTS = [name for name in files() if is_script(name)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_bash(name: str) -> None:
    assert complaint(plain(read(name))) == ""


def test_the_gate_is_among_the_scripts() -> None:
    assert ".ci/run" in SCRIPTS


def recipes(makefile: str) -> list[str]:
    """The recipe lines of a Makefile as the shell gets them, with a word for each variable."""
    joined = re.sub(r"\\\n\t?", " ", makefile)
    scripts = []
    for line in joined.splitlines():
        if line.startswith("\t"):
            recipe = line.lstrip("\t@-+ ").replace("$$", "\0")
            recipe = re.sub(r"\$\([^()]*\)|\$\{[^}]*\}|\$[@<^?*]", "word", recipe)
            scripts.append(recipe.replace("\0", "$"))
    return scripts


RECIPES = recipes(read("Makefile"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_bash(recipe: str) -> None:
    assert recipe
    assert complaint(recipe) == ""


def test_no_recipe_is_overlooked() -> None:
    assert len(RECIPES) >= len(re.findall(r"^\t@?\S", read("Makefile"), re.M)) > 0


def made_by(target: str) -> list[str]:
    """The commands of a target and of all that it needs, as make prints them; none is run."""
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", target]
    env = {**os.environ, "MAKEFLAGS": ""}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=env)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("target", "asked"),
    [("setup", False), ("unit", False), ("artifact", False)]
    + [(target, True) for target in ("demo", "test", "torture", "scenarios", "bench", "own-hosts")],
)
def test_only_who_makes_hosts_of_the_lab_asks_for_an_engine(target: str, asked: bool) -> None:
    commands = made_by(target)
    assert any("pip install" in command for command in commands)
    assert any("tests/lab/engine.py" in command for command in commands) is asked


def test_make_scenarios_runs_each_and_make_test_some_of_them() -> None:
    there = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}

    def run_by(target: str) -> set[str]:
        (line,) = (line for line in made_by(target) if "tests/lab/suite.py" in line)
        return set(line.split("suite.py")[1].split())

    assert run_by("scenarios") == there
    parts = {"lint", "unit", "real", "torture"}
    assert parts < run_by("test") < parts | there


@pytest.mark.parametrize(
    "script", ["if true; then", 'echo "', "for x in; do", "a | | b", "cat <<E\n", "case x in"]
)
def test_what_is_no_bash_is_told(script: str) -> None:
    assert complaint(script)


def test_expressions_of_jinja_are_words_to_bash() -> None:
    assert plain("a {{ b | c('}') }} {% if x %}d{% endif %}{# e #}") == "a word d"
    task = {"block": [{"name": "x", "ansible.builtin.shell": {"cmd": "a"}}]}
    assert [*shell_tasks([task, {"ansible.builtin.shell": "b"}])] == ["a", "b"]
    assert recipes("x:\n\t@a $(B) $$C \\\n\t  d $@\n\t-e\n") == ["a word $C    d word", "e"]
