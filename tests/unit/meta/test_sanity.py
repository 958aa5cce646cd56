# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``make sanity`` would find, as far as it is known without it."""

from __future__ import annotations

import re

import pytest

from .repo import files, load, read

IGNORED = sorted(name for name in files() if name.startswith("tests/sanity/ignore-"))
ROW = re.compile(r"(\S+) (\S+) # (\S.+)")


def test_each_release_of_ansible_core_ignores_the_same() -> None:
    assert len(IGNORED) == 3
    assert {read(name) for name in IGNORED} == {read(IGNORED[0])}
    oldest = load("meta/runtime.yml")["requires_ansible"].removeprefix(">=").removesuffix(".0")
    assert IGNORED[0] == f"tests/sanity/ignore-{oldest}.txt"


@pytest.mark.parametrize("row", read(IGNORED[0]).splitlines())
def test_what_is_ignored_is_there_is_not_published_and_has_its_reason(row: str) -> None:
    parts = ROW.fullmatch(row)
    assert parts, row
    assert parts[1] in files()
    assert not parts[1].startswith(("plugins/", "roles/", "playbooks/", "meta/")), row


def test_packages_of_tests_are_empty_files() -> None:
    packages = [n for n in files() if re.fullmatch(r"tests/unit/.*/__init__\.py", n)]
    assert [name for name in packages if read(name)] == []
    assert packages


def test_an_assertion_in_the_collection_is_raised_and_holds_without_asserts_too() -> None:
    code = [name for name in files() if name.startswith("plugins/") and name.endswith(".py")]
    assert [name for name in code if re.search(r"^\s*assert\b", read(name), re.MULTILINE)] == []
