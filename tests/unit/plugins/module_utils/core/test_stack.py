# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack import (
    by_service,
    check_one_offs,
    is_hopeless,
    left_alone,
    left_behind,
    needed_by,
    run_since_before,
    say_state,
    selected,
    starts_again,
    step_for,
    steps_after_move,
    to_run,
    trouble_with,
    unknown_profiles,
)
from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack_errors import (
    OneOffHolds,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .hosts import container, holds

LASTING = {"profiles": [], "restart": "unless-stopped"}
ALWAYS = {"profiles": [], "restart": "always"}
ON_FAILURE = {"profiles": [], "restart": "on-failure"}
ONCE = {"profiles": ["extract"], "restart": "no"}
TWO = {**LASTING, "scale": 2}
NONE = {**LASTING, "scale": 0}
FLAT = LAYOUTS["flat"]


def app(status: str = "running", number: int = 1, **differs: Any) -> dict[str, Any]:
    return container("app", status, name=f"agnes-app-{number}", **differs)


TEST_STEP: list[Any] = [
    pytest.param(LASTING, [], [], "create", id="absent"),
    pytest.param(ONCE, [], [], "create", id="one-shot-absent"),
    pytest.param(LASTING, [app()], [], "", id="running"),
    pytest.param(LASTING, [app()], ["agnes-app-1"], "recreate", id="differs"),
    pytest.param(LASTING, [app()], ["agnes-app-10"], "", id="another-differs"),
    pytest.param(LASTING, [app("exited")], [], "start", id="stopped"),
    pytest.param(LASTING, [app("created")], [], "start", id="created"),
    pytest.param(LASTING, [app("paused")], [], "start", id="paused"),
    pytest.param(LASTING, [app("restarting")], [], "", id="its-policy-starts-it"),
    pytest.param(ONCE, [app("exited")], [], "", id="one-shot-ended-well"),
    pytest.param(ONCE, [app()], [], "", id="without-policy-runs"),
    pytest.param(ONCE, [app("exited", exit_code=1)], [], "start", id="one-shot-failed"),
    pytest.param(ONCE, [app("dead")], [], "", id="one-shot-dead"),
    pytest.param(ONCE, [app("created")], [], "start", id="one-shot-never-ran"),
    pytest.param(ONCE, [app("exited")], ["agnes-app-1"], "recreate", id="one-shot-differs"),
    pytest.param(ON_FAILURE, [app("exited")], [], "", id="on-failure-ended-well"),
    pytest.param(ON_FAILURE, [app("exited", exit_code=2)], [], "start", id="on-failure-failed"),
    pytest.param(ALWAYS, [app("exited")], [], "start", id="always-stopped"),
    pytest.param(TWO, [app()], [], "create", id="one-of-two"),
    pytest.param(TWO, [app(), app("exited", 2)], [], "start", id="one-of-two-stopped"),
    pytest.param(TWO, [app(), app(number=2)], ["agnes-app-2"], "recreate", id="one-differs"),
    pytest.param(TWO, [app(), app(number=2)], [], "", id="both"),
    pytest.param(LASTING, [app(), app("exited", 2)], [], "start", id="scaled-by-hand"),
    pytest.param(NONE, [], [], "", id="scale-0"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "present", "recreate", "expected"), TEST_STEP)
def test_step_for(
    service: dict[str, Any], present: list[dict[str, Any]], recreate: list[str], expected: str
) -> None:
    assert step_for(service, present, recreate) == expected


def test_after_a_move_only_what_it_did_not_start_or_what_differs_from_it_is_touched() -> None:
    services = {"app": LASTING, "bot": LASTING, "job": ONCE, "worker": TWO, "none": NONE}
    starts = ["app", "bot", "worker"]
    assert steps_after_move(services, services, starts, ["bot", "job", "gone"]) == {
        "bot": "recreate", "job": "create",
    }  # fmt: skip
    assert not steps_after_move(services, starts, starts, [])


TEST_TROUBLE: list[Any] = [
    pytest.param(LASTING, [], "absent", id="absent"),
    pytest.param(LASTING, [app()], "", id="running-without-health-check"),
    pytest.param(LASTING, [app(health="healthy")], "", id="healthy"),
    pytest.param(LASTING, [app(health="starting")], "running, starting", id="starting"),
    pytest.param(LASTING, [app(health="unhealthy")], "running, unhealthy", id="unhealthy"),
    pytest.param(LASTING, [app("restarting", restarts=13, exit_code=1)],
                 "restarting (13 times so far, ended with 1)", id="restarting"),
    pytest.param(LASTING, [app(restarts=13, up_seconds=2.0)],
                 "started again 13 times, and up for 2 s only", id="just-restarted"),
    pytest.param(LASTING, [app(restarts=13, up_seconds=2.0, health="healthy")],
                 "started again 13 times, and up for 2 s only", id="healthy-for-a-moment"),
    pytest.param(LASTING, [app(restarts=3, up_seconds=60.0)], "", id="settled"),
    pytest.param(LASTING, [app(restarts=0, up_seconds=0.5)], "", id="first-start"),
    pytest.param(LASTING, [app("created")], "created", id="created"),
    pytest.param(LASTING, [app("exited")], "ended with 0", id="ended"),
    pytest.param(ONCE, [app("exited")], "", id="one-shot-ended-well"),
    pytest.param(ONCE, [app("exited", exit_code=3)], "ended with 3", id="one-shot-failed"),
    pytest.param(ONCE, [app()], "", id="sidecar-without-policy-runs"),
    pytest.param(ONCE, [app(health="unhealthy")], "running, unhealthy", id="sidecar-unhealthy"),
    pytest.param(ONCE, [app("created")], "created", id="one-shot-never-ran"),
    pytest.param(ON_FAILURE, [app("exited")], "", id="on-failure-ended-well"),
    pytest.param(ON_FAILURE, [app("exited", exit_code=1)], "ended with 1", id="gave-up"),
    pytest.param(TWO, [app()], "1 of 2 containers", id="one-of-two"),
    pytest.param(TWO, [app(), app("exited", 2)], "agnes-app-2 ended with 0", id="one-stopped"),
    pytest.param(TWO, [app(), app(number=2)], "", id="both"),
    pytest.param(LASTING, [app(), app("exited", 2)], "agnes-app-2 ended with 0",
                 id="scaled-by-hand"),
    pytest.param(NONE, [], "", id="scale-0"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "present", "expected"), TEST_TROUBLE)
def test_trouble_with(
    service: dict[str, Any], present: list[dict[str, Any]], expected: str
) -> None:
    assert trouble_with(service, present) == expected


def test_what_was_started_again_while_we_look_must_be_up_for_longer() -> None:
    looping = app(restarts=1, up_seconds=20.0)
    assert trouble_with(LASTING, [looping]) == ""
    assert trouble_with(LASTING, [looping], {"agnes-app-1"})
    assert trouble_with(LASTING, [app(restarts=1, up_seconds=40.0)], {"agnes-app-1"}) == ""


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [
        ("no", 0, False), ("no", 1, False), ("on-failure", 0, False), ("on-failure", 1, True),
        ("always", 0, True), ("unless-stopped", 0, True),
    ],
)  # fmt: skip
def test_what_a_restart_policy_means(policy: str, code: int, expected: bool) -> None:
    assert starts_again({"restart": policy}, code) is expected


