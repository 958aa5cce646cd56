# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.compose.engine import (
    check_engine,
    version_of,
)
from ansible_collections.agnes.host.plugins.module_utils.core.disks import fstab
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.keepers import keeper_of
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan

from .hosts import (
    GIB,
    container,
    device,
    env,
    ext4,
    flat_host,
    holds,
    host,
    mount,
    nested_host,
    one_disk_host,
    place,
)
from .refusals import PLANNED, Planned, engine


@pytest.mark.parametrize("case", PLANNED, ids=lambda case: case.cls.__name__)
def test_a_refusal_is_data_and_leaves_nothing_to_be_done(case: Planned) -> None:
    assert make_plan(case.host, case.request) == {
        "refusal": case.message,
        "code": case.message[:5],
        "layout": None,
        "sentences": [case.message],
        "disks": [],
        "needs": [],
        "move": {},
    }


TEST_UNDECIDED: list[Any] = [
    pytest.param(host(), id="untouched"),
    pytest.param(flat_host(), id="flat"),
    pytest.param(host(engine=engine(error="none")), id="without-an-engine"),
    pytest.param(host(env=env(STATE_DIR="/srv")), id="state-dir-of-no-layout"),
]


@pytest.mark.parametrize("observed", TEST_UNDECIDED)
def test_undecided_is_no_refusal_and_no_plan(observed: Any) -> None:
    assert make_plan(observed, {"wanted": "undecided"}) == {
        "refusal": "",
        "code": "",
        "layout": None,
        "sentences": ["layout undecided (state_layout_wanted): observe and report, change nothing"],
        "disks": [],
        "needs": [],
        "move": {},
    }


def test_the_runs_own_choice_decides_an_undecided_host_only_with_the_override() -> None:
    request = {"layout": "flat", "wanted": "undecided"}
    assert make_plan(host(), request)["code"] == "AH002"
    assert make_plan(host(), {**request, "override": True})["layout"] == "flat"


TOOLS = "install agnes-auto-upgrade and agnes-tls-rotate with their timers"
KERNEL_NAMES = [
    f"note: disks_{role}_device names '{named}', which may be another disk after the next boot; a link "
    "in /dev/disk/by-id does not change"
    for role, named in (("data", "/dev/sdb"), ("state", "/dev/sdc"))
]

TEST_SENTENCES: list[Any] = [
    pytest.param(
        host(), {"layout": "flat"},
        [
            "layout flat (-e layout=): state in /data-state",
            "format /dev/sdb (16 GiB, blank) as ext4 labelled agnes-data and mount it at /data",
            "format /dev/sdc (16 GiB, blank) as ext4 labelled agnes-state and mount it at "
            "/data-state",
            TOOLS,
            *KERNEL_NAMES,
        ],
        id="fresh-flat",
    ),
    pytest.param(
        host(), {"fstype": "xfs"},
        [
            "layout nested (the default for a host without state): state in /data/state",
            "format /dev/sdb (16 GiB, blank) as xfs labelled agnes-data and mount it at /data",
            "format /dev/sdc (16 GiB, blank) as xfs labelled agnes-state and mount it at "
            "/data/state",
            TOOLS,
            *KERNEL_NAMES,
        ],
        id="fresh-nested-xfs",
    ),
    pytest.param(
        flat_host(), {"wanted": "flat"},
        [
            "layout flat (state_layout_wanted): state in /data-state",
            "keep /data as it is mounted (UUID u-data)",
            "keep /data-state as it is mounted (UUID u-state)",
        ],
        id="flat-again",
    ),
    pytest.param(
        one_disk_host(), {},
        [
            "layout nested (what the host has): state in /data/state",
            "keep /data as it is mounted (UUID u-data)",
            "keep /data/state a directory of the data disk",
        ],
        id="one-disk",
    ),
    pytest.param(
        flat_host(
            mounts=flat_host()["mounts"][:1],
            env=env(),
            state=host()["state"],
            record={"format": 1, "disks": {"state": {"uuid": "u-state", "phase": "formatted"}}},
        ),
        {"layout": "flat"},
        [
            "layout flat (-e layout=): state in /data-state",
            "keep /data as it is mounted (UUID u-data)",
            "mount /dev/sdc (16 GiB, ext4, UUID u-state) as it is at /data-state",
        ],
        id="killed-before-the-second-mount",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "request_", "sentences"), TEST_SENTENCES)
