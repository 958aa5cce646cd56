# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices as the host shows them: /sys, low-level probes, reads. Read-only."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from typing import Optional

from ...core.disks.devices import EPHEMERAL, MOUNTABLE, REMOVABLE, ROTATIONAL, carriers, not_one
from ...core.disks.fstab import tag_of
from ...core.disks.mounts import Mount, told
from ...core.host.facts import Asked, Device, Inside
from ..host import listing
from ..host.commands import Failed, run
from ..host.waiting import until
from . import contents, mountinfo, unseen

SYS = "/sys/dev/block"
MIB = 1024 * 1024
_BY_PATH = "/dev/disk/by-path"
_PARTITION_LINKS = {"PARTUUID": "/dev/disk/by-partuuid/", "PARTLABEL": "/dev/disk/by-partlabel/"}
SAMPLES = 64
"""How many 4 KiB samples between the first and the last MiB must be zero."""

PROBE_SECONDS = 60
"""A disk that answers later than that is not one to make a filesystem on."""

FREED_SECONDS = 3
"""How long a disk that holds nothing may be kept open: by another look like this one, by a probe of udev."""

_EPHEMERAL_MODELS = (
    "amazon ec2 nvme instance storage", "ephemeraldisk", "nvme_card", "microsoft nvme direct disk",
)  # fmt: skip
"""Models of disks that a cloud gives for the life of a machine: EC2, Google (SCSI, NVMe), Azure."""
_EPHEMERAL_LINKS = (
    "/dev/disk/by-id/google-local-*", "/dev/disk/azure/resource", "/dev/disk/azure/local/by-*/*",
    "/dev/disk/cloud/azure_resource",
)  # fmt: skip
"""Their names, which the clouds' own udev rules make."""
_VIRTUAL = ("qemu", "vmware", "vbox", "msft", "google", "amazon", "virtual", "xen")
"""In vendor or model: what such a disk says of rotation is made up."""

_EXT_BACKUP_GROUPS = (1, 3, 5, 7, 9)