TEST_HOPELESS: list[Any] = [
    (ONCE, app("exited", exit_code=1), True),
    (ONCE, app("exited"), False),
    (ON_FAILURE, app("exited", exit_code=1), False),
    (LASTING, app("restarting", restarts=9), True),
    (LASTING, app("restarting", restarts=3), False),
]


@pytest.mark.parametrize(("service", "present", "expected"), TEST_HOPELESS)
def test_what_is_not_waited_out(
    service: dict[str, Any], present: dict[str, Any], expected: bool
) -> None:
    assert is_hopeless(service, present, {"agnes-app-1"}) is expected


def test_containers_of_one_service_are_all_kept_and_one_offs_are_none_of_it() -> None:
    two = [app(), app(number=2)]
    assert by_service([*two, app(one_off=True)]) == {"app": two}


ORPHAN = container("postgres", mounts=[holds("/data/postgres")])
VOLUME = {**holds("/var/lib/docker/volumes/pg/_data", "/pg"), "type": "volume", "volume": "pg"}


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (ORPHAN, "it holds /data/postgres"),
        (container("postgres", mounts=[VOLUME]), "it holds volume pg"),
        (container("postgres", mounts=[holds("/etc/x", "/x")]), "it holds /x"),
        (container("postgres"), "it holds no data"),
    ],
)
def test_no_advice_takes_a_container_away_of_which_we_do_not_know_what_it_is_for(
    present: dict[str, Any], expected: str
) -> None:
    said = left_alone({}, [], {"postgres": [present]}, FLAT)["postgres"]
    assert expected in said
    assert not {"remove", "--remove-orphans", "rm"} & set(said.replace("'", " ").split())


def test_who_is_in_no_wanted_profile_is_left_alone() -> None:
    present = {"app": [app()], "x": [container("x")], "y": [container("y", "exited")]}
    assert left_alone({"app": {}, "x": {}}, ["app"], present, FLAT) == {
        "x": "running, but in no wanted profile: left alone"
    }


def test_what_was_left_stopped_is_to_run_once_it_runs() -> None:
    present = {"a": [app()], "b": [app("exited")], "c": [app("exited"), app(number=2)]}
    assert to_run(["a", "b", "c", "d", "e"], present, ["a", "b", "c", "d"]) == ["a", "c", "e"]


RUN = container("app", name="agnes-app-run-1", one_off=True, mounts=[holds("/data")])


