# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put on a host is all that the command needs, and nothing of it is run to find that out."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.move import publish

MODULE_UTILS = Path(publish.__file__).parents[1]
FOLDERS = ("ansible_collections", "agnes", "host", "plugins", "module_utils")
LOOK = f"""
import builtins, json, sys
from {publish.__name__} import PREFIX, sources
compiles = builtins.compile
builtins.compile = lambda *what, **how: sys.exit("something was compiled")
found = sources()
builtins.compile = compiles
print(json.dumps([found, [name[len(PREFIX) + 1:] for name in sys.modules if name.startswith(PREFIX + ".")]]))
"""


def imported(path: Path) -> set[Path]:
    """The files of ours that a source imports anywhere in it, by Python's own parser."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [base, *(base / alias.name for alias in node.names)]
            modules |= {name.with_suffix(".py") for name in names}
            modules |= {
                folder / "__init__.py" for name in names for folder in (name, *name.parents)
            }
    return {each for each in modules if each.is_file() and each.is_relative_to(MODULE_UTILS)}


def needed() -> set[str]:
    left, seen = {MODULE_UTILS / "move" / "command.py"}, set[Path]()
    while left:
        path = left.pop()
        seen.add(path)
        left |= imported(path) - seen
    return {str(path.relative_to(MODULE_UTILS)) for path in seen} - {"__init__.py"}


@pytest.fixture(params=["directory", "zip"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The collection's module_utils as Ansible brings them to a host, in a zip file, or as a directory."""
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        for depth in range(1, len(FOLDERS) + 1):
            file.writestr("/".join((*FOLDERS[:depth], "__init__.py")), "")
        for path in sorted(MODULE_UTILS.rglob("*.py")):
            inside = path.relative_to(MODULE_UTILS)
            if str(inside) != "__init__.py":
                file.write(path, str(Path(*FOLDERS) / inside))
        if request.param == "directory":
            file.close()
            zipfile.ZipFile(tmp_path / "zip").extractall(tmp_path / "directory")
    return tmp_path / str(request.param)


def run(folder: Path, *arguments: str) -> Any:
    return subprocess.run(
        [sys.executable, "-s", "-B", *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip


def test_all_that_the_command_needs_is_found_and_none_of_it_is_run(place: Path) -> None:
    done = run(place, "-c", LOOK)
    assert not done.stderr
    texts, loaded = json.loads(done.stdout)
    assert set(texts) - {name for name in texts if name.endswith("__init__.py")} == {
        name for name in needed() if not name.endswith("__init__.py")
    }
    for name, text in texts.items():
        path = MODULE_UTILS / name
        assert text == (path.read_text() if path.exists() else ""), name
    assert "move.command" not in loaded
    assert "move.runner" not in loaded


def test_it_is_the_same_version_wherever_it_comes_from(tmp_path: Path, place: Path) -> None:
    texts, _loaded = json.loads(run(place, "-c", LOOK).stdout)
    assert publish.version(texts) == publish.version(publish.sources())


def test_what_is_published_starts(tmp_path: Path) -> None:
    for name, text in publish.files().items():
        (tmp_path / publish.PACKAGE / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / publish.PACKAGE / name).write_text(text)
    done = run(tmp_path, "-m", publish.PACKAGE, "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: agnes-host")
