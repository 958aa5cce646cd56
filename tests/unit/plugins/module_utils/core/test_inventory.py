# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an inventory is a mistake, and what is not ours."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.inventory import (
    misspelt,
    problems,
)

from .fleet_refusals import KNOWN, ONE, PREFIXES, said

NAMES: list[tuple[str, Optional[str]]] = [
    ("state_layout_wanted", None),
    ("state_layuot_wanted", "state_layout_wanted"),
    ("statelayout_wanted", "state_layout_wanted"),
    ("state_layout_wnated", "state_layout_wanted"),
    ("agnes_deploymnet", "agnes_deployment"),
    ("disks_adopted", "disks_adopt"),
    ("disks_nothing_like_it", ""),
    # What the roles leave.
    ("disks_plan", None),
    ("__disks_plan", None),
    # The names of others.
    ("vault_state_layout_wanted", None),
    ("my_disks_adopt", None),
    ("lab_disks", None),
    ("inventory_hostname", None),
    ("ansible_host", None),
]


@pytest.mark.parametrize(("name", "near"), NAMES)
def test_a_name_is_misspelt_if_it_is_ours_and_unknown(name: str, near: Optional[str]) -> None:
    assert misspelt(name, KNOWN, PREFIXES) == near


GOOD: list[dict[str, dict[str, Any]]] = [
    {},
    {"a1": said(deployment="", groups=["agnes"])},
    {"a1": said("disks_adopt", "disks_plan", canary=True), "a2": said()},
    {"a1": said(canary=True), "g1": said(deployment="globex", groups=["globex"], canary=True)},
    {"a1": said(devices={"disks_data_device": "/dev/sdb", "disks_state_device": ""})},
    # Not resolved yet: the roles will say so.
    {"a1": said(devices={"disks_data_device": "", "disks_state_device": ""})},
]


@pytest.mark.parametrize("hosts", GOOD)
def test_an_inventory_that_can_be_meant_has_no_problems(hosts: dict[str, dict[str, Any]]) -> None:
    assert problems(hosts, KNOWN, PREFIXES) == []


def test_each_kind_of_mistake_is_said_at_once() -> None:
    hosts = {
        "a1": said("state_layuot_wanted", canary=True, devices=ONE),
        "a2": said(canary=True, deployment="amce"),
        "a3": said(canary=True, deployment="amce"),
    }
    mistakes = problems(hosts, KNOWN, PREFIXES)
    assert [sentence[:5] for sentence in mistakes] == ["AH200", "AH201", "AH202", "AH203"]
