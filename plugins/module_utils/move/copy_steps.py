# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that only a move has which copies; those of copying back are in copy_back_steps.py.

The copy is made where nobody else looks, marked incomplete, and is not mounted at the
layout's place before it is proved and sealed by this very process: a process that was
killed in between leaves nothing that the next one believes.
"""

from __future__ import annotations

import os
import uuid as uuids
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ..core.copy.copy_errors import DatabaseUnreadable, SourceUnproved
from ..core.copy.copying import Progress, Proof
from ..core.disks.devices import NO_IDENTITY, identity_of
from ..core.disks.disks import COPY_TARGET
from ..core.host.errors import NotBlank
from ..core.host.facts import Device
from ..core.layout.tree import MARKER
from ..core.move.move_errors import (
    CopyDiskNotOne,
    CopyTargetForeign,
    MarkerForeign,
    OtherDeviceMounted,
    StateRetired,
)
from ..core.move.move_status import INCOMPLETE, RETIRED, SEALED
from ..system.copy import duckdb_check
from ..system.copy.copying import Copy, ReadAhead, opened_copy, proved_source
from ..system.copy.manifest_file import measure
from ..system.disks import devices, formatting
from ..system.host import durable, kernel, record
from ..system.host.commands import run
from ..system.host.waiting import until
from ..system.layout import markers, trees
from ..system.move import ledger, moving
from ..system.move.moving import STAGE
from .common import Act, drop_line, unmount, write_marker
from .context import MoveContext

BUDGET_SECONDS = 1.0
"""Rounds go on, within their limits, until the rest takes no longer than this."""
AHEAD_BYTES = 4 << 20
"""More than that is read and compared before the stop, as far as it goes."""
MANIFESTS = f"{ledger.FOLDER}/manifests"
_SAY_SECONDS = 5.0
_MOUNT_SECONDS = 5.0


def _same_disk(move: MoveContext) -> dict[str, Any]:
    """The disk of the intent as the kernel numbers it now, which a boot may have changed."""
    disk = dict(move.intent.disk)
    known = devices.devices()
    if disk["identity"] == NO_IDENTITY:
        if record.boot_id() != move.intent.boot_id:
            raise NotBlank(
                device=disk["device"], mount_point=disk["mount_point"],
                found="a boot since, and a disk without a serial",
                consent="run again with layout=" + move.source.name + ", then as now",
            )  # fmt: skip
        return disk
    for device in known:
        if identity_of(device, known) == disk["identity"] and device["size"] == disk["size"]:
            disk.update(device=device["path"], maj_min=device["maj_min"])
    return disk


def _format(move: MoveContext) -> None:
    disk, recorded, uuid = _same_disk(move), record.load(), move.intent.uuid
    begun = (recorded["disks"].get(COPY_TARGET) or {}).get("uuid") == uuid
    disk["uuid"] = uuid if begun else ""
    formatting.make(recorded, disk, uuid, COPY_TARGET)


def _proof(move: MoveContext) -> Proof:
    """What the source must be: on its disk, a mount or none, and with the marker that it had."""
    instance, held = move.intent.source_instance, move.held()
    return Proof(held.maj_min, not held.path, {"instance_id": instance} if instance else {})


def check_source(move: MoveContext) -> None:
    path = move.source.state_dir
    with proved_source(path, _proof(move)):
        if moving.marker(path).get("role") == RETIRED:
            raise StateRetired(path=path, new=move.target.state_dir)


def device_with(uuid: str) -> Device:
    """The one disk with this UUID, to which state is copied. Raises CopyDiskNotOne."""
    carriers = [d for d in devices.devices() if d["filesystem"].get("uuid") == uuid]
    if len(carriers) != 1:
        raise CopyDiskNotOne(uuid=uuid, found=len(carriers))
    return carriers[0]


def is_unused_copy(marker: Mapping[str, Any]) -> bool:
    """Whether a marker is that of a copy of this host's that was never used."""
    ours = marker.get("instance_id") == record.load().get("instance_id")
    return ours and marker.get("role") in (INCOMPLETE, SEALED)


