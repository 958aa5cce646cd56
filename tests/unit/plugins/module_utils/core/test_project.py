# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.project import (
    UPGRADED,
    digest,
    left_to_upgrade,
    to_place,
)

BASE = "docker-compose.yml"
PRODUCT = {
    BASE: b"services: {}  # docker-compose.gcp-logging.yml",
    "docker-compose.prod.yml": b"",
    "docker-compose.postgres.yml": b"",
    "docker-compose.gcp-logging.yml": b"",
    "docker-compose.override.yml": b"",
    "docker-compose.dev.yml": b"include: [docker-compose.dev-tools.yml]",
    "docker-compose.dev-tools.yml": b"",
    "compose.yaml": b"",
    "Caddyfile": b"",
    "Caddyfile.apps-subdomain": b"",
    "scripts/ops/docker-compose.x.yml": b"",
    "config/compose.md": b"",
}
ALWAYS = {
    BASE, "docker-compose.prod.yml", "docker-compose.postgres.yml", "Caddyfile",
    "Caddyfile.apps-subdomain", "scripts/ops/docker-compose.x.yml", "config/compose.md",
}  # fmt: skip

PLACED: list[Any] = [
    pytest.param([BASE], set(), id="base"),
    pytest.param([BASE, "docker-compose.gcp-logging.yml"], {"docker-compose.gcp-logging.yml"}, id="named"),
    pytest.param(
        [BASE, "docker-compose.dev.yml"], {"docker-compose.dev.yml", "docker-compose.dev-tools.yml"},
        id="named-by-one-that-is-named",
    ),
    pytest.param([BASE, "docker-compose.override.yml"], {"docker-compose.override.yml"}, id="override"),
]  # fmt: skip


@pytest.mark.parametrize(("chain", "more"), PLACED)
def test_only_compose_files_that_the_chain_names_are_placed(
    chain: list[str], more: set[str]
) -> None:
    assert to_place(PRODUCT, chain) == ALWAYS | more


def test_files_are_left_to_the_products_upgrade_only_where_it_has_fetched_them() -> None:
    names = {BASE, "Caddyfile", "mine.yml", "docker-compose.tls.yml"}
    present = {BASE, "Caddyfile", "mine.yml"}
    assert left_to_upgrade(names, present) == set()
    assert left_to_upgrade(names, {*present, UPGRADED}) == {BASE, "Caddyfile"}


def test_a_digest_goes_by_what_is_in_it_and_not_by_its_order() -> None:
    one = {"services": {"a": {"volumes": []}, "b": {"volumes": []}}}
    other = {"services": {"b": {"volumes": []}, "a": {"volumes": []}}}
    assert digest(one) == digest(other)
    assert digest(one) != digest({"services": {"a": {"volumes": [1]}, "b": {"volumes": []}}})
