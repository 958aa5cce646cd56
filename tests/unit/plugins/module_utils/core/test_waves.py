# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves, when the next one may begin, and what is known after one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.fleet_errors import BadSetting
from ansible_collections.agnes.host.plugins.module_utils.core.host.waves import (
    OUTCOMES,
    SETTINGS,
    halted,
    result,
    settings,
    some,
    waves,
)


def planned(stage: str, deployment: str = "acme", **differs: Any) -> dict[str, Any]:
    return {
        "deployment": deployment, "stage": stage, "refusal": "", "does": ["change"], "planned": "flat: 1 change",
        "source": "flat", "target": "flat", "bytes": None, "changes": 1, "right": False,
        **differs,
    }  # fmt: skip


def fleet(others: int) -> dict[str, dict[str, Any]]:
    return {
        "a0": planned("canary"),
        "b0": planned("canary", "globex"),
        "r1": planned("refused", refusal="AH022: no"),
        "u1": planned("undecided"),
        **{f"a{number}": planned("wave") for number in range(1, others + 1)},
    }


@pytest.mark.parametrize(
    ("sizes", "others", "wanted"),
    [
        ([1, "25%"], 10, [1, 2, 2, 2, 2, 1]),
        ("1, 50%", 10, [1, 5, 4]),
        ("[1, '50 %']", 10, [1, 5, 4]),
        ("100%", 10, [10]),
        (3, 7, [3, 3, 1]),
        ("10%", 4, [1, 1, 1, 1]),
        ([2, 5], 4, [2, 2]),
        (1, 0, []),
    ],
)
def test_sizes_of_waves(sizes: Any, others: int, wanted: list[int]) -> None:
    turns = waves(fleet(others), settings({"rollout_waves": sizes}))
    assert [wave["name"] for wave in turns[:2]] == ["canary of acme", "canary of globex"]
    assert [len(wave["hosts"]) for wave in turns[2:]] == wanted


@given(st.integers(0, 40), st.lists(st.sampled_from(["1", "7", "10%", "33%", "100%"]), min_size=1))
def test_each_host_is_in_one_wave_and_canaries_come_first(others: int, sizes: list[str]) -> None:
    hosts = fleet(others)
    turns = waves(hosts, settings({"rollout_waves": sizes}))
    order = [name for wave in turns for name in wave["hosts"]]
    assert order == [
        name for stage in ("canary", "wave") for name, host in hosts.items() if host["stage"] == stage
    ]  # fmt: skip
    assert all(wave["hosts"] for wave in turns)


def test_hosts_that_are_right_are_checked_first_and_at_once() -> None:
    hosts = fleet(3)
    for name in ("a0", "a2"):
        hosts[name] |= {"right": True}
    hosts["a2"]["stage"] = "check"
    turns = waves(hosts, settings({"rollout_soak": 1}))
    assert [(wave["kind"], wave["hosts"]) for wave in turns] == [
        ("check", ["a0", "a2"]), ("canary", ["b0"]), ("soak", ["a0", "b0"]), ("wave", ["a1"]), ("wave", ["a3"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "looks", "each"), [(1, 1, 1), (30, 1, 30), (600, 20, 30)])
def test_a_soak_comes_after_the_canaries(seconds: int, looks: int, each: int) -> None:
    turns = waves(fleet(1), settings({"rollout_soak": seconds}))
    assert [wave["kind"] for wave in turns] == ["canary", "canary", "soak", "wave"]
    assert turns[2] == {
        "name": f"soak of {seconds} s", "kind": "soak", "hosts": ["a0", "b0"], "looks": looks, "seconds": each,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rollout_waves", "0"), ("rollout_waves", []), ("rollout_waves", "some"), ("rollout_waves", "0%"),
        ("rollout_waves", [1, "101%"]), ("rollout_waves", -1), ("rollout_max_failures", "10%"),
        ("rollout_max_failures", True), ("rollout_soak", "5m"), ("rollout_not_between", "7-19"),
        ("rollout_not_between", "07:00-24:30"),
    ],
)  # fmt: skip
def test_a_setting_that_can_not_be_meant_is_refused(name: str, value: Any) -> None:
    with pytest.raises(BadSetting, match=f"^AH204: {name} is "):
        settings({name: value})