def _read(path: str) -> str:
    """An attribute that a decision hangs on; empty where there is none. Raises OSError: unknown is not empty."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError as error:
        if error.errno in (*listing.ABSENT, errno.ENODEV):
            return ""
        raise


def _said(path: str) -> str:
    """What a disk says of itself; empty where it does not: many drivers answer with some error then."""
    try:
        return _read(path)
    except OSError:
        return ""


def maj_min_of(rdev: int) -> str:
    """``MAJ:MIN`` of a device number."""
    return f"{os.major(rdev)}:{os.minor(rdev)}"


def udev_name(value: str) -> str:
    r"""A label as udev has it in the name of a link: all but plain characters as ``\x20``."""
    plain = re.compile(r"[A-Za-z0-9#+\-.:=@_]|[^\x00-\x7f]")
    return "".join(c if plain.match(c) else f"\\x{ord(c):02x}" for c in value)


def resolve(named: str, known: list[Device]) -> Asked:
    """What a disk variable names, as the MAJ:MIN of exactly one device; never by parsing a path.

    named: a path, ``UUID=``, ``LABEL=``, or a serial (``SERIAL=`` or as it is).
    """
    asked: Asked = {"device": named, "problem": "", "maj_min": ""}
    if not named:
        return asked
    tag, value = tag_of(named)
    if tag in _PARTITION_LINKS:
        named = _PARTITION_LINKS[tag] + (value.lower() if tag == "PARTUUID" else udev_name(value))
    if not named.startswith("/"):
        matches = carriers(named, known)
        asked["problem"] = not_one(named, matches, known)
        asked["maj_min"] = "" if asked["problem"] else matches[0]["maj_min"]
        return asked
    try:
        info = os.stat(named)
    except OSError as error:
        broken = os.path.islink(named)
        asked["problem"] = "is a dangling link" if broken else f"can't be read ({error.strerror})"
        if not broken and isinstance(error, FileNotFoundError):
            asked["problem"] = "does not exist"
        return asked
    if not stat.S_ISBLK(info.st_mode):
        asked["problem"] = "is not a block device"
        return asked
    asked["maj_min"] = maj_min_of(info.st_rdev)
    return asked


def _nodes() -> dict[str, str]:
    """MAJ:MIN -> path, for the block devices that have a node in /dev."""
    nodes: dict[str, str] = {}
    for folder in ("/dev", "/dev/mapper"):
        for name in listing.names(folder):
            path = os.path.join(folder, name)
            try:
                info = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISBLK(info.st_mode):
                nodes.setdefault(maj_min_of(info.st_rdev), path)
    return nodes


def _slots() -> dict[str, str]:
    """MAJ:MIN -> name in /dev/disk/by-path, which udev makes."""
    slots = {}
    for name in listing.names(_BY_PATH):
        try:
            slots[maj_min_of(os.stat(os.path.join(_BY_PATH, name)).st_rdev)] = name
        except OSError:
            continue
    return slots


def _ephemeral() -> set[str]:
    """MAJ:MIN of the disks that have a name which says that they end with the machine. Raises OSError."""
    numbers = set()
    for path in (path for pattern in _EPHEMERAL_LINKS for path in listing.matching(pattern)):
        try:
            numbers.add(maj_min_of(os.stat(path).st_rdev))
        except OSError as error:
            if error.errno not in listing.ABSENT:
                raise
    return numbers


def _traits(sys: str, maj_min: str, model: str) -> list[str]:
    """What makes a disk a bad place for state. Raises OSError."""
    said = f"{_said(os.path.join(sys, 'device/vendor'))} {model}".lower()
    traits = []
    if model.lower() in _EPHEMERAL_MODELS or maj_min in _ephemeral():
        traits.append(EPHEMERAL)
    if _read(os.path.join(sys, "removable")) == "1":
        traits.append(REMOVABLE)
    turns = _read(os.path.join(sys, "queue/rotational")) == "1"
    if turns and model and not any(word in said for word in _VIRTUAL):
        traits.append(ROTATIONAL)
    return traits


def _kind(sys: str) -> str:
    for kind, mark in (("part", "partition"), ("dm", "dm"), ("md", "md"), ("loop", "loop")):
        if listing.is_there(os.path.join(sys, mark)):
            return kind
    if _said(os.path.join(sys, "device/type")) == "5":  # SCSI: CD-ROM
        return "rom"
    return "disk" if listing.is_there(os.path.join(sys, "device")) else "other"


def _vpd_serial(sys: str) -> str:
    """Unit serial number page of a SCSI disk: four bytes of header, then the number."""
    try:
        with open(os.path.join(sys, "device/vpd_pg80"), "rb") as file:
            return file.read()[4:].decode("ascii", "replace").strip("\0 ")
    except OSError:
        return ""


def exported(text: str) -> dict[str, str]:
    """What ``blkid --output export`` prints: a backslash stands before what a shell would take."""
    lines = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: re.sub(r"\\(.)", r"\1", value) for key, _equal, value in lines}


def _signatures(path: str) -> tuple[list[str], dict[str, str]]:
    """All signatures for people, and the filesystem if there is exactly one. Raises Failed."""
    out = run(["wipefs", "--no-act", "--json", path], seconds=PROBE_SECONDS).out
    try:
        signatures = json.loads(out)["signatures"] if out.strip() else []
    except (ValueError, KeyError, TypeError) as error:
        raise Failed("'wipefs' printed what is no list of signatures") from error
    texts = []
    for signature in signatures:
        label = f" labelled '{signature['label']}'" if signature.get("label") else ""
        texts.append(f"{signature['type']}{label}")
    probe = run(["blkid", "--probe", "--output", "export", path], (0, 2, 8), seconds=PROBE_SECONDS)
    values = exported(probe.out)
    if probe.code == 8:
        texts.append("several signatures that contradict each other")
    elif not texts and values.get("TYPE", values.get("PTTYPE")):
        texts.append(values.get("TYPE") or values["PTTYPE"])
    filesystem = {}
    if values.get("USAGE") == "filesystem" and "UUID" in values:
        filesystem = {key.lower(): values.get(key, "") for key in ("TYPE", "UUID", "LABEL")}
    return list(dict.fromkeys(texts)), filesystem


def _exclusive(path: str) -> bool:
    """Whether nothing in the kernel uses the device. Raises OSError where that can't be told."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise
    return True


