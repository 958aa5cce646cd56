# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine whose every file system that a move writes is a part of one disk image.

Only inside private mount and pid namespaces. The root is a file system of the image, with
the programs of the real machine on it; /dev has nothing but the disks, /run is memory.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import host

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout
from ansible_collections.agnes.host.plugins.module_utils.system.disks import devices
from ansible_collections.agnes.host.plugins.module_utils.system.host import record

MIB = 1 << 20
SIZES = {"root": 16 * MIB, "var": 12 * MIB, "opt": 12 * MIB, "data": 16 * MIB, "state": 16 * MIB}
"""The parts in their order on the image."""
SIZE = sum(SIZES.values())
OFFSETS = {role: sum(list(SIZES.values())[:i]) for i, role in enumerate(SIZES)}
PLACES = {"var": "/var/lib", "opt": "/opt"}
"""Where the machine's own parts are, beside its root."""
OWN = ("root", *PLACES)

LIBC = ctypes.CDLL(None, use_errno=True)
_MS_BIND, _MS_REC = 4096, 16384
_CONFIGURE, _GET_FREE, _SET_READ_ONLY = 0x4C0A, 0x4C82, 0x125D
_AUTOCLEAR = 4
_ETC = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "mke2fs.conf", "localtime")
_MKFS = """#!/bin/sh
# Says which file system was on the device, and makes one that does no more than it must.
for device; do :; done
echo "$(blkid --probe --output value --match-tag UUID "$device")." >> /run/mkfs.log
/usr/sbin/mkfs.ext4 "$@" && exec /usr/sbin/debugfs -w -R "ssv mount_opts {options}" "$device" 2>&-
"""
_OPTIONS = "noauto_da_alloc,commit=600"
"""No fsync brings another file's data along, nor does the time that passes.

Without auto_da_alloc a rename over a file does not write the new one's data: that is the
caller's business, as it is on other file systems.
"""


def mount(source: str, target: str, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """The system call."""
    texts = [os.fsencode(text) for text in (source, target, fstype, data)]
    if LIBC.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"{source} on {target}")


def bind(source: str, target: str) -> None:
    """The same file or directory at another place, too."""
    mount(source, target, "", _MS_BIND)


