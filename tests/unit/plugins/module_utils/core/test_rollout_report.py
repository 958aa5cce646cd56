# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
import rollout_results as results

from ansible_collections.agnes.host.plugins.module_utils.core.host import rollout_report as reports
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import NotHealthy
from ansible_collections.agnes.host.plugins.module_utils.core.host.rollout_report import (
    join,
    remedies,
    report,
    say_seconds,
    split_log,
    view,
)

MANUAL = """# Refusals

## One subject

### AH022 Not proved blank
- *What.* The disk holds
  something.
- *Do.* Attach `one`, see
  [the page](disks.md):

      lsblk &&
      blkid

  Then run again.
- *Verify.* `lsblk`.

### AH023 Another
- *Do.* Nothing.

## Another subject

### AH145 Not up
- *Do.* Read the log.
"""


def by_name(rollout: dict[str, Any]) -> dict[str, Any]:
    return {host["host"]: host for host in rollout["hosts"]}


def one(**more: Any) -> Any:
    """The report of a run with one host."""
    result = {**results.few(), "hosts": [results.host("a", **more)]}
    return report(result)["hosts"][0]


def test_a_report_has_each_host_once_and_counts_what_became_of_them() -> None:
    rollout = report(results.few())
    assert rollout["counts"] == {"refused": 1, "done": 1, "nothing": 1}
    assert rollout["totals"] == {
        "hosts": 3, "bytes": 0, "downtime_seconds": 3.4, "downtime_seconds_most": 3.4,
    }  # fmt: skip
    assert rollout["deployments"] == [
        {"name": "acme", "counts": {"done": 1, "nothing": 1}},
        {"name": "globex", "counts": {"refused": 1}},
    ]
    assert (rollout["began"], rollout["at"], rollout["ended"]) == (
        "2026-11-28T21:00:00Z", "2026-11-28T21:01:34Z", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({"outcome": "done"}, "done"),
        ({"outcome": "nothing"}, "nothing"),
        ({"outcome": "nothing", "stage": "undecided"}, "undecided"),
        ({"outcome": "failed"}, "failed"),
        ({"outcome": "failed", "back": True}, "back"),
        ({"outcome": "failed", "message": results.GONE_BACK}, "back"),
        # What is not known is nothing to be calm about.
        ({"outcome": "levitated"}, "failed"),
        ({"outcome": ""}, "untouched"),
    ],
)
def test_what_became_of_a_host(said: dict[str, Any], outcome: str) -> None:
    assert one(**said)["outcome"] == outcome


def test_a_message_is_without_its_code_and_without_the_log_that_it_ends_with() -> None:
    host = one(outcome="failed", message=results.FAILED)
    assert host["code"] == "AH145"
    assert host["message"] == (
        "services do not stay up: app is restarting (exit code 1); see 'docker compose logs' in /opt/agnes, correct the "
        "cause, and run again"
    )
    assert host["log"] == [
        "INFO opening /data-state/system.duckdb", "ERROR: connection to queue refused",
        "Traceback: ConnectionRefusedError",
    ]  # fmt: skip


def test_the_logs_of_two_services_are_both_kept() -> None:
    said = (
        "services do not stay up: app is dead; its log ends with: one | two -- caddy is dead; its log ends with: three; "
        "see 'docker compose logs' in /opt/agnes"
    )
    assert split_log(said) == (
        "services do not stay up: app is dead -- caddy is dead; see 'docker compose logs' in /opt/agnes",
        ["one", "two", "three"],
    )


def test_the_log_of_an_unhealthy_service_is_kept() -> None:
    error = NotHealthy(
        service="app", found="unhealthy", seconds=9, project="/opt/agnes", log="a | b"
    )
    said, log = split_log(str(error))
    assert said == str(
        NotHealthy(service="app", found="unhealthy", seconds=9, project="/opt/agnes")
    )
    assert log == ["a", "b"]


def test_a_secret_is_hidden_wherever_a_message_or_a_log_has_it() -> None:
    result = {
        **results.few(),
        "halt": "AH207: hunter22",
        "hosts": [
            results.host("a", message="AH145: said hunter22", log=["token=hunter22"], proofs=["hunter22"])
        ],
    }  # fmt: skip
    rollout = report(result, secrets=["hunter22"])
    assert "hunter22" not in repr(rollout)
    assert rollout["hosts"][0]["message"] == "said (hidden)"


def test_bytes_that_are_no_text_and_letters_that_turn_a_line_are_shown_as_escapes() -> None:
    assert one(message="a\udcffb\u202ec")["message"] == "a\\xffb\\u202ec"


def test_shards_are_joined_and_a_wave_whose_name_is_there_already_gets_its_runs() -> None:
    acme, globex = results.few(), results.few()
    acme["hosts"] = [host for host in acme["hosts"] if host["deployment"] == "acme"]
    globex["hosts"] = [results.host("globex-1", "globex", wave="wave 1 of 1")]
    globex["began"], globex["at"] = "2026-11-28T21:00:30Z", "2026-11-28T21:09:00Z"
    rollout = join([report(globex), report(acme)])
    assert [run["name"] for run in rollout["runs"]] == ["acme", "globex"]
    assert [host["host"] for host in rollout["hosts"]] == ["acme-1", "acme-2", "globex-1"]
    assert [wave["name"] for wave in rollout["waves"]] == [
        "canary of acme", "wave 1 of 1", "globex: canary of acme", "globex: wave 1 of 1",
    ]  # fmt: skip
    assert by_name(rollout)["globex-1"]["wave"] == "globex: wave 1 of 1"
    assert (rollout["began"], rollout["at"]) == ("2026-11-28T21:00:00Z", "2026-11-28T21:09:00Z")
    assert rollout["counts"] == {"done": 2, "nothing": 1}


