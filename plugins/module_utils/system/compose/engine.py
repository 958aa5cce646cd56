# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine and Compose of the host, read-only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple, Optional

from ...core.compose.engine import security_names
from ...core.compose.overlay import DATA_VOLUME
from ...core.host.errors import NoEngine
from ...core.host.facts import Engine, Volume
from ...core.host.guard import ENGINE, ENGINE_UNIT
from ...core.layout.layouts import is_at_a_place
from ..disks.devices import maj_min_of
from ..host import durable, permit
from ..host.commands import Done, Failed, Hung, last_line, run, which
from ..move import units
from . import inside
from .remembered import answer

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
ONE_OFF_LABEL = "com.docker.compose.oneoff"
"""``True`` for a container of ``docker compose run``: ``up`` and ``down`` leave it alone."""
DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"
_SNAP = "/snap/bin/docker"
"""Outside of PATH: looked for to be named, since it can't serve."""


PATIENCE = 300.0
"""Seconds for an answer of the engine or Compose: at a boot, or on slow disks, they take minutes."""


def observe_engine() -> Engine:
    """What the engine and Compose are; ``error`` says in a few words why there is no usable one."""
    docker = which("docker") or (_SNAP if os.access(_SNAP, os.X_OK) else None)
    observed: Engine = {
        "docker": docker or "", "version": "", "platform": "",
        "endpoint": "", "root_dir": "", "security": [], "swarm": "", "compose": "",
        "compose_version": "", "error": "", "waited": False, "here": False,
        "unit": ENGINE_UNIT if units.is_there(ENGINE_UNIT) else "",
        "guard": permit.guard_here(),
    }  # fmt: skip
    try:
        if docker is None:
            observed["error"] = "the docker command is not installed"
        else:
            _ask_compose(docker, observed, _ask_engine(docker, observed))
    except Failed as error:
        observed["error"], observed["waited"] = str(error), isinstance(error, Hung)
    if observed["error"] and observed["guard"] == ENGINE:
        observed["error"] += (
            "; if agnes-host-guard holds it back, 'systemctl status agnes-host-guard' says why"
        )
    return observed


def client() -> str:
    """The docker command, where the plan has looked at the engine already. Raises NoEngine."""
    docker = which("docker")
    if docker is None:
        raise NoEngine(found="the docker command is not installed")
    return docker


