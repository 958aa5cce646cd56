# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.facts import Host
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.choice import (
    choose_layout,
    current_layout,
)

from .hosts import STATE, env, flat_host, host, mount, nested_host, one_disk_host, place

MOUNTED = place(mounted=True)
ABSENT = place("absent")


def of_state_disk(mount_point: str) -> dict[str, Any]:
    return {
        "format": 1,
        "disks": {"state": {"uuid": "u", "phase": "formatted", "mount_point": mount_point}},
    }


TEST_CURRENT: list[Any] = [
    pytest.param(host(), None, id="untouched"),
    pytest.param(host(env=env(DOMAIN="x")), None, id="env-written-before-any-state"),
    pytest.param(nested_host(), "nested", id="nested"),
    pytest.param(one_disk_host(), "nested", id="state-is-a-directory"),
    pytest.param(flat_host(), "flat", id="flat"),
    pytest.param(
        flat_host(env=host()["env"]), "flat", id="killed-after-the-tree-before-the-env"
    ),
    pytest.param(
        host(state={"/data/state": ABSENT, "/data-state": MOUNTED}), "flat",
        id="killed-after-the-mount",
    ),
    pytest.param(
        host(state={"/data/state": MOUNTED, "/data-state": ABSENT}, env=env()), "nested",
        id="killed-after-the-mount-with-env",
    ),
    pytest.param(
        host(
            state={
                "/data/state": place("link", target="/data-state"),
                "/data-state": place(mounted=True, names=[".agnes-state.json", "certs"]),
            },
            env=env(DOMAIN="x"),
        ), "flat", id="killed-after-the-tree-with-an-env-of-others",
    ),
    pytest.param(
        host(
            env=env(STATE_DIR="/data-state"),
            state={"/data/state": place("link", target="/data-state"), "/data-state": place()},
        ), "flat", id="flat-with-its-disk-unmounted",
    ),
    pytest.param(
        host(env=env(DATA_DIR="/data"), record=of_state_disk("/data/state")), "nested",
        id="nested-with-its-disks-unmounted",
    ),
    pytest.param(
        host(env=env(DOMAIN="x"), record=of_state_disk("/data-state")), "flat",
        id="killed-before-the-mount-with-an-env-of-others",
    ),
    pytest.param(
        host(env=env(), record={**of_state_disk("/data-state"), "move": {"target": "nested"}}),
        "nested", id="moved-and-unmounted",
    ),
    pytest.param(
        host(state={"/data/state": MOUNTED, "/data-state": MOUNTED}, env=env(STATE_DIR="/data-state")),
        "flat", id="two-empty-disks-and-env-says-which",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "expected"), TEST_CURRENT)
def test_current_layout(observed: Host, expected: str | None) -> None:
    layout = current_layout(observed)
    assert (layout.name if layout else None) == expected


TEST_CHOICE: list[Any] = [
    pytest.param(host(), {}, "nested", "the default for a host without state", id="default"),
    pytest.param(flat_host(), {}, "flat", "what the host has", id="flat-stays-flat"),
    pytest.param(nested_host(), {}, "nested", "what the host has", id="nested-stays-nested"),
    pytest.param(host(), {"layout": "flat"}, "flat", "-e layout=", id="asked"),
    pytest.param(nested_host(), {"layout": "flat"}, "flat", "-e layout=", id="move-to-flat"),
    pytest.param(
        flat_host(), {"wanted": "nested"}, "nested", "state_layout_wanted", id="move-to-nested"
    ),
    pytest.param(host(), {"wanted": "flat"}, "flat", "state_layout_wanted", id="inventory"),
    pytest.param(
        host(), {"layout": "flat", "wanted": "nested", "override": True}, "flat", "-e layout=",
        id="override",
    ),
    pytest.param(
        flat_host(), {"wanted": "undecided"}, None, "state_layout_wanted", id="undecided"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "asked", "expected", "source"), TEST_CHOICE)
def test_choose_layout(
    observed: Host, asked: dict[str, Any], expected: str | None, source: str
) -> None:
    chosen, said = choose_layout(observed, **asked)
    assert (chosen.name if chosen else None) == expected
    assert said == source


BOTH = {"/data/state": place(names=STATE), "/data-state": place(names=STATE)}
NEWER = {"/data/state": place(names=STATE, marker={"format": 2}), "/data-state": ABSENT}

