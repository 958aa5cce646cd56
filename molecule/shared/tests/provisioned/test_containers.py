# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack, seen from inside its containers; the host was restarted before."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from engine import cache

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout

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


def test_five_services_run(seen: dict[str, Any]) -> None:
    by_service = {item["service"]: item for item in seen["containers"].values()}
    assert {name: by_service[name]["status"] for name in RUNNING} == dict.fromkeys(
        RUNNING, "running"
    )
    assert by_service["app"]["health"] == "healthy"


@pytest.mark.parametrize("service", ["app", "scheduler", "telegram-bot", "ws-gateway"])
def test_state_dir_is_on_the_state_disk_in_the_container(
    seen: dict[str, Any], facts: dict[str, Any], layout: Layout, service: str
) -> None:
    inside = seen["containers"][f"agnes-{service}-1"]["sees"][layout.state_dir]
    outside = seen["paths"][layout.state_dir]["device"]
    data = seen["paths"]["/data"]["device"]
    assert inside == outside
    assert (outside != data) == facts.get("lab_state_disk", True)


def test_caddy_has_its_certificate_from_the_state_disk(
    seen: dict[str, Any], layout: Layout
) -> None:
    inside = seen["containers"]["agnes-caddy-1"]["sees"]["/certs"]
    assert inside == seen["paths"][layout.state_dir]["device"]


def test_a_row_committed_before_the_restart_is_there_and_one_more_can_be(host: Any) -> None:
    before = json.loads(host.check_output(f"{CURL}/api/rows"))["count"]
    assert before >= 1
    made = json.loads(host.check_output(f"{CURL}/api/rows -X POST"))
    assert made["count"] == before + 1
    assert json.loads(host.check_output(f"{CURL}/api/rows"))["count"] == before + 1


def test_the_database_is_the_file_on_the_state_disk(
    host: Any, seen: dict[str, Any], layout: Layout
) -> None:
    health = json.loads(host.check_output(f"{CURL}/api/health"))
    assert health["state_dir"] == layout.state_dir
    assert seen["paths"][f"{layout.state_dir}/system.duckdb"]["kind"] == "file"


@pytest.mark.parametrize("service", ["telegram-bot", "ws-gateway"])
def test_beats_are_written_to_both_disks(
    seen: dict[str, Any], layout: Layout, service: str
) -> None:
    for base in ("/data", layout.state_dir):
        assert seen["beats"][f"{base}/beats/{service}"], base