def known(*outcomes: str) -> list[dict[str, Any]]:
    """Hosts of a result; the first one is a canary."""
    return [
        {"name": f"a{number}", "stage": "wave" if number else "canary", "outcome": outcome}
        for number, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("said", "hosts", "stopped", "now", "code"),
    [
        ({}, known("done", "untouched", "refused", "nothing"), False, "12:00", ""),
        ({}, known("done", "failed"), False, "12:00", "AH207"),
        ({}, known("done", "lost"), False, "12:00", "AH207"),
        ({"rollout_max_failures": "2"}, known("done", "lost", "failed"), False, "12:00", ""),
        (
            {"rollout_max_failures": 2},
            known("done", "lost", "failed", "lost"),
            False,
            "12:00",
            "AH207",
        ),
        ({"rollout_max_failures": 2}, known("failed", "done"), False, "12:00", "AH208"),
        ({"rollout_max_failures": 2}, known("lost", "done"), False, "12:00", "AH208"),
        ({}, known("done"), True, "12:00", "AH205"),
        ({"rollout_not_between": "07:00-19:00"}, known("done"), False, "07:00", "AH206"),
        ({"rollout_not_between": "07:00-19:00"}, known("done"), False, "06:59", ""),
        ({"rollout_not_between": "07:00-19:00"}, known("done"), False, "19:00", ""),
        ({"rollout_not_between": ["22:00-06:00"]}, known("done"), False, "23:00", "AH206"),
        ({"rollout_not_between": ["22:00-06:00"]}, known("done"), False, "05:59", "AH206"),
        ({"rollout_not_between": ["22:00-06:00"]}, known("done"), False, "06:00", ""),
    ],
)
def test_whether_the_next_wave_may_begin(
    said: dict[str, Any], hosts: list[dict[str, Any]], stopped: bool, now: str, code: str
) -> None:
    assert halted(settings(said), hosts, stopped, now)[:5] == code


def after(halt: str = "AH207: stop") -> dict[str, Any]:
    """A rollout of one host for each outcome."""
    hosts = {
        "a0": planned("canary"),
        "a1": planned("wave", does=["nothing"], changes=0),
        "a2": planned("wave", does=["copy"], source="nested", bytes=5),
        "a3": planned("wave"),
        "r1": planned("refused", refusal="AH022: no"),
        "a4": planned("wave"),
        "u1": planned("undecided"),
        "x1": planned("refused", refusal="not planned"),
        "x2": planned("wave"),
    }
    turn = {"began": "10:00", "ended": "10:01", "failed": ""}
    said: dict[str, Any] = {name: {"turn": {}, "downtime": None} for name in hosts}
    said["a0"] = {"turn": turn, "downtime": 2.5}
    said["a1"]["turn"] = turn
    said["a2"]["turn"] = {**turn, "failed": "Move: AH100: no room"}
    said["a3"]["turn"] = {"began": "10:00"}
    said["x2"]["turn"] = turn
    listed = waves(hosts, settings({"rollout_waves": "3", "rollout_soak": 5}))
    times = {"canary of acme": ["10:00", "10:01"], "wave 1 of 2": ["10:02"]}
    reached = [name for name in hosts if name not in ("a3", "x1", "x2")]
    return result(hosts, listed, said, reached, times, SETTINGS["rollout_max_failures"], halt, "10:05", True)  # fmt: skip


def test_what_is_known_of_each_host() -> None:
    outcome = after()
    assert [(host["name"], host["outcome"], host["code"], host["message"]) for host in outcome["hosts"]] == [
        ("a0", "done", "", ""),
        ("a1", "nothing", "", ""),
        ("a2", "failed", "AH100", "Move: AH100: no room"),
        ("a3", "lost", "", "it could not be reached, after its turn had begun"),
        ("r1", "refused", "AH022", "AH022: no"),
        ("a4", "untouched", "AH207", "AH207: stop"),
        ("u1", "nothing", "", ""),
        ("x1", "lost", "", "it could not be reached"),
        ("x2", "lost", "", "it could not be reached, after its turn had ended"),
    ]  # fmt: skip
    assert [host["wave"] for host in outcome["hosts"]] == [
        "canary of acme", "wave 1 of 2", "wave 1 of 2", "wave 1 of 2", "", "wave 2 of 2", "", "", "wave 2 of 2",
    ]  # fmt: skip
    assert outcome["hosts"][0]["downtime"] == 2.5 and outcome["hosts"][2]["bytes"] == 5
    assert outcome["failures"] == 4
    assert outcome["counts"] == {
        "done": 1, "nothing": 2, "failed": 1, "lost": 3, "refused": 1, "untouched": 1,
    }  # fmt: skip
    assert set(outcome["counts"]) == set(OUTCOMES)


def test_what_is_known_of_each_wave() -> None:
    assert [(wave["name"], wave["began"], wave["ended"]) for wave in after()["waves"]] == [
        ("canary of acme", "10:00", "10:01"),
        ("soak of 5 s", "", ""),
        ("wave 1 of 2", "10:02", ""),
        ("wave 2 of 2", "", ""),
    ]


def test_the_summary() -> None:
    assert after()["summary"] == [
        "done      1: a0",
        "nothing   2: a1, u1",
        "failed    1: a2",
        "lost      3: a3, x1, x2",
        "refused   1: r1",
        "untouched 1: a4",
        "a2: failed: Move: AH100: no room",
        "a3: lost: it could not be reached, after its turn had begun",
        "r1: refused: AH022: no",
        "x1: lost: it could not be reached",
        "x2: lost: it could not be reached, after its turn had ended",
        "stopped: AH207: stop",
    ]
    assert after("")["summary"][-1].startswith("x2")


def test_a_sentence_names_some_hosts() -> None:
    assert some(["a", "b", "c", "d", "e"]) == "a, b, c, d, e"
    assert some(["a", "b", "c", "d", "e", "f", "g"]) == "a, b, c, d, e and 2 more"
