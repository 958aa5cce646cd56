# SPDX-License-Identifier: GPL-3.0-or-later
"""The intent of a move that begins: what a run asks for, who runs now, and what was there before."""

from __future__ import annotations

import uuid as uuids
from collections import Counter
from dataclasses import replace
from typing import Optional

from ..core.disks.disks import DIRECTORY
from ..core.layout.layouts import LAYOUTS, Layout
from ..core.move.intent import FORWARD, Before, MoveIntent
from ..core.move.move_kinds import KINDS, SHADOWED, kind_of
from ..core.move.move_status import MoveFacts
from ..system.host import record
from ..system.host.commands import passed, run
from ..system.layout import markers
from ..system.move import ledger, moving
from .context import docker_path
from .project import Project

DATABASE_SERVICE = "app"
"""The service whose image opens the database."""


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


def _with_copy(intent: MoveIntent, project: Project, turned: Optional[MoveIntent]) -> MoveIntent:
    """The intent with what that of a copy has beside that of every move."""
    kind = kind_of(intent)
    if not kind.copies:
        return intent
    source = LAYOUTS[intent.source]
    old, path = source.mounts["state"], source.state_dir
    if kind.once_shown and moving.mount_at(old)[1] != intent.uuid:
        # A move that has gone back since this one was planned has left a directory, and a disk to copy to.
        kind = KINDS[kind.once_shown]
    marker, shadowed = moving.marker(path), moving.shadowed_marker(path)
    intent = replace(
        intent, kind=kind.name,
        epoch=max(markers.epoch(each) for each in (marker, shadowed)),
        source_instance=str((shadowed if kind.state_was == SHADOWED else marker).get("instance_id") or ""),
        image=_image_of(project.docker, project) or (turned.image if turned else ""),
    )  # fmt: skip
    if kind.state_goes == DIRECTORY:
        return intent
    # The UUID is known before the filesystem is made, so that a run that was cut short knows its own work.
    uuid = intent.disk["uuid"] or str(uuids.uuid4())
    return replace(intent, uuid=uuid, fstype=intent.disk["fstype"], boot_id=record.boot_id())


def turned_before(source: Layout, target: Layout) -> Before:
    """The undo record of a move that turns another one round.

    The new place may still be as before that one: going back ends it then.
    """
    was_link = target.mounts["state"] in source.links
    return Before(point="link" if was_link else "absent", new_line="")


def new_intent(request: MoveIntent, facts: MoveFacts, turned: Optional[MoveIntent]) -> MoveIntent:
    """The intent for a request: who ran, and what was at the new place before.

    turned: the intent of a move that this one turns round; where the stack is down,
    what ran before is known from there only.
    """
    project = Project(docker_path(), request.project_dir)
    source, target = LAYOUTS[request.source], LAYOUTS[request.target]
    containers = project.listing()
    services = project.running() | set(turned.services if turned else ())
    several = Counter(item.service for item in containers if not item.one_off)
    known = {*(record.read().get("left_stopped") or ()), *(turned.left_stopped if turned else ())}
    scale = {name: number for name, number in sorted(several.items()) if number > 1}
    fstypes = [p["fstype"] for p in facts["points"] if p["uuid"] == request.uuid]
    intent = replace(
        request,
        id=str(uuids.uuid4()),
        direction=FORWARD,
        began=ledger.now(),
        environment=passed(),
        fstype=fstypes[0] if fstypes else "ext4",
        backend=facts["backend"],
        data_uuid=moving.mount_at(source.mounts["data"])[1],
        services=sorted(services),
        left_stopped=sorted((set(several) | known) - services),
        alone=not _needs_all(project, services),
        scale={**(turned.scale if turned else {}), **scale},
        before=turned_before(source, target) if turned else Before(),
    )
    return _with_copy(intent, project, turned)
