# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``make sanity`` would find, as far as it is known without it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import PurePath
from typing import Any

import pytest

from .repo import COLLECTIONS, below, files, load, read

IGNORED = sorted(name for name in files() if name.startswith("tests/sanity/ignore-"))
ROW = re.compile(r"(\S+) (\S+) # (\S.+)")


def test_a_release_of_ansible_core_ignores_nothing_that_the_latest_does_not() -> None:
    assert len(IGNORED) == 3
    for name in IGNORED:
        assert {*read(name).splitlines()} <= {*read(IGNORED[-1]).splitlines()}, name
    oldest = load("meta/runtime.yml")["requires_ansible"].removeprefix(">=").removesuffix(".0")
    assert IGNORED[0] == f"tests/sanity/ignore-{oldest}.txt"


@pytest.mark.parametrize("row", read(IGNORED[-1]).splitlines())
def test_what_is_ignored_is_there_is_no_plugin_and_has_its_reason(row: str) -> None:
    parts = ROW.fullmatch(row)
    assert parts, row
    assert parts[1] in files()
    # ansible-lint accepts none for a plugin: that says so at the line itself.
    assert not parts[1].startswith(("plugins/", "roles/", "playbooks/", "meta/")), row


def test_packages_of_tests_are_empty_files() -> None:
    packages = [n for n in files() if re.fullmatch(r"tests/unit/.*/__init__\.py", n)]
    assert [name for name in packages if read(name)] == []
    assert packages


def test_an_assertion_in_the_collection_is_raised_and_holds_without_asserts_too() -> None:
    code = [name for name in files() if name.startswith("plugins/") and name.endswith(".py")]
    assert [name for name in code if re.search(r"^\s*assert\b", read(name), re.MULTILINE)] == []


def documented() -> dict[str, Any]:
    """What ansible-doc shows of the collection, by the kind of plugin."""
    done = subprocess.run(
        ["ansible-doc", "--metadata-dump", "agnes.host"], capture_output=True, text=True, check=True,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
    )  # fmt: skip
    plugins: dict[str, Any] = json.loads(done.stdout)["all"]
    return plugins


def named(folder: str, suffix: str) -> set[str]:
    """The full names of what a folder has a file for."""
    return {f"agnes.host.{PurePath(n).stem}" for n in below(folder) if n.endswith(suffix)}


def test_ansible_doc_shows_each_plugin_with_its_examples_and_results() -> None:
    shown = documented()
    assert {*shown["module"]} == named("plugins/modules", ".py")
    assert {*shown["filter"]} == named("plugins/filter", ".yml")
    roles = {PurePath(name).parts[1] for name in below("roles")}
    assert {*shown["role"]} == {f"agnes.host.{role}" for role in roles}
    for kind in ("module", "filter"):
        for name, plugin in shown[kind].items():
            assert plugin["doc"]["description"] and plugin["examples"] and plugin["return"], name
    for role in shown["role"].values():
        assert all(point["description"] for point in role["entry_points"].values())


def test_each_module_says_what_it_supports_and_why_where_that_is_not_all() -> None:
    for name, module in documented()["module"].items():
        attributes = module["doc"]["attributes"]
        assert {*attributes} == {"check_mode", "diff_mode", "idempotent", "platform"}, name
        for attribute in attributes.values():
            assert attribute["support"] in ("full", "N/A") or attribute["details"], name
