# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.compose.chain import (
    BASE,
    TLS_OVERLAY,
    TLS_PROFILE,
    chain_for,
    chain_now,
    join,
    layout_overlays,
    order_note,
    resolvers_order,
    split,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import (
    LAYOUTS,
    Layout,
    overlays,
)

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
HOST_MOUNT, FLAT_MOUNT = NESTED.overlay, FLAT.overlay
A, B = "docker-compose.gcp-logging.yml", "docker-compose.override.yml"
TLS = {"profiles": ["full", TLS_PROFILE], "available": [*BASE, TLS_OVERLAY]}

TEST_CHAIN: list[Any] = [
    pytest.param(NESTED, [], {}, [*BASE, HOST_MOUNT], id="fresh-nested"),
    pytest.param(FLAT, [], {}, [*BASE, FLAT_MOUNT], id="fresh-flat"),
    pytest.param(FLAT, [*BASE, HOST_MOUNT], {}, [*BASE, FLAT_MOUNT], id="other-layout-goes"),
    pytest.param(
        FLAT, [*BASE, HOST_MOUNT, A, FLAT_MOUNT], {}, [*BASE, HOST_MOUNT, A, FLAT_MOUNT],
        id="chain-that-the-product-computed-stands",
    ),
    pytest.param(
        FLAT, [*BASE, FLAT_MOUNT, A, HOST_MOUNT], {}, [*BASE, FLAT_MOUNT, A],
        id="other-layout-last-goes",
    ),
    pytest.param(
        NESTED, [*BASE, HOST_MOUNT, A, FLAT_MOUNT], {}, [*BASE, HOST_MOUNT, A],
        id="other-layout-last-goes-from-nested-too",
    ),
    pytest.param(
        FLAT, [*BASE, FLAT_MOUNT, A], {}, [*BASE, FLAT_MOUNT, A], id="overlay-keeps-its-place"
    ),
    pytest.param(
        FLAT, [], {**TLS, "available": [*BASE, TLS_OVERLAY, HOST_MOUNT]},
        [*BASE, HOST_MOUNT, TLS_OVERLAY, FLAT_MOUNT], id="flat-as-the-products-upgrade-has-it",
    ),
    pytest.param(
        NESTED, [*BASE, TLS_OVERLAY, HOST_MOUNT], {}, [*BASE, HOST_MOUNT, TLS_OVERLAY],
        id="nested-in-the-resolvers-order",
    ),
    pytest.param(
        FLAT, [*BASE, B, TLS_OVERLAY], {"available": [HOST_MOUNT]},
        [*BASE, HOST_MOUNT, B, TLS_OVERLAY, FLAT_MOUNT], id="an-override-stays",
    ),
    pytest.param(
        FLAT, [*BASE, B], {**TLS, "available": [*BASE, TLS_OVERLAY, HOST_MOUNT]},
        [*BASE, HOST_MOUNT, TLS_OVERLAY, B, FLAT_MOUNT], id="tls-before-files-of-others",
    ),
    pytest.param(FLAT, [*BASE, A], {}, [*BASE, A, FLAT_MOUNT], id="overlay-comes-last"),
    pytest.param(FLAT, [], TLS, [*BASE, TLS_OVERLAY, FLAT_MOUNT], id="tls-before-the-overlay"),
    pytest.param(
        FLAT, [*BASE, FLAT_MOUNT, A], TLS, [*BASE, TLS_OVERLAY, FLAT_MOUNT, A],
        id="tls-before-the-overlay-that-is-there",
    ),
    pytest.param(
        FLAT, [BASE[0], TLS_OVERLAY, A], TLS, [BASE[0], TLS_OVERLAY, A, FLAT_MOUNT],
        id="tls-keeps-its-place",
    ),
    pytest.param(
        FLAT, [], {**TLS, "available": BASE}, [*BASE, FLAT_MOUNT], id="tls-file-does-not-exist"
    ),
    pytest.param(
        FLAT, [], {**TLS, "profiles": ["full"]}, [*BASE, FLAT_MOUNT], id="tls-not-asked-for"
    ),
    pytest.param(
        FLAT, [*BASE, TLS_OVERLAY], {}, [*BASE, TLS_OVERLAY, FLAT_MOUNT],
        id="tls-stays-without-its-profile",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "current", "more", "expected"), TEST_CHAIN)
def test_chain_for(
    layout: Layout, current: list[str], more: dict[str, Any], expected: list[str]
) -> None:
    assert chain_for(layout, current, **more) == expected


KNOWN = {*BASE, TLS_OVERLAY, *overlays(), A}
"""What the product's resolver decides on, and our overlays."""

LAYOUT = st.sampled_from([*LAYOUTS.values()])
FOREIGN = st.text(st.sampled_from("abx.-/"), min_size=1, max_size=5)
FILES = st.lists(st.sampled_from([*BASE, TLS_OVERLAY, *overlays()]) | FOREIGN, unique=True)
MORE = st.fixed_dictionaries(
    {
        "profiles": st.lists(st.sampled_from([TLS_PROFILE, "full", "extract"]), unique=True),
        "available": st.lists(st.sampled_from([*BASE, TLS_OVERLAY, HOST_MOUNT]), unique=True),
    }
)


