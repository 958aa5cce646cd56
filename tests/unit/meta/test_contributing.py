# SPDX-License-Identifier: GPL-3.0-or-later
"""What contributors and the forge's CI are told to run is there."""

from __future__ import annotations

import ast
import re

import pytest

from .repo import files, load, read

VERBS = set(re.findall(r"^([a-z][a-z -]*):", read("Makefile"), re.MULTILINE))
VERBS = {verb for rule in VERBS for verb in rule.split()}
TOLD = [
    "README.md",
    "CONTRIBUTING.md",
    *(name for name in files() if re.fullmatch(r"docs/.*\.md", name)),
]
WORKFLOWS = [name for name in files() if name.startswith(".github/workflows/")]


def verbs(text: str) -> set[str]:
    """The verbs of make in commands of a text, by line and in backticks."""
    matches = re.findall(r"(?:^ {4}|`)make ((?:[a-z-]+ ?)+)", text, re.MULTILINE)
    return {verb for words in matches for verb in words.split()}


@pytest.mark.parametrize("name", TOLD)
def test_each_verb_of_make_that_a_document_names_is_there(name: str) -> None:
    assert verbs(read(name)) <= VERBS


def test_verbs_are_found() -> None:
    assert verbs("    make lint unit    # two\n`make demo-move`, make a cup") == {
        "lint",
        "unit",
        "demo-move",
    }
    assert {"setup", "lint", "unit", "sanity", "test"} <= verbs(read("CONTRIBUTING.md")) <= VERBS


def test_ci_of_the_forge_runs_what_a_developer_runs_and_nothing_else() -> None:
    runs = [
        step["run"]
        for name in WORKFLOWS
        for job in load(name)["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    called = [
        re.fullmatch(r"(?:sudo --preserve-env=CI env \"PATH=\$PATH\" )?make ([a-z-]+)", run)
        for run in runs
    ]
    assert all(called), runs
    assert (
        {"test", "scenarios", "own-hosts", "sanity", "artifact", "docs"}
        == {match[1] for match in called if match}
        <= VERBS
    )


def test_the_hooks_before_a_commit_are_tools_of_make_setup() -> None:
    hooks = [hook for repo in load(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    pinned = read("requirements/dev.txt")
    for hook in hooks:
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert re.search(rf"^{tool}==", pinned, re.MULTILINE), tool


@pytest.mark.parametrize(("name", "least"), [("CONTRIBUTING.md", 8), ("docs/architecture.md", 90)])
def test_each_path_of_a_map_is_there(name: str, least: int) -> None:
    paths = re.findall(r"`([a-z_.]+/[a-z_./]*)`", read(name))
    folders = {parent for name in files() for parent in (name.rpartition("/")[0], name)}
    for path in paths:
        known = [f for f in folders if f"/{f}/".find(f"/{path.rstrip('/')}/") >= 0]
        assert known, path
    assert len(paths) >= least


ROOMS = "plugins/module_utils/"


def test_the_map_has_each_room() -> None:
    rooms = {
        "/".join(name.removeprefix(ROOMS).split("/")[:-1])
        for name in files()
        if name.startswith(ROOMS) and name.count("/") > 2
    }
    lacking = [room for room in sorted(rooms) if f"`{room}/`" not in read("docs/architecture.md")]
    assert not lacking


GONE = ("beneath", "fence", "uncover", "awake", "resting")
"""Words that the glossary of docs/architecture.md does not use, and that have no other meaning here."""
KERNELS = re.compile(r"RESOLVE_BENEATH|open_beneath")


def test_words_that_are_gone_do_not_come_back() -> None:
    """One word for one thing: the glossary names the one that is used."""
    gone = re.compile(rf"(?<![a-z])({'|'.join(GONE)})(?![a-z])", re.IGNORECASE)
    lines = [
        f"{name}:{number}: {line.strip()}"
        for name in files()
        if name.endswith((".py", ".yml", ".md", ".j2"))
        and name not in ("docs/architecture.md", "tests/unit/meta/test_contributing.py")
        for number, line in enumerate(read(name).splitlines(), 1)
        if gone.search(KERNELS.sub("", line))
    ]
    assert not lines, f"see the glossary in docs/architecture.md: {lines}"


def nameless(tree: ast.AST) -> list[int]:
    """Lines that call something ``found``: a variable, a parameter, a function; not a field of a class."""
    fields = {
        id(each.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for each in node.body
        if isinstance(each, ast.AnnAssign)
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if id(node) not in fields
        and (
            (isinstance(node, ast.Name) and (node.id, type(node.ctx)) == ("found", ast.Store))
            or (isinstance(node, ast.arg) and node.arg == "found")
            or (isinstance(node, ast.FunctionDef) and node.name == "found")
            or (isinstance(node, ast.Attribute) and (node.attr, type(node.ctx)) == ("found", ast.Store))
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    found = 1", [2]),
        ("def f(found):\n    pass", [1]),
        ("def found():\n    pass", [1]),
        ("each = [found for found in ()]", [1]),
        ("self.found = 1", [1]),
        ("class Unreadable:\n    found: str\nraise Unreadable(found=error.found)", []),
    ],
)
def test_what_is_called_found_is_seen(source: str, lines: list[int]) -> None:
    assert nameless(ast.parse(source)) == lines


def test_found_is_the_field_of_an_error_and_no_variable() -> None:
    """Else one word stands for an error, a reason, a value and a disk: see the glossary."""
    places = [
        f"{name}:{line}"
        for name in files()
        if name.endswith(".py") and "found" in read(name)
        for line in nameless(ast.parse(read(name)))
    ]
    assert not places, f"name it for what it is (docs/architecture.md, Words): {places}"


def test_ci_of_the_forge_takes_each_bundle_of_ansible_that_is_pinned() -> None:
    bundles = re.findall(
        r"^ansible==\S+ ; python_full_version (<|>=) '3\.12'",
        read("requirements/dev.txt"),
        re.MULTILINE,
    )
    pythons = load(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    below = {"<" if int(version.partition(".")[2]) < 12 else ">=" for version in pythons}
    assert below == {*bundles} == {"<", ">="}
