# SPDX-License-Identifier: GPL-3.0-or-later
"""Observing a host: everything that decisions need, in one value. Read-only."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Optional, cast

from ...core.compose.project import PRODUCT_NAME, left_to_upgrade
from ...core.disks import fstab
from ...core.disks.mounts import Mount, at_state, on_top
from ...core.host.errors import ComposeInvalid
from ...core.host.facts import FORMAT, Accounts, Device, Env, Host, Project, StatePlace
from ...core.host.host_errors import NotRoot
from ...core.host.text import clean
from ...core.host.tools import ALWAYS, PACKAGES, check_tools
from ...core.layout import dotenv
from ...core.layout.layouts import DISKS, mount_points, state_dirs
from ...core.layout.tree import AGNES_UID
from ..compose import certificates, compose, engine
from ..disks import devices, elsewhere, evidence, fstab_file, growing, protection
from ..layout import boot, dotenv_file, generations, markers, state_secrets
from ..layout.trees import kind_of, looking
from ..move import moving
from . import durable, keepers, listing, record
from .commands import which

_LOST_AND_FOUND = "lost+found"
_NAMES_SHOWN = 20
_ENFORCE = "/sys/fs/selinux/enforce"
_ENV_KEYS_ONCE = ("DATA_DIR", "STATE_DIR", "COMPOSE_FILE")


def _listing(path: str) -> list[str]:
    """Some of the names in a directory; none where there is no directory."""
    with looking(path):
        names = [name for name in os.listdir(path) if name != _LOST_AND_FOUND]
        return sorted(names)[:_NAMES_SHOWN]
    return []


def _compose_files(project_dir: str) -> list[str]:
    return sorted(name for name in listing.names(project_dir) if name.endswith((".yml", ".yaml")))


def state_place(path: str, mounts: list[Mount]) -> StatePlace:
    """What is at ``path``; a link there is reported and not followed."""
    place: StatePlace = {
        "kind": "absent", "target": "", "mounted": False, "names": [], "database": False, "marker": None,
    }  # fmt: skip
    info = None
    with looking(path):
        info = os.lstat(path)
    if info is None:
        return place
    place["kind"] = kind_of(info)
    if place["kind"] == "link":
        place["target"] = os.readlink(path)
    elif place["kind"] == "directory":
        place["mounted"] = any(mount["target"] == path for mount in mounts)
        place["names"] = _listing(path)
        with looking(path):
            place["database"] = bool(os.lstat(os.path.join(path, "system.duckdb")))
        place["marker"] = markers.seen(path)
    return place


def env_of(path: str, text: Optional[str]) -> Env:
    """The project's .env without its secrets. text: None where there is none."""
    values = dotenv.read(text or "")
    return {
        "path": path,
        "exists": text is not None,
        "keys": sorted(values),
        "values": dotenv.plain(values),
        "trouble": [list(item) for item in dotenv.trouble(text or "", _ENV_KEYS_ONCE)],
    }


def accounts() -> Accounts:
    """Who has the product's uid and gid here."""
    try:
        user = pwd.getpwuid(AGNES_UID).pw_name
    except KeyError:
        user = ""
    try:
        group = grp.getgrgid(AGNES_UID).gr_name
    except KeyError:
        group = ""
    return {"user": user, "group": group}


def selinux_enforcing() -> bool:
    """Whether the kernel enforces SELinux."""
    with looking(_ENFORCE), open(_ENFORCE, encoding="ascii") as file:
        return file.read().strip() == "1"
    return False


def user_name(uid: int) -> str:
    """The name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def check_root(uid: int) -> None:
    """Raise NotRoot for any other user: whoever can't look must not say what is there."""
    if uid:
        raise NotRoot(user=user_name(uid))


def fstab_lines(text: str, known: list[Device]) -> list[dict[str, Any]]:
    """The entries of fstab, without their options: that of a network share may be its password."""
    return [
        {
            "line": entry.line, "spec": entry.spec, "mount_point": entry.mount_point,
            "fstype": entry.fstype, "maj_min": devices.resolve(entry.spec, known)["maj_min"],
        }
        for entry in fstab.entries(text)
    ]  # fmt: skip


def observe_project(project_dir: str, docker: str, env: Mapping[str, str]) -> Project:
    """The project's directory, and its name as Compose has it. env: the keys of ``.env``.

    Where there is nothing yet to resolve it is what .env names, or empty. A chain that Compose
    rejects is told of where the project is put together, on its stage.
    """
    path = project_dir.rstrip("/")
    project: Project = {"path": path, "link": "", "name": "", "services": None, "fetched": []}
    if os.path.islink(path):
        project["link"] = os.path.realpath(path)
        return project
    project["name"] = env.get("COMPOSE_PROJECT_NAME", "")
    present = listing.names(path)
    project["fetched"] = sorted(left_to_upgrade(present, present))
    if docker and _compose_files(path):
        with suppress(ComposeInvalid):
            project["name"], config = compose.Compose(docker, path).described()
            project["services"] = config["services"]
    return project


