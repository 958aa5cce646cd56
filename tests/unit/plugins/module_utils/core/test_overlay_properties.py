# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of the derived overlay for any services with any mounts."""

from __future__ import annotations

import posixpath
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.compose.overlay import (
    Mount,
    cut,
    mounts_of,
    prove,
    render,
    wanted_mounts,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import (
    LAYOUTS,
    Layout,
    is_below,
    state_dirs,
)

LAYOUT = st.sampled_from([*LAYOUTS.values()])
FLAT = LAYOUTS["flat"]
KINDS = ("data", "data-bind", "state", "below-state", "bind", "named", "tmpfs", "anonymous")
SOURCES = (
    "/opt/agnes/config", "/", "/data/uploads", "/data/statex", "/data-states/x", "/etc/x",
    "/var/run/docker.sock", "/srv/a b/'\"", "/srv/é",
)  # fmt: skip


@st.composite
def services(draw: st.DrawFn) -> list[Mount]:
    """A service's mounts as Compose resolves them; each has a target of its own in any layout."""
    mounts: list[Mount] = []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(KINDS), max_size=6))):
        once = kind not in [mount["kind"] for mount in mounts]
        own = f"/mnt/{number}"
        mount: Mount = {"type": "bind", "kind": kind, "target": own}
        if kind.startswith("data"):
            mount["source"] = (
                "data" if kind == "data" else draw(st.sampled_from(["/data", "/data/"]))
            )
            mount["type"] = "volume" if kind == "data" else "bind"
            mount["target"] = "/data" if once and kind == "data" else own
        elif kind == "state":
            mount["source"] = draw(st.sampled_from(state_dirs()))
            mount["target"] = draw(st.sampled_from(state_dirs())) if once else own
        elif kind == "below-state":
            mount["source"] = f"{draw(st.sampled_from(state_dirs()))}/{number} x/certs"
            mount["target"] = draw(st.sampled_from([mount["source"], own]))
        elif kind == "bind":
            mount["source"] = draw(st.sampled_from(SOURCES))
            mount["bind"] = {
                "create_host_path": True,
                "propagation": draw(st.text("rp", max_size=2)),
            }
        elif kind == "named":
            mount |= {"type": "volume", "source": draw(st.sampled_from(["caddy_data", "data2"]))}
            mount["volume"] = {"nocopy": True}
        elif kind == "tmpfs":
            mount |= {"type": "tmpfs", "tmpfs": {"size": "64"}}
        else:
            mount |= {"type": "volume", "volume": {}}
        # A service that says itself that it has STATE_DIR read-only is in test_overlay.py.
        if not (kind == "state" and mount["target"] in state_dirs()) and draw(st.booleans()):
            mount["read_only"] = True
        mounts.append(mount)
    return [{key: value for key, value in mount.items() if key != "kind"} for mount in mounts]


CONFIGS = st.dictionaries(
    st.text("ab-_.0", min_size=1, max_size=3), services(), max_size=3
).map(lambda drawn: cut({"services": {name: {"volumes": v} for name, v in drawn.items()}}))  # fmt: skip


def is_data(mount: Mount) -> bool:
    if mount["type"] == "volume":
        return bool(mount.get("source") == "data")
    return bool(mount["type"] == "bind" and posixpath.normpath(mount["source"]) == "/data")


def is_state(mount: Mount) -> bool:
    return mount["type"] == "bind" and any(is_below(mount["source"], d) for d in state_dirs())


def brief(mount: Mount) -> tuple[str, str, str, bool]:
    read_only = bool(mount.get("read_only"))
    return (mount["type"], mount.get("source", ""), mount["target"], read_only)


@given(services(), LAYOUT)
def test_each_use_of_the_data_volume_is_a_bind_of_the_data_disk(
    mounts: list[Mount], layout: Layout
) -> None:
    result = mounts_of(mounts, layout)
    assert not [m for m in result if m["type"] == "volume" and m.get("source") == "data"]
    data = layout.mounts["data"]
    wanted = {("bind", data, m["target"], bool(m.get("read_only"))) for m in mounts if is_data(m)}
    assert {brief(m) for m in result if m.get("source") == data} == wanted
    ours = [m for m in result if is_data(m) or is_state(m)]
    assert all(m["bind"] == {"create_host_path": False} for m in ours)


