# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.backend import backend_of
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.layout.switch import (
    switched_env,
    with_state_line,
    without_line,
)

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
ENV = "# kept\nDATA_DIR=/data\nSECRET='a b'\nCOMPOSE_FILE=a.yml:docker-compose.host-mount.yml\n"
CHAINS = {
    "nested": ["a.yml", "docker-compose.host-mount.yml"],
    "flat": ["a.yml", "docker-compose.flat-mount.yml"],
}


def test_switched_env_sets_the_keys_of_the_target_and_leaves_the_rest() -> None:
    assert switched_env(ENV, NESTED, FLAT, CHAINS["flat"]) == (
        "# kept\nDATA_DIR=/data\nSECRET='a b'\nCOMPOSE_FILE=a.yml:docker-compose.flat-mount.yml\n"
        "STATE_DIR=/data-state\nAGNES_TLS_FULLCHAIN_PATH=/data-state/certs/fullchain.pem\n"
    )


def test_switched_env_there_and_back_is_the_same_text() -> None:
    there = switched_env(ENV, NESTED, FLAT, CHAINS["flat"])
    assert switched_env(there, FLAT, NESTED, CHAINS["nested"]) == ENV


def test_switched_env_keeps_a_certificate_path_of_somebody_elses() -> None:
    text = "STATE_DIR=/data-state/\nAGNES_TLS_FULLCHAIN_PATH=/etc/mine.pem\n"
    assert switched_env(text, FLAT, NESTED, CHAINS["nested"]) == (
        "AGNES_TLS_FULLCHAIN_PATH=/etc/mine.pem\nCOMPOSE_FILE=a.yml:docker-compose.host-mount.yml\n"
    )


FOREIGN = "LABEL=agnes-state /data/state ext4 noatime,nofail 0 2\n"
OURS = (
    "UUID=u /data-state ext4 defaults,nofail,x-systemd.device-timeout=30s,"
    "x-systemd.before=docker.service,noatime,x-agnes.host=state 0 2\n"
)


def test_with_state_line_mounts_as_the_old_line_has_it() -> None:
    assert with_state_line(FOREIGN, "u", "/data/state", "/data-state", "ext4") == FOREIGN + OURS


def test_with_state_line_there_and_back_carries_the_options() -> None:
    back = with_state_line(OURS, "u", "/data-state", "/data/state", "ext4")
    assert without_line(back, "/data-state", "/data/state") == OURS.replace(
        "/data-state", "/data/state"
    )


def test_without_line_keeps_a_foreign_line_as_a_comment() -> None:
    assert without_line(f"# a\n{FOREIGN}{OURS}", "/data/state", "/data-state") == (
        f"# a\n# agnes.host: state is at /data-state now, this line was: {FOREIGN}{OURS}"
    )


def test_without_line_takes_ours_out_and_leaves_the_line_of_another_place() -> None:
    assert without_line(FOREIGN, "/data-state", "/data/state") == FOREIGN
    assert without_line(FOREIGN + OURS, "/data-state", "/data/state") == FOREIGN


TEST_BACKENDS: list[Any] = [
    pytest.param("", "duckdb", id="empty"),
    pytest.param("branding:\n  name: x\n", "duckdb", id="no-section"),
    pytest.param("database:\n  backend: duckdb\n", "duckdb", id="duckdb"),
    pytest.param("a: 1\ndatabase:\n  # why\n  url: x\n  backend: 'side_car' # c\n", "side_car", id="side-car"),
    pytest.param('"database": {"url": 1, "backend": "cloud"}\n', "cloud", id="flow"),
    pytest.param("database:\n  url: x\nother:\n  backend: cloud\n", "duckdb", id="of-another-section"),
    pytest.param("database:\n  options:\n    backend: x\n", "duckdb", id="deeper"),
    pytest.param("database: null\n", "duckdb", id="null"),
    pytest.param("database: *anchor\n", "unknown", id="anchor"),
    pytest.param("database:\n  backend: {{ x }}\n", "unknown", id="no-name"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TEST_BACKENDS)
def test_backend_of(text: str, expected: str) -> None:
    assert backend_of(text) == expected