def test_of_a_host_in_two_runs_the_last_one_that_came_to_it_counts() -> None:
    first = {**results.few(), "hosts": [results.host("a", outcome="failed"), results.host("b")]}
    then = {
        **results.few(), "began": "2026-11-28T22:00:00Z", "at": "2026-11-28T22:05:00Z", "ended": False,
        "hosts": [results.host("a"), results.host("b", outcome="untouched")],
    }  # fmt: skip
    rollout = join([report(first), report(then)])
    assert {name: host["outcome"] for name, host in by_name(rollout).items()} == {
        "a": "done", "b": "done",
    }  # fmt: skip
    assert not rollout["ended"]


def test_a_joined_report_can_be_joined_again() -> None:
    joined = join([report(results.few())])
    assert join([joined]) == joined


@pytest.mark.parametrize(
    ("given", "sentence"), [([], "no report was named"), ([{"format": 9}], "has format 9")]
)
def test_what_can_not_be_joined_is_said(given: list[Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        join(given)


def test_the_remedy_of_a_code_comes_from_the_manual() -> None:
    assert remedies(MANUAL, ["AH022", "AH145", "AH999", ""]) == {
        "AH022": {
            "title": "Not proved blank", "what": "The disk holds something.", "do": "Attach `one`, see the page:\nlsblk &&\nblkid\nThen run again.",
            "verify": "`lsblk`.",
        },
        "AH145": {"title": "Not up", "do": "Read the log."},
    }  # fmt: skip
    assert remedies(MANUAL, ["AH023"]) == {"AH023": {"title": "Another", "do": "Nothing."}}


def test_hosts_in_trouble_come_the_worst_first_and_together_with_their_like() -> None:
    page = view(report(results.many()), MANUAL)
    assert [(t["outcome"], t["code"], len(t["hosts"])) for t in page["troubles"]] == [
        ("failed", "AH145", 1), ("lost", "", 1), ("back", "AH069", 1), ("refused", "AH022", 2),
        ("refused", "AH089", 2),
    ]  # fmt: skip
    assert set(page["remedies"]) == {"AH022", "AH145"}


def test_bars_are_where_their_times_are_on_the_time_line() -> None:
    result = results.few()
    result["at"] = "2026-11-28T21:01:40Z"
    page = view(report(result), "")
    assert [wave["bar"] for wave in page["waves"]] == [
        {"left": 12.0, "width": 46.0}, {"left": 58.0, "width": 32.0},
    ]  # fmt: skip
    assert [host["bar"] for host in page["hosts"]] == [
        {"left": 58.0, "width": 32.0}, {"left": 12.0, "width": 46.0}, None,
    ]  # fmt: skip
    assert [tick["time"][11:19] for tick in page["ticks"]] == [
        "21:00:00", "21:00:25", "21:00:50", "21:01:15", "21:01:40",
    ]  # fmt: skip
    assert [host["downtime_part"] for host in page["hosts"]] == [0.0, 100.0, 0.0]
    assert page["longest"] == "acme-2"


def test_what_has_not_ended_goes_on_to_the_end_of_the_line() -> None:
    result = results.few()
    result["at"], result["ended"] = "2026-11-28T21:01:40Z", False
    result["waves"][1]["ended"] = ""
    assert view(report(result), "")["waves"][1]["bar"] == {"left": 58.0, "width": 42.0}


def test_a_run_that_took_no_time_has_bars_all_the_same() -> None:
    result = {**results.few(), "at": results.few()["began"]}
    for drawn in [wave["bar"] for wave in view(report(result), "")["waves"]]:
        assert 0 <= drawn["left"] <= 100 and 0 <= drawn["width"] <= 100


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, "trouble"),
        ({"hosts": [results.host("a")]}, "done"),
        ({"hosts": [results.host("a")], "check": True}, "planned"),
        ({"hosts": [results.host("a")], "ended": False}, "running"),
        ({"halt": "AH207: no"}, "stopped"),
        ({"halt": "AH207: no", "ended": False}, "stopped"),
    ],
)
def test_one_word_says_how_it_went(more: dict[str, Any], state: str) -> None:
    assert view(report({**results.few(), **more}), "")["state"] == state


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "-"), (0, "0.0 s"), (3.44, "3.4 s"), (59.6, "1 min 00 s"), (61, "1 min 01 s"), (7260, "2 h 01 min")],
)  # fmt: skip
def test_a_duration_is_said_for_people(seconds: Any, said: str) -> None:
    assert say_seconds(seconds) == said


def test_every_outcome_that_asks_for_care_is_one_of_the_outcomes() -> None:
    assert set(reports.TROUBLE) < set(reports.OUTCOMES)