def test_sentences(observed: Any, request_: dict[str, Any], sentences: list[str]) -> None:
    assert make_plan(observed, request_)["sentences"] == sentences


TEST_PARTS: list[Any] = [
    pytest.param(
        flat_host(), "flat", ["/data", "/data-state"], "docker-compose.flat-mount.yml", id="flat",
    ),
    pytest.param(
        one_disk_host(env=env(COMPOSE_FILE="a.yml:docker-compose.flat-mount.yml")), "nested",
        ["/data"], "docker-compose.host-mount.yml", id="one-disk",
    ),
    pytest.param(
        nested_host(compose_files=["docker-compose.tls.yml"]), "nested", ["/data", "/data/state"],
        "docker-compose.host-mount.yml", id="nested-tls",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "layout", "mounted", "overlay"), TEST_PARTS)
def test_what_a_plan_says(observed: Any, layout: str, mounted: list[str], overlay: str) -> None:
    plan = make_plan(observed, {"profiles": ["tls"], "caddy_tls": "tls internal"})
    assert (plan["layout"], plan["mounted"], plan["overlay"]) == (layout, mounted, overlay)
    assert plan["state_dir"] == {"flat": "/data-state", "nested": "/data/state"}[layout]
    assert [disk["role"] for disk in plan["disks"]] == ["data", "state"]
    assert (plan["refusal"], plan["code"]) == ("", "")
    assert json.loads(json.dumps(plan)) == plan


def test_a_plan_needs_no_request() -> None:
    assert make_plan(flat_host()) == make_plan(flat_host(), {}) == make_plan(
        flat_host(), {"layout": None, "wanted": None, "override": None, "fstype": None}
    )  # fmt: skip


TEST_VERSIONS: list[tuple[str, tuple[int, ...]]] = [
    ("2.26.1", (2, 26, 1)),
    ("v2.26.1-4", (2, 26, 1, 4)),
    ("2.24.4+ds1-0ubuntu1", (2, 24, 4)),
    ("2.24.4~rc1", (2, 24)),
    ("5.0", (5, 0)),
    ("", ()),
    ("dev", ()),
]


@pytest.mark.parametrize(("text", "expected"), TEST_VERSIONS)
def test_version_of(text: str, expected: tuple[int, ...]) -> None:
    assert version_of(text) == expected


TEST_ENGINES: list[tuple[dict[str, str], str]] = [
    ({"compose_version": "2.24.4"}, ""),
    ({"compose_version": "v2.24.4-desktop.1"}, ""),
    ({"compose_version": "2.100.0"}, ""),
    ({"compose_version": "5.0.0"}, ""),
    ({"compose_version": "2.24.3"}, "AH041"),
    ({"compose_version": "2.9.99"}, "AH041"),
    ({"compose_version": "1.29.2"}, "AH041"),
    ({"compose_version": ""}, "AH041"),
    ({"compose_version": "5.0.0", "error": "the engine does not answer (x)"}, "AH040"),
]


@pytest.mark.parametrize(("differs", "code"), TEST_ENGINES)
def test_check_engine(differs: dict[str, str], code: str) -> None:
    observed = host(engine=engine(**differs))
    if not code:
        check_engine(observed)
        return
    with pytest.raises(Refusal) as refused:
        check_engine(observed)
    assert refused.value.code == code