@given(LAYOUT, FILES, MORE)
def test_the_layouts_overlay_is_the_only_one_or_the_last_of_a_chain_that_had_it_last(
    layout: Layout, current: list[str], more: dict[str, Any]
) -> None:
    named = layout_overlays(chain_for(layout, current, **more))
    had = layout_overlays(current)
    assert set(named) <= {*had, layout.overlay, HOST_MOUNT}
    assert named[-1] == layout.overlay
    assert len(named) == len(set(named))
    if layout is NESTED and had[-1:] != [HOST_MOUNT]:
        assert named == [HOST_MOUNT]


@given(LAYOUT, FILES, MORE)
def test_files_of_others_keep_their_order_and_none_is_added(
    layout: Layout, current: list[str], more: dict[str, Any]
) -> None:
    chain = chain_for(layout, current, **more)
    foreign = [name for name in current if name not in KNOWN]
    assert [name for name in chain if name not in KNOWN] == foreign
    given = {*(current or BASE), *overlays(), TLS_OVERLAY}
    assert set(current) - {*overlays()} <= set(chain) <= given


@given(LAYOUT, FILES, MORE)
def test_what_the_products_resolver_decides_on_is_in_its_order_where_it_stands_side_by_side(
    layout: Layout, current: list[str], more: dict[str, Any]
) -> None:
    chain = chain_for(layout, current, **more)
    order = [*BASE, HOST_MOUNT, TLS_OVERLAY, A]
    pairs = [pair for pair in zip(chain, chain[1:]) if set(pair) <= set(order)]
    assert all(order.index(left) < order.index(right) for left, right in pairs)


SIDE_CAR: list[Any] = [
    pytest.param(
        NESTED, [*BASE, HOST_MOUNT],
        [*BASE, "docker-compose.postgres.yml", HOST_MOUNT, "docker-compose.postgres-host-mount.yml"],
        id="nested",
    ),
    pytest.param(
        NESTED, [*BASE, HOST_MOUNT, TLS_OVERLAY, "mine.yml"],
        [*BASE, "docker-compose.postgres.yml", HOST_MOUNT, "docker-compose.postgres-host-mount.yml",
         TLS_OVERLAY, "mine.yml"],
        id="nested-with-others",
    ),
    pytest.param(
        FLAT, [*BASE, TLS_OVERLAY, FLAT_MOUNT],
        [*BASE, "docker-compose.postgres.yml", HOST_MOUNT, "docker-compose.postgres-host-mount.yml",
         TLS_OVERLAY, FLAT_MOUNT],
        id="flat",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "current", "expected"), SIDE_CAR)
def test_the_side_cars_files_are_where_the_products_resolver_puts_them(
    layout: Layout, current: list[str], expected: list[str]
) -> None:
    more: dict[str, Any] = {"available": [HOST_MOUNT], "backend": "side_car"}
    assert chain_for(layout, current, **more) == expected
    assert chain_for(layout, expected, **more) == expected


NOW: list[Any] = [
    pytest.param({}, [], [], id="no-project"),
    pytest.param({}, ["docker-compose.yml", "x.yml"], [*BASE], id="base"),
    pytest.param({"COMPOSE_FILE": ""}, ["docker-compose.yml"], [*BASE], id="empty"),
    pytest.param({}, ["docker-compose.override.yml", *BASE], [*BASE, B], id="override"),
    pytest.param({}, ["compose.yaml", *BASE, B], ["compose.yaml", B], id="compose-yaml-first"),
    pytest.param({}, [B], [], id="override-alone"),
    pytest.param({"COMPOSE_FILE": "a.yml:/opt/agnes/b.yml:/srv/c.yml:sub/d.yml"}, ["compose.yml"],
                 ["a.yml", "b.yml", "/srv/c.yml", "sub/d.yml"], id="named"),
    pytest.param({"COMPOSE_FILE": f"a.yml:/opt/agnes/{FLAT_MOUNT}"}, [], ["a.yml", FLAT_MOUNT],
                 id="overlay-by-its-path"),
]  # fmt: skip


@pytest.mark.parametrize(("env", "present", "expected"), NOW)
def test_the_chain_of_a_project_is_what_compose_takes(
    env: dict[str, str], present: list[str], expected: list[str]
) -> None:
    assert chain_now(env, present, "/opt/agnes") == expected


@given(LAYOUT, FILES, MORE)
def test_the_overlay_is_last_unless_it_had_a_place(
    layout: Layout, current: list[str], more: dict[str, Any]
) -> None:
    chain = chain_for(layout, current, **more)
    after = chain[chain.index(layout.overlay) + 1 :]
    given = current or [*BASE]
    had = given[given.index(layout.overlay) + 1 :] if layout.overlay in given else []
    others = [name for name in had if name not in KNOWN]
    assert [name for name in after if name not in KNOWN] == others
    if layout is FLAT:
        assert set(after) <= set(had)