def check_ours(where: str, directory: int) -> None:
    """Raise CopyTargetForeign unless what is open is fresh, or a copy of this host's that was never used."""
    # What a kill leaves of the marker's own writing is no content.
    names = [n for n in os.listdir(directory) if n != "lost+found" and MARKER not in n]
    marker = markers.read(directory)
    if not marker and not names:
        return
    if is_unused_copy(marker):
        return
    holds = f"a marker with role {marker.get('role')}" if marker else ", ".join(sorted(names)[:5])
    raise CopyTargetForeign(device=where, found=holds)


def mount_stage(uuid: str) -> None:
    """Mount the disk where nobody else looks."""
    if moving.mount_at(STAGE)[1] == uuid:
        return
    unmount(STAGE)
    durable.make_directory(STAGE, 0o700)
    device = device_with(uuid)
    command = ["mount", "-o", "noatime,nodev,nosuid", device["path"], STAGE]
    # Whoever looks at all disks has each of them open for a moment, and to itself.
    if not until(lambda: run(command, codes=(0, 32)).code == 0, _MOUNT_SECONDS):
        run(command)
    mounted = devices.maj_min_of(os.stat(STAGE).st_dev)
    if mounted != device["maj_min"]:
        raise OtherDeviceMounted(path=STAGE, found=mounted, wanted=device["maj_min"])


def set_role(move: MoveContext, role: str, **more: Any) -> None:
    """Write the marker of the copy, by which this host knows it again."""
    recorded = record.load()
    if not recorded.get("instance_id"):
        recorded["instance_id"] = str(uuids.uuid4())
        record.save(recorded)
    epoch = move.intent.epoch
    with trees.opened(STAGE) as directory:
        write_marker(directory, move, {"role": role, "move": move.id, "epoch": epoch, **more})


def _stage(move: MoveContext) -> None:
    """From here on the copy is incomplete, whatever an earlier process made of it.

    The source is proved first: where the app has written to the copy, the old
    directory is retired and out of its place, and the copy is not touched.
    """
    check_source(move)
    unmount(move.target.mounts["state"])
    if move.look(containers=False).facts["lines"].get(move.target.mounts["state"]):
        drop_line(move)
    mount_stage(move.intent.uuid)
    begin_copy(move, move.intent.disk["device"])


def begin_copy(move: MoveContext, where: str) -> None:
    """Mark what is mounted at the stage as incomplete, when it is this host's own."""
    with trees.opened(STAGE) as directory:
        check_ours(where, directory)
    set_role(move, INCOMPLETE)


def unstage(_move: MoveContext) -> None:
    """Unmount the copy from where it was made."""
    unmount(STAGE)


class _ProgressLog:
    """Tells how far a copy is: to the log each time, to the journal every few seconds."""

    def __init__(self, move: MoveContext, step: str) -> None:
        self.move, self.step, self.told = move, step, 0.0

    def __call__(self, progress: Progress) -> None:
        self.move.say(f"{self.step}: {progress}")
        now = ledger.clock()
        if now - self.told >= _SAY_SECONDS:
            self.told = now
            self.note(str(progress))

    def note(self, text: str) -> None:
        """A line in the journal."""
        ledger.note(self.move.id, self.step, "progress", text)


@contextmanager
def _copy(move: MoveContext, step: str) -> Iterator[Copy]:
    progress_log = _ProgressLog(move, step)
    with opened_copy(move.source.state_dir, STAGE, _proof(move), say=progress_log) as copy:
        copy.entries = move.entries
        yield copy