@given(services(), LAYOUT)
def test_a_service_has_state_when_it_had_it_or_data_at_its_own_path_or_read_write(
    mounts: list[Mount], layout: Layout
) -> None:
    state = layout.state_dir
    of_state = [m for m in mounts_of(mounts, layout) if m["target"] == state]
    data = [m for m in mounts if is_data(m)]
    modes = [bool(m.get("read_only")) for m in data if m["target"] == layout.mounts["data"]]
    modes += [False for m in data if not m.get("read_only")]
    if any(m["target"] in state_dirs() for m in mounts):
        modes = [False]
    elif not layout.needs_state_disk:
        modes = []
    assert list(map(brief, of_state)) == [("bind", state, state, mode) for mode in modes[:1]]


@given(services(), LAYOUT)
def test_nothing_is_left_under_the_state_dir_of_another_layout(
    mounts: list[Mount], layout: Layout
) -> None:
    for mount in mounts_of(mounts, layout):
        for other in set(state_dirs()) - {layout.state_dir}:
            assert mount["type"] != "bind" or not is_below(mount["source"], other)
            assert not is_below(mount["target"], other)


@given(services(), LAYOUT)
def test_mounts_of_others_stay_as_they_are_and_in_order(
    mounts: list[Mount], layout: Layout
) -> None:
    foreign = [m for m in mounts if not is_data(m) and not is_state(m)]
    result = [m for m in mounts_of(mounts, layout) if not is_data(m) and not is_state(m)]
    assert result == foreign


@given(services(), LAYOUT)
def test_a_path_below_state_moves_with_it_and_keeps_its_mode(
    mounts: list[Mount], layout: Layout
) -> None:
    result = {brief(m) for m in mounts_of(mounts, layout)}
    for mount in filter(is_state, mounts):
        home = next(d for d in state_dirs() if is_below(mount["source"], d))
        source = layout.state_dir + mount["source"][len(home) :]
        stays = mount["target"] not in (mount["source"], *state_dirs())
        target = mount["target"] if stays else source
        assert ("bind", source, target, bool(mount.get("read_only"))) in result


@given(services(), LAYOUT)
def test_no_two_mounts_have_one_target(mounts: list[Mount], layout: Layout) -> None:
    targets = [posixpath.normpath(m["target"]) for m in mounts_of(mounts, layout)]
    assert len(targets) == len(set(targets))


@given(services(), LAYOUT)
def test_what_is_wanted_is_wanted_again(mounts: list[Mount], layout: Layout) -> None:
    wanted = mounts_of(mounts, layout)
    assert mounts_of(wanted, layout) == wanted


def seen_at(mounts: list[Mount], path: str) -> tuple[Any, ...]:
    """What a container with ``mounts`` sees at ``path``: the host's path or the volume's, the mode."""
    over = [m for m in mounts if is_below(path, m["target"])]
    if not over:
        return ()
    mount = max(over, key=lambda m: len(m["target"]))
    rest = posixpath.relpath(path, mount["target"])
    source = posixpath.normpath(posixpath.join(mount.get("source", ""), rest))
    return (mount["type"], source, bool(mount.get("read_only")))


@given(services(), LAYOUT, LAYOUT)
def test_by_way_of_another_layout_a_container_sees_the_same(
    mounts: list[Mount], layout: Layout, other: Layout
) -> None:
    there, direct = mounts_of(mounts, other), mounts_of(mounts, layout)
    back = mounts_of(there, layout)
    outside = [
        m for m in mounts if is_data(m) and not m.get("read_only") and m["target"] != "/data"
    ]
    if not outside and not any(seen_at(mounts, d)[2:] == (True,) for d in state_dirs()):
        for path in {m["target"] for m in [*direct, *back]} | {layout.state_dir}:
            assert seen_at(back, f"{path}/x") == seen_at(direct, f"{path}/x"), path
    assert mounts_of(mounts_of(back, other), layout) == back


class Loader(yaml.SafeLoader):
    """YAML with Compose's tag, which must stand before a list."""


Loader.add_constructor(
    "!override",
    lambda loader, node: {"override": loader.construct_sequence(node, deep=True)},  # type: ignore[arg-type]
)


@given(CONFIGS, LAYOUT)
def test_the_text_carries_exactly_the_wanted_mounts(config: dict[str, Any], layout: Layout) -> None:
    wanted = wanted_mounts(config, layout)
    parsed = yaml.load(render(config, layout, ["a.yml", "b.yml"]), Loader)
    changed = {
        name: mounts
        for name, mounts in wanted.items()
        if sorted(map(brief, mounts)) != sorted(map(brief, config["services"][name]["volumes"]))
    }
    assert parsed == {
        "services": {name: {"volumes": {"override": m}} for name, m in changed.items()}
    }


@given(CONFIGS, LAYOUT)
def test_what_is_wanted_is_proved(config: dict[str, Any], layout: Layout) -> None:
    wanted = wanted_mounts(config, layout)
    prove({"services": {n: {"volumes": m[::-1]} for n, m in wanted.items()}}, wanted, ["a.yml"])


