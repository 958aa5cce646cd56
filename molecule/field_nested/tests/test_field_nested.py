# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the product's set-up left it, adopted while its keepers work; to flat and back."""

from __future__ import annotations

from typing import Any

import field
import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS


@pytest.fixture(scope="module", autouse=True)
def second_project(name: str) -> Any:
    """Whatever is done to the host, its other project is left alone."""
    before = field.other(name)
    yield
    assert field.other(name) == before


def test_it_was_adopted_and_its_ticks_change_nothing(
    name: str, host: Any, facts: dict[str, Any]
) -> None:
    field.await_ticks(host)
    field.check(name, host, LAYOUTS["nested"])
    field.calm(name, "adopted", facts, "nested")
    field.drift(host)
    field.check(name, host, LAYOUTS["nested"])
    field.calm(name, "drifted", facts, "nested")


@pytest.mark.parametrize(
    ("layout", "noted"), [("flat", ["TLS rotation", "state applier", "watchdog"]), ("nested", [])]
)
def test_it_moves_and_its_ticks_leave_it_there(
    name: str, host: Any, facts: dict[str, Any], layout: str, noted: list[str]
) -> None:
    field.move(name, facts, layout, noted=noted)
    field.check(name, host, LAYOUTS[layout])
    field.drift(host)
    field.check(name, host, LAYOUTS[layout])
    field.calm(name, f"{layout}-drifted", facts, layout)


def test_the_migration_finds_the_database(host: Any) -> None:
    """Where it found none it would end green, and the product would begin anew."""
    said = host.check_output(
        "cd /opt/agnes && docker compose run --rm --no-deps --no-TTY data-migrate"
    )
    assert said == "source found"
