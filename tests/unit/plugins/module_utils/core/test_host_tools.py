# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.certificates import (
    site_of,
    sites_of,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tool_errors import (
    HostDiskAway,
    NotThisLayout,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tools import (
    check_shown,
    layout_of,
    wanted_disks,
    without_secrets,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.status import (
    FORMAT,
    Status,
    lines,
    problems,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
BOTH = {"disks": {"data": {"uuid": "d"}, "state": {"uuid": "s"}}}
ONE = {"disks": {"data": {"uuid": "d"}}}


def test_each_disk_of_the_record_belongs_to_a_mount_point() -> None:
    assert list(wanted_disks(NESTED, BOTH).items()) == [
        ("/data", ("data", "d")),
        ("/data/state", ("state", "s")),
    ]
    # State in a directory of the data disk is nothing to be mounted; flat can't do without.
    assert wanted_disks(NESTED, ONE) == {"/data": ("data", "d")}
    assert wanted_disks(FLAT, ONE) == {"/data": ("data", "d"), FLAT.state_dir: ("state", "")}


SHOWN = {"/data": ("d", "/"), "/data/state": ("s", "/")}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"/data/state": ("", "")}, "nothing is mounted there"),
    ({"/data/state": ("x", "/")}, "the filesystem with UUID x is mounted there"),
    ({"/data/state": ("", "/")}, "the filesystem with UUID unknown is mounted there"),
    ({"/data/state": ("s", "/sub")}, "the directory /sub of a disk is mounted there"),
    ({"/data": ("", "")}, "data disk"),
]


@pytest.mark.parametrize(("differs", "said"), WRONG)
def test_what_is_not_the_disk_of_the_record_is_refused(differs: dict[str, Any], said: str) -> None:
    check_shown(NESTED, BOTH, SHOWN)
    with pytest.raises(HostDiskAway, match=said):
        check_shown(NESTED, BOTH, {**SHOWN, **differs})


def test_flat_without_a_state_disk_in_the_record_is_refused_whatever_is_mounted() -> None:
    with pytest.raises(HostDiskAway, match="not in the record"):
        check_shown(FLAT, ONE, {"/data": ("d", "/"), FLAT.state_dir: ("", "/")})


def test_the_layout_is_that_of_env_on_a_host_with_a_record() -> None:
    assert layout_of({}, BOTH, ".env") is NESTED
    assert layout_of(FLAT.env(), BOTH, ".env") is FLAT
    for env, record in (({"STATE_DIR": "/srv"}, BOTH), ({}, {}), ({}, {"disks": {}})):
        with pytest.raises(NotThisLayout):
            layout_of(env, record, ".env")


def test_addresses_are_shown_without_what_may_be_secret() -> None:
    assert without_secrets("https://u:p@host/a.pem?token=1#x") == "https://host/a.pem"
    assert without_secrets("https://host/a@b.pem") == "https://host/a@b.pem"


def test_sites() -> None:
    assert sites_of("https://a.test:8443/x, b.test c.test") == ["a.test", "b.test", "c.test"]
    assert (site_of(""), sites_of("")) == ("localhost", [])


def status(**differs: Any) -> Status:
    status_now: dict[str, Any] = {
        "format": FORMAT, "host": "h", "layout": "nested", "state_dir": "/data/state",
        "disks": [{"role": "data", "path": "/data", "uuid": "d", "right": True, "protection": "immutable"}],
        "older": "", "move": "", "upgrade": "", "engine": "", "problems": [],
        "containers": [{"name": "a", "service": "app", "state": "running", "health": "healthy"}],
        "certificate": {"found": "found", "until": "then", "expired": False},
    }  # fmt: skip
    return {**status_now, **differs}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("differs", "end"),
    [
        ({}, "well         nothing is to be done"),
        ({"move": "a move"}, "next         'agnes-host explain' says what to do"),
        ({"layout": ""}, "next         'agnes-host explain' says what to do"),
        ({"disks": []}, "next         run site.yml, which puts this right or"),
        ({"containers": []}, "next         run site.yml, which puts this right or"),
        ({"older": "an older state; accept it"}, "PROBLEM      an older state; accept it"),
    ],
)
def test_the_last_line_names_what_helps_with_that_problem(
    differs: dict[str, Any], end: str
) -> None:
    """The screen of explain says nothing about a record that is lost, or a container that is down."""
    now = status(**differs)
    now["problems"] = problems(now)
    assert lines(now)[-1].startswith(end)


ILL: list[tuple[dict[str, Any], str]] = [
    ({"layout": "", "state_dir": "/x"}, ".env puts state at /x, where no layout has it"),
    (
        {"disks": []},
        "the record of this host has no disk: site.yml has not run here, or it is lost",
    ),
    (
        {"disks": [{"role": "data", "path": "/data", "uuid": "d", "right": False}]},
        "the data disk (UUID d) is not mounted at /data",
    ),
    ({"older": "the state is older"}, "the state is older"),
    ({"move": "a move from a to b is not ended"}, "a move from a to b is not ended"),
    ({"upgrade": "an upgrade is at work"}, "an upgrade is at work"),
    ({"engine": "no answer", "containers": []}, "the containers are not known: no answer"),
    ({"containers": []}, "no container of the project runs"),
    (
        {"containers": [{"name": "a", "service": "a", "state": "running", "health": "unhealthy"}]},
        "container a is unhealthy",
    ),
    (
        {"certificate": {"found": "found", "until": "then", "expired": True}},
        "the certificate has expired (then)",
    ),
    (
        {"certificate": {"found": "unknown", "until": "", "expired": False}},
        "the certificate in STATE_DIR/certs can't be looked at",
    ),
]


def test_a_mount_point_that_can_be_written_to_is_shown_and_is_no_problem() -> None:
    shown = status()
    assert not [line for line in lines(shown) if "unmounted" in line]
    for state in ("writable", "filled", "unable", "unknown"):
        open_to = status(disks=[{**shown["disks"][0], "protection": state}])
        assert problems(open_to) == []
        assert [line for line in lines(open_to) if line.startswith("             /data: ")]


@pytest.mark.parametrize(("differs", "said"), ILL)
def test_what_is_wrong_is_said_once(differs: dict[str, Any], said: str) -> None:
    assert problems(status()) == []
    assert problems(status(**differs)) == [said]
