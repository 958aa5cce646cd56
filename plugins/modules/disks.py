#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: disks
short_description: Make and mount the data and the state disk as a plan says
version_added: "0.1.0"
description:
  - Takes the part C(disks) of what P(agnes.host.plan#filter) returns, formats what is to be formatted
    and mounts it by UUID, in order.
  - A device is formatted only while it is proved blank at that moment, or shows exactly what the
    plan has consent to lose, or holds nothing but a filesystem that an earlier run of this module
    was making when it was killed.
  - The new filesystem's UUID is chosen and recorded in C(/var/lib/agnes-host/record.json) before
    the device is touched, so a run that was killed anywhere can be repeated.
  - An empty mount point is made immutable, where its filesystem can do that, so that nothing is written
    there while the disk is away, nor by who has not seen the mount.
author:
  - The Agnes host maintainers (@agnes-host)
extends_documentation_fragment:
  - agnes.host.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: partial
    details: A UUID that is chosen at formatting is not shown.
  idempotent:
    support: full
options:
  disks:
    description: The part C(disks) of a plan, as it is; its keys are those of C(DiskPlan) in
      C(module_utils/core/disks/disks.py).
    type: list
    elements: dict
    required: true
  selinux_type:
    description: SELinux type of everything on the filesystems that this module mounts; nothing is relabelled.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Format and mount the disks
  agnes.host.disks:
    disks: "{{ (observed.host | agnes.host.plan({'layout': 'flat'})).disks }}"
"""

RETURN = r"""
made:
  description: Whether anything was changed; a plan that was made before does not hold any more then.
  returned: success
  type: bool
actions:
  description: What was done, or in check mode would be.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: The device, file or path.
      type: str
    before:
      description: As it was.
      type: str
    after:
      description: As it is now.
      type: str
"""

import os
import uuid as uuids
from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.disks.claims import (
    LABELS,
    check_mounted_role,
)
from ansible_collections.agnes.host.plugins.module_utils.core.disks.mounts import on_top
from ansible_collections.agnes.host.plugins.module_utils.core.disks.protection import (
    IMMUTABLE,
    WRITABLE,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.text import say_size
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.system.disks import (
    devices,
    filesystems,
    formatting,
    growing,
    protection,
)
from ansible_collections.agnes.host.plugins.module_utils.system.host import durable, record
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed

ABSENT = "absent"


class DisksManager:
    """Carries out the plan for each disk, in order."""

    def __init__(self, disks: list[dict[str, Any]], actions: Actions, selinux_type: str) -> None:
        self.disks = [disk for disk in disks if disk["action"] != "directory"]
        self.actions = actions
        self.selinux_type = selinux_type
        self.record = record.load()
        # A state disk that is taken over keeps the instance that its marker names.
        adopted = next((disk["instance"] for disk in disks if disk["instance"]), "")
        self.record.setdefault("instance_id", adopted or str(uuids.uuid4()))

    def run(self) -> None:
        """Check every disk that is to be formatted, then do one after the other."""
        for disk in self.disks:
            if disk["action"] == "format":
                device = filesystems.probe(disk["device"], disk["maj_min"])
                formatting.check(disk, device)
        for disk in self.disks:
            if disk["action"] == "format":
                self.format(disk)
            if disk["action"] == "adopt":
                self.adopt(disk)
            else:
                self.mount(disk)

    def format(self, disk: dict[str, Any]) -> None:
        """Make the filesystem; its UUID is recorded first."""
        label = LABELS[disk["role"]]
        before = disk["lost"] or "blank"
        self.actions.take(
            disk["device"],
            before,
            f"{disk['fstype']} labelled {label}",
            lambda: formatting.make(self.record, disk),
        )

    def mount(self, disk: dict[str, Any]) -> None:
        """The mount point, the line in fstab, the mount."""
        point = disk["mount_point"]
        uuid = disk["uuid"] or "(chosen at formatting)"
        line = filesystems.missing_fstab_line(
            disk["role"], uuid, point, disk["fstype"], self.selinux_type
        )
        if line:
            shown = line.replace(uuid, "...")
            self.actions.take(
                f"{filesystems.FSTAB} {point}",
                ABSENT,
                shown,
                lambda: filesystems.add_fstab_line(line),
            )
        if not os.path.isdir(point):
            self.actions.take(point, ABSENT, "mount point", lambda: durable.make_directory(point))
        self.actions.take(
            f"mount {point}",
            ABSENT,
            disk["device"],
            lambda: self.mount_checked(disk, line),
        )
        if disk["action"] == "mount":
            self.keep_recorded(disk)

    def mount_checked(self, disk: dict[str, Any], line: str) -> None:
        """Mount; what only its journal had is seen now, so its role is checked once more.

        line: that of this run in fstab, which goes again when the disk is refused: the next boot
        would mount it unasked.
        """
        point = disk["mount_point"]
        try:
            filesystems.mount(point, disk["maj_min"])
            try:
                check_mounted_role(devices.look_at(point), disk["role"], point, disk["device"])
            except Refusal:
                filesystems.unmount(point)
                raise
        except Refusal:
            if line:
                self.actions.take(
                    f"{filesystems.FSTAB} {point}",
                    line,
                    ABSENT,
                    lambda: filesystems.drop_fstab_line(line),
                )
            raise
        protection.protect(point)

    def adopt(self, disk: dict[str, Any]) -> None:
        """Prove what is mounted, record it if it is not recorded, and protect its mount point."""
        filesystems.check_mounted(disk["mount_point"], disk["maj_min"])
        self.keep_recorded(disk)
        if disk["grows"]:
            self.grow(disk)
        point = disk["mount_point"]
        if protection.look(point) == WRITABLE:
            self.actions.take(
                f"{point} itself", WRITABLE, IMMUTABLE, lambda: protection.protect(point)
            )

    def grow(self, disk: dict[str, Any]) -> None:
        """Grow the filesystem to its device, and record the size that the device has now."""
        mount = next(m for m in on_top(devices.mounts([])) if m["target"] == disk["mount_point"])
        before, after = say_size(disk["grows"]), say_size(disk["size"])
        self.actions.take(
            f"filesystem at {disk['mount_point']}", before, after, lambda: growing.grow(mount)
        )
        recorded = self.record["disks"][disk["role"]]
        if not self.actions.check and recorded["size"] != disk["size"]:
            recorded["size"] = disk["size"]
            record.save(self.record)

    def keep_recorded(self, disk: dict[str, Any]) -> None:
        """Record a disk that was not made here."""
        if disk["role"] not in self.record["disks"]:
            self.actions.take(
                f"{record.PATH} {disk['role']}",
                ABSENT,
                disk["uuid"],
                lambda: formatting.remember(self.record, disk, "adopted"),
            )


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            "disks": {"type": "list", "elements": "dict", "required": True},
            "selinux_type": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    try:
        DisksManager(module.params["disks"], actions, module.params["selinux_type"]).run()
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    done = bool(actions.items) and not module.check_mode
    module.exit_json(made=done, **actions.result())


if __name__ == "__main__":
    main()