def test_one_off_containers_are_named_where_they_hold_a_disk() -> None:
    ended = {**RUN, "status": "exited", "name": "agnes-app-run-2"}
    other = {**RUN, "mounts": [holds("/etc/x")], "name": "agnes-app-run-3"}
    named = {**VOLUME, "volume": "agnes_data"}
    volume = {**RUN, "mounts": [named], "name": "agnes-app-run-4", "status": "dead"}
    assert left_behind([RUN, ended, other, volume, ORPHAN], FLAT) == [
        "container 'agnes-app-run-1' of 'docker compose run' still runs and holds /data: "
        "'docker stop agnes-app-run-1' ends it",
        "container 'agnes-app-run-2' of 'docker compose run' was left behind and holds /data: "
        "'docker rm agnes-app-run-2' removes it",
        "container 'agnes-app-run-4' of 'docker compose run' was left behind and holds volume "
        "agnes_data: 'docker rm agnes-app-run-4' removes it",
    ]
    check_one_offs([ended, other, volume], FLAT)
    with pytest.raises(OneOffHolds):
        check_one_offs([RUN, ended], FLAT)


def test_who_depends_on_whom() -> None:
    services = {"a": {"depends_on": {"b": ""}}, "b": {"depends_on": {"c": "", "a": ""}}, "c": {}}
    assert needed_by(services, ["a"]) == {"a", "b", "c"}
    assert needed_by(services, ["c", "gone"]) == set()


TEST_SELECTED: list[tuple[list[str], list[str]]] = [
    ([], ["app"]),
    (["full"], ["app", "bot"]),
    (["tls", "extract"], ["app", "caddy", "extract"]),
    (["other"], ["app"]),
]


@pytest.mark.parametrize(("profiles", "expected"), TEST_SELECTED)
def test_selected(profiles: list[str], expected: list[str]) -> None:
    services: dict[str, dict[str, Any]] = {
        "extract": {"profiles": ["extract"]},
        "caddy": {"profiles": ["tls", "apps"]},
        "bot": {"profiles": ["full"]},
        "app": {"profiles": []},
    }
    assert selected(services, profiles) == expected


TEST_SAY: list[tuple[list[dict[str, Any]], str]] = [
    ([app("exited")], "ended with 0"),
    ([app("dead", exit_code=137)], "ended with 137"),
    ([app(health="healthy")], "healthy"),
    ([app()], "running (no health check)"),
    ([app(), app(number=2), app("exited", 3)], "2 running (no health check), 1 ended with 0"),
    ([], "no container (scale 0)"),
    ([app(health="healthy", restarts=3)], "healthy"),
    ([app("exited", restarts=3, up_seconds=0.0)], "ended with 0"),
    (
        [app(health="healthy", restarts=3, up_seconds=41.0)],
        "healthy, but started again 3 times so far, the last time 41 s ago",
    ),
]


@pytest.mark.parametrize(("present", "expected"), TEST_SAY)
def test_say_state(present: list[dict[str, Any]], expected: str) -> None:
    assert say_state(LASTING, present) == expected


def test_a_profile_that_no_service_has_is_said() -> None:
    services = {"a": {"profiles": ["tls"]}, "b": {"profiles": ["full"]}, "c": {"profiles": []}}
    assert unknown_profiles(services, ["full", "ful"]) == {
        "(profile ful)": "in no compose file; they have profiles full, tls"
    }


ON_DATA, ON_STATE, BARE = "8:16", "8:32", "8:1"
MOUNTED = {"/data": ON_DATA, "/data-state": ON_STATE}
TO_COME = {"/data": ON_DATA}
TEST_SINCE_BEFORE: list[Any] = [
    pytest.param([holds("/data", seen=ON_DATA)], MOUNTED, {}, False, id="sees-it"),
    pytest.param([holds("/data", seen=BARE)], MOUNTED, {}, True, id="sees-what-is-shadowed"),
    pytest.param([holds("/data")], MOUNTED, {}, False, id="nothing-known"),
    pytest.param([holds("/data/x", seen=BARE)], MOUNTED, {}, True, id="below-a-mount-point"),
    pytest.param([holds("/srv", seen=BARE)], MOUNTED, {}, False, id="elsewhere"),
    pytest.param([holds("/data", seen=BARE)], {}, TO_COME, True, id="to-come"),
    pytest.param([holds("/data")], {}, TO_COME, True, id="to-come-and-nothing-known"),
    pytest.param(
        [holds("/data", seen=ON_DATA)], {}, TO_COME, False, id="runs-since-before-it-was-unmounted"
    ),
    pytest.param(
        [holds("/data/state/certs", seen=ON_DATA)], TO_COME, {"/data/state": ON_STATE}, True,
        id="the-inner-one-is-to-come",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("mounts", "mounted", "to_mount", "named"), TEST_SINCE_BEFORE)
def test_who_runs_since_before_a_disk_was_mounted_is_named(
    mounts: list[Any], mounted: dict[str, str], to_mount: dict[str, str], named: bool
) -> None:
    since_before = run_since_before([app(mounts=mounts)], mounted, to_mount)
    assert since_before == (["agnes-app-1"] if named else [])
    assert run_since_before([app("exited", mounts=mounts)], mounted, to_mount) == []