@given(st.tuples(st.integers(0, 30), st.integers(0, 40), st.integers(0, 40)))
def test_versions_are_compared_as_numbers(version: tuple[int, int, int]) -> None:
    observed = host(engine=engine(compose_version=".".join(map(str, version))))
    assert (make_plan(observed)["code"] == "AH041") is (version < (2, 24, 4))


def test_a_data_dir_that_no_layout_mounts_is_refused() -> None:
    observed = flat_host(env=env(STATE_DIR="/data-state", DATA_DIR="/srv/agnes"))
    assert make_plan(observed)["refusal"]


def listed(text: str, maj_min: str = "") -> list[dict[str, Any]]:
    """/etc/fstab as the observation has it, all lines for one device."""
    return [{**vars(entry), "maj_min": maj_min} for entry in fstab.entries(text)]


@pytest.mark.parametrize("point", ["/data/", "//data", "/data/.", "/srv/../data"])
def test_an_fstab_line_conflicts_however_it_writes_the_place(point: str) -> None:
    lines = listed(f"LABEL=x\t{point} xfs")
    assert make_plan(host(fstab=lines), {"layout": "flat"})["code"] == "AH031"
    twice = listed(f"LABEL=x {point} xfs\n# c\nUUID=y /data xfs")
    assert make_plan(nested_host(fstab=twice), {})["code"] == "AH152"


OWN_DATA = {"format": 1, "disks": {"data": {"uuid": "u-data", "phase": "formatted"}}}
OWN_LINES: list[Any] = [
    ("UUID=U-DATA /data ext4", "", ""),
    ("LABEL=agnes-data /data ext4", "8:16", ""),
    ("LABEL=agnes-data /data ext4", "", "AH031"),
    ("/dev/disk/by-label/agnes-data /data ext4", "8:32", "AH031"),
]


@pytest.mark.parametrize(("text", "maj_min", "code"), OWN_LINES)
def test_a_line_is_for_the_disk_that_it_leads_to(text: str, maj_min: str, code: str) -> None:
    observed = host(
        devices=[ext4("/dev/sdb", "u-data"), device("/dev/sdc")], record=OWN_DATA,
        fstab=listed(text, maj_min),
    )  # fmt: skip
    assert make_plan(observed, {"layout": "flat"})["code"] == code


def test_a_file_that_can_not_be_replaced_stops_only_who_must_change_it() -> None:
    fixed = {"fstab_fixed": "a link to 'x', which a new file would replace"}
    assert make_plan(nested_host(**fixed), {})["code"] == ""
    assert make_plan(nested_host(**fixed), {"layout": "flat"})["code"] == "AH151"
    assert make_plan(host(**fixed), {"layout": "flat"})["code"] == "AH151"
    line = listed("UUID=u-data /data ext4")
    there = host(
        devices=[ext4("/dev/sdb", "u-data"), device("/dev/sdc")],
        record=OWN_DATA,
        fstab=line,
        **fixed,
    )
    assert "its lines for /data-state;" in make_plan(there, {"layout": "flat"})["refusal"]


def test_too_small_says_sizes_that_differ() -> None:
    observed = host(devices=[device("/dev/sdb", size=int(20.4 * GIB)), device("/dev/sdc")])
    plan = make_plan(observed, {"layout": "flat", "min_gib": {"data": 20.45}})
    size, wanted = re.findall(r"[\d.]+(?= GiB)", plan["refusal"])
    assert float(size) < float(wanted)


def test_what_is_no_file_directory_or_link_is_named_in_words() -> None:
    observed = host(state={"/data/state": place("other"), "/data-state": place("absent")})
    assert "found a other" not in make_plan(observed, {"layout": "flat"})["refusal"]


TEST_TOUCHES: list[Any] = [
    pytest.param(flat_host(), False, id="both-mounted"),
    pytest.param(one_disk_host(), False, id="state-is-a-directory"),
    pytest.param(host(), True, id="format"),
    pytest.param(
        flat_host(
            mounts=flat_host()["mounts"][:1],
            record={"format": 1, "disks": {"state": {"uuid": "u-state", "phase": "formatted"}}},
        ),
        True, id="mount",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "touches"), TEST_TOUCHES)
