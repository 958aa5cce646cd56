# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Docker may start: tables of what a host shows at a boot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks import protection
from ansible_collections.agnes.host.plugins.module_utils.core.host import guard_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    ReadOnlyDevice,
    Refusal,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.guard import (
    ENGINE,
    GUARDS,
    OFF,
    STACK,
    Attached,
    Seen,
    check_guard,
    check_overlay,
    guard_wanted,
    holds_less,
    layout_to_guard,
    to_mount,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tool_errors import (
    NotThisLayout,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tools import (
    INSTALL,
    LEAVE,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .hosts import flat_host

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
RECORD: dict[str, Any] = {
    "instance_id": "i-1",
    "disks": {
        "data": {"uuid": "u-data", "identity": "serial:D"},
        "state": {"uuid": "u-state", "identity": "serial:S"},
    },
}
DATA, STATE = Attached("/dev/sdb", "8:16", "serial:D"), Attached("/dev/sdc", "8:32", "serial:S")
CLONE = Attached("/dev/sdd", "8:48", "serial:C")
NOTHING = ("", "", "")
SHOWS_DATA, SHOWS_STATE = ("8:16", "u-data", "/"), ("8:32", "u-state", "/")
MARKER = {"instance_id": "i-1", "role": "active", "layout": "flat"}


def seen(**differs: Any) -> Seen:
    """A flat host on which all is right, but for what differs."""
    right = Seen(
        shown={"/data": SHOWS_DATA, "/data-state": SHOWS_STATE, "/data/state": NOTHING},
        attached={"u-data": [DATA], "u-state": [STATE]},
        listed={"/", "/data", "/data-state"},
        markers={"/data-state": MARKER},
        protection=dict.fromkeys(("/data", "/data-state"), protection.IMMUTABLE),
    )
    return replace(right, **differs)


def shown(data: Any = SHOWS_DATA, state: Any = SHOWS_STATE) -> dict[str, Any]:
    return {"/data": data, "/data-state": state, "/data/state": NOTHING}


MOUNTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("all is right", {}, []),
    ("both late", {"shown": shown(NOTHING, NOTHING)}, ["/data", "/data-state"]),
    ("state late", {"shown": shown(state=NOTHING)}, ["/data-state"]),
    # Beside a clone the recorded one counts where it is the one that is mounted.
    ("clone beside it", {"attached": {"u-data": [DATA], "u-state": [CLONE, STATE]}}, []),
]


@pytest.mark.parametrize(
    ("differs", "paths"), [case[1:] for case in MOUNTS], ids=[case[0] for case in MOUNTS]
)
def test_what_is_to_be_mounted_before_docker_starts(
    differs: dict[str, Any], paths: list[str]
) -> None:
    assert to_mount(FLAT, RECORD, seen(**differs)) == paths


HELD: list[tuple[str, dict[str, Any], type[Refusal], str]] = [
    (
        "state away",
        {"shown": shown(state=NOTHING), "attached": {"u-data": [DATA]}},
        errors.GuardDiskAway,
        "state disk (UUID u-state) is not mounted at /data-state (no device carries it)",
    ),
    (
        "both away",
        {"shown": shown(NOTHING, NOTHING), "attached": {}},
        errors.GuardDiskAway,
        "data disk (UUID u-data) is not mounted at /data (no device",
    ),
    (
        "no line in fstab",
        {"shown": shown(state=NOTHING), "listed": {"/data"}},
        errors.GuardDiskAway,
        "it is attached, and /etc/fstab has no line for it",
    ),
    (
        "another filesystem",
        {"shown": shown(state=("8:48", "u-other", "/"))},
        errors.GuardOtherDisk,
        "something else is mounted (UUID u-other)",
    ),
    (
        "a directory of it",
        {"shown": shown(state=("8:32", "u-state", "/old"))},
        errors.GuardOtherDisk,
        "the directory /old of a disk",
    ),
    (
        "the clone is mounted",
        {
            "shown": shown(state=("8:48", "u-state", "/")),
            "attached": {"u-data": [DATA], "u-state": [CLONE, STATE]},
        },
        errors.GuardTwins,
        "/dev/sdd (serial:C), /dev/sdc (serial:S); recorded serial:S; mounted /dev/sdd",
    ),
    (
        "two that nothing tells apart",
        {
            "attached": {
                "u-data": [DATA],
                "u-state": [each._replace(identity="none") for each in (STATE, CLONE)],
            }
        },
        errors.GuardTwins,
        "and nothing proves that the right one is mounted",
    ),
    (
        "two and none is mounted",
        {"shown": shown(state=NOTHING), "attached": {"u-data": [DATA], "u-state": [CLONE, STATE]}},
        errors.GuardTwins,
        "mounted none of them",
    ),
    (
        "mounted read-only",
        {"read_only": {"/data-state"}},
        ReadOnlyDevice,
        "'/dev/sdc' for /data-state is read-only",
    ),
    (
        "an older snapshot",
        {
            "markers": {"/data-state": {**MARKER, "generation": 4}},
            "kept": {"format": 1, "generation": 5},
        },
        errors.StateOlder,
        "(count 4 on the state disk, 5 on the host",
    ),
    ("no marker", {"markers": {}}, errors.GuardMarker, "no marker"),
    (
        "another host's state",
        {"markers": {"/data-state": {**MARKER, "instance_id": "i-2"}}},
        errors.GuardMarker,
        "a marker of instance i-2",
    ),
    (
        "a copy that was left",
        {"markers": {"/data-state": {**MARKER, "role": "retired"}}},
        errors.GuardMarker,
        "a marker with role retired",
    ),
    (
        "another layout's",
        {"markers": {"/data-state": {**MARKER, "layout": "nested"}}},
        errors.GuardMarker,
        "a marker of layout nested",
    ),
]


@pytest.mark.parametrize(
    ("differs", "cls", "said"), [case[1:] for case in HELD], ids=[case[0] for case in HELD]
)
def test_what_holds_docker_back(differs: dict[str, Any], cls: type[Refusal], said: str) -> None:
    with pytest.raises(cls) as caught:
        to_mount(FLAT, RECORD, seen(**differs))
    assert said in str(caught.value)


def test_a_disk_whose_uuid_the_record_does_not_have_is_away() -> None:
    with pytest.raises(errors.GuardDiskAway, match="not in the record"):
        to_mount(
            FLAT, {"disks": {"data": RECORD["disks"]["data"]}}, seen(shown=shown(state=NOTHING))
        )


def test_the_sentence_says_whether_the_mount_point_can_be_written_to_and_how_to_lift_that() -> None:
    away = {"shown": shown(state=NOTHING), "attached": {"u-data": [DATA]}}
    with pytest.raises(errors.GuardDiskAway, match="'chattr -i /data-state' while nothing is"):
        to_mount(FLAT, RECORD, seen(**away))
    with pytest.raises(errors.GuardDiskAway, match="CAN BE WRITTEN while it is unmounted"):
        to_mount(FLAT, RECORD, seen(**away, protection={"/data-state": protection.UNABLE}))


def test_state_in_a_directory_of_the_data_disk_needs_that_disk_alone() -> None:
    one = {"instance_id": "i-1", "disks": {"data": RECORD["disks"]["data"]}}
    marker = {"/data/state": {**MARKER, "layout": "nested"}}
    at_home = seen(shown={"/data": SHOWS_DATA}, markers=marker, attached={"u-data": [DATA]})
    assert to_mount(NESTED, one, at_home) == []
    assert to_mount(NESTED, one, replace(at_home, shown={"/data": NOTHING})) == ["/data"]


IN_FLAT, IN_NESTED = {"STATE_DIR": "/data-state"}, dict[str, str]()
LATE = {"shown": shown(NOTHING, NOTHING)}
LAYOUT_TOLD: list[tuple[str, dict[str, str], dict[str, Any], str]] = [
    ("by .env", IN_FLAT, LATE, "flat"),
    # A boot script has written .env anew, and the host puts it right after Docker has started.
    ("by the disks", IN_NESTED, {}, "flat"),
    ("by fstab", IN_NESTED, LATE, "flat"),
    ("by .env where fstab lacks lines", IN_NESTED, {**LATE, "listed": set()}, "nested"),
]


@pytest.mark.parametrize(
    ("env", "differs", "name"),
    [case[1:] for case in LAYOUT_TOLD],
    ids=[case[0] for case in LAYOUT_TOLD],
)
def test_the_layout_is_the_one_that_the_disks_are_in(
    env: dict[str, str], differs: dict[str, Any], name: str
) -> None:
    assert layout_to_guard(env, RECORD, seen(**differs), ".env").name == name


def test_without_a_record_nothing_tells_what_is_right() -> None:
    with pytest.raises(NotThisLayout):
        layout_to_guard(IN_FLAT, {"disks": {}}, seen(), ".env")


@pytest.mark.parametrize("asked", [None, "", "off", "False", False, "Off"])
def test_off_however_yaml_has_it_is_off(asked: Any) -> None:
    assert guard_wanted({"guard": asked}) == OFF


def guarded(asked: str, now: str, **differs: Any) -> dict[str, Any]:
    """The plan for a flat host that is right."""
    observed = flat_host(record={"format": 1, **RECORD}, **differs)
    observed["engine"]["guard"] = now
    return make_plan(observed, {"guard": asked})


def test_the_plan_names_what_waits_and_what_no_longer_does() -> None:
    for asked, now, words in (
        (ENGINE, OFF, "install agnes-host-guard: from the next start on, Docker waits"),
        (ENGINE, OFF, "all containers of this engine wait with it"),
        (
            STACK,
            OFF,
            "install agnes-host-guard: from the next start on, containers of this stack do not start",
        ),
        (STACK, ENGINE, "hold back the stack, no longer the engine: from the next"),
        (ENGINE, STACK, "hold back the engine, no longer the stack: from the next"),
        (OFF, ENGINE, "remove agnes-host-guard"),
        (OFF, STACK, "remove agnes-host-guard"),
    ):
        plan = guarded(asked, now)
        assert plan["guard"] == asked
        assert [s for s in plan["sentences"] if words in s], plan["sentences"]
    for asked in GUARDS:
        assert not [s for s in guarded(asked, asked)["sentences"] if "guard" in s]


def test_a_permit_that_the_products_upgrade_would_take_out_again_is_refused() -> None:
    fetched = [NESTED.overlay]
    with pytest.raises(errors.GuardOverlay):
        check_overlay(STACK, NESTED, fetched, LEAVE, "/opt/agnes/")
    for wanted, layout, names, tools in (
        (ENGINE, NESTED, fetched, LEAVE),
        (STACK, FLAT, fetched, LEAVE),
        (STACK, NESTED, [], LEAVE),
        (STACK, NESTED, fetched, INSTALL),
    ):
        check_overlay(wanted, layout, names, tools, "/opt/agnes")
    observed = flat_host(record={"format": 1, **RECORD})
    assert make_plan(observed, {"guard": STACK})["code"] == ""
    # No overlay of flat is fetched today; the plan asks all the same.
    observed["project"]["fetched"] = [FLAT.overlay]
    assert make_plan(observed, {"guard": STACK})["code"] == "AH196"


def test_what_is_there_stays_until_containers_are_made_for_what_holds_back_less() -> None:
    less = {(a, b) for a in GUARDS for b in GUARDS if holds_less(a, b)}
    assert less == {(OFF, STACK), (OFF, ENGINE), (STACK, ENGINE)}


def test_the_sentence_says_what_is_held_back_and_how_to_start_it() -> None:
    with pytest.raises(errors.GuardMarker, match="so the stack of Agnes must not start"):
        to_mount(FLAT, RECORD, seen(markers={}, guard=STACK))
    away = {"shown": shown(state=NOTHING), "attached": {"u-data": [DATA]}}
    with pytest.raises(
        errors.GuardDiskAway, match="'systemctl start agnes-host-stack'; until then"
    ):
        to_mount(FLAT, RECORD, seen(**away, guard=STACK))


def test_where_docker_can_not_be_held_back_that_is_refused_before_anything() -> None:
    observed = flat_host(record={"format": 1, **RECORD})
    observed["engine"]["unit"] = ""
    for wanted in (ENGINE, STACK):
        assert make_plan(observed, {"guard": wanted})["code"] == "AH185"
    assert make_plan(observed, {"guard": OFF})["code"] == ""
    check_guard(observed, OFF)


def test_the_disk_that_docker_waits_for_is_named_and_not_that_docker_does_not_answer() -> None:
    # Of an engine that does not answer not even its directory is known.
    away: dict[str, Any] = {"mounts": [], "devices": []}
    for now, code in ((ENGINE, "AH035"), (STACK, "AH040"), (OFF, "AH040")):
        observed = flat_host(record={"format": 1, **RECORD}, **away)
        observed["engine"].update(guard=now, error="it does not answer", root_dir="")
        assert make_plan(observed, {})["code"] == code