def point_trouble(point: str) -> str:
    """Why a path could not become a mount point; empty when it could. Links are not followed."""
    path = "/"
    for name in point.strip("/").split("/"):
        above, path = path, os.path.join(path, name)
        info = durable.read_stat(path)
        if info is None:
            if os.statvfs(above).f_flag & os.ST_RDONLY:
                return f"'{path}' is not there and '{above}' is on a read-only filesystem"
            return ""
        if stat.S_ISLNK(info.st_mode):
            return f"'{path}' is a link to '{os.readlink(path)}'"
        if not stat.S_ISDIR(info.st_mode):
            return f"'{path}' is no directory"
    return ""


def _uuids(recorded: dict[str, Any]) -> set[str]:
    """The UUIDs of the filesystems that are this host's own."""
    disks = recorded.get("disks")
    known = disks.values() if isinstance(disks, dict) else ()
    return {str(disk.get("uuid")) for disk in known if isinstance(disk, dict) and disk.get("uuid")}


def observe(
    data_device: str,
    state_device: str,
    project_dir: str,
    certificate: str = "",
    private_key: str = "",
) -> Host:
    """Everything that decisions need of this host. Raises NotRoot and ToolMissing first of all.

    certificate, private_key: the pair of the inventory as PEM texts, which is judged only.
    """
    check_root(os.geteuid())
    tools = {name: which(name) or "" for name in PACKAGES}
    check_tools(tools, ALWAYS)
    known = devices.devices()
    names = zip(DISKS, (data_device, state_device))
    asked = {role: devices.resolve(named, known) for role, named in names}
    devices.prove_blank(known, asked)
    all_mounts = devices.mounts(known)
    mounts = on_top(all_mounts)
    read = moving.files_of(project_dir)
    recorded, env = dict(read.record), dotenv.read(read.env or "")
    targets = {mount["target"] for mount in mounts}
    points = mount_points()
    observed_engine, project = engine.observe_engine(), PRODUCT_NAME
    unread: dict[str, str] = {}
    docker = "" if observed_engine["error"] else observed_engine["docker"]
    # State in a directory is only added up where a disk is there to copy it to; one that is on a
    # disk may be copied the other way.
    measured = bool(asked["state"]["maj_min"]) or bool(targets & set(state_dirs()))
    containers = engine.containers(docker, project) if docker else []
    volumes = engine.volumes(docker) if docker else engine.Volumes([], "")
    moves = moving.observe(project_dir, env, all_mounts, docker, project, measured)
    at_places = at_state(all_mounts)
    moves["shadows"] = evidence.shadows(at_places, moves["unmounted"], docker, containers)
    observed: Host = {
        "format": FORMAT,
        "boot_id": record.boot_id(),
        "devices": known,
        "asked": asked,
        "mounts": all_mounts,
        "inside": devices.look_inside(known, mounts, asked, points, _uuids(recorded)),
        "fstab": fstab_lines(read.fstab, known),
        "fstab_fixed": fstab_file.fixed(),
        "env": env_of(dotenv_file.path_in(project_dir), read.env),
        "secrets": state_secrets.observe(env),
        "certificates": certificates.observe(project_dir, env, certificate, private_key),
        "keepers": keepers.observe(),
        "state": {path: state_place(path, mounts) for path in state_dirs()},
        "mount_points": {point: _listing(point) for point in sorted(points - targets)},
        "protection": {point: protection.look(point) for point in sorted(points & targets)},
        "room": {m["target"]: growing.size_of(m) for m in mounts if m["target"] in points},
        "read_only": sorted(p for p in points & targets if protection.is_read_only(p)),
        "point_trouble": {p: t for p in sorted(points - targets) if (t := point_trouble(p))},
        "compose_files": _compose_files(project_dir),
        "project": observe_project(project_dir, docker, env),
        "engine": observed_engine,
        "containers": containers,
        "accounts": accounts(),
        "data_volume": engine.data_volume(volumes.listed, project),
        "elsewhere": elsewhere.look(volumes, project, containers, project_dir) if docker else [],
        "boot_scripts": boot.boot_scripts(project_dir, unread),
        "boot_unread": unread,
        "selinux_enforcing": selinux_enforcing(),
        "record": recorded,
        "generation": generations.read(),
        "moving": moves,
        "parts": {},
        "upkeep": None,
        "tools": tools,
    }
    # Here, and not only on the way out: the runner of a move compares it with what a plan has.
    return cast(Host, clean(observed))
