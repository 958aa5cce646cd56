# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of what the observe module reports; all decisions start from it."""

from __future__ import annotations

from typing import Any, Optional, TypedDict

from ..compose.certificates import Certificates
from ..compose.state_secrets import Seen
from ..copy.retired import Retired
from ..disks.mounts import Mount
from ..move.move_status import Moving
from .keepers import Keeper

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
    by_path: Optional[str]
    """Its name in /dev/disk/by-path: the slot that it is in."""
    partitions: list[str]
    holders: list[str]
    signatures: list[str]
    """What low-level probes find, for people: ``ext4 labelled 'data'``; empty when blank."""
    filesystem: dict[str, str]
    """type, uuid and label if there is exactly one filesystem, else empty."""
    model: Optional[str]
    traits: list[str]
    """What makes a disk a bad place for state: removable, rotational, ephemeral."""
    probed: str
    """Why it could not be found out what is on it; empty when it was."""
    exclusive: bool
    """Whether it can be opened exclusively: nothing in the kernel uses it."""
    zeros: bool
    """Whether the first and last MiB and samples between hold only zeros."""


class Asked(TypedDict):
    """What a disk variable names, resolved."""

    device: str
    problem: str
    """Empty when it names a block device; else what is wrong, for a message."""
    maj_min: str


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
    keys: list[str]
    """The names of all keys, secrets too."""
    values: dict[str, str]
    trouble: list[list[Any]]
    """[line, what] for each line of a key of ours that its readers would read differently."""


class Engine(TypedDict):
    """The engine and Compose; ``error`` is empty when both answer."""

    docker: str
    """Path of the client."""
    version: str
    platform: str
    """What the server calls itself: Docker or Podman."""
    endpoint: str
    """Where the client looks for the engine."""
    root_dir: str
    security: list[str]
    """Names of the engine's security options: rootless, selinux and others."""
    swarm: str
    """State of this node in a swarm; ``inactive`` when it is in none."""
    compose: str
    compose_version: str
    error: str
    waited: bool
    """Whether ``error`` is that a question was given up after a long wait."""
    unit: str
    """The unit of systemd that starts it, where it is the one that can be held back; else empty."""
    guard: str
    """Which guard is on the host, see core/host/guard.GUARDS."""
    here: bool
    """Whether root_dir is on this host: an engine in a container or elsewhere has its own."""


class Project(TypedDict):
    """The compose project's directory and name."""

    path: str
    link: str
    """Where the directory leads if it is a link; else empty."""
    name: str
    """What Compose names the project; empty where it has nothing yet that it could resolve."""
    services: Optional[dict[str, Any]]
    """Those of the chain as it is, as overlay.cut leaves them; None likewise."""
    fetched: list[str]
    """The files there that the product's own upgrade fetches again; none where it is not at work."""


class Accounts(TypedDict):
    """Who has the product's uid and gid on this host; empty where nobody does."""

    user: str
    group: str


class Volume(TypedDict):
    """The project's named data volume if it exists, else empty values."""

    name: str
    bind: str
    """The host path that its driver options bind; empty for a plain volume."""


class Contents(TypedDict):
    """What a directory holds, by its top and the top of its directory ``state``."""

    names: list[str]
    """Names at its top, of those that the product's data or state has there."""
    state_names: list[str]
    filled: list[str]
    """Which of them are directories that are not empty."""
    marker: dict[str, Any]
    """The state marker at the top; empty where there is none."""
    state_marker: dict[str, Any]
    """That in the directory ``state``."""
    newest: str
    """When the newest of both tops was written, as UTC; empty when there is nothing."""


class Inside(TypedDict):
    """What is in a filesystem that is, or may come to be, mounted at a place of the table."""

    unknown: str
    """Why it could not be looked into; empty when it was."""
    contents: Optional[Contents]


class Elsewhere(TypedDict):
    """A volume, or a directory that the project's containers use, with state or data in it."""

    kind: str
    """volume or directory."""
    name: str
    """The volume's name, or the directory's path."""
    path: str
    """Where it is on the host."""
    proof: list[str]
    """Names in it that prove what it is."""
    size: int
    """Bytes of all files in it; -1 when they were not counted."""
    whole: bool
    """Whether all of them were counted."""
    newest: str
    used_by: list[str]
    """Containers of the project that have it for data or state, each with its status."""
    unknown: str
    """Why it could not be looked at; empty when it was."""


