# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that makes a plan reads each part of what it is handed once."""

from __future__ import annotations

from typing import Any

from ansible_collections.agnes.host.plugins.filter.host import plan
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.tests.unit.plugins.module_utils.core.hosts import nested_host


class Handed(dict[str, Any]):
    """A part of what Ansible hands to a filter, where each access costs: here it is read as a whole only."""

    def __getitem__(self, key: str) -> Any:
        raise AssertionError(f"'{key}' is looked up, which is done again for each that asks")


def handed(value: Any) -> Any:
    if isinstance(value, dict):
        return Handed({key: handed(each) for key, each in value.items()})
    return [handed(each) for each in value] if isinstance(value, list) else value


def test_a_plan_is_made_from_what_was_read_once() -> None:
    request = {"layout": "nested", "host": "agnes1", "profiles": []}
    wanted = make_plan(nested_host(), request)
    assert wanted["refusal"] == ""
    assert plan(handed(nested_host()), handed(request)) == wanted
    assert plan(handed(nested_host()), handed(request), layout="flat")["move"]["target"] == "flat"
