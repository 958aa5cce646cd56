# SPDX-License-Identifier: GPL-3.0-or-later
"""The product's own upgrade puts the nested overlay before ours: that chain stands, and is noted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from play import play
from records import ROOT

PROJECT = "/opt/agnes"
HOST_MOUNT = "docker-compose.host-mount.yml"
FLAT_MOUNT = "docker-compose.flat-mount.yml"


@pytest.fixture
def upgraded(name: str, host: Any) -> Iterator[str]:
    """COMPOSE_FILE as the upgrade writes it, the stack started with it; put back at the end."""
    before = host.check_output(f"grep ^COMPOSE_FILE= {PROJECT}/.env").partition("=")[2]
    chain = before.replace("docker-compose.prod.yml", f"docker-compose.prod.yml:{HOST_MOUNT}")
    seed = ROOT / "tests" / "stack" / "host" / HOST_MOUNT
    subprocess.run(["docker", "cp", str(seed), f"{name}:{PROJECT}/"], check=True)

    def use(value: str) -> None:
        host.check_output(f"sed -i 's|^COMPOSE_FILE=.*|COMPOSE_FILE={value}|' {PROJECT}/.env")
        host.check_output(f"cd {PROJECT} && docker compose --profile '*' up --detach --wait app")
        host.check_output(f"cd {PROJECT} && docker compose --profile '*' up --detach")

    use(chain)
    yield chain
    host.check_output(f"rm {PROJECT}/{HOST_MOUNT}")
    use(before)


def test_a_chain_that_ends_with_ours_is_left_alone_and_noted(
    name: str, host: Any, upgraded: str
) -> None:
    done = play("upgraded_chain", {name: {}})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} .*changed=0 ", done.stdout, re.M), done.stdout
    assert f"COMPOSE_FILE names {HOST_MOUNT} and {FLAT_MOUNT}, as the product's own" in done.stdout
    assert host.check_output(f"grep ^COMPOSE_FILE= {PROJECT}/.env") == f"COMPOSE_FILE={upgraded}"
