# SPDX-License-Identifier: GPL-3.0-or-later
"""The host is in flat, moved there while clients wrote; it goes back, killed on the way, and forth again."""

from __future__ import annotations

import json
from typing import Any

import pytest
import records
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layouts import LAYOUTS, Layout

FAILPOINT = "/run/agnes-host/failpoint"
RESULT = "/var/lib/agnes-host/result.json"
RUNNING = {"app", "scheduler", "ws-gateway", "caddy"}


def load(host: Any) -> list[dict[str, Any]]:
    """What the clients got so far."""
    lines = host.file("/srv/load.jsonl").content_string.splitlines()
    return [json.loads(line) for line in lines]


def longest_gap(host: Any, since: float) -> float:
    """Seconds that no client had a row acknowledged, at most, since a moment."""
    times = [entry["at"] for entry in load(host) if entry["row"] and entry["at"] >= since]
    return max(late - early for early, late in zip(times, times[1:]))


def now(host: Any) -> float:
    return float(host.check_output("date +%s.%N"))


def services(host: Any) -> set[str]:
    """The services that run."""
    names = host.check_output("docker ps --format '{{.Names}}'").split()
    return {name.removeprefix("agnes-").removesuffix("-1") for name in names}


def rows(host: Any) -> set[int]:
    """The rows that the app has."""
    curl = "curl -fsSk --resolve agnes.test:443:127.0.0.1 https://agnes.test/api/rows"
    return set(json.loads(host.check_output(curl))["ids"])


def check(host: Any, layout: Layout) -> None:
    """All that must hold on a host that has been moved to ``layout``."""
    at = host.check_output("findmnt --noheadings --output TARGET --source /dev/sdc").split()
    assert at == [layout.mounts["state"]]
    acknowledged = {entry["row"] for entry in load(host) if entry["row"]}
    assert acknowledged <= rows(host)
    assert len(acknowledged) > 20
    assert services(host) == RUNNING
    certs = f"cd {layout.state_dir} && sha256sum certs/*"
    assert host.check_output(certs) == host.check_output("cat /srv/secrets")
    # Compared on the host: a secret must not come into a report.
    host.check_output("grep -e SECRET -e TOKEN /opt/agnes/.env | cmp -s - /srv/env-secrets")
    assert not host.file("/var/lib/agnes-host/IN_PROGRESS").exists
    marker = json.loads(host.file(f"{layout.state_dir}/.agnes-state.json").content_string)
    assert marker["layout"] == layout.name
    for service in ("app", "scheduler", "ws-gateway"):
        inside = host.check_output(f"docker exec agnes-{service}-1 stat -c %d {layout.state_dir}")
        assert inside == host.check_output("stat -c %d " + layout.state_dir)


def test_the_first_move_lost_nothing_and_started_exactly_what_ran(
    host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    check(host, LAYOUTS["flat"])
    assert host.check_output("readlink /data/state") == "/data-state"
    down = json.loads(host.file(RESULT).content_string)["down_seconds"]
    with capsys.disabled():
        print(f"\n  to flat: stack down for {down} s, clients waited {longest_gap(host, 0):.2f} s")


def test_what_lay_beneath_the_mount_was_renamed_aside(host: Any) -> None:
    found = host.check_output("find /data/.agnes-host-aside -type f -printf '%f\\n' | sort")
    assert found.split() == ["agnes-state-applier.tick", "db-state-applier.lock"]
    assert host.file("/data/.agnes-host-aside").mode == 0o700


def test_explain_says_it_on_one_screen(host: Any) -> None:
    lines = host.check_output("agnes-host explain").splitlines()
    assert len(lines) < 25
    assert "layout     flat: STATE_DIR=/data-state, by /opt/agnes/.env" in lines
    assert lines[-1] == "next       nothing is to be done"


@pytest.mark.parametrize(
    ("to", "point"), [("nested", "umount.after:kill"), ("flat", "stop.after:kill")]
)
def test_it_goes_back_and_forth_though_the_engine_is_killed(
    name: str, facts: dict[str, Any], host: Any, to: str, point: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    since = now(host)
    host.check_output(f"mkdir -p /run/agnes-host && echo {point} > {FAILPOINT}")
    done = play(f"{name}-{to}", {name: {**facts, "layout": to}})
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.file(f"{FAILPOINT}.fired").content_string.split()[-1] == point
    check(host, LAYOUTS[to])
    with capsys.disabled():
        print(f"\n  to {to}, killed: clients waited {longest_gap(host, since):.2f} s")
    again = play(f"{name}-{to}-again", {name: {**facts, "layout": to}})
    assert again.returncode == 0
    assert not [r for r in records.read(f"{name}-{to}-again", "site") if r["changed"]]


def test_an_error_before_the_commit_leads_back_and_the_stack_runs(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    host.check_output(f"echo commit.before:eio > {FAILPOINT}")
    done = play(f"{name}-back", {name: {**facts, "layout": "nested"}})
    assert done.returncode != 0
    failed = [r for r in records.read(f"{name}-back", "site") if r["status"] == "failed"]
    assert failed[0]["msg"].startswith("AH069: the move to layout nested stopped at step 'commit'")
    check(host, LAYOUTS["flat"])
    assert host.check_output("readlink /data/state") == "/data-state"


def test_the_project_is_not_switched_to_a_layout_that_the_state_is_not_in(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    before = host.check_output("sha256sum /opt/agnes/.env")
    playbook = records.ROOT / ".cache" / f"{name}-alone.yml"
    playbook.write_text(
        "- hosts: agnes\n  become: true\n  gather_facts: false\n  roles: [agnes.host.agnes_compose]\n"
    )
    done = play(f"{name}-alone", {name: {**facts, "layout": "nested"}}, playbook=playbook)
    assert done.returncode != 0
    assert "AH006: state is in layout flat, and layout nested is asked for" in done.stdout
    assert host.check_output("sha256sum /opt/agnes/.env") == before


def test_the_same_host_without_a_move_for_comparison(
    host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    since = now(host)
    host.check_output(
        "cd /opt/agnes && docker compose --profile '*' down --timeout 90 && docker compose "
        "--profile '*' up --detach app scheduler ws-gateway caddy && sleep 2"
    )
    with capsys.disabled():
        print(f"\n  down and up alone: clients waited {longest_gap(host, since):.2f} s")