def precopy(move: MoveContext) -> None:
    """Rounds until the rest is small. What is there of an earlier try may all go: it is our own."""
    if not move.intent.image:
        raise DatabaseUnreadable(
            path=move.source.state_dir, image="the product's image",
            found="no container of service app tells which one that is",
        )  # fmt: skip
    with _copy(move, "precopy") as copy:
        duckdb_check.check_there(copy.source, move.source.state_dir, move.intent.image)
        totals = copy.check_room()
        copy.entries = max(totals.entries, 10 * measure(copy.target).entries)
        decision = copy.precopy(BUDGET_SECONDS)
        # Where the stack is down already, there is no time before the stop.
        if totals.allocated > AHEAD_BYTES and move.project.running():
            move.known = ReadAhead()
            copy.read_ahead(move.known)
            text = f"{len(move.known.target.lines)} files, and what is not touched counts later"
            move.say(f"precopy: read back {text}")
            ledger.note(move.id, "precopy", "read", text)
            # What changed meanwhile is not left for the downtime.
            copy.round()
        copy.sync()
        move.entries = copy.entries
        for number, each in enumerate(copy.rounds, start=1):
            text = f"round {number}: {each.copied} bytes in {each.seconds:.1f} s, {each.rest} left"
            move.say(f"precopy: {text}")
            ledger.note(move.id, "precopy", "round", text)
        ledger.note(move.id, "precopy", "decided", decision.why)


def _final(move: MoveContext) -> None:
    with _copy(move, "final") as copy:
        copy.final()


def _verify(move: MoveContext) -> None:
    """Read both whole from their disks, and count the rows in both with the product's own image.

    All at once: whoever reads a page first gets it from the disk, and the others what it gave.
    """
    durable.make_directory(MANIFESTS, 0o700)
    paths = (move.source.state_dir, STAGE)
    docker, image = [move.project.docker], move.intent.image
    with _copy(move, "verify") as copy:
        copy.sync()
        with ThreadPoolExecutor(1) as pool:
            counts = pool.submit(duckdb_check.count, docker, image, *paths)
            totals = copy.prove(MANIFESTS, move.known or ReadAhead())
            source, target = counts.result()
    duckdb_check.compare(source, target, paths)
    proved = f"{totals.entries} entries, {totals.size} bytes, equal"
    counted = f"{source.total()} rows in {len(source.rows)} tables, in both"
    for phase, text in (("proved", proved), ("counted", counted)):
        move.say(f"verify: {text}")
        ledger.note(move.id, "verify", phase, text)


def _seal(move: MoveContext) -> None:
    if not {"final", "verify"} <= move.fresh:
        raise SourceUnproved(path=STAGE, found="a copy that was not proved", wanted="one that was")
    set_role(move, SEALED)


def _seal_undo(move: MoveContext) -> None:
    # Where it could not be taken away it stays sealed: nothing else may be at the layout's place.
    status = move.look(containers=False)
    if status.there or status.facts["staged"] != status.copy_uuid:
        return
    # A disk that can't be written to is no reason to stay half-way when it was never sealed.
    if moving.marker(STAGE).get("role") != INCOMPLETE:
        set_role(move, INCOMPLETE)


def _retire(move: MoveContext) -> None:
    """After the commit only: until then the source is not touched.

    It is root's first, so that nobody can put something else in the marker's place. What
    has been put there is kept beside it: no link of others may keep the stack down now.
    """
    with trees.opened(move.source.state_dir) as directory:
        os.fchown(directory, 0, 0)
        os.fchmod(directory, 0o700)
        marker = {"layout": move.source.name, **markers.read_if_any(directory)}
        marker.update(role=RETIRED, move=move.id)
        try:
            markers.read(directory)
        except MarkerForeign:
            kernel.rename_new(MARKER, directory, f"{MARKER}.{move.id}", directory)
        write_marker(directory, move, marker)


COPY_ACTS: Mapping[str, Act] = {
    "format": Act(_format),
    "stage": Act(_stage, unstage),
    "precopy": Act(precopy),
    "final": Act(_final),
    "verify": Act(_verify),
    "seal": Act(_seal, _seal_undo),
    "retire": Act(_retire),
    "unstage": Act(unstage),
}
