# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.copy import manifest
from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Difference, Entry

FILE = Entry(
    b"certs/privkey.pem", "file", 0, 0, 0o600, 5, 1704, "ab12", (("user.a", "01"),), None,
    segments=((0, 1),),
)  # fmt: skip

PARTS = st.binary(min_size=1, max_size=6).filter(lambda part: not set(part) & {0, 0x2F})
PATHS = st.lists(PARTS, max_size=4).map(b"/".join)
SEGMENTS = st.lists(st.integers(0, 40), unique=True, max_size=8).map(
    lambda points: tuple(zip(sorted(points)[::2][: len(points) // 2], sorted(points)[1::2]))
)
ENTRIES = st.builds(
    Entry, PATHS, st.sampled_from(["file", "directory", "link", "fifo"]),
    st.integers(0, 9), st.integers(0, 9), st.integers(0, 0o7777), st.integers(), st.integers(0),
    st.text("0123456789abcdef", min_size=1, max_size=4),
    st.lists(st.tuples(st.text(max_size=3), st.text("ab", max_size=2)), unique_by=lambda p: p[0]).map(tuple),
    st.none() | PATHS, PATHS, st.tuples(st.integers(0, 255), st.integers(0, 255)), SEGMENTS,
    st.sampled_from(["", "immutable"]),
)  # fmt: skip
TREES = st.lists(ENTRIES, max_size=6, unique_by=lambda e: e.path).map(
    lambda entries: sorted(entries, key=lambda entry: manifest.order(entry.path))
)

CHANGES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing", {}, []),
    ("kind", {"kind": "link"}, ["a file in the source, a link in the copy"]),
    ("owner", {"uid": 999}, ["owner 0 in the source, 999 in the copy"]),
    ("group", {"gid": 70}, ["group 0 in the source, 70 in the copy"]),
    ("mode", {"mode": 0o4644}, ["mode 0600 in the source, 4644 in the copy"]),
    ("time", {"mtime_ns": 6}, ["mtime 5 in the source, 6 in the copy"]),
    ("size", {"size": 0}, ["size 1704 in the source, 0 in the copy"]),
    ("content", {"content": "ab13"}, ["content differs"]),
    ("content_unknown", {"content": ""}, ["content changed while it was read"]),
    ("attribute_gone", {"attributes": ()}, ["attribute user.a is missing in the copy"]),
    ("attribute_other", {"attributes": (("user.a", "02"),)}, ["attribute user.a differs"]),
    (
        "attribute_more",
        {"attributes": (("user.a", "01"), ("user.b", "01"))},
        ["attribute user.b is in the copy only"],
    ),
    ("name_more", {"first": b"x\n"}, ["hard link to none in the source, 'x\\n' in the copy"]),
    (
        "hole_filled",
        {"segments": ((0, 2),)},
        ["the copy has data on disk where the source has a hole"],
    ),
    ("zeros_became_a_hole", {"segments": ()}, []),
    ("flags", {"flags": "immutable"}, ["flags none in the source, immutable in the copy"]),
]


@pytest.mark.parametrize(
    ("change", "wanted"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_each_property_of_an_entry_is_compared(change: dict[str, Any], wanted: list[str]) -> None:
    assert list(manifest.entry_differences(FILE, replace(FILE, **change))) == wanted


def test_links_and_devices_are_compared() -> None:
    link = Entry(b"a", "link", target=b"/etc/x")
    assert list(manifest.entry_differences(link, replace(link, target=b"b"))) == [
        "link to '/etc/x' in the source, 'b' in the copy"
    ]
    node = Entry(b"a", "block", device=(8, 1))
    assert list(manifest.entry_differences(node, replace(node, device=(8, 2)))) == [
        "device (8, 1) in the source, (8, 2) in the copy"
    ]


def test_each_field_of_an_entry_is_compared_or_is_its_path() -> None:
    """A field that is added and not compared would be a promise without a proof."""
    compared = {key for _id, change, _wanted in CHANGES for key in change} | {"target", "device"}
    assert {*compared, "path"} == set(manifest._FIELDS)


def test_no_difference_says_a_hash() -> None:
    other = replace(FILE, content="ffffff", attributes=(("user.a", "eeeeee"),))
    said = str(list(manifest.differences([FILE], [other])))
    assert "ffffff" not in said
    assert "eeeeee" not in said
    assert "ab12" not in said


@given(ENTRIES)
def test_a_line_gives_the_entry_back_whatever_its_name_is(entry: Entry) -> None:
    line = manifest.to_line(entry)
    assert manifest.from_line(line) == entry
    assert line.isascii()
    assert line.count(b"\n") == 1


@given(TREES)
def test_a_tree_equals_itself(tree: list[Entry]) -> None:
    assert list(manifest.differences(tree, list(tree))) == []


@given(TREES, TREES)
def test_differences_find_what_a_dictionary_finds(source: list[Entry], target: list[Entry]) -> None:
    left, right = {e.path: e for e in source}, {e.path: e for e in target}
    wanted = [Difference(p, "is missing in the copy") for p in left.keys() - right.keys()]
    wanted += [Difference(p, "is in the copy only") for p in right.keys() - left.keys()]
    for path in left.keys() & right.keys():
        differing = manifest.entry_differences(left[path], right[path])
        wanted += [Difference(path, what) for what in differing]
    found_all = list(manifest.differences(source, target))

    def key(each: Difference) -> tuple[tuple[bytes, ...], str]:
        return manifest.order(each.path), each.what

    assert sorted(found_all, key=key) == sorted(wanted, key=key)
    count, shown = manifest.first_few(iter(found_all), 2)
    assert (count, len(shown)) == (len(wanted), min(2, len(wanted)))


@given(ENTRIES, ENTRIES)
def test_essences_are_equal_only_where_nothing_but_holes_differs(one: Entry, other: Entry) -> None:
    same = replace(one, segments=()) == replace(other, segments=())
    assert (manifest.essence(one) == manifest.essence(other)) == same


@given(SEGMENTS, SEGMENTS)
def test_segments_lie_within_others_as_sets_of_units_do(
    some: tuple[tuple[int, int], ...], wider: tuple[tuple[int, int], ...]
) -> None:
    units = [{u for s, e in each for u in range(s, e)} for each in (some, wider)]
    joined: list[tuple[int, int]] = []
    for start, end in wider:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    assert manifest._within(some, joined) == (units[0] <= units[1])


SHOWN = [
    (b"", "'.'"),
    (b"a/b", "'a/b'"),
    (b"a\nb", "'a\\nb'"),
    (b"\x1b[31m", "'\\x1b[31m'"),
    (b"\xff", "'\\xff'"),
    ("é".encode(), "'é'"),
]


@pytest.mark.parametrize(("path", "wanted"), SHOWN)
def test_a_path_is_shown_on_one_line_and_harmless(path: bytes, wanted: str) -> None:
    assert manifest.show(path) == wanted


def test_rules_leave_out_at_the_top_only() -> None:
    rules = manifest.RULES
    assert rules.leaves_out(b"duckdb-tmp")
    assert not rules.leaves_out(b"a/duckdb-tmp")
    assert not rules.leaves_out(b"\xff")


def test_manifests_of_other_rules_are_not_comparable() -> None:
    other = manifest.header(manifest.Rules(without=()))
    assert not manifest.same_rules(manifest.header(manifest.RULES), other)
    assert manifest.same_rules(other, dict(other))
