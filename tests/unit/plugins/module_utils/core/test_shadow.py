# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Entry
from ansible_collections.agnes.host.plugins.module_utils.core.disks import shadow
from ansible_collections.agnes.host.plugins.module_utils.core.layout.backend import is_stub

STUBS = [
    ("database:\n  backend: duckdb\n", True),
    ("---\n# boot\ndatabase:\n\n    backend: 'duckdb'  # first\n", True),
    ("database:\n  backend: cloud\n", False),
    ("database:\n  backend: duckdb\n  url: postgres://u:p@h/d\n", False),
    ("database:\n  backend: duckdb\nbranding:\n  name: X\n", False),
    ("database: {backend: duckdb}\n", False),
    ("backend: duckdb\n", False),
    ("database:\nbackend: duckdb\n", False),
    ("other:\n  backend: duckdb\n", False),
    ("- a\n", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "wanted"), STUBS)
def test_is_stub(text: str, wanted: bool) -> None:
    assert is_stub(text) is wanted


def file(path: bytes, content: str = "aa", size: int = 1) -> Entry:
    return Entry(path, "file", size=size, content=content)


HARMLESS = [
    (file(b"agnes-state-applier.tick"), [], True),
    (file(b"db-migration.lock", size=0), [], True),
    (file(b"db-migration.lock", size=1), [], False),
    (file(b"instance.yaml", size=30), [], True),
    (file(b"instance.yaml", size=5000), [], False),
    (file(b"system.duckdb", size=0), [], False),
    (file(b".jwt_secret", size=64), [], False),
    (Entry(b"certs", "directory"), [], True),
    (Entry(b"certs", "directory"), [b"certs/privkey.pem"], False),
    (Entry(b"lost+found", "directory"), [], True),
    (Entry(b"lost+found", "directory"), [b"lost+found/#12"], False),
    (Entry(b"other", "directory"), [], False),
    (Entry(b"instance.yaml", "link", target=b"/etc/passwd"), [], False),
    (Entry(b"agnes-state-applier.tick", "link", target=b"/etc/passwd"), [], False),
]


@pytest.mark.parametrize(("entry", "inside", "wanted"), HARMLESS)
def test_leftovers_are_what_the_products_scripts_make_by_themselves(
    entry: Entry, inside: list[bytes], wanted: bool
) -> None:
    tree = {each.path: each for each in (entry, *map(file, inside))}
    assert shadow.harmless(tree, True) == ({entry.path} if wanted else set())


def test_an_instance_yaml_with_more_in_it_is_no_leftover() -> None:
    assert shadow.harmless({b"instance.yaml": file(b"instance.yaml")}, False) == set()


def test_classify_names_all_four_places() -> None:
    below = [
        Entry(b"", "directory"), file(b"a"), file(b"b"), file(b"c"), file(b"unknown", ""),
        Entry(b"l", "link", target=b"x"), Entry(b"k", "link"),
    ]  # fmt: skip
    live = [
        Entry(b"", "directory"), file(b"a"), file(b"b", "bb"), file(b"d"), file(b"unknown", ""),
        Entry(b"l", "link", target=b"y"), Entry(b"k", "directory"),
    ]  # fmt: skip
    classified = shadow.classify(below, {entry.path: entry for entry in live})
    assert {each.path: each.where for each in classified} == {
        b"a": "same", b"b": "differ", b"c": "only shadowed", b"d": "only mounted", b"l": "differ",
        b"k": "differ", b"unknown": "differ",
    }  # fmt: skip


NAMES = st.sampled_from([b"a", b"a/b", b"certs", b"certs/k", b"x.lock", b"lost+found", b"d"])
FOUND = st.lists(
    st.builds(
        shadow.ComparedPath, NAMES, st.sampled_from([shadow.SAME, shadow.ONLY_SHADOWED, shadow.ONLY_MOUNTED, shadow.DIFFER]),
        st.just("file"), st.just(0), st.just(0), st.just(0), st.booleans(),
    ),
    unique_by=lambda each: each.path,
)  # fmt: skip


@given(FOUND)
def test_each_shadowed_path_is_a_leftover_or_the_same_or_in_conflict(
    paths: list[shadow.ComparedPath],
) -> None:
    stand = shadow.conflicts(paths)
    for each in paths:
        agreed = each.harmless or each.where in (shadow.ONLY_MOUNTED, shadow.SAME)
        assert (each in stand) is not agreed


def test_lost_sees_content_that_is_nowhere() -> None:
    before = [Entry(b"", "directory"), file(b"a", "aa"), file(b"b", "bb")]
    assert shadow.lost(before, [file(b"x/a", "aa")]) == [b"b"]
    assert shadow.lost(before, [file(b"x", "aa"), file(b"y", "bb"), file(b"z", "cc")]) == []
