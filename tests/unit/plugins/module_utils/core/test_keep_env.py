# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout by the disks, whatever .env says."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import BootScriptRewrites
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tool_errors import (
    LayoutNotShown,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tools import keeps_env
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.boot import check_boot
from ansible_collections.agnes.host.plugins.module_utils.core.layout.keep_env import (
    is_kept,
    layout_shown,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .hosts import host

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
BOTH = {"disks": {"data": {"uuid": "d"}, "state": {"uuid": "s"}}}
ONE = {"disks": {"data": {"uuid": "d"}}}
DATA = {"/data": ("d", "/")}
IN_FLAT, IN_NESTED = {FLAT.state_dir: "flat"}, {NESTED.state_dir: "nested"}


def test_the_disks_and_the_marker_say_it_together() -> None:
    flat = {**DATA, FLAT.state_dir: ("s", "/")}
    assert layout_shown(BOTH, flat, IN_FLAT, ".env") is FLAT
    nested = {**DATA, NESTED.mounts["state"]: ("s", "/")}
    assert layout_shown(BOTH, nested, IN_NESTED, ".env") is NESTED
    # State in a directory of the data disk.
    assert layout_shown(ONE, DATA, IN_NESTED, ".env") is NESTED


NOT: list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = [
    (BOTH, {**DATA, FLAT.state_dir: ("", "")}, IN_FLAT),
    (BOTH, {**DATA, FLAT.state_dir: ("other", "/")}, IN_FLAT),
    (BOTH, {**DATA, FLAT.state_dir: ("s", "/sub")}, IN_FLAT),
    (BOTH, {FLAT.state_dir: ("s", "/")}, IN_FLAT),
    (BOTH, {**DATA, FLAT.state_dir: ("s", "/")}, {FLAT.state_dir: "nested"}),
    (BOTH, {**DATA, FLAT.state_dir: ("s", "/")}, {}),
    (ONE, {**DATA, FLAT.state_dir: ("s", "/")}, IN_FLAT),
    ({}, {**DATA, FLAT.state_dir: ("s", "/")}, IN_FLAT),
]


@pytest.mark.parametrize(("recorded", "shown", "markers"), NOT)
def test_whatever_is_not_proved_is_refused(
    recorded: dict[str, Any], shown: dict[str, Any], markers: dict[str, str]
) -> None:
    with pytest.raises(LayoutNotShown):
        layout_shown(recorded, shown, markers, ".env")


def test_env_says_it_by_each_key_and_the_end_of_the_chain() -> None:
    chain = f"docker-compose.yml:{NESTED.overlay}:{FLAT.overlay}"
    assert is_kept({**FLAT.env(), "COMPOSE_FILE": chain}, FLAT)
    assert is_kept({"COMPOSE_FILE": f"docker-compose.yml:{NESTED.overlay}"}, NESTED)
    for env in (
        {"COMPOSE_FILE": chain},
        FLAT.env(),
        {**FLAT.env(), "COMPOSE_FILE": f"docker-compose.yml:{NESTED.overlay}"},
        {**FLAT.env(), "COMPOSE_FILE": f"{FLAT.overlay}:{NESTED.overlay}"},
        {"STATE_DIR": FLAT.state_dir, "COMPOSE_FILE": chain},
    ):
        assert not is_kept(env, FLAT), env
    assert not is_kept({"STATE_DIR": "/srv", "COMPOSE_FILE": f"a:{NESTED.overlay}"}, NESTED)


SCRIPT = {"path": "/usr/local/sbin/agnes-startup.sh", "lines": [3]}


def test_flat_is_allowed_beside_a_boot_script_where_the_host_keeps_env() -> None:
    observed = host(boot_scripts=[SCRIPT])
    with pytest.raises(BootScriptRewrites):
        check_boot(observed, FLAT)
    plan = make_plan(observed, {"layout": "flat", "keep_env": True})
    assert (plan["refusal"], plan["keep_env"]) == ("", True)
    assert (
        "note: /usr/local/sbin/agnes-startup.sh (line 3) rewrites .env at each boot: agnes-host-env puts the "
        "keys of the layout back, and no others"
    ) in plan["sentences"]
    assert make_plan(observed, {"layout": "flat"})["code"] == "AH009"


def test_only_the_one_project_directory_is_kept() -> None:
    assert keeps_env({"keep_env": "True"}, "/opt/agnes/")
    assert not keeps_env({"keep_env": "True"}, "/srv/agnes")
    assert not keeps_env({"keep_env": False}, "/opt/agnes")
    assert not keeps_env({}, "/opt/agnes")
