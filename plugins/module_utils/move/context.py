# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of a move work with: its intent, the host as it is now, the compose project."""

from __future__ import annotations

import hashlib
import os
import time
import uuid as uuids
from collections import Counter
from collections.abc import Callable
from typing import Any, Optional

from ..core import switch
from ..core.layouts import LAYOUTS, Layout
from ..core.move_errors import MoveDiskAway
from ..core.move_status import (
    COPY,
    COPY_BACK,
    COPYING,
    PROMOTE,
    REMOUNT,
    MoveStatus,
    Moving,
    uuid_after,
)
from ..core.move_steps import COMMIT, ELSEWHERE, order
from ..core.plan_facts import hash_of
from ..core.presence import away, must_show
from ..core.switch import switched_env
from ..system import (
    devices,
    durable,
    filesystems,
    fstab_file,
    ledger,
    markers,
    moving,
    record,
)
from ..system.commands import Failed, passed, run, which
from ..system.copying import Known
from ..system.moving import Held
from .project import Project

DATABASE_SERVICE = "app"
"""The service whose image opens the database."""

FORWARD, BACK = "forward", "back"


class MoveContext:
    """One move on this host. ``intent`` is what the intent holds, and outlives the process."""

    def __init__(self, intent: dict[str, Any]) -> None:
        self.intent = intent
        self.source: Layout = LAYOUTS[intent["source"]]
        self.target: Layout = LAYOUTS[intent["target"]]
        self.project = Project(docker_path(), intent["project_dir"])
        self.env_path = os.path.join(intent["project_dir"], ".env")
        self.env_before: str = ""
        self.fresh: set[str] = set()
        self.entries = 0
        """In the source, as the rounds before the stop have found: see system/copying.py."""
        self.known: Optional[Known] = None
        """What was read of both before the stop, likewise."""
        self.say: Callable[[str], None] = lambda _text: None
        self.down_at = 0.0
        self.down_seconds = 0.0

    @property
    def id(self) -> str:
        """The move's id."""
        return str(self.intent["id"])

    @property
    def name_aside(self) -> str:
        """The name under which what the move takes out of its place is kept."""
        return f"{self.id[:8]}-state"

    @property
    def wanted(self) -> list[str]:
        """The services that ran when the move began."""
        return list(self.intent["services"])

    def look(self, containers: bool = True) -> MoveStatus:
        """The status as it is now; without ``containers`` those are not asked for, and none is known."""
        # One-off containers are no part of what is stopped and started.
        found = [each for each in self.project.listing() if not each.one_off] if containers else []
        return MoveStatus(
            self.source, self.target, self.intent["uuid"],
            moving.look(self.intent["project_dir"]), self.id,
            services=frozenset(item.service for item in found),
            present=frozenset(item.name for item in found),
            wanted=frozenset(self.wanted), fresh=frozenset(self.fresh),
            kind=str(self.intent.get("kind") or REMOUNT), disk=self.intent.get("disk") or {},
            authority=str(self.intent.get("authority") or ""),
        )  # fmt: skip

    @property
    def copy_uuid(self) -> str:
        """UUID of the filesystem that state is on after the move."""
        intent = self.intent
        return uuid_after(str(intent.get("kind")), intent["uuid"], intent.get("disk") or {})

    def uuid_before(self) -> str:
        """UUID of the filesystem that state is on while the move is not committed."""
        kind, uuid = self.intent.get("kind"), str(self.intent["uuid"])
        covered = kind == PROMOTE and moving.mount_at(self.source.mounts["state"])[1] == uuid
        beneath = kind in (COPY, PROMOTE) and not covered
        return str(self.intent["data_uuid"]) if beneath else uuid

    def device(self) -> str:
        """MAJ:MIN of the state disk, from where it is mounted; empty when it is not."""
        for point in moving.points():
            if point["uuid"] == self.intent["uuid"] and point["root"] == "/":
                return point["maj_min"]
        return ""

    def held(self) -> Held:
        """What must be this move's alone: the state disk, or state's directory of the data disk."""
        if self.intent.get("kind") not in (COPY, PROMOTE):
            device = self.device()
            if not device:
                uuid = self.intent["uuid"]
                raise MoveDiskAway(path=self.source.state_dir, uuid=uuid, found="no state disk")
            return Held(device)
        data, path = self.source.mounts["data"], self.source.state_dir
        device, uuid, root = moving.mount_at(data)
        if not device or uuid != self.intent["data_uuid"]:
            raise away(data, self.intent["data_uuid"], uuid)
        inside = os.path.normpath(os.path.join(root, os.path.relpath(path, data)))
        return Held(device, path, inside)

    def all_held(self) -> list[Held]:
        """The same, and the other one of two copies: the directory beneath the mount, or the disk."""
        if self.intent.get("kind") == PROMOTE:
            uuid = self.intent["uuid"]
            disks = [d for d in devices.devices() if d["filesystem"].get("uuid") == uuid]
            return [self.held(), *(Held(disk["maj_min"]) for disk in disks)]
        if not self.intent.get("authority"):
            return [self.held()]
        return [self.held(), moving.held_directory(self.source.mounts["state"])]

    def save(self) -> None:
        """Write the intent down, durably."""
        ledger.write(ledger.INTENT, self.intent)

    def env_after(self, text: str) -> str:
        """``.env`` of the target, made from that of the source, with the chain that was proved."""
        return switched_env(text, self.source, self.target, self.intent["chain"])

    def files_hash(self, env_text: str) -> str:
        """A hash over ``.env`` and all compose files, of the chain and beside them."""
        directory = self.intent["project_dir"]
        beside = [name for name in os.listdir(directory) if name.endswith((".yml", ".yaml"))]
        found = hashlib.sha256(env_text.encode("utf-8", "surrogateescape"))
        for name in sorted({*beside, *self.intent["chain"]}):
            try:
                with open(os.path.join(directory, name), "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            except OSError as error:
                content = str(error.strerror)
            found.update(f"{name} {content}\n".encode("utf-8", "surrogateescape"))
        return found.hexdigest()

    def read_env(self) -> str:
        """``.env`` as it is."""
        text = durable.read_text(self.env_path)
        if text is None:
            raise Failed(f"'{self.env_path}' is not there")
        return text

    def settle_env(self) -> None:
        """Write ``.env`` anew as it reads, so that a boot shows what it says now.

        An error of a flush is told once only: another flush of the same file would succeed without
        having written anything. A file that can't be replaced has not been replaced before either.
        """
        before = os.lstat(self.env_path)
        try:
            durable.write(self.env_path, self.read_env())
        except OSError:
            if not os.path.samestat(before, os.lstat(self.env_path)):
                raise
            durable.fsync_directory(self.intent["project_dir"])

    def check_data_disk(self) -> None:
        """Raise MoveDiskAway where the data disk is gone that was there when the move began."""
        data, uuid = self.source.mounts["data"], self.intent.get("data_uuid")
        found = moving.mount_at(data)[1] if uuid else uuid
        if found != uuid:
            raise away(data, str(uuid), str(found))

    def check_disks(self, status: MoveStatus, step: str) -> None:
        """Raise MoveDiskAway unless both disks are where ``step`` takes them to be, before it writes there."""
        if step in ELSEWHERE:
            return
        self.check_data_disk()
        steps = [name for name, _phase in order(status.source, status.target, status.kind)]
        if status.committed and steps.index(step) < steps.index(COMMIT):
            # It makes ready what the commit has been for, and may be what brings the disk there.
            return
        for path, uuid in must_show(status, "").items():
            if not status.mounted(path):
                raise away(path, uuid, moving.mount_at(path)[1])

    @property
    def was_started(self) -> bool:
        """Whether the move has started the stack again since this boot."""
        return self.intent.get("started") == record.boot_id()

    def went_down(self) -> None:
        """The stack is about to stop."""
        self.down_at = time.monotonic()

    def came_up(self) -> None:
        """The stack has been started."""
        if self.down_at:
            self.down_seconds = round(time.monotonic() - self.down_at, 3)


def docker_path() -> str:
    """The client; raises Failed when there is none."""
    docker = which("docker")
    if docker is None:
        raise Failed("the docker command is not installed")
    return docker


def _needs_all(project: Project, services: set[str]) -> bool:
    """Whether all that the services depend on is among them."""
    needed = [item.needs for item in project.listing() if item.service in services]
    return set().union(*needed) <= services


def _image_of(docker: str, project: Project) -> str:
    """The image with which the product opens its database, by id; empty when no container tells it."""
    names = [item.name for item in project.listing() if item.service == DATABASE_SERVICE]
    if not names:
        return ""
    return run([docker, "inspect", "--format", "{{.Image}}", names[0]]).out.strip()


def _copy_part(request: dict[str, Any], project: Project, intent: dict[str, Any]) -> dict[str, Any]:
    """What the intent of a copy has beside that of every move."""
    kind = request.get("kind") or REMOUNT
    if kind not in COPYING:
        return {"kind": kind, "uuid": request["uuid"]}
    source = LAYOUTS[request["source"]]
    old, path = source.mounts["state"], source.state_dir
    if kind == PROMOTE and moving.mount_at(old)[1] != request["uuid"]:
        # A move that has gone back since this one was planned has left a directory, and a disk to copy to.
        kind = COPY
    marker, beneath = moving.marker(path), moving.bare_marker(path)
    part = {
        "kind": kind,
        "old_line": switch.line_at(fstab_file.read(filesystems.FSTAB), old),
        "epoch": max(markers.epoch(each) for each in (marker, beneath)),
        "disk": request["disk"],
        "source_instance": str((beneath if kind == PROMOTE else marker).get("instance_id") or ""),
        "image": _image_of(project.docker, project) or str(intent.get("image") or ""),
    }
    if kind == COPY_BACK:
        return {**part, "uuid": request["uuid"]}
    return {
        **part,
        # Known before the filesystem is made, so that a run that was cut short knows its own work.
        "uuid": request["disk"]["uuid"] or str(uuids.uuid4()),
        "fstype": request["disk"]["fstype"],
        "boot_id": record.boot_id(),
    }


def _what_was(source: Layout, new: str, facts: Moving, turned_round: bool) -> dict[str, Any]:
    """What going back leaves at the new place.

    Of a move that is turned round the place may still be as before that one: going back ends it then.
    """
    if turned_round:
        return {"point_was": "link" if new in source.links else "absent", "line_was": False}
    return {"point_was": facts["bare"][new]["kind"], "line_was": new in facts["lines"]}


def new_intent(request: dict[str, Any], facts: Moving, intent: dict[str, Any]) -> dict[str, Any]:
    """The intent for a request: who ran, and what was at the new place before.

    intent: the intent of a move that this one turns round; where the stack is down,
    what ran before is known from there only.
    """
    project = Project(docker_path(), request["project_dir"])
    found = project.listing()
    services = project.running() | set(intent.get("services") or ())
    several = Counter(item.service for item in found if not item.one_off)
    here = set(several)
    known = record.read().get("resting") or []
    resting = (here | set(known) | set(intent.get("resting") or ())) - services
    new = LAYOUTS[request["target"]].mounts["state"]
    return {
        "id": str(uuids.uuid4()),
        "request": request["id"],
        "facts_hash": hash_of(request["facts"]) if request.get("facts") else "",
        "source": request["source"],
        "target": request["target"],
        "authority": request.get("authority") or "",
        "fstype": next(
            (p["fstype"] for p in facts["points"] if p["uuid"] == request["uuid"]), "ext4"
        ),
        "project_dir": request["project_dir"],
        "profiles": list(request.get("profiles") or ()),
        "backend": facts["backend"],
        "environment": passed(),
        "canary_url": request.get("canary_url") or "",
        "timeout": int(request.get("timeout") or 600),
        "services": sorted(services),
        "resting": sorted(resting),
        "alone": not _needs_all(project, services),
        "scale": {
            **(intent.get("scale") or {}),
            **{name: number for name, number in sorted(several.items()) if number > 1},
        },
        **_what_was(LAYOUTS[request["source"]], new, facts, turned_round=bool(intent)),
        "phase": FORWARD,
        "because": "",
        "began": ledger.now(),
        "data_uuid": moving.mount_at(LAYOUTS[request["source"]].mounts["data"])[1],
        **_copy_part(request, project, intent),
    }
