# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import posixpath

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import (
    LAYOUTS,
    Layout,
    is_below,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.tree import Entry, wanted_tree

NAMES = st.sampled_from(["data", "data-state", "srv", "mnt", "state"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """One of the table, or a layout that it could have: state apart from data, or just below."""
    data = draw(PATHS)
    state = draw(PATHS.filter(lambda path: not is_below(path, data)) | st.just(f"{data}/st"))
    links = {} if is_below(state, data) else {f"{data}/old": state}
    made = Layout("drawn", {"data": data, "state": state}, state, "drawn.yml", (), links)
    return draw(st.sampled_from([*LAYOUTS.values(), made]))


PEM = st.sampled_from(["", "PEM\n"])


@given(layouts(), PEM, PEM)
def test_parents_come_before_children(layout: Layout, certificate: str, key: str) -> None:
    seen: set[str] = set()
    for entry in wanted_tree(layout, certificate, key):
        parent = posixpath.dirname(entry.path)
        assert parent in seen or entry.path in (layout.mounts["data"], layout.state_dir)
        assert entry.path not in seen
        if entry.kind == "directory":
            seen.add(entry.path)


@given(layouts(), PEM, PEM)
def test_only_paths_of_the_layout_are_made(layout: Layout, certificate: str, key: str) -> None:
    for entry in wanted_tree(layout, certificate, key):
        if entry.kind == "link":
            assert layout.links[entry.path] == entry.target
        else:
            assert is_below(entry.path, layout.mounts["data"]) or is_below(
                entry.path, layout.state_dir
            )
        others = {other.state_dir for other in LAYOUTS.values()} - {layout.state_dir}
        if layout.name in LAYOUTS and entry.kind != "link":
            assert not any(is_below(entry.path, other) for other in others)


@given(layouts(), PEM, PEM)
def test_what_containers_write_to_is_the_products_and_what_root_writes_is_roots(
    layout: Layout, certificate: str, key: str
) -> None:
    for entry in wanted_tree(layout, certificate, key):
        owner = 999 if entry.kind == "directory" else 0
        assert (entry.uid, entry.gid) == (owner, owner), entry.path
        assert not entry.mode & 0o022 or entry.kind == "link"


@given(layouts(), PEM, PEM)
def test_certificate_and_key_come_together_and_the_key_is_private(
    layout: Layout, certificate: str, key: str
) -> None:
    certs = posixpath.join(layout.state_dir, "certs")
    entries = {entry.path: entry for entry in wanted_tree(layout, certificate, key)}
    files = {path: entry for path, entry in entries.items() if entry.kind == "file"}
    assert entries[certs].mode == 0o700
    if not (certificate and key):
        assert files == {}
        return
    assert {path: (entry.mode, entry.content) for path, entry in files.items()} == {
        f"{certs}/privkey.pem": (0o600, key),
        f"{certs}/fullchain.pem": (0o644, certificate),
    }


def test_the_tree_of_flat() -> None:
    assert [f"{entry.kind} {entry.path}" for entry in wanted_tree(LAYOUTS["flat"], "C", "K")] == [
        "directory /data",
        "directory /data/analytics",
        "directory /data/extracts",
        "directory /data/uploads",
        "directory /data/tmp",
        "directory /data-state",
        "directory /data-state/certs",
        "file /data-state/certs/privkey.pem",
        "file /data-state/certs/fullchain.pem",
        "link /data/state",
    ]


@given(layouts())
def test_a_directory_for_certificates_is_not_made_for_nothing(layout: Layout) -> None:
    certs = posixpath.join(layout.state_dir, "certs")
    without = [entry.path for entry in wanted_tree(layout, certs=False)]
    assert certs not in without
    assert [entry.path for entry in wanted_tree(layout)] == sorted(
        [*without, certs], key=[entry.path for entry in wanted_tree(layout)].index
    )
    assert certs in [entry.path for entry in wanted_tree(layout, "C", "K", certs=False)]


def test_an_entry_as_plain_data() -> None:
    assert Entry("/x", "link", 0, 0, 0o777, target="/y").as_dict() == {
        "path": "/x",
        "kind": "link",
        "uid": 0,
        "gid": 0,
        "mode": 0o777,
        "target": "/y",
        "content": None,
    }