def _sample_offsets(size: int) -> list[int]:
    """Where to read: evenly spread, and where ext4 (1, 2, 4 KiB blocks) keeps its backups."""
    offsets = {size * step // SAMPLES for step in range(1, SAMPLES)}
    for block in (1024, 2048, 4096):
        first = 1 if block == 1024 else 0
        offsets |= {(group * 8 * block + first) * block for group in _EXT_BACKUP_GROUPS}
    return sorted(offset - offset % 4096 for offset in offsets if offset + 4096 <= size)


def zeros(path: str, size: int) -> bool:
    """Whether the first and last MiB and samples between hold only zeros. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        spans = [(0, MIB), (max(0, size - MIB), MIB)]
        spans += [(offset, 4096) for offset in _sample_offsets(size)]
        return not any(any(os.pread(fd, length, offset)) for offset, length in spans)
    finally:
        os.close(fd)


def device(
    maj_min: str, path: str, slots: Optional[dict[str, str]] = None, samples: bool = False
) -> Optional[Device]:
    """One device, or None where it has no size. ``samples``: read some, to prove it blank."""
    sys = os.path.join(SYS, maj_min)
    size, kind, read_only = 0, "other", True
    model = " ".join(_said(os.path.join(sys, "device/model")).split())
    traits: list[str] = []
    parts: list[str] = []
    holders: list[str] = []
    signatures: list[str] = []
    filesystem: dict[str, str] = {}
    exclusive, probed = False, ""
    try:
        size = int(_read(os.path.join(sys, "size")) or 0) * 512
        if not size:
            return None
        kind, read_only = _kind(sys), _read(os.path.join(sys, "ro")) == "1"
        traits = _traits(sys, maj_min, model)
        parts = [n for n in listing.names(sys) if listing.is_there(f"{sys}/{n}/partition")]
        for folder in (sys, *(os.path.join(sys, part) for part in parts)):
            holders += listing.names(os.path.join(folder, "holders"))
        signatures, filesystem = _signatures(path)
        patience = 0 if signatures or parts or holders else FREED_SECONDS
        exclusive = until(lambda: _exclusive(path), patience)
    except (Failed, OSError) as error:
        probed = str(error)
    serial = _said(os.path.join(sys, "device/serial")) or _said(os.path.join(sys, "serial"))
    observed: Device = {
        "path": path,
        "maj_min": maj_min,
        "kernel_name": os.path.basename(os.path.realpath(sys)),
        "kind": kind,
        "size": size,
        "read_only": read_only,
        "serial": serial or _vpd_serial(sys) or None,
        "wwn": _said(os.path.join(sys, "device/wwid")) or _said(os.path.join(sys, "wwid")) or None,
        "by_path": (_slots() if slots is None else slots).get(maj_min),
        "partitions": parts,
        "holders": sorted(set(holders)),
        "signatures": signatures,
        "filesystem": filesystem,
        "model": model or None,
        "traits": traits,
        "probed": probed,
        "exclusive": exclusive,
        "zeros": False,
    }
    if samples:
        _sample(observed)
    return observed


def _sample(item: Device) -> None:
    """Read samples of a device on which nothing was found."""
    if item["signatures"] or item["partitions"] or item["holders"] or item["probed"]:
        item["zeros"] = False
        return
    try:
        item["zeros"] = zeros(item["path"], item["size"])
    except OSError as error:
        item["zeros"], item["probed"] = False, f"it can't be read: {error.strerror or error}"


def devices() -> list[Device]:
    """All block devices that have a node in /dev; none is proved blank yet."""
    slots = _slots()
    known = [device(maj_min, path, slots) for maj_min, path in sorted(_nodes().items())]
    return [item for item in known if item is not None]


def prove_blank(known: list[Device], asked: dict[str, Asked]) -> None:
    """Read samples of the devices that are asked for: only those may come to be formatted."""
    wanted = {item["maj_min"] for item in asked.values()}
    for item in known:
        if item["maj_min"] in wanted:
            _sample(item)


def mounts(known: list[Device]) -> list[Mount]:
    """The mounts, those of containers and the like left out. known: the devices, by which the UUIDs are told."""
    uuids = {item["maj_min"]: item["filesystem"].get("uuid", "") for item in known}
    # That of btrfs has a number of its own.
    by_path = {item["path"]: item["filesystem"].get("uuid", "") for item in known}
    return told(
        [
            line.as_mount(uuids.get(line.maj_min, "") or by_path.get(line.source, ""))
            for line in mountinfo.read()
        ]
    )


def look_at(mount_point: str) -> Inside:
    """What is in the filesystem that is mounted there."""
    try:
        return {"unknown": "", "contents": contents.look(mount_point)}
    except OSError as error:
        return {"unknown": str(error.strerror or error), "contents": None}


def look_inside(
    known: list[Device],
    mounted: list[Mount],
    asked: dict[str, Asked],
    points: set[str],
    uuids: set[str],
) -> dict[str, Inside]:
    """What is in the filesystems that are at a place of the table, or may come to be.

    points: the table's mount points; uuids: those of the disks that the record has.
    """
    insides: dict[str, Inside] = {}
    for mount in mounted:
        if mount["target"] in points:
            insides[mount["target"]] = look_at(mount["target"])
    used = {mount["maj_min"] for mount in mounted}
    named = {item["maj_min"] for item in asked.values()}
    for item in known:
        filesystem = item["filesystem"]
        concerned = item["maj_min"] in named or filesystem.get("uuid") in uuids
        mountable = filesystem.get("type") in MOUNTABLE and len(item["signatures"]) == 1
        free = item["exclusive"] and not item["holders"] and item["maj_min"] not in used
        if concerned and mountable and free:
            insides[item["maj_min"]] = unseen.look(item["path"], filesystem["type"])
    return insides
