# SPDX-License-Identifier: GPL-3.0-or-later
"""Caddy: looked for, and seen to serve the certificate in STATE_DIR."""

from __future__ import annotations

from typing import Any

from ..core.compose.project import PRODUCT_NAME
from ..core.layout import dotenv
from ..core.layout.layouts import LAYOUTS
from ..system.compose import caddy, engine
from ..system.host.actions import Actions
from ..system.layout import dotenv_file


def served(params: dict[str, Any], actions: Actions) -> str:
    """Look for Caddy, and let it be looked at unless it is about to be started anew."""
    layout, project_dir = LAYOUTS[params["layout"]], params["project_dir"]
    docker = engine.client()
    running = engine.containers(docker, PRODUCT_NAME)
    container = caddy.find(running, layout)
    announced = {str(action["what"]) for action in params["announced"]} if actions.check else set()
    if container is None or f"service {container['service']}" in announced:
        return ""
    env = dotenv.read(dotenv_file.read(project_dir) or "")
    given = params["certificate"] if actions.check else ""
    moves = actions.check and params["moves"]
    return caddy.keep_served(
        docker, container, layout, env, project_dir, given, announced, actions, moves
    )


def run(params: dict[str, Any], actions: Actions) -> dict[str, Any]:
    """The whole part. params: options of M(agnes.host.caddy)."""
    return {"certificate": served(params, actions)}
