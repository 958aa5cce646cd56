# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack, seen from inside its containers; the host was restarted before."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from engine import cache

from ansible_collections.agnes.host.plugins.module_utils.core.layouts import Layout

RUNNING = ("app", "scheduler", "telegram-bot", "ws-gateway", "caddy")
CURL = (
    "curl --fail --silent --show-error --cacert /tmp/lab-ca.pem "
    "--resolve agnes.test:443:127.0.0.1 https://agnes.test"
)


@pytest.fixture(scope="module", autouse=True)
def lab_ca(host: Any) -> None:
    """The lab's own authority: the chain that Caddy serves must verify against it."""
    text = base64.b64encode((cache() / "tls" / "ca.pem").read_bytes()).decode()
    host.check_output(f"echo {text} | base64 -d > /tmp/lab-ca.pem")


def test_five_services_run(containers: dict[str, Any]) -> None:
    assert {name: containers[name]["State"]["Status"] for name in RUNNING} == dict.fromkeys(
        RUNNING, "running"
    )
    assert containers["app"]["State"]["Health"]["Status"] == "healthy"


@pytest.mark.parametrize("service", ["app", "scheduler", "telegram-bot", "ws-gateway"])
def test_state_dir_is_on_the_state_disk_in_the_container(
    host: Any, facts: dict[str, Any], layout: Layout, service: str
) -> None:
    inside = host.check_output(f"docker exec agnes-{service}-1 stat -c %d {layout.state_dir}")
    outside = host.check_output(f"stat -c %d {layout.state_dir}")
    data = host.check_output("stat -c %d /data")
    assert inside == outside
    assert (outside != data) == facts.get("lab_state_disk", True)


def test_caddy_has_its_certificate_from_the_state_disk(host: Any, layout: Layout) -> None:
    inside = host.check_output("docker exec agnes-caddy-1 stat -c %d /certs")
    assert inside == host.check_output(f"stat -c %d {layout.state_dir}")


def test_a_row_committed_before_the_restart_is_there_and_one_more_can_be(host: Any) -> None:
    before = json.loads(host.check_output(f"{CURL}/api/rows"))["count"]
    assert before >= 1
    made = json.loads(host.check_output(f"{CURL}/api/rows -X POST"))
    assert made["count"] == before + 1
    assert json.loads(host.check_output(f"{CURL}/api/rows"))["count"] == before + 1


def test_the_database_is_the_file_on_the_state_disk(host: Any, layout: Layout) -> None:
    health = json.loads(host.check_output(f"{CURL}/api/health"))
    assert health["state_dir"] == layout.state_dir
    assert host.file(f"{layout.state_dir}/system.duckdb").is_file


@pytest.mark.parametrize("service", ["telegram-bot", "ws-gateway"])
def test_beats_are_written_to_both_disks(host: Any, layout: Layout, service: str) -> None:
    for base in ("/data", layout.state_dir):
        path = f"{base}/beats/{service}"
        first = host.file(path).content_string
        deadline = time.monotonic() + 10
        while host.file(path).content_string == first and time.monotonic() < deadline:
            time.sleep(0.5)
        assert host.file(path).content_string != first, path
