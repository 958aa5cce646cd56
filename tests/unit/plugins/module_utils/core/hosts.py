# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as the observe module reports them, made small: say only what differs."""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.agnes.host.plugins.module_utils.core.compose.state_secrets import (
    GENERATED,
    IN_STATE,
    Seen,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.facts import (
    FORMAT,
    Device,
    Host,
    StatePlace,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.tools import PACKAGES

from .moving import moving_of

GIB = 1024**3


def device(path: str = "/dev/sdb", **differs: Any) -> Device:
    """A blank disk of 16 GiB."""
    made: dict[str, Any] = {
        "path": path,
        "maj_min": {"/dev/sda": "8:0", "/dev/sdb": "8:16", "/dev/sdc": "8:32"}.get(path, "8:48"),
        "kernel_name": path.rpartition("/")[2],
        "kind": "disk",
        "size": 16 * GIB,
        "read_only": False,
        "serial": None,
        "wwn": None,
        "by_path": None,
        "partitions": [],
        "holders": [],
        "signatures": [],
        "filesystem": {},
        "model": None,
        "traits": [],
        "probed": "",
        "exclusive": True,
        "zeros": True,
    }
    made.update(differs)
    return made  # type: ignore[return-value]


def ext4(path: str, uuid: str, **differs: Any) -> Device:
    """A disk with an ext4 filesystem."""
    filesystem = {"type": "ext4", "uuid": uuid, "label": ""}
    traits = {"signatures": ["ext4"], "filesystem": filesystem, "zeros": False}
    return device(path, **{**traits, **differs})


def inside(*names: str, **differs: Any) -> dict[str, Any]:
    """What is in a filesystem; ``state/x`` is a name in its directory state."""
    contents = {
        "names": [name for name in names if not name.startswith("state/")],
        "state_names": [name[6:] for name in names if name.startswith("state/")],
        "filled": [],
        "marker": {},
        "state_marker": {},
        "newest": "",
        **differs,
    }
    return {"unknown": "", "contents": contents}


def place(kind: str = "directory", **differs: Any) -> StatePlace:
    """What is at a STATE_DIR; a directory is empty and not mounted unless said."""
    made: dict[str, Any] = {
        "kind": kind,
        "target": "",
        "mounted": False,
        "names": [],
        "database": False,
        "marker": None,
    }
    made.update(differs)
    return made  # type: ignore[return-value]


STATE = ["certs", "system.duckdb"]
"""Names that a directory with state holds."""


def mount(target: str, maj_min: str, uuid: str = "", source: str = "/dev/sdX") -> dict[str, str]:
    """A mount of an ext4 filesystem."""
    return {
        "target": target,
        "source": source,
        "fstype": "ext4",
        "maj_min": maj_min,
        "uuid": uuid,
        "root": "/",
    }


def volume(**differs: Any) -> dict[str, Any]:
    """The project's data volume, with a database in it, that no container has."""
    return {
        "kind": "volume",
        "name": "agnes_data",
        "path": "/var/lib/docker/volumes/agnes_data/_data",
        "proof": ["state/system.duckdb"],
        "size": 12 << 20,
        "whole": True,
        "newest": "2026-03-01 10:00:00",
        "used_by": [],
        "unknown": "",
        **differs,
    }


def container(service: str, status: str = "running", **differs: Any) -> dict[str, Any]:
    """A container of the project as system/compose/engine.py cuts it; up for an hour where it runs."""
    return {
        "name": f"agnes-{service}-1",
        "service": service,
        "one_off": False,
        "image": "sha256:i",
        "status": status,
        "exit_code": 0,
        "restarts": 0,
        "up_seconds": 3600.0 if status == "running" else 0.0,
        "health": "",
        "pid": 0,
        "ports": {},
        "paths": {},
        "mounts": [],
        **differs,
    }


def holds(source: str, target: str = "", **differs: Any) -> dict[str, Any]:
    """A bind of a container, likewise."""
    return {
        "type": "bind", "source": source, "target": target or source, "volume": "", "rw": True,
        "seen": "", **differs,
    }  # fmt: skip


def host(**differs: Any) -> Host:
    """An untouched host: an engine, and two blank disks /dev/sdb and /dev/sdc."""
    made: dict[str, Any] = {
        "format": FORMAT,
        "boot_id": "boot-1",
        "devices": [device("/dev/sdb"), device("/dev/sdc")],
        "asked": {
            "data": {"device": "/dev/sdb", "problem": "", "maj_min": "8:16"},
            "state": {"device": "/dev/sdc", "problem": "", "maj_min": "8:32"},
        },
        "mounts": [],
        "fstab": [],
        "fstab_fixed": "",
        "env": {
            "path": "/opt/agnes/.env",
            "exists": False,
            "keys": [],
            "values": {},
            "trouble": [],
        },
        # None of them is to be taken over or made, unless a test says so.
        "certificates": certificates(),
        "keepers": {},
        "secrets": {"in_env": [*GENERATED, *IN_STATE], "in_state": {}},
        "state": {"/data/state": place("absent"), "/data-state": place("absent")},
        "mount_points": {},
        "protection": {},
        "room": {},
        "read_only": [],
        "point_trouble": {},
        "compose_files": [],
        "project": {"path": "/opt/agnes", "link": "", "name": "", "fetched": []},
        "engine": {
            "docker": "/usr/bin/docker",
            "version": "26.1.5",
            "platform": "Docker",
            "endpoint": "unix:///var/run/docker.sock",
            "root_dir": "/var/lib/docker",
            "security": ["seccomp"],
            "swarm": "inactive",
            "compose": "/usr/bin/docker compose",
            "compose_version": "2.26.1",
            "error": "",
            "waited": False,
            "unit": "docker.service",
            "guard": "off",
            "here": True,
        },
        "containers": [],
        "accounts": {"user": "", "group": ""},
        "data_volume": {"name": "", "bind": ""},
        "elsewhere": [],
        "boot_scripts": [],
        "boot_unread": {},
        "selinux_enforcing": False,
        "record": {"format": 1, "disks": {}},
        "generation": {},
        "parts": {},
        "upkeep": None,
        "tools": {name: f"/usr/bin/{name}" for name in PACKAGES},
    }
    made.update(differs)
    looked = [m["target"] for m in made["mounts"]] + [d["maj_min"] for d in made["devices"]]
    made.setdefault("inside", {key: inside() for key in looked})
    made.setdefault("moving", moving_of(made))
    services = {each["service"]: {"volumes": []} for each in made["containers"]}
    made["project"].setdefault("services", services)
    return made  # type: ignore[return-value]


def secrets(*in_env: str, **in_state: tuple[str, str, Optional[bool]]) -> dict[str, Any]:
    """Keys that .env has, and what files in STATE_DIR of flat show: found, why, same."""
    files = {
        key: Seen(path=f"/data-state/{name}", found="absent", why="", same=None)
        for key, name in IN_STATE.items()
    }
    for key, (sight, why, same) in in_state.items():
        files[key] = Seen(path=f"/data-state/{IN_STATE[key]}", found=sight, why=why, same=same)
    return {"in_env": list(in_env), "in_state": {"/data-state": files}}


def certificates(**differs: Any) -> dict[str, Any]:
    """No certificate anywhere."""
    none: dict[str, Any] = {
        "given": False, "trouble": "", "caddyfile": "absent", "rotated": False, "placed": {},
    }  # fmt: skip
    return {**none, **differs}


def env(**values: str) -> dict[str, Any]:
    """A .env that exists."""
    return {
        "path": "/opt/agnes/.env", "exists": True, "keys": sorted(values), "values": values,
        "trouble": [],
    }  # fmt: skip


def nested_host(**differs: Any) -> Host:
    """A host in layout nested, as its boot left it, both disks mounted."""
    return host(
        **{
            "devices": [ext4("/dev/sdb", "u-data"), ext4("/dev/sdc", "u-state")],
            "mounts": [mount("/data", "8:16", "u-data"), mount("/data/state", "8:32", "u-state")],
            "env": env(),
            "state": {
                "/data/state": place(mounted=True, names=STATE, database=True),
                "/data-state": place("absent"),
            },
            **differs,
        }
    )


def flat_host(**differs: Any) -> Host:
    """A host in layout flat, both disks mounted."""
    return host(
        **{
            "devices": [ext4("/dev/sdb", "u-data"), ext4("/dev/sdc", "u-state")],
            "mounts": [mount("/data", "8:16", "u-data"), mount("/data-state", "8:32", "u-state")],
            "env": env(STATE_DIR="/data-state"),
            "state": {
                "/data/state": place("link", target="/data-state"),
                "/data-state": place(mounted=True, names=STATE, database=True),
            },
            **differs,
        }
    )


def blank_disk_host(**differs: Any) -> Host:
    """The same, and the blank disk that is asked for is there."""
    return one_disk_host(
        **{
            "devices": [ext4("/dev/sdb", "u-data"), device("/dev/sdc", serial="S1")],
            "asked": {
                "data": {"device": "/dev/sdb", "problem": "", "maj_min": "8:16"},
                "state": {"device": "/dev/sdc", "problem": "", "maj_min": "8:32"},
            },
            **differs,
        }
    )


def one_disk_host(**differs: Any) -> Host:
    """A host of today with one disk: state is a plain directory of the data disk."""
    return host(
        **{
            "devices": [ext4("/dev/sdb", "u-data")],
            "asked": {
                "data": {"device": "/dev/sdb", "problem": "", "maj_min": "8:16"},
                "state": {"device": "/dev/sdc", "problem": "does not exist", "maj_min": ""},
            },
            "mounts": [mount("/data", "8:16", "u-data")],
            "env": env(DATA_DIR="/data"),
            "state": {
                "/data/state": place(names=STATE, database=True),
                "/data-state": place("absent"),
            },
            **differs,
        }
    )
