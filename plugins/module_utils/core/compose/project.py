# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the Compose project before it is resolved: its name, and what may be in it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from ..host.errors import PathOfOurs, ProjectLink, ProjectName
from ..host.facts import Host
from ..layout.layouts import is_below
from .chain import RESOLVED

PRODUCT_NAME = "agnes"
"""The name of the project: the product's scripts have it in the names of containers and networks."""
APP = "app"
"""The product's service that has the database open."""

OURS = "/run/agnes-host"
"""The collection's own directory for what lives until the next boot: nothing of the project is there."""


UPGRADED = ".agnes-config-applied"
"""What the product's own upgrade leaves in the project directory when it has fetched files."""

_FETCHED = (
    "docker-compose.yml", "docker-compose.prod.yml", "docker-compose.host-mount.yml",
    "docker-compose.postgres.yml", "docker-compose.postgres-host-mount.yml",
    "docker-compose.tls.yml", "docker-compose.gcp-logging.yml", "Caddyfile",
    "static/maintenance.html", "scripts/ops/agnes-compose-file.sh",
)  # fmt: skip
"""What it fetches, every few minutes."""

_COMPOSE_FILE = re.compile(r"(docker-)?compose(\.[^/]+)?\.ya?ml")


def compose_files(names: Collection[str]) -> set[str]:
    """Those of ``names`` that are compose files."""
    return {name for name in names if _COMPOSE_FILE.fullmatch(name)}


def to_place(contents: Mapping[str, bytes], chain: Collection[str]) -> set[str]:
    """Which of the product's files belong into the project directory, by name.

    Of the compose files those that the chain names, those that the product's resolver may come to
    name, and those that one of them names in turn (``extends``, ``include``). Others, Compose or the
    product's scripts may take for switched on when they are there.
    """
    compose = compose_files(contents)
    named, reached = compose & {*chain, *RESOLVED}, set[str]()
    while named:
        reached |= named
        text = b"\n".join(re.sub(rb"(?m)(^|\s)#.*$", b"", contents[name]) for name in named)
        named = {name for name in compose - reached if name.encode() in text}
    return reached | (contents.keys() - compose)


def left_to_upgrade(names: Collection[str], present: Collection[str]) -> set[str]:
    """The files that the product's own upgrade keeps on this host: it would fetch them again.

    names: the files to be placed; present: what the project directory has, by name.
    """
    return set(names) & set(_FETCHED) & set(present) if UPGRADED in present else set()


def check_name(name: str, directory: str) -> None:
    """Raise ProjectName unless Compose names the project as the product's scripts do.

    name: the ``name`` of the resolved configuration.
    """
    if name != PRODUCT_NAME:
        raise ProjectName(project=directory, found=name, wanted=PRODUCT_NAME)


def check_project(host: Host) -> None:
    """Raise ProjectLink or ProjectName for what is known of the project before a disk is touched."""
    project = host["project"]
    if project["link"]:
        raise ProjectLink(path=project["path"], found=project["link"])
    if project["name"]:
        check_name(project["name"], project["path"])


def check_sources(config: Mapping[str, Any]) -> None:
    """Raise PathOfOurs where a service of a cut configuration mounts a path of the collection's own."""
    for name, service in config["services"].items():
        for mount in service["volumes"]:
            source = str(mount.get("source") or "")
            if mount["type"] == "bind" and is_below(source, OURS):
                raise PathOfOurs(service=name, found=source)
    for name, volume in config["volumes"].items():
        device = str(volume["driver_opts"].get("device") or "")
        if device.startswith("/") and is_below(device, OURS):
            raise PathOfOurs(service=f"volume {name}", found=device)


def digest(config: Mapping[str, Any]) -> str:
    """A hash over a cut configuration: equal where Compose would mount and start the same."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
