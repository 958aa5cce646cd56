# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine and Compose of the host, read-only."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from ..core.facts import Engine
from .commands import Failed, last_line, run

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"


def project_name(project_dir: str) -> str:
    """Compose's name for the project: the product hard-codes ``agnes``, from /opt/agnes."""
    return os.path.basename(project_dir.rstrip("/"))


def observe_engine() -> Engine:
    """Paths and versions; ``error`` says in a few words why there is no usable engine."""
    docker = shutil.which("docker")
    found: Engine = {
        "docker": docker or "", "version": "", "compose": "", "compose_version": "", "error": "",
    }  # fmt: skip
    if docker is None:
        found["error"] = "the docker command is not installed"
        return found
    try:
        answer = run([docker, "version", "--format", "{{.Server.Version}}"], codes=(), seconds=30)
        if answer.code:
            found["error"] = f"the engine does not answer ({last_line(answer.err)})"
            return found
        found["version"] = answer.out.strip()
        compose = run([docker, "compose", "version", "--short"], codes=(), seconds=30)
    except Failed as error:
        found["error"] = str(error)
        return found
    if compose.code:
        found["error"] = "'docker compose' is not installed"
        return found
    found["compose"] = f"{docker} compose"
    found["compose_version"] = compose.out.strip()
    return found


def _cut_container(inspected: dict[str, Any]) -> dict[str, Any]:
    """What is needed of ``docker inspect``; its environment holds secrets and is left out."""
    labels, state = inspected["Config"].get("Labels") or {}, inspected["State"]
    env = dict(item.partition("=")[::2] for item in inspected["Config"].get("Env") or [])
    return {
        "name": inspected["Name"].lstrip("/"),
        "service": labels.get(SERVICE_LABEL, ""),
        "image": inspected["Image"],
        "status": state["Status"],
        "exit_code": state["ExitCode"],
        "restarts": inspected.get("RestartCount", 0),
        "health": (state.get("Health") or {}).get("Status", ""),
        "pid": state.get("Pid", 0),
        "paths": {key: env[key] for key in ("DATA_DIR", "STATE_DIR") if key in env},
        "mounts": [
            {
                "type": mount["Type"],
                "source": mount.get("Source", ""),
                "target": mount["Destination"],
                "volume": mount.get("Name", ""),
                "rw": mount["RW"],
            }
            for mount in inspected.get("Mounts") or []
        ],
    }


def containers(docker: str, project: str) -> list[dict[str, Any]]:
    """The project's containers, running or not, sorted by name."""
    listing = [docker, "ps", "--all", "--quiet", "--filter", f"label={PROJECT_LABEL}={project}"]
    ids = run(listing).out.split()
    if not ids:
        return []
    # A container that goes away in between makes inspect exit 1 and still print the others.
    inspected = json.loads(run([docker, "inspect", *ids], codes=(0, 1)).out or "[]")
    return sorted(map(_cut_container, inspected), key=lambda item: str(item["name"]))