@given(LAYOUT, FILES, MORE)
def test_a_chain_of_ours_stays_as_it_is(
    layout: Layout, current: list[str], more: dict[str, Any]
) -> None:
    chain = chain_for(layout, current, **more)
    assert chain_for(layout, chain, **more) == chain


POSTGRES = ["docker-compose.postgres.yml", "docker-compose.postgres-host-mount.yml"]
ALL_FILES = st.lists(
    st.sampled_from([*BASE, *POSTGRES, TLS_OVERLAY, *overlays(), A]) | FOREIGN, unique=True
)
REQUEST = st.builds(dict, MORE, backend=st.sampled_from(["duckdb", "side_car"]))


@given(LAYOUT, ALL_FILES, REQUEST, st.booleans())
def test_after_a_move_a_run_that_asks_the_same_has_no_other_chain(
    target: Layout, current: list[str], request: dict[str, Any], ordered: bool
) -> None:
    """What a move has written, in the resolver's order or not, is what the run after it would write."""
    moved = chain_for(target, current, **request)
    moved = resolvers_order(moved) if ordered else moved
    chain = chain_now({"COMPOSE_FILE": join(moved)}, [], "/opt/agnes")
    assert chain_for(target, chain, **request) == moved
    assert resolvers_order(resolvers_order(moved)) == resolvers_order(moved)


ORDERS: list[Any] = [
    pytest.param(
        [*BASE, B, TLS_OVERLAY, FLAT_MOUNT], [*BASE, TLS_OVERLAY, B, FLAT_MOUNT], id="tls"
    ),
    pytest.param(
        [*BASE, B, HOST_MOUNT, FLAT_MOUNT, A], [*BASE, HOST_MOUNT, A, B, FLAT_MOUNT], id="two"
    ),
    pytest.param([*BASE, TLS_OVERLAY, B, "a.yml"], [*BASE, TLS_OVERLAY, B, "a.yml"], id="right"),
    pytest.param(["/srv/x.yml", *BASE], ["/srv/x.yml", *BASE], id="another-base"),
    pytest.param(
        [*BASE, FLAT_MOUNT, HOST_MOUNT], [*BASE, FLAT_MOUNT, HOST_MOUNT], id="another-layout-last"
    ),
    pytest.param([], [], id="none"),
]  # fmt: skip


@pytest.mark.parametrize(("chain", "expected"), ORDERS)
def test_the_resolver_has_files_of_others_behind_its_own(
    chain: list[str], expected: list[str]
) -> None:
    assert resolvers_order(chain) == expected
    note = order_note(chain, chain)
    assert (f"product's own upgrade, {join(expected)}; " in note) is (chain != expected)
    assert bool(note) is (chain != expected)


def test_what_comes_or_goes_is_no_other_order() -> None:
    assert not order_note([*BASE, HOST_MOUNT, B], [*BASE, TLS_OVERLAY, B, FLAT_MOUNT])
    assert not order_note([*BASE, FLAT_MOUNT, B], [*BASE, HOST_MOUNT, B])
    assert order_note([*BASE, TLS_OVERLAY, HOST_MOUNT], [*BASE, HOST_MOUNT, TLS_OVERLAY])


@given(LAYOUT, FILES, MORE)
def test_tls_is_there_when_asked_for_and_never_behind_the_overlay_unless_it_was(
    layout: Layout, current: list[str], more: dict[str, Any]
) -> None:
    chain = chain_for(layout, current, **more)
    asked = TLS_PROFILE in more["profiles"] and TLS_OVERLAY in more["available"]
    assert (TLS_OVERLAY in chain) is (asked or TLS_OVERLAY in current)
    if layout is FLAT and TLS_OVERLAY in chain and TLS_OVERLAY not in current:
        assert chain.index(TLS_OVERLAY) < chain.index(layout.overlay)


@pytest.mark.parametrize(
    ("text", "files"),
    [("", []), ("a", ["a"]), ("a:b", ["a", "b"]), (":a::b:", ["a", "b"])],
)
def test_split(text: str, files: list[str]) -> None:
    assert split(text) == files


@given(st.lists(st.text(st.characters(exclude_characters=":"), min_size=1)))
def test_split_undoes_join(files: list[str]) -> None:
    assert split(join(files)) == files


@pytest.mark.parametrize(
    "current",
    [[*BASE, FLAT_MOUNT, A, FLAT_MOUNT], [*BASE, f"./{FLAT_MOUNT}"], [*BASE, f"./{HOST_MOUNT}", A]],
)
def test_an_overlay_by_another_spelling_or_twice_is_one(current: list[str]) -> None:
    chain = [name.removeprefix("./") for name in chain_for(FLAT, current)]
    assert layout_overlays(chain) == [FLAT_MOUNT]
