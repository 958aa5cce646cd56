# SPDX-License-Identifier: GPL-3.0-or-later
"""Making our filesystems and mounting them: small steps, each checked after it is done."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from ...core.disks import fstab
from ...core.disks.claims import LABELS
from ...core.disks.devices import is_free, not_blank_because, only_ours
from ...core.host.errors import NotBlank, ProbeFailed
from ...core.host.facts import Device
from ...core.move.move_errors import MountLineMissing, OtherDeviceMounted
from ..host import durable, kernel
from ..host.commands import run
from ..layout import trees
from ..move import units
from . import devices, fstab_file

FSTAB = "/etc/fstab"

# Features that e2fsck of the previous Debian release (1.46, bullseye's, too) can check:
# named in full, so that a newer mke2fs.conf can't add one. Never a full discard: it would
# take away the last chance to recover from a mistake, and is slow on some clouds.
_EXT4_FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,"
    "sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)


def _mkfs(fstype: str, role: str, uuid: str, path: str) -> list[str]:
    if fstype == "xfs":
        return ["mkfs.xfs", "-K", "-L", LABELS[role], "-m", f"uuid={uuid}", path]
    options = ["-E", "nodiscard", "-O", _EXT4_FEATURES, "-L", LABELS[role], "-U", uuid]
    return ["mkfs.ext4", "-q", *options, path]


def probe(path: str, maj_min: str) -> Device:
    """The device at ``path`` as it is now, proved to be the one that was planned for."""
    info = os.stat(path)
    number = devices.maj_min_of(info.st_rdev) if stat.S_ISBLK(info.st_mode) else "no block device"
    device = devices.device(maj_min, path, samples=True) if number == maj_min else None
    if device is None:
        raise NotBlank(
            device=path, mount_point="a disk", found=f"{number} in place of {maj_min}",
            consent="run again: the kernel has numbered the disks anew",
        )  # fmt: skip
    return device


def check_formattable(device: Device, mount_point: str, resumed_uuid: str, lost: str) -> None:
    """Raise NotBlank unless the device is blank now, half made by us, or just what was consented.

    resumed_uuid: that of our own formatting, cut short; lost: what the plan says is on the disk.
    """
    if device["probed"]:
        raise ProbeFailed(device=device["path"], mount_point=mount_point, found=device["probed"])
    reason = not_blank_because(device)
    if not reason or (resumed_uuid and only_ours(device, resumed_uuid)):
        return
    if not lost or lost != reason or not is_free(device):
        consent = "see what writes to it, and run again"
        raise NotBlank(
            device=device["path"], mount_point=mount_point, found=reason, consent=consent
        )


def make(role: str, fstype: str, uuid: str, device: Device) -> None:
    """Make the filesystem and flush it; its UUID is checked by a fresh probe."""
    if not_blank_because(device):
        # Half made by us, or consented: nothing of it may be found beside the new filesystem.
        run(["wipefs", "--all", device["path"]])
    run(_mkfs(fstype, role, uuid, device["path"]), seconds=1800)
    fd = os.open(device["path"], os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    made = probe(device["path"], device["maj_min"])
    if made["filesystem"].get("uuid") != uuid:
        raise NotBlank(
            device=device["path"],
            mount_point=role,
            found="another filesystem after mkfs than the one made",
            consent="look at the kernel's log for errors of the disk",
        )


def missing_fstab_line(
    role: str, uuid: str, mount_point: str, fstype: str, selinux_type: str = ""
) -> str:
    """The line that /etc/fstab lacks for this mount point, or empty."""
    text = fstab_file.read(FSTAB)
    if fstab.at(text, mount_point):
        return ""
    return fstab.line_for(role, uuid, mount_point, fstype, selinux_type)


def add_fstab_line(line: str) -> None:
    """Add a line durably and let systemd know; other lines stay as they are."""
    durable.write(FSTAB, fstab.with_line(durable.read_text(FSTAB) or "", line))
    # Without it systemd would go by the old fstab and may unmount what we mount.
    units.reload()


def drop_fstab_line(line: str) -> None:
    """Take back what ``add_fstab_line`` has added; a line that was changed since stays."""
    text = fstab_file.read(FSTAB)
    kept = "".join(each for each in fstab.lines(text) if each.rstrip("\n") != line)
    if kept != text:
        durable.write(FSTAB, kept)
        units.reload()


def _uuid_of(maj_min: str) -> str:
    """The UUID of a device's filesystem, for a message."""
    known = [d for d in devices.devices() if d["maj_min"] == maj_min]
    return known[0]["filesystem"].get("uuid", "unknown") if known else "unknown"


def _how(entry: fstab.Entry) -> list[str]:
    """The arguments by which mount takes a line. With nofail it would say that all is well when it is not."""
    options = ",".join(option for option in entry.options if option != "nofail")
    return ["--types", entry.fstype, "--options", options or "defaults"]


def try_mount(entry: fstab.Entry) -> None:
    """Mount what a line names where nobody sees it, and gone at once. Raises Failed as ``mount`` would."""
    device = entry.spec if entry.spec.startswith("/") else run(["findfs", entry.spec]).out.strip()
    mounts = ["unshare", "--mount", "--propagation", "private", "mount", "--no-mtab"]
    # Over /run of a namespace of its own, which ends with the command.
    run([*mounts, *_how(entry), device, "/run"])


def mount(mount_point: str, maj_min: str) -> None:
    """Mount by the line in fstab, and prove that it is this device that is mounted.

    By descriptor: uid 999 owns /data, and a name in it that becomes a link in between would
    have the disk mounted wherever that leads. maj_min: empty where only fstab knows it.
    """
    entry = fstab.at(fstab_file.read(FSTAB), mount_point)
    if entry is None:
        raise MountLineMissing(path=mount_point, uuid=_uuid_of(maj_min))
    how = _how(entry)
    device = entry.spec if entry.spec.startswith("/") else run(["findfs", entry.spec]).out.strip()
    with trees.opened(mount_point) as fd:
        # The dot is what a link is followed for; without it the link itself is the mount point.
        place = f"/proc/self/fd/{fd}/."
        run(["mount", "--no-canonicalize", "--no-mtab", *how, device, place], fds=(fd,))
        try:
            if maj_min:
                check_mounted(mount_point, maj_min)
        except (OtherDeviceMounted, OSError):
            # The directory went elsewhere in between, and the mount with it.
            with suppress(OSError):
                unmount(os.readlink(f"/proc/self/fd/{fd}"))
            raise


def unmount(mount_point: str) -> None:
    """Unmount what is on top there; a link is refused. Raises OSError while it is in use."""
    above, name = os.path.split(mount_point)
    with trees.opened(above) as directory:
        kernel.unmount(directory, name)


def check_mounted(mount_point: str, maj_min: str) -> None:
    """Raise OtherDeviceMounted unless the device is what stands at the mount point, by st_dev."""
    with trees.opened(mount_point) as fd:
        mounted = devices.maj_min_of(os.fstat(fd).st_dev)
    if mounted != maj_min:
        raise OtherDeviceMounted(path=mount_point, found=mounted, wanted=maj_min)
