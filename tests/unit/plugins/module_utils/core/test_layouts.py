# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import (
    DEFAULT_LAYOUT,
    LAYOUTS,
    Layout,
    is_below,
    layout_at,
    resolve_state_dir,
)

TEST_RESOLVE: list[tuple[dict[str, str], str]] = [
    ({}, "/data/state"),
    ({"STATE_DIR": ""}, "/data/state"),
    ({"DATA_DIR": ""}, "/data/state"),
    ({"DATA_DIR": "/srv/agnes"}, "/srv/agnes/state"),
    ({"STATE_DIR": "/data-state"}, "/data-state"),
    ({"STATE_DIR": "/data-state", "DATA_DIR": "/srv/agnes"}, "/data-state"),
    ({"STATE_DIR": "", "DATA_DIR": "/srv/agnes"}, "/srv/agnes/state"),
]


@pytest.mark.parametrize(("env", "expected"), TEST_RESOLVE)
def test_resolve_state_dir(env: dict[str, str], expected: str) -> None:
    assert resolve_state_dir(env) == expected


TEXT = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=8)


@given(st.dictionaries(st.sampled_from(["STATE_DIR", "DATA_DIR", "OTHER"]), TEXT))
def test_resolve_state_dir_is_the_override_or_below_the_data_dir(env: dict[str, str]) -> None:
    state_dir = resolve_state_dir(env)
    if env.get("STATE_DIR"):
        assert state_dir == env["STATE_DIR"]
    else:
        assert state_dir == posixpath.join(env.get("DATA_DIR") or "/data", "state")


def test_default_layout_is_the_one_that_needs_no_key() -> None:
    assert DEFAULT_LAYOUT == "nested"
    assert LAYOUTS[DEFAULT_LAYOUT].env() == {}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)
def test_every_entry_of_the_table_is_consistent(layout: Layout) -> None:
    assert set(layout.mounts) == {"data", "state"}
    assert resolve_state_dir(layout.env()) == layout.state_dir
    assert layout_at(layout.state_dir) is layout
    assert is_below(layout.state_dir, layout.mounts["state"])
    assert not set(layout.never_mounted) & set(layout.mounts.values())
    others = {other.mounts["state"] for other in LAYOUTS.values() if other is not layout}
    assert set(layout.never_mounted) == others
    assert all(target == layout.state_dir for target in layout.links.values())


def test_layouts_differ_in_state_dir_and_overlay() -> None:
    assert len({layout.state_dir for layout in LAYOUTS.values()}) == len(LAYOUTS)
    assert len({layout.overlay for layout in LAYOUTS.values()}) == len(LAYOUTS)


TEST_BELOW = [
    ("/data", "/data", True),
    ("/data/state", "/data", True),
    ("/data/", "/data", True),
    ("/data-state", "/data", False),
    ("/data/../etc", "/data", False),
    ("/", "/data", False),
]


@pytest.mark.parametrize(("path", "parent", "expected"), TEST_BELOW)
def test_is_below(path: str, parent: str, expected: bool) -> None:
    assert is_below(path, parent) is expected


def test_layout_at_ignores_a_trailing_slash() -> None:
    assert layout_at("/data-state/") is LAYOUTS["flat"]
    assert layout_at("/elsewhere") is None