def unshare() -> None:
    """A mount namespace of this process's own, from a private one."""
    if LIBC.unshare(0x00020000) < 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _loop(backing: int, offset: int, size: int) -> tuple[int, int]:
    """A free loop device on a part of a file, gone with its last user: number and descriptor."""
    info = struct.pack("<QQQQQIIII64s64s32sQQ", 0, 0, 0, offset, size, 0, 0, 0, _AUTOCLEAR,
                       b"torture", b"", b"", 0, 0)  # fmt: skip
    config = struct.pack("<II", backing, 0) + info + bytes(64)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _try in range(200):
            number = fcntl.ioctl(control, _GET_FREE)
            node = f"{_NODES}/loop{number}"
            if not os.path.exists(node):
                os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(7, number))
            fd = os.open(node, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(fd, _CONFIGURE, config)
                # A device keeps this from an earlier user.
                fcntl.ioctl(fd, _SET_READ_ONLY, struct.pack("i", 0))
                return number, fd
            except OSError as error:
                os.close(fd)
                # It would be another machine's disk, with the same UUID, and may be mounted for ours.
                os.unlink(node)
                if error.errno != errno.EBUSY:  # somebody else was quicker
                    raise
    finally:
        os.close(control)
    raise RuntimeError("no loop device came free")


_NODES = ""
_HELD: list[int] = []


def nodes(folder: Path) -> None:
    """A /dev for this machine alone, in memory."""
    global _NODES
    _NODES = str(folder / "dev")
    os.makedirs(_NODES, exist_ok=True)
    mount("tmpfs", _NODES, "tmpfs", 0, "mode=755")
    for name in ("null", "zero", "urandom", "random"):
        number = os.stat(f"/dev/{name}").st_rdev
        os.mknod(f"{_NODES}/{name}", stat.S_IFCHR | 0o666, number)
        os.chmod(f"{_NODES}/{name}", 0o666)
    os.symlink("/proc/self/fd", f"{_NODES}/fd")


def attach(image: Path) -> dict[str, str]:
    """Role -> device, by the name that it has in the machine."""
    backing = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    attached = {}
    for role, size in SIZES.items():
        number, fd = _loop(backing, OFFSETS[role], size)
        _HELD.append(fd)
        attached[role] = f"/dev/loop{number}"
    os.close(backing)
    return attached


def format_all(attached: Mapping[str, str], blank: bool) -> None:
    """Make the file systems."""
    for role in SIZES:
        if role == "state" and blank:
            continue
        name = ["-U", host.UUIDS[role], "-L", f"agnes-{role}"] if role in host.UUIDS else []
        node = f"{_NODES}/{os.path.basename(attached[role])}"
        host.run("mkfs.ext4", "-q", "-b", "4096", "-J", "size=4",
                 "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", *name, node)  # fmt: skip
        host.run("debugfs", "-w", "-R", f"ssv mount_opts {_OPTIONS}", node)


def tools(folder: Path) -> None:
    """What the machine has in /usr/local/bin."""
    place = folder / "tools" / "bin"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(host.HERE / "docker_stand_in.py", place / "docker")
    (place / "mkfs.ext4").write_text(_MKFS.format(options=_OPTIONS))
    for path in place.iterdir():
        path.chmod(0o755)


def enter(folder: Path, attached: Mapping[str, str]) -> None:
    """Mount the machine's own parts and go in; /data and state are fstab's matter."""
    root = str(folder / "root")
    os.makedirs(root, exist_ok=True)
    for role in OWN:
        place = root + PLACES.get(role, "")
        if role != "root":
            os.makedirs(place, exist_ok=True)
        mount(f"{_NODES}/{os.path.basename(attached[role])}", place, "ext4")
    base = sys.base_prefix
    binds = ["/usr", "/sys"] + ([] if base.startswith("/usr") else [base])
    for path in (*binds, "/dev", "/proc", "/run", "/tmp", "/mnt"):
        if not os.path.isdir(root + path):
            os.makedirs(root + path)
    if not os.path.lexists(f"{root}/certs"):
        # The stand-in's containers have this root: here they find what the chain mounts for them.
        os.symlink("/data/state/certs", f"{root}/certs")
    for path in binds:
        mount(path, root + path, "", _MS_BIND | (_MS_REC if path == "/sys" else 0))
    bind(str(folder / "tools"), f"{root}/usr/local")
    bind(_NODES, f"{root}/dev")
    mount("proc", f"{root}/proc", "proc")
    for path in ("/run", "/tmp"):
        mount("tmpfs", root + path, "tmpfs")
    os.mkdir(f"{root}/run/lock")
    os.chroot(root)
    os.chdir("/")
    os.environ["PATH"] = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.environ.pop("DOCKER_HOST", None)


def furnish(folder: Path) -> None:
    """What a root must have, once, before the machine is entered for the first time."""
    root = folder / "root"
    for name in ("etc", "opt", "data", "var/lib"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in _ETC:
        if os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", root / "etc" / name)
    for name in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), root / name)
    os.symlink("/run/lock", root / "var/lock")


def name_disks(attached: Mapping[str, str], boot: str) -> None:
    """Disks have serials, by which they are known again after a boot, and a boot has an id."""
    serials = {f"7:{device[len('/dev/loop') :]}": role for role, device in attached.items()}

    def serial(sys_path: str) -> str:
        return f"DISK-{serials.get(os.path.basename(sys_path), 'other')}"

    devices._vpd_serial = serial
    record.boot_id = lambda: boot


def provision(layout: Layout, attached: Mapping[str, str], begin: str) -> None:
    """Inside: a host in ``layout``, see host.py, with something that the mount of state shadows."""
    os.makedirs("/opt/agnes", exist_ok=True)
    disks = {role: device for role, device in attached.items() if role not in OWN}
    host.provision(layout, disks, "leftovers" if begin != host.COPY else "none", begin)
