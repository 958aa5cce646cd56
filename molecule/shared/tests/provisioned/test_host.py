# SPDX-License-Identifier: GPL-3.0-or-later
"""A provisioned host, seen from outside its containers."""

from __future__ import annotations

import json
import re
from typing import Any

from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import (
    DEFAULT_LAYOUT,
    LAYOUTS,
    Layout,
    resolve_state_dir,
)

SIX = {"app", "extract", "scheduler", "telegram-bot", "ws-gateway", "caddy"}


def env_of(seen: dict[str, Any]) -> dict[str, str]:
    text = seen["texts"]["/opt/agnes/.env"]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Z_]+=\S*", line) for line in lines)
    keys = [line.split("=")[0] for line in lines]
    assert len(keys) == len(set(keys))
    return dict(line.split("=", 1) for line in lines)


def test_the_tree_has_its_owners_modes_marker_and_links(
    seen: dict[str, Any], layout: Layout
) -> None:
    paths = seen["paths"]
    for path in ("/data", "/data/analytics", "/data/extracts", "/data/uploads", "/data/tmp"):
        assert (paths[path]["uid"], paths[path]["gid"]) == (999, 999), path
    assert paths[layout.state_dir]["uid"] == 999
    assert paths[f"{layout.state_dir}/certs"]["mode"] == 0o700
    assert paths[f"{layout.state_dir}/certs/privkey.pem"]["mode"] == 0o600
    marker = json.loads(seen["texts"][f"{layout.state_dir}/.agnes-state.json"])
    assert marker["format"] == 1
    assert marker["layout"] == layout.name
    assert marker["instance_id"]
    for path, target in layout.links.items():
        assert paths[path]["link"] == target


def test_env_says_where_state_is_and_is_private(seen: dict[str, Any], layout: Layout) -> None:
    assert seen["paths"]["/opt/agnes/.env"]["mode"] == 0o600
    env = env_of(seen)
    assert resolve_state_dir(env) == layout.state_dir
    for key in ("JWT_SECRET_KEY", "SESSION_SECRET", "SCHEDULER_API_TOKEN"):
        assert re.fullmatch(r"[A-Za-z0-9_-]{32,}", env[key])


def test_the_layouts_overlay_is_the_last_of_the_chain(seen: dict[str, Any], layout: Layout) -> None:
    """Before it may be that of the default layout, which the product's own upgrade puts into each chain."""
    chain = env_of(seen)["COMPOSE_FILE"].split(":")
    overlays = [name for name in chain if name in {x.overlay for x in LAYOUTS.values()}]
    assert overlays in ([layout.overlay], [LAYOUTS[DEFAULT_LAYOUT].overlay, layout.overlay])
    assert chain[:2] == ["docker-compose.yml", "docker-compose.prod.yml"]


def test_compose_resolves_to_the_six_services_on_the_right_disks(
    seen: dict[str, Any], layout: Layout
) -> None:
    services = seen["services"]
    assert set(services) == SIX
    binds = {
        name: {
            (v["source"], v["target"], bool(v.get("read_only")))
            for v in service["volumes"]
            if v["type"] == "bind"
        }
        for name, service in services.items()
    }
    disks = {("/data", "/data", False)}
    if layout.needs_state_disk:
        disks.add((layout.state_dir, layout.state_dir, False))
    config = ("/opt/agnes/config", "/app/config", True)
    for name in ("app", "extract", "scheduler"):
        assert binds[name] == disks | {config}, name
    for name in ("telegram-bot", "ws-gateway"):
        assert binds[name] == disks, name
    assert (f"{layout.state_dir}/certs", "/certs", True) in binds["caddy"]


def test_explain_is_there_from_the_first_run_on(host: Any) -> None:
    lines = host.check_output("agnes-host explain").splitlines()
    assert lines[-1] == "next       nothing is to be done", lines
    assert not [line for line in lines if line.startswith("MISSING")]


def test_a_run_without_a_layout_changes_nothing_and_leaves_no_stage(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    bare = {key: value for key, value in facts.items() if key != "layout"}
    done = play(f"{name}-bare", {name: bare})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} .*changed=0 .*failed=0", done.stdout, re.M), done.stdout
    # A stage lives in a mount namespace of its own; only a move makes the directory.
    assert host.run("find /run/agnes-host -mindepth 1").stdout == ""