class BootScript(TypedDict):
    """A script that runs at boot and writes ``.env``."""

    path: str
    lines: list[int]
    """The lines that write it, from 1; empty when only the script's log is there."""


class Secrets(TypedDict):
    """Which secrets there are, without their values."""

    in_env: list[str]
    """Keys that ``.env`` has with a value and that the product may keep in STATE_DIR, or we make."""
    in_state: dict[str, dict[str, Seen]]
    """STATE_DIR -> key -> what its file there shows."""


class Filesystem(TypedDict):
    """How full a filesystem is; sizes in bytes, free is what is left for others than root."""

    path: str
    used: int
    free: int
    used_inodes: int
    free_inodes: int


class Copier(TypedDict):
    """A line of a job that copies a place of state: of a unit, a file of cron, or a script that one starts."""

    path: str
    line: int
    place: str
    """The STATE_DIR of a layout that it names."""
    inside: bool
    """Whether it names something in there, or ends in a slash, so that a link is followed."""


class Upkeep(TypedDict):
    """What only an audit looks for."""

    filesystems: list[Filesystem]
    """Those of the root, of the engine and of the disks, each once."""
    certificates: dict[str, int]
    """STATE_DIR -> seconds until the certificate there ends, negative when it has; only those that are known."""
    retired: list[Retired]
    discarded: dict[str, list[str]]
    """STATE_DIR -> names of what the product has discarded of its database."""
    foreign: dict[str, dict[str, int]]
    """STATE_DIR -> name of a file of a database -> its owner, where that is not the product's user."""
    mount_units: list[str]
    """Mount points of the table for which somebody has made a unit."""
    copiers: list[Copier]
    unknown: list[list[str]]
    """[what, why] of all that could not be looked at."""


class Host(TypedDict):
    """Everything that is observed of a host, in one value."""

    format: int
    boot_id: str
    devices: list[Device]
    asked: dict[str, Asked]
    mounts: list[Mount]
    """In the order of mounting, shadowed ones too; what decisions ask of them is in core/disks/mounts.py."""
    inside: dict[str, Inside]
    """MAJ:MIN -> what is in the filesystem."""
    fstab: list[dict[str, Any]]
    """Of each entry the fields of fstab.Entry but its options, and ``maj_min`` of the device that it names, if one."""
    fstab_fixed: str
    """Why /etc/fstab can't be replaced by a new file, for a message; empty when it can."""
    env: Env
    secrets: Secrets
    certificates: Certificates
    keepers: dict[str, Keeper]
    state: dict[str, StatePlace]
    mount_points: dict[str, list[str]]
    """Names in each mount point of the table that is not mounted."""
    protection: dict[str, str]
    """Each mount point of the table at which a disk is mounted -> whether it is immutable itself, see core/disks/protection.py."""
    room: dict[str, int]
    """Each mount point of the table at which a disk is mounted -> bytes of its filesystem; zero where that is not known."""
    read_only: list[str]
    """Those of them that are mounted read-only."""
    point_trouble: dict[str, str]
    """Why a mount point that is not mounted could not become one; only those with trouble."""
    compose_files: list[str]
    project: Project
    engine: Engine
    containers: list[dict[str, Any]]
    accounts: Accounts
    data_volume: Volume
    elsewhere: list[Elsewhere]
    """What has state or data, or may have, and is at no place of the table."""
    boot_scripts: list[BootScript]
    boot_unread: dict[str, str]
    """Path -> why, for what could not be read of the files and folders that say what runs at boot."""
    selinux_enforcing: bool
    record: dict[str, Any]
    generation: dict[str, Any]
    """What the host keeps of how new its state is, see core/layout/generation.py."""
    moving: Moving
    parts: dict[str, Any]
    """What each part of a run says that it would do, see parts.py; empty where none was asked."""
    upkeep: Optional[Upkeep]
    """None unless it was asked for."""
    tools: dict[str, str]
    """Program -> path, of those in tools.PACKAGES; empty for one that is not there."""