TEST_REFUSALS: list[Any] = [
    pytest.param(
        host(), {"layout": "side"},
        "AH001: unknown layout 'side' in -e layout=; the layouts are nested, flat: name one of them",
        id="unknown",
    ),
    pytest.param(
        host(), {"wanted": "side"},
        "AH001: unknown layout 'side' in state_layout_wanted; the layouts are nested, flat: "
        "name one of them",
        id="unknown-in-the-inventory",
    ),
    pytest.param(
        host(), {"layout": "undecided"},
        "AH001: unknown layout 'undecided' in -e layout=; the layouts are nested, flat: "
        "name one of them",
        id="undecided-is-for-inventories",
    ),
    pytest.param(
        host(), {"layout": "flat", "wanted": "nested"},
        "AH002: layout 'flat' contradicts state_layout_wanted 'nested' of the inventory; make them "
        "agree, or add -e state_layout_override_inventory=true to this run",
        id="contradiction",
    ),
    pytest.param(
        host(env=env(STATE_DIR="/srv/state")), {},
        "AH003: /opt/agnes/.env puts state at '/srv/state', which no layout uses (the layouts use "
        "/data/state, /data-state); correct STATE_DIR or DATA_DIR there",
        id="state-dir-of-no-layout",
    ),
    pytest.param(
        flat_host(env=env(DATA_DIR="/data")), {},
        "AH004: /opt/agnes/.env puts state at '/data/state', but there is none; state was found at "
        "'/data-state': set STATE_DIR=/data-state again if that is this host's state, and find out "
        "what rewrote the file",
        id="boot-script-took-state-dir-away",
    ),
    pytest.param(
        host(state=BOTH), {},
        "AH005: state was found at more than one place (/data/state, /data-state), and this "
        "collection never chooses between two copies; move aside the one that is not in use",
        id="two-copies",
    ),
    pytest.param(
        flat_host(
            state={
                "/data/state": place("link", target="/etc"),
                "/data-state": place(mounted=True, names=STATE),
            }
        ), {},
        "AH007: '/data/state' must be a link to '/data-state', or absent, found a link to '/etc'; "
        "find out who made it, then move it aside",
        id="link-points-elsewhere",
    ),
    pytest.param(
        one_disk_host(asked={**host()["asked"], "state": {"device": "", "problem": "", "maj_min": ""}}),
        {"layout": "flat"},
        "AH026: layout flat needs a state disk of its own, and disks_state_device is not set; "
        "attach a disk and name it there", id="flat-without-a-state-disk",
    ),
    pytest.param(
        flat_host(mounts=[], env=env(), state={**flat_host()["state"], "/data-state": place()}),
        {"layout": "nested"},
        "AH007: '/data/state' must be a directory, found a link to '/data-state'; find out who made it, "
        "then move it aside", id="nested-where-a-link-is",
    ),
    pytest.param(
        host(state=NEWER), {},
        "AH008: '/data/state/.agnes-state.json' has format 2, this version reads format 1; use agnes.host 2.0.0 or "
        "later on this host",
        id="newer-marker",
    ),
    pytest.param(
        host(env={**env(), "trouble": [[7, "STATE_DIR is set again, to another value"]]}), {},
        "AH046: /opt/agnes/.env line 7: STATE_DIR is set again, to another value; write one plain "
        "KEY=value a line",
        id="state-dir-twice-in-env",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "asked", "message"), TEST_REFUSALS)
def test_choose_layout_refuses(observed: Host, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal) as refused:
        choose_layout(observed, **asked)
    assert str(refused.value) == message


def test_an_empty_data_directory_is_not_state() -> None:
    observed = host(
        mounts=[mount("/data", "8:16")], state={"/data/state": place(), "/data-state": ABSENT}
    )
    assert current_layout(observed) is None


NO_DEVICE = {**host()["asked"], "state": {"device": "", "problem": "", "maj_min": ""}}

TEST_TO_FLAT: list[Any] = [
    pytest.param(one_disk_host(asked=NO_DEVICE), "AH026", id="no-disk-for-state-at-all"),
    pytest.param(one_disk_host(), "AH020", id="a-disk-is-named-and-missing"),
]


@pytest.mark.parametrize(("observed", "code"), TEST_TO_FLAT)
def test_flat_asks_for_a_disk_before_it_plans_a_copy_to_one(observed: Host, code: str) -> None:
    assert make_plan(observed, {"layout": "flat"})["code"] == code


def test_a_state_disk_that_is_mounted_needs_no_device_to_be_named() -> None:
    chosen, _source = choose_layout(nested_host(asked=NO_DEVICE), "flat")
    assert chosen is not None
    assert chosen.name == "flat"