CHANGES: dict[str, Any] = {
    "mode": lambda m: {**m, "read_only": not m.get("read_only")},
    "source": lambda m: {**m, "source": f"{m.get('source', '')}x"},
    "target": lambda m: {**m, "target": f"{m['target']}x"},
    "volume": lambda m: {**m, "type": "volume", "source": "data"},
    "type": lambda m: {**m, "type": "bind" if m["type"] == "volume" else "volume"},
}


@given(services().filter(bool), LAYOUT, st.sampled_from([*CHANGES]), st.data())
def test_one_mount_that_differs_is_never_proved(
    mounts: list[Mount], layout: Layout, change: str, data: st.DataObject
) -> None:
    wanted = {"app": mounts_of(mounts, layout)}
    there = [dict(mount) for mount in wanted["app"]]
    number = data.draw(st.integers(0, len(there) - 1))
    for volumes in (
        [*there[:number], CHANGES[change](there[number]), *there[number + 1 :]],
        [*there[:number], *there[number + 1 :]],
        [*there, {"type": "bind", "source": "/more", "target": "/more"}],
    ):
        with pytest.raises(Refusal):
            prove({"services": {"app": {"volumes": volumes}}}, wanted, ["a.yml"])


def bind(source: str, target: str, **more: Any) -> Mount:
    return {"type": "bind", "source": source, "target": target, **more}


DATA: Mount = {"type": "volume", "source": "data", "target": "/data"}
STATE_READ_ONLY = bind("/data/state", "/data/state", read_only=True)
READ_ONLY_IN_FLAT = [
    ("bind", "/data", "/data", False),
    ("bind", "/data-state", "/data-state", True),
]

TEST_SINGLE: list[Any] = [
    pytest.param(
        [DATA, STATE_READ_ONLY], "flat", READ_ONLY_IN_FLAT, id="a-service-with-state-read-only"
    ),
    pytest.param(
        [STATE_READ_ONLY, DATA], "flat", READ_ONLY_IN_FLAT,
        id="the-order-of-mounts-says-nothing",
    ),
    pytest.param(
        [bind("/data/state/sub", "/data/state")], "nested",
        [("bind", "/data/state/sub", "/data/state", False)],
        id="a-directory-below-state-as-state-dir",
    ),
    pytest.param(
        [bind("/data/state/sub", "/data/state")], "flat",
        [("bind", "/data-state/sub", "/data-state", False)],
        id="a-directory-below-state-as-state-dir-in-flat",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("mounts", "layout", "expected"), TEST_SINGLE)
def test_single_services(mounts: list[Mount], layout: str, expected: list[Any]) -> None:
    assert sorted(map(brief, mounts_of(mounts, LAYOUTS[layout]))) == expected


def test_options_of_a_bind_move_with_it() -> None:
    mounts = [bind("/data/state/certs", "/certs", bind={"propagation": "rslave"})]
    assert mounts_of(mounts, FLAT)[0]["bind"].get("propagation") == "rslave"


def test_a_directory_of_the_data_volume_is_that_directory_of_the_data_disk() -> None:
    mounts = [{**DATA, "target": "/up", "volume": {"subpath": "uploads"}}]
    briefs = [brief(m) for m in mounts_of(mounts, LAYOUTS["nested"])]
    assert briefs == [("bind", "/data/uploads", "/up", False)]


NAMES = ["\x7f", "\x85", "\u2028", "\ufeff", "\ud7ff", "\U0001f600"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_character_of_a_path_survives_the_text(name: str) -> None:
    config = cut({"services": {"app": {"volumes": [DATA, bind(f"/x/{name}", "/y")]}}})
    parsed = yaml.load(render(config, FLAT), Loader)
    assert parsed["services"]["app"]["volumes"]["override"][-1]["source"] == f"/x/{name}"


def test_a_dollar_in_a_path_survives_both_ways_through_compose() -> None:
    # `config` prints each $ doubled, as it would stand in a file; reading a file halves it.
    printed = cut({"services": {"app": {"volumes": [DATA, bind("/x/$$y", "/y$$")]}}})
    parsed = yaml.load(render(printed, FLAT), Loader)["services"]["app"]["volumes"]["override"]
    assert (parsed[-1]["source"], parsed[-1]["target"]) == ("/x/$$y", "/y$$")


def test_a_directory_of_state_on_the_data_volume_moves_with_state() -> None:
    mounts = [{**DATA, "target": "/certs", "volume": {"subpath": "state/certs"}}]
    assert mounts_of(mounts, FLAT)[0]["source"] == f"{FLAT.state_dir}/certs"
