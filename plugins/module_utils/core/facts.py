# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of what the observe module reports; all decisions start from it."""

from __future__ import annotations

from typing import Any, Optional, TypedDict

FORMAT = 1
"""Format of the observation; a change that a reader would misread raises it."""


class Device(TypedDict):
    """A block device, from /sys and low-level probes."""

    path: str
    maj_min: str
    kernel_name: str
    kind: str
    """disk, part, loop, dm, md, rom or other."""
    size: int
    """Bytes."""
    read_only: bool
    serial: Optional[str]
    wwn: Optional[str]
    partitions: list[str]
    holders: list[str]
    signatures: list[str]
    """What low-level probes find, for people: ``ext4 labelled 'data'``; empty when blank."""
    filesystem: dict[str, str]
    """type, uuid and label if there is exactly one filesystem, else empty."""
    exclusive: bool
    """Whether it can be opened exclusively: nothing in the kernel uses it."""
    zeros: bool
    """Whether the first and last MiB and samples between hold only zeros."""


class Asked(TypedDict):
    """What a disk variable names, resolved."""

    device: str
    found: str
    """Empty when it names a block device; else what is wrong, for a message."""
    maj_min: str


class Mount(TypedDict):
    """A mount of a block device, the topmost at its target."""

    target: str
    source: str
    fstype: str
    maj_min: str
    uuid: str
    root: str
    """The path within the filesystem that is mounted: ``/`` unless it is a bind."""


class StatePlace(TypedDict):
    """What is at the STATE_DIR of one layout."""

    kind: str
    """absent, directory, link or other."""
    target: str
    mounted: bool
    names: list[str]
    """Up to 20 names in it, without lost+found."""
    database: bool
    marker: Optional[dict[str, Any]]


class Env(TypedDict):
    """The project's .env, without secrets."""

    path: str
    exists: bool
    values: dict[str, str]
    duplicates: list[list[Any]]


class Engine(TypedDict):
    """The engine and Compose; ``error`` is empty when both answer."""

    docker: str
    version: str
    compose: str
    compose_version: str
    error: str


class Host(TypedDict):
    """Everything that is observed of a host, in one value."""

    format: int
    boot_id: str
    devices: list[Device]
    asked: dict[str, Asked]
    mounts: list[Mount]
    fstab: list[dict[str, Any]]
    env: Env
    state: dict[str, StatePlace]
    mount_points: dict[str, list[str]]
    """Names in each mount point of the table that is not mounted."""
    compose_files: list[str]
    engine: Engine
    containers: list[dict[str, Any]]
    record: dict[str, Any]