def _info(docker: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, what ``docker info`` says, and its errors; an observation asks once."""
    asked = [docker, "info", "--format", "{{json .}}"]
    done = answer((docker, "info"), lambda: run(asked, codes=(), seconds=PATIENCE))
    try:
        return done.code, json.loads(done.out), done.err
    except ValueError:
        return done.code, {}, done.err


def version(docker: str) -> str:
    """The engine's own version; empty where it does not say."""
    _code, info, _errors = _info(docker)
    return str(info.get("ServerVersion") or "")


def _ask_engine(docker: str, observed: Engine) -> dict[str, Any]:
    """Fill in what the engine says; returns what the client says of itself, which older ones do not."""
    code, info, said = _info(docker)
    # Without DOCKER_HOST, which no command of ours has, the default context is this endpoint.
    observed["endpoint"] = DEFAULT_ENDPOINT
    if (info.get("ClientInfo") or {}).get("Context") != "default":
        context = ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
        observed["endpoint"] = run([docker, *context], codes=(), seconds=PATIENCE).out.strip()
    errors = info.get("ServerErrors") or []
    if code or errors or not info.get("ServerVersion"):
        reason = errors[0] if errors else last_line(said)
        observed["error"] = f"the engine does not answer ({reason})"
        return {}
    client: dict[str, Any] = info.get("ClientInfo") or {}
    # podman's answer to 'docker info' has other fields; its version says who it is.
    banner = "" if client else run([docker, "--version"], codes=(), seconds=PATIENCE).out
    observed["platform"] = "Podman" if "podman" in banner.lower() else "Docker"
    observed["version"] = str(info.get("ServerVersion") or "")
    observed["root_dir"] = str(info.get("DockerRootDir") or "")
    observed["here"] = os.path.isdir(observed["root_dir"])
    observed["security"] = security_names(info.get("SecurityOptions"))
    observed["swarm"] = str((info.get("Swarm") or {}).get("LocalNodeState") or "")
    return client


def _ask_compose(docker: str, observed: Engine, client: Mapping[str, Any]) -> None:
    for plugin in client.get("Plugins") or []:
        # The client has asked each plugin who it is: that it starts, and its version, are known.
        if plugin.get("Name") == "compose" and plugin.get("Version") and not plugin.get("Err"):
            observed["compose"] = f"{docker} compose"
            observed["compose_version"] = str(plugin["Version"]).removeprefix("v")
            return
    compose = run([docker, "compose", "version", "--short"], codes=(), seconds=PATIENCE)
    if compose.code == 0:
        observed["compose"] = f"{docker} compose"
        observed["compose_version"] = compose.out.strip()
        return
    # Version 1 is a program of its own; it is named, because it is what the host has.
    if which("docker-compose"):
        old = run(["docker-compose", "version", "--short"], codes=(), seconds=PATIENCE)
        observed["compose"], observed["compose_version"] = "docker-compose", old.out.strip()
    elif not observed["error"]:
        observed["error"] = "'docker compose' is not installed"


class Volumes(NamedTuple):
    """The volumes of an engine."""

    listed: list[dict[str, Any]]
    """What ``docker volume inspect`` says of each."""
    unknown: str
    """Why they are not known; empty when they are."""


def _listed(docker: str) -> list[str]:
    return run([docker, "volume", "ls", "--quiet"], seconds=PATIENCE).out.split()


def _volumes(docker: str) -> list[dict[str, Any]]:
    names = _listed(docker)
    if not names:
        return []
    # One that goes away in between makes inspect exit 1 and still print the others.
    text = run([docker, "volume", "inspect", *names], codes=(0, 1), seconds=PATIENCE).out
    try:
        inspected: list[dict[str, Any]] = json.loads(text or "[]")
    except ValueError as error:
        raise Failed(f"'{docker} volume inspect' printed no JSON") from error
    missing = set(names) - {str(item.get("Name")) for item in inspected}
    if missing and missing & set(_listed(docker)):
        raise Failed(f"'{docker} volume inspect' said nothing of {sorted(missing)[0]}")
    return inspected


def volumes(docker: str) -> Volumes:
    """All of them; the engine is asked once for what several decisions need."""
    try:
        return Volumes(_volumes(docker), "")
    except Failed as error:
        return Volumes([], str(error))


def data_volume(inspected: Sequence[Mapping[str, Any]], project: str) -> Volume:
    """The project's named data volume with what its driver options bind, if there is one."""
    name = f"{project}_{DATA_VOLUME}"
    for volume in inspected:
        if volume.get("Name") == name:
            options = volume.get("Options") or {}
            bind = "bind" in str(options.get("o", "")).split(",")
            return {"name": name, "bind": str(options.get("device", "")) if bind else ""}
    return {"name": "", "bind": ""}


def _up_seconds(state: dict[str, Any]) -> float:
    """For how long a container runs, by this host's clock; never negative."""
    # 2026-11-28T10:38:48.892799324Z: nanoseconds, which Python 3.9 does not read.
    text = str(state.get("StartedAt") or "").partition(".")[0].rstrip("Z")
    try:
        started = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return 0.0
    return max(0.0, time.time() - started.timestamp())


def _seen(pid: int, target: str) -> str:
    """MAJ:MIN of what a container's own processes see at a path; else why that is not known."""
    try:
        return maj_min_of(inside.look(pid, target).st_dev)
    except OSError as error:
        return f"none ({error.strerror})"


def _published(ports: Mapping[str, Any]) -> dict[str, list[str]]:
    """Port and protocol in a container -> host and port where it is published, over IPv4 if it is so."""
    published = {}
    for port, bound in ports.items():
        places = sorted(
            (":" in b.get("HostIp", ""), b.get("HostIp", ""), b["HostPort"]) for b in bound or ()
        )
        if places:
            published[port] = list(places[0][1:])
    return published


def _cut_container(inspected: dict[str, Any]) -> dict[str, Any]:
    """What is needed of ``docker inspect``; its environment holds secrets and is left out."""
    labels, state = inspected["Config"].get("Labels") or {}, inspected["State"]
    env = dict(item.partition("=")[::2] for item in inspected["Config"].get("Env") or [])
    return {
        "name": inspected["Name"].lstrip("/"),
        "service": labels.get(SERVICE_LABEL, ""),
        "one_off": labels.get(ONE_OFF_LABEL, "") == "True",
        "image": inspected["Image"],
        "status": state["Status"],
        "exit_code": state["ExitCode"],
        "restarts": inspected.get("RestartCount", 0),
        "up_seconds": _up_seconds(state) if state["Status"] == "running" else 0.0,
        "health": (state.get("Health") or {}).get("Status", ""),
        "pid": state.get("Pid", 0),
        "ports": _published((inspected.get("NetworkSettings") or {}).get("Ports") or {}),
        "paths": {key: env[key] for key in ("DATA_DIR", "STATE_DIR") if key in env},
        "mounts": [
            {
                "type": mount["Type"],
                "source": mount.get("Source", ""),
                "target": mount["Destination"],
                "volume": mount.get("Name", ""),
                "rw": mount["RW"],
                # Only where a disk may be: a path of ours is never looked up for nothing.
                "seen": _seen(state.get("Pid", 0), mount["Destination"])
                if state["Status"] == "running" and is_at_a_place(mount.get("Source", ""))
                else "",
            }
            for mount in inspected.get("Mounts") or []
        ],
    }


class Listed(NamedTuple):
    """A container of the engine, as a listing shows it."""

    container_id: str
    name: str
    state: str
    project: str
    """Of Compose; empty where it is none's."""


_LISTED = ("{{.ID}}", "{{.Names}}", "{{.State}}", f'{{{{.Label "{PROJECT_LABEL}"}}}}')


def listed(docker: str) -> list[Listed]:
    """All containers of the engine, running or not, of whatever project. Raises Failed."""
    argv = [docker, "ps", "--all", "--no-trunc", "--format", "\t".join(_LISTED)]
    done = answer(("listed", docker), lambda: run(argv, seconds=PATIENCE))
    return [Listed(*(*line.split("\t"), "", "", "")[:4]) for line in done.out.splitlines()]


def _inspected(docker: str, project: str) -> Done:
    """``docker inspect`` of the project's containers; empty where there is none. Raises Failed."""
    ids = [each.container_id for each in listed(docker) if each.project == project]
    if not ids:
        return Done(0, "", "")
    # A container that goes away in between makes inspect exit 1 and still print the others.
    done = run([docker, "inspect", *ids], codes=(0, 1), seconds=PATIENCE)
    if done.code and "no such" not in done.err.lower():
        raise Failed(f"the containers can't be looked at: {last_line(done.err)}")
    return done


def containers(docker: str, project: str) -> list[dict[str, Any]]:
    """The project's containers, running or not, sorted by name."""
    done = answer(("containers", docker, project), lambda: _inspected(docker, project))
    inspected = json.loads(done.out or "[]")
    return sorted(map(_cut_container, inspected), key=lambda item: str(item["name"]))


def endings(docker: str, project: str) -> list[dict[str, Any]]:
    """The containers of a project that have run and do not, for core/compose/stack.held_back.

    Whether somebody has stopped one is what the engine goes by at its own start, and nothing that it tells:
    its file of the container has it.
    """
    listing = [docker, "ps", "--all", "--quiet", "--no-trunc", "--filter", "status=exited"]
    ids = run(
        [*listing, "--filter", f"label={PROJECT_LABEL}={project}"], seconds=PATIENCE
    ).out.split()
    if not ids:
        return []
    root = run([docker, "info", "--format", "{{.DockerRootDir}}"], seconds=PATIENCE).out.strip()
    return [
        {
            "name": each["Name"].lstrip("/"),
            "policy": ((each["HostConfig"] or {}).get("RestartPolicy") or {}).get("Name") or "no",
            "exit_code": int(each["State"]["ExitCode"]),
            "by_hand": _stopped_by_hand(f"{root}/containers/{each['Id']}/config.v2.json"),
        }
        for each in json.loads(run([docker, "inspect", *ids], seconds=PATIENCE).out)
        if (each["Config"].get("Labels") or {}).get(ONE_OFF_LABEL) != "True"
    ]


def _stopped_by_hand(path: str) -> Optional[bool]:
    """``HasBeenManuallyStopped`` of a container's file, see moby's container.Container; None for unknown."""
    try:
        told = json.loads(durable.read_text(path) or "{}").get("HasBeenManuallyStopped")
    except (OSError, ValueError, AttributeError):
        return None
    return told if isinstance(told, bool) else None