def test_a_plan_says_whether_it_touches_disks(observed: Any, touches: bool) -> None:
    assert make_plan(observed)["touches_disks"] is touches


@pytest.mark.parametrize(
    "files", ["", "docker-compose.yml", "docker-compose.yml:docker-compose.flat-mount.yml"]
)
def test_a_chain_with_one_overlay_or_none_needs_no_note(files: str) -> None:
    observed = flat_host(env=env(STATE_DIR="/data-state", COMPOSE_FILE=files))
    assert make_plan(observed)["notes"] == []


def test_what_containers_do_not_see_and_what_was_left_behind_is_in_the_plan() -> None:
    stale = [
        container(name, mounts=[holds("/data", seen=seen), holds("/data-state", seen="8:32")])
        for name, seen in (("app", "0:55"), ("bot", "0:55"), ("right", "8:16"))
    ]
    one_off = container("app", "exited", name="run-1", one_off=True, mounts=[holds("/data")])
    plan = make_plan(flat_host(containers=[*stale, one_off]))
    assert [note for note in plan["notes"] if "agnes-app-1" in note or "run-1" in note] == [
        "container 'run-1' of 'docker compose run' was left behind and holds /data: 'docker rm "
        "run-1' removes it",
        "containers were started before their disk was mounted, and do not see it: agnes-app-1, "
        "agnes-bot-1; the run recreates them, or stops if the mount shadows files",
    ]
    assert not make_plan(flat_host(containers=[stale[2]]))["notes"]
    # One that has ended sees nothing, and what is no path of ours is not asked for.
    ended = container("app", "exited", mounts=[holds("/data")])
    other = container("x", mounts=[holds("/etc/x")])
    assert not make_plan(flat_host(containers=[ended, other]))["notes"]


def test_containers_on_an_unmounted_mount_point_are_named_before_its_disk_is_mounted() -> None:
    mounts = [mount("/data", "8:16", "u-data")]
    record = {"format": 1, "disks": {
        "data": {"uuid": "u-data", "mount_point": "/data", "phase": "mounted"},
        "state": {"uuid": "u-state", "mount_point": "/data-state", "phase": "mounted"},
    }}  # fmt: skip
    runs = container("app", mounts=[holds("/data", seen="8:16"), holds("/data-state", seen="8:1")])
    plan = make_plan(
        flat_host(
            mounts=mounts, record=record, containers=[runs],
            state={"/data/state": place("link", target="/data-state"), "/data-state": place()},
        )
    )  # fmt: skip
    assert plan["refusal"] == ""
    assert any("before their disk was mounted" in note for note in plan["notes"])


def test_the_products_tools_are_replaced_where_that_is_asked_for_and_their_faults_are_none() -> (
    None
):
    keeper = keeper_of("/usr/local/bin/agnes-auto-upgrade.sh", "-f docker-compose.host-mount.yml")
    observed = {**flat_host(), "keepers": {"upgrade": keeper}}
    kept = make_plan(observed, {"wanted": "flat"})
    assert kept["host_tools"] == ""
    assert "ignores COMPOSE_FILE in .env" in kept["sentences"][-1]
    replaced = make_plan(observed, {"wanted": "flat", "host_tools": True})
    assert replaced["host_tools"] == "install"
    assert (
        replaced["sentences"][-1] == f"{TOOLS}, in place of {keeper['path']}, which are set aside"
    )
    formatted = {
        **observed,
        "record": {"format": 1, "disks": {"data": {"uuid": "u-data", "phase": "formatted"}}},
    }
    assert make_plan(formatted, {"wanted": "flat"})["host_tools"] == "install"
    # A YAML false is an answer, and not a setting that is missing.
    assert make_plan(formatted, {"wanted": "flat", "host_tools": False})["host_tools"] == ""
