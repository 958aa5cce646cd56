# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of a move work with: its intent, the host as it is now, the compose project."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Optional

from ..core.disks.disks import DISK
from ..core.layout.layouts import LAYOUTS, Layout
from ..core.layout.switch import switched_env
from ..core.move.intent import MoveIntent
from ..core.move.move_errors import MoveDiskAway
from ..core.move.move_kinds import SHADOWED, Kind, kind_of
from ..core.move.move_status import MoveStatus
from ..core.move.move_steps import COMMIT, ELSEWHERE
from ..core.move.presence import away, must_show
from ..system.copy.copying import ReadAhead
from ..system.disks import devices
from ..system.host import durable, record
from ..system.host.commands import Failed, which
from ..system.layout import dotenv_file
from ..system.move import ledger, moving
from ..system.move.moving import Held
from .project import Project


class MoveContext:
    """One move on this host. Its intent is kept on disk, and outlives the process."""

    def __init__(self, intent: MoveIntent) -> None:
        self.intent = intent
        self.source: Layout = LAYOUTS[intent.source]
        self.target: Layout = LAYOUTS[intent.target]
        self.kind: Kind = kind_of(intent)
        self.project = Project(docker_path(), intent.project_dir)
        self.env_path = dotenv_file.path_in(intent.project_dir)
        self.env_before: str = ""
        self.fresh: set[str] = set()
        self.entries = 0
        """In the source, as the rounds before the stop have found: see system/copy/copying.py."""
        self.known: Optional[ReadAhead] = None
        """What was read of both before the stop, likewise."""
        self.say: Callable[[str], None] = lambda _text: None
        self.down_at = 0.0
        self.down_seconds = 0.0

    @property
    def id(self) -> str:
        """The move's id."""
        return self.intent.id

    @property
    def name_aside(self) -> str:
        """The name under which what the move takes out of its place is kept."""
        return f"{self.id[:8]}-state"

    @property
    def wanted(self) -> list[str]:
        """The services that ran when the move began."""
        return list(self.intent.services)

    def look(self, containers: bool = True) -> MoveStatus:
        """The status as it is now; without ``containers`` those are not asked for, and none is known."""
        # One-off containers are no part of what is stopped and started.
        listed = [each for each in self.project.listing() if not each.one_off] if containers else []
        return MoveStatus(
            self.source, self.target, self.intent.uuid,
            moving.look(self.intent.project_dir), self.kind, self.id,
            services=frozenset(item.service for item in listed),
            present=frozenset(item.name for item in listed),
            wanted=frozenset(self.wanted), fresh=frozenset(self.fresh),
            disk=self.intent.disk,
            copy_that_counts=self.intent.copy_that_counts,
        )  # fmt: skip

    @property
    def copy_uuid(self) -> str:
        """UUID of the filesystem that state is on after the move."""
        intent = self.intent
        return self.kind.uuid_after(intent.uuid, intent.disk)

    def uuid_before(self) -> str:
        """UUID of the filesystem that state is on while the move is not committed."""
        was, uuid = self.kind.state_was, self.intent.uuid
        shadowed = was == SHADOWED and moving.mount_at(self.source.mounts["state"])[1] == uuid
        return uuid if was == DISK or shadowed else self.intent.data_uuid

    def device(self) -> str:
        """MAJ:MIN of the state disk, from where it is mounted; empty when it is not."""
        for point in moving.points():
            if point["uuid"] == self.intent.uuid and point["root"] == "/":
                return point["maj_min"]
        return ""

    def held(self) -> Held:
        """What must be this move's alone: the state disk, or state's directory of the data disk."""
        if self.kind.state_was == DISK:
            device = self.device()
            if not device:
                uuid = self.intent.uuid
                raise MoveDiskAway(path=self.source.state_dir, uuid=uuid, found="no state disk")
            return Held(device)
        data, path = self.source.mounts["data"], self.source.state_dir
        device, uuid, root = moving.mount_at(data)
        if not device or uuid != self.intent.data_uuid:
            raise away(data, self.intent.data_uuid, uuid)
        inside = os.path.normpath(os.path.join(root, os.path.relpath(path, data)))
        return Held(device, path, inside)

    def all_held(self) -> list[Held]:
        """The same, and the other one of two copies: the shadowed directory, or the disk."""
        if self.kind.state_was == SHADOWED:
            uuid = self.intent.uuid
            disks = [d for d in devices.devices() if d["filesystem"].get("uuid") == uuid]
            return [self.held(), *(Held(disk["maj_min"]) for disk in disks)]
        if not self.intent.copy_that_counts:
            return [self.held()]
        return [self.held(), moving.held_directory(self.source.mounts["state"])]

    def save(self) -> None:
        """Write the intent down, durably."""
        ledger.write(ledger.INTENT, self.intent.to_dict())

    def env_after(self, text: str) -> str:
        """``.env`` of the target, made from that of the source, with the chain that was proved."""
        return switched_env(text, self.source, self.target, self.intent.chain)

    def files_hash(self, env_text: str) -> str:
        """A hash over ``.env`` and all compose files, of the chain and beside them."""
        directory = self.intent.project_dir
        beside = [name for name in os.listdir(directory) if name.endswith((".yml", ".yaml"))]
        digest = hashlib.sha256(env_text.encode("utf-8", "surrogateescape"))
        for name in sorted({*beside, *self.intent.chain}):
            try:
                with open(os.path.join(directory, name), "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            except OSError as error:
                content = str(error.strerror)
            digest.update(f"{name} {content}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

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
            durable.fsync_directory(self.intent.project_dir)

    def check_data_disk(self) -> None:
        """Raise MoveDiskAway where the data disk is gone that was there when the move began."""
        data, uuid = self.source.mounts["data"], self.intent.data_uuid
        mounted = moving.mount_at(data)[1] if uuid else uuid
        if mounted != uuid:
            raise away(data, str(uuid), str(mounted))

    def check_disks(self, status: MoveStatus, step: str) -> None:
        """Raise MoveDiskAway unless both disks are where ``step`` takes them to be, before it writes there."""
        if step in ELSEWHERE:
            return
        self.check_data_disk()
        steps = status.kind.steps
        if status.committed and steps.index(step) < steps.index(COMMIT):
            # It makes ready what the commit has been for, and may be what brings the disk there.
            return
        for path, uuid in must_show(status, "").items():
            if not status.mounted(path):
                raise away(path, uuid, moving.mount_at(path)[1])

    @property
    def was_started(self) -> bool:
        """Whether the move has started the stack again since this boot."""
        return self.intent.started == record.boot_id()

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
