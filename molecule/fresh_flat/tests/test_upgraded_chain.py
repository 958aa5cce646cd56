# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain is the one that the product's own upgrade computes for a flat host, so it warns of nothing."""

from __future__ import annotations

from typing import Any

CHAIN = (
    "docker-compose.yml:docker-compose.prod.yml:docker-compose.host-mount.yml:docker-compose.tls.yml:"
    "docker-compose.flat-mount.yml"
)


def test_env_names_the_chain_that_the_products_resolver_computes(host: Any) -> None:
    assert host.check_output("grep ^COMPOSE_FILE= /opt/agnes/.env") == f"COMPOSE_FILE={CHAIN}"
