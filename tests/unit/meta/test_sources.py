# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that hold of the sources themselves."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import PurePath
from typing import Any

import pytest
import yaml

from .repo import Loader, below, files, read

UTILS = [name for name in below("plugins/module_utils") if name.endswith(".py")]
ON_TARGETS = UTILS + [name for name in below("plugins/modules") if name.endswith(".py")]
TESTED_ON_TARGETS = [
    name for name in below("tests/unit/plugins/module_utils") if name.endswith(".py")
]
"""Unit tests that ansible-test runs on each Python of a host."""

NAMED_IN = re.compile(
    r"README\.md|CHANGELOG\.md|docs/.*|tests/.*|molecule/[^/]+/(tests|files)/.*"
    r"|plugins/module_utils/core/layout/layouts\.py"
)
"""Where the state mount of flat may be spelled: docs, tests and the one table."""


def without_descriptions(value: Any) -> Any:
    """A document without what it says for people."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in ("description", "short_description")}
        return {key: without_descriptions(item) for key, item in kept.items()}
    return [without_descriptions(item) for item in value] if isinstance(value, list) else value


def spelled(name: str) -> bool:
    """Whether a file spells the state mount of flat outside descriptions."""
    text = read(name)
    if name.endswith("argument_specs.yml"):
        text = repr(without_descriptions(yaml.load(text, Loader)))
    return "/data-state" in text


def test_only_the_table_of_layouts_spells_the_state_mount_of_flat() -> None:
    assert [name for name in files() if not NAMED_IN.fullmatch(name) and spelled(name)] == []
    assert spelled("plugins/module_utils/core/layout/layouts.py")


def imported(name: str) -> list[tuple[int, str]]:
    """(level, module) of each import in a file, wherever it stands."""
    modules: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(read(name))):
        if isinstance(node, ast.Import):
            modules += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append((node.level, node.module or ""))
    return modules


def test_no_descriptor_is_given_away_that_an_error_would_leave_open() -> None:
    """``os.fdopen`` of a directory raises, and leaves it open; so whoever has opened it closes it."""
    given = re.compile(r"os\.fdopen\((?!.*closefd=False)")
    assert [name for name in ON_TARGETS if given.search(read(name))] == []


NEWER_THAN_3_9 = {"tomllib"}
OWN = "ansible_collections.agnes.host.plugins.module_utils"
ENDS_MODULES = "plugins/module_utils/output.py"
"""The one that makes a module of Ansible's; the engine on a host does without it."""


@pytest.mark.parametrize("name", UTILS)
def test_module_utils_import_only_the_standard_library_and_themselves(name: str) -> None:
    depth = len(PurePath(name).parts) - len(PurePath("plugins/module_utils").parts)
    for level, module in imported(name):
        if level:
            assert level <= depth, f"from {'.' * level}{module} leaves module_utils"
        elif not module.startswith(OWN):
            if (name, module) == (ENDS_MODULES, "ansible.module_utils.basic"):
                continue
            top = module.partition(".")[0]
            assert top in sys.stdlib_module_names and top not in NEWER_THAN_3_9, module


PURE = {
    "__future__", "base64", "collections.abc", "dataclasses", "datetime", "difflib", "fnmatch", "functools", "hashlib", "itertools",
    "json", "posixpath", "re", "shlex", "string", "textwrap", "typing",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in UTILS if "/core/" in name])
def test_the_core_does_no_input_or_output_and_knows_no_system(name: str) -> None:
    rooms = len(PurePath(name).parts) - len(PurePath("plugins/module_utils/core").parts)
    for level, module in imported(name):
        assert level <= rooms, f"from {'.' * level}{module} leaves core"
        assert level or module in PURE, module
    calls = [n.func for n in ast.walk(ast.parse(read(name))) if isinstance(n, ast.Call)]
    assert not {f.id for f in calls if isinstance(f, ast.Name)} & {"open", "print", "input", "exec"}
    # What time it is, is given.
    assert not {f.attr for f in calls if isinstance(f, ast.Attribute)} & {"now", "utcnow", "today"}


@pytest.mark.parametrize("name", ON_TARGETS + TESTED_ON_TARGETS)
def test_what_runs_on_targets_is_python_3_9(name: str) -> None:
    text = read(name)
    tree = ast.parse(text, name, feature_version=(3, 9))
    future = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    # With it an annotation such as `str | None` is never evaluated.
    assert not tree.body[1:] or "annotations" in [a.name for node in future for a in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = {keyword.arg for keyword in node.keywords}
            called = ast.unparse(node.func)
            assert called != "zip" or "strict" not in given
            assert "dataclass" not in called or not given & {"slots", "kw_only"}


def test_the_parser_knows_what_3_9_lacks() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("match x:\n    case 1: pass\n", feature_version=(3, 9))


def lines(name: str) -> int:
    return len(read(name).splitlines())


def test_task_files_stay_under_80_lines() -> None:
    tasks = [name for name in files() if "tasks" in PurePath(name).parts[:-1]]
    assert {name: lines(name) for name in tasks if lines(name) >= 80} == {}
    assert len(tasks) > 5


LICENSED = (".py", ".yml", ".yaml", ".sh", ".toml", ".cfg", ".service", ".timer", ".j2", ".mk")


def test_every_source_names_its_licence() -> None:
    sources = [
        name
        for name in files()
        if name.endswith(LICENSED) or name in ("Makefile", ".ci/run", ".ansible-lint")
    ]
    lacking = [
        n
        for n in sources
        if read(n) and "SPDX-License-Identifier: GPL-3.0-or-later" not in read(n)[:300]
    ]
    assert lacking == []
    assert len(sources) > 50


def test_an_observation_loads_no_step_of_a_move() -> None:
    # What is loaded is compiled anew on the host in every run.
    code = "import sys, ansible_collections.agnes.host.plugins.modules.observe\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    prefix = "ansible_collections.agnes.host.plugins.module_utils."
    loaded = {name[len(prefix) :] for name in done.stdout.split() if name.startswith(prefix)}
    assert {name for name in loaded if name.startswith(("move.", "host_tools."))} == {
        "move.publish", "host_tools.install",
    }  # fmt: skip


WIDEST = 160
"""Columns that ansible-test lets a line have; tests/sanity/ignore-*.txt names what may be wider."""


def test_no_line_is_wider_than_ansible_test_allows() -> None:
    wider = {
        line.split()[0]
        for name in below("tests/sanity")
        for line in read(name).splitlines()
        if " pep8:E501" in line
    }
    wide = [
        f"{name}:{number}"
        for name in files()
        if name.endswith(".py") and name not in wider
        for number, line in enumerate(read(name).splitlines(), 1)
        if len(line) > WIDEST
    ]
    assert not wide


OF_A_COLLECTION = re.compile(r"\b([a-z_]+\.[a-z_]+)\.[a-z_]+\s*:(?=\s|$)", re.MULTILINE)
"""A module by its full name, where a task calls it."""


@pytest.mark.parametrize("name", [n for n in below("playbooks", "roles") if n.endswith(".yml")])
def test_what_is_published_calls_modules_of_ansible_core_and_its_own_alone(name: str) -> None:
    called = {*OF_A_COLLECTION.findall(read(name))}
    assert called <= {"ansible.builtin", "agnes.host"}


def test_a_module_of_another_collection_is_seen() -> None:
    tasks = "- ansible.posix.mount:\n    x: 1\n  community.docker.docker_volume :\n"
    assert {*OF_A_COLLECTION.findall(tasks)} == {"ansible.posix", "community.docker"}
    assert "agnes.host" in OF_A_COLLECTION.findall(read("playbooks/purge.yml"))
