# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are refused: the class, the host, the request, and the whole sentence."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.agnes.host.plugins.module_utils.core.host import errors, host_errors
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.facts import Host

from .hosts import (
    GIB,
    STATE,
    device,
    env,
    ext4,
    flat_host,
    host,
    inside,
    mount,
    nested_host,
    place,
    volume,
)
from .keeping_refusals import KEPT

NO_STATE_DISK = {**host()["asked"], "state": {"device": "", "problem": "", "maj_min": ""}}
FLAT: dict[str, Any] = {"layout": "flat"}


LOG = "/var/log/agnes-startup.log"
STATE_LABEL = {"type": "ext4", "uuid": "u-1", "label": "agnes-state"}
MARKER = {"format": 1, "role": "active", "instance_id": "i-1", "epoch": 3}
CONSENT = {"device": "/dev/sdc", "identity": "serial:S1", "found": "ext4"}


def engine(**differs: Any) -> dict[str, Any]:
    return {**host()["engine"], **differs}


def line(number: int, point: str, spec: str, maj_min: str = "") -> dict[str, Any]:
    """An entry of /etc/fstab, as observed."""
    return {"line": number, "mount_point": point, "spec": spec, "maj_min": maj_min}


class Planned(NamedTuple):
    """A host whose plan is a refusal."""

    cls: type[Refusal]
    host: Host
    request: dict[str, Any]
    message: str


PLANNED = [
    Planned(
        errors.UnknownLayout, host(), {"layout": "side"},
        "AH001: unknown layout 'side' in -e layout=; the layouts are nested, flat: name one of them",
    ),
    Planned(
        errors.LayoutContradiction, host(), {"layout": "flat", "wanted": "nested"},
        "AH002: layout 'flat' contradicts state_layout_wanted 'nested' of the inventory; make them "
        "agree, or add -e state_layout_override_inventory=true to this run",
    ),
    Planned(
        errors.UnknownStateDir, host(env=env(DATA_DIR="/srv/agnes")), {},
        "AH003: /opt/agnes/.env puts state at '/srv/agnes/state', which no layout uses (the layouts "
        "use /data/state, /data-state); correct STATE_DIR or DATA_DIR there",
    ),
    Planned(
        errors.StateElsewhere, flat_host(env=env(STATE_DIR="")), {},
        "AH004: /opt/agnes/.env puts state at '/data/state', but there is none; state was found at "
        "'/data-state': set STATE_DIR=/data-state again if that is this host's state, and find out "
        "what rewrote the file",
    ),
    Planned(
        errors.StateTwice,
        nested_host(
            state={
                "/data/state": place(mounted=True, names=STATE),
                "/data-state": place(names=["system.duckdb"]),
            }
        ), {},
        "AH005: state was found at more than one place (/data/state, /data-state), and this "
        "collection never chooses between two copies; move aside the one that is not in use",
    ),
    Planned(
        errors.MoveNotSupported,
        flat_host(mounts=[mount("/data", "8:16", "u-data")], state={
            "/data/state": place("link", target="/data-state"),
            "/data-state": place(names=STATE, database=True),
        }), {"layout": "nested"},
        "AH006: this version can't move the state at '/data-state' (layout flat, with no disk of its own) to "
        "layout nested; it moves the mount point of a state disk, and copies state between a directory of "
        "the data disk and a state disk: run with layout=flat, or without a layout",
    ),
    Planned(
        errors.StateLinkForeign,
        host(state={"/data/state": place(), "/data-state": place("absent")}), FLAT,
        "AH007: '/data/state' must be a link to '/data-state', or absent, found a directory; find "
        "out who made it, then move it aside",
    ),
    Planned(
        errors.NewerFormat, host(format=2), {},
        "AH008: 'the observation' has format 2, this version reads format 1; use agnes.host 2.0.0 "
        "or later on this host",
    ),
    Planned(
        errors.BootScriptRewrites,
        host(boot_scripts=[{"path": "/opt/boot.sh", "lines": [3, 7]}, {"path": LOG, "lines": []}]),
        FLAT,
        "AH009: layout flat would be lost at the next boot, because /opt/agnes/.env is written anew "
        "without STATE_DIR, AGNES_TLS_FULLCHAIN_PATH by /opt/boot.sh (lines 3, 7) and the boot script that "
        "logs to /var/log/agnes-startup.log; change that as docs/boot-script.md shows, then set "
        "state_layout_boot_script: handled",
    ),
    Planned(
        host_errors.BootUnreadable,
        host(boot_unread={"/etc/cron.d": "Input/output error"}),
        FLAT,
        "AH191: '/etc/cron.d' can't be read (Input/output error), so it is not known whether it writes "
        "/opt/agnes/.env at boot without STATE_DIR, AGNES_TLS_FULLCHAIN_PATH; correct the cause, or look for "
        "yourself as docs/boot-script.md shows and then set state_layout_boot_script: handled",
    ),
    Planned(
        errors.Unreadable, host(record={"format": "x", "error": "Expecting value"}), {},
        "AH010: '/var/lib/agnes-host/record.json' can't be read (Expecting value); find out what "
        "wrote it, then correct it or move it aside",
    ),
    Planned(
        errors.UnknownDataDir, flat_host(env=env(STATE_DIR="/data-state", DATA_DIR="/srv/x")), {},
        "AH011: /opt/agnes/.env puts data at '/srv/x', where no layout mounts a disk (the layouts "
        "use /data); correct DATA_DIR there",
    ),
    Planned(
        errors.StateInVolume, host(elsewhere=[volume()]), FLAT,
        "AH012: this host's state or data is not at '/data-state', but volume 'agnes_data' "
        "(/var/lib/docker/volumes/agnes_data/_data; 12 MiB; newest file of 2026-03-01 10:00:00; in no "
        "container) has state/system.duckdb; nothing was changed: copy it to the disks as "
        "docs/bring-over.md shows, or, if none of it is wanted, set disks_left_behind: ['agnes_data']",
    ),
    Planned(
        errors.ContainersElsewhere, flat_host(elsewhere=[volume(used_by=["agnes-app-1 (running)"])]), {},
        "AH013: there is state at '/data-state', but volume 'agnes_data' "
        "(/var/lib/docker/volumes/agnes_data/_data; 12 MiB; newest file of 2026-03-01 10:00:00; "
        "in use by agnes-app-1 (running)) has state/system.duckdb, so the containers work on "
        "another copy; find out which one is right as docs/bring-over.md shows, then remove the "
        "containers ('docker compose --profile '*' down', never with --volumes)",
    ),
    Planned(
        errors.CouldNotLook, host(elsewhere=[volume(proof=[], unknown="its driver is 'x'")]), FLAT,
        "AH014: volume 'agnes_data' could not be read (its driver is 'x'), and it may hold this "
        "host's state or data, so no disk is formatted or mounted; make it readable, or see "
        "AH014 in docs/errors.md, then run again",
    ),
    Planned(
        errors.NoSuchDevice,
        host(
            asked={
                **host()["asked"],
                "data": {"device": "/dev/sdz", "problem": "does not exist", "maj_min": ""},
            }
        ), FLAT,
        "AH020: disks_data_device names '/dev/sdz', which does not exist; the disks here are "
        "/dev/sdb (16 GiB), /dev/sdc (16 GiB)",
    ),
    Planned(
        errors.SameDevice,
        host(
            asked={
                "data": {"device": "/dev/sdb", "problem": "", "maj_min": "8:16"},
                "state": {"device": "/dev/disk/by-id/x", "problem": "", "maj_min": "8:16"},
            }
        ), FLAT,
        "AH021: disks_data_device and disks_state_device are the same disk ('/dev/sdb' and "
        "'/dev/disk/by-id/x' are 8:16); name two disks",
    ),
    Planned(
        errors.NotBlank,
        host(devices=[device("/dev/sdb"), ext4("/dev/sdc", "u-1")]), FLAT,
        "AH022: refusing to format '/dev/sdc' for /data-state: it is not proved blank, found ext4; "
        "attach a blank disk, or to mount it unchanged set disks_adopt: [u-1], or to lose what is on "
        'it set disks_format: [{"device": "/dev/sdc", "identity": "none", "found": "ext4"}]',
    ),
    Planned(
        errors.SystemDisk, host(mounts=[mount("/", "8:32"), mount("/boot", "8:32")]), FLAT,
        "AH023: disks_state_device names '/dev/sdc', which holds the mounted /, /boot; name another "
        "disk",
    ),
    Planned(
        errors.NotWholeDisk,
        host(devices=[device("/dev/sdb", kind="part"), device("/dev/sdc")]), FLAT,
        "AH024: disks_data_device names '/dev/sdb', which is a part; only whole disks are "
        "formatted: name the disk",
    ),
    Planned(
        errors.TooSmall, host(), {**FLAT, "min_gib": {"data": 10, "state": 20}},
        "AH025: '/dev/sdc' for /data-state is too small (found 16 GiB, wanted at least 20 GiB); "
        "attach a larger disk, or lower disks_state_min_gib",
    ),
    Planned(
        errors.NoStateDevice, host(asked=NO_STATE_DISK), FLAT,
        "AH026: layout flat needs a state disk of its own, and disks_state_device is not set; "
        "attach a disk and name it there",
    ),
    Planned(
        errors.WrongDiskMounted,
        nested_host(
            record={"format": 1, "disks": {"data": {"uuid": "u-old", "phase": "formatted"}}}
        ), {},
        "AH027: '/data' has filesystem u-data mounted, this host's record says u-old; mount the "
        "right disk, or find out why it changed; if it was meant, 'agnes-host rebind --data UUID --because replaced' "
        "takes the one that is mounted",
    ),
    Planned(
        errors.ForbiddenMount, nested_host(mounts=[mount("/data-state", "8:32")]), {},
        "AH028: '/data-state' is a mount point, which layout nested must not have; unmount it and "
        "take it out of /etc/fstab",
    ),
    Planned(
        errors.MountPointInUse, host(mount_points={"/data-state": ["a", *"bcdef"]}), FLAT,
        "AH029: '/data-state' is not mounted but holds files, which a mount would shadow (found a, b, "
        "c, d, e); move them to the disk, or aside",
    ),
    Planned(
        errors.ReadOnlyDevice,
        host(devices=[device("/dev/sdb", read_only=True), device("/dev/sdc")]), FLAT,
        "AH030: '/dev/sdb' for /data is read-only; attach it read-write, or, if it was mounted so after an error "
        "('journalctl -k'), unmount it and check its filesystem first",
    ),
    Planned(
        errors.FstabConflict,
        host(fstab=[{"line": 2, "mount_point": "/data", "spec": "LABEL=x", "fstype": "xfs"}]), FLAT,
        "AH031: /etc/fstab line 2 already gives '/data' to 'LABEL=x', which is not mounted; mount "
        "it, or take the line out",
    ),
    Planned(
        errors.ConsentSpent,
        host(
            devices=[device("/dev/sdb"), ext4("/dev/sdc", "u-1", serial="S1")],
            record={"format": 1, "disks": {}, "spent": [CONSENT]},
        ),
        {**FLAT, "format": [CONSENT]},
        "AH033: the consent to format '/dev/sdc' (identity 'serial:S1', found ext4) is used up: "
        "this host has formatted the disk once by it; take it out of disks_format, and find out "
        "what has written to the disk since",
    ),
    Planned(
        errors.DiskMissing,
        host(record={"format": 1, "disks": {"data": {"uuid": "u-1", "phase": "adopted", "size": 16 * GIB}}}),
        {"layout": "flat"},
        "AH035: this host's data disk (UUID u-1, 16 GiB) is not on this host, so nothing is "
        "formatted or mounted in its place at /data; attach it again; if another disk has its content now, "
        "'agnes-host rebind --data UUID --because replaced' takes that one; if it is lost for good, "
        "move /var/lib/agnes-host/record.json aside and take its line out of /etc/fstab",
    ),
    Planned(
        errors.WrongRole,
        host(
            devices=[ext4("/dev/sdb", "u-1", filesystem=STATE_LABEL), ext4("/dev/sdc", "u-2")],
            inside={"8:16": inside("system.duckdb", marker=MARKER), "8:32": inside("extracts", "uploads")},
        ),
        {**FLAT, "adopt": ["u-1", "u-2"]},
        "AH036: '/dev/sdb' is to be the data disk at /data, but it looks like the state disk "
        "(found its label 'agnes-state', .agnes-state.json at its top (active), system.duckdb); "
        "exchange disks_data_device and disks_state_device, or name the right disks",
    ),
    Planned(
        errors.ProbeFailed,
        host(devices=[device("/dev/sdb", probed="'wipefs' is not installed"), device("/dev/sdc")]), FLAT,
        "AH037: it is not known what is on '/dev/sdb' for /data ('wipefs' is not installed), so "
        "nothing is done to it; make sure that wipefs and blkid (Debian's util-linux) can read "
        "it, and look for disk errors with 'journalctl -k'",
    ),
    Planned(
        errors.AgnesDisks,
        host(
            devices=[ext4("/dev/sdb", "u-1"), ext4("/dev/sdc", "u-2", serial="S2")],
            inside={"8:16": inside("extracts", "uploads", newest="2026-03-01 09:00:00"),
                    "8:32": inside("system.duckdb", marker=MARKER, newest="2026-03-01 10:00:00")},
        ), FLAT,
        "AH038: these disks belong to an Agnes host, and this host's record does not have them: "
        "'/dev/sdb' (16 GiB, ext4, UUID u-1) has its data, last written 2026-03-01 09:00:00, and "
        "'/dev/sdc' (16 GiB, serial:S2, ext4, UUID u-2) has its state, instance i-1, epoch 3, last "
        "written 2026-03-01 10:00:00; to use them as they are set disks_adopt: [u-1, u-2]; to "
        "format them, and lose what is on them, see docs/disks.md",
    ),
    Planned(
        errors.PlaceUnusable, host(point_trouble={"/data": "'/data' is a link to '/mnt/disks/data'"}), FLAT,
        "AH039: no disk could be mounted at '/data', because '/data' is a link to "
        "'/mnt/disks/data'; make it and all above it plain directories on a writable filesystem",
    ),
    Planned(
        errors.SelinuxLabels,
        host(selinux_enforcing=True, engine=engine(security=["seccomp", "selinux"])), FLAT,
        "AH034: SELinux is enforcing and the engine confines containers by labels, so they could "
        "not use /data and /data-state; set disks_selinux_type to the type to mount them with, such "
        "as container_file_t (nothing is relabelled)",
    ),
    Planned(
        errors.NoEngine, host(engine=engine(error="the docker command is not installed")), {},
        "AH040: no usable Docker engine: the docker command is not installed; install and start one "
        "(the distribution's docker.io or docker-ce)",
    ),
    Planned(
        errors.EngineSlow,
        host(engine=engine(error="'docker info' did not end within 300 s", waited=True)), FLAT,
        "AH056: the Docker engine does not answer: 'docker info' did not end within 300 s; it may be "
        "starting, overloaded or stuck: run 'docker info' on the host, and run again when it answers",
    ),
    Planned(
        host_errors.ToolMissing,
        host(tools={**host()["tools"], "blkid": "", "mount": "", "rsync": ""}), FLAT,
        "AH150: this host lacks blkid, mount, which this run needs (looked for in /usr/local/sbin:"
        "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin); run 'apt-get install mount util-linux' there, "
        "and run again",
    ),
    Planned(
        host_errors.FstabFixed, host(fstab_fixed="a link to '/run/fstab', which a new file would replace"),
        FLAT,
        "AH151: /etc/fstab is a link to '/run/fstab', which a new file would replace, and this run must "
        "change its lines for /data, /data-state; make it a regular file that root can replace, and run "
        "again",
    ),
    Planned(
        host_errors.FstabTwice,
        nested_host(fstab=[line(3, "/data", "UUID=u-data"), line(7, "/data", "/dev/sdb")]), {},
        "AH152: lines 3 and 7 of /etc/fstab are all for '/data', and a boot would mount one over "
        "the other; keep the right one and remove the others",
    ),
    Planned(
        host_errors.EngineOnStateDisk,
        nested_host(engine=engine(root_dir="/data/state/docker")), {},
        "AH154: the Docker engine keeps its own data in '/data/state/docker', which is at or "
        "below /data/state, where the state disk belongs, so no run can mount or move that disk; "
        "set another data-root in /etc/docker/daemon.json",
    ),
    Planned(
        errors.ComposeTooOld, host(engine=engine(compose_version="2.24.3")), {},
        "AH041: Docker Compose 2.24.3 is too old (wanted 2.24.4 or later, older ones ignore "
        "'!override' and would mount the wrong disk); install a newer one",
    ),
    Planned(
        errors.ProjectLink,
        host(project={"path": "/opt/agnes", "link": "/srv/apps/agnes-prod", "name": ""}), {},
        "AH054: '/opt/agnes' is a link to '/srv/apps/agnes-prod', so Compose may give the project "
        "two different names; make '/opt/agnes' a directory: move the files there, or use a bind "
        "mount",
    ),
    Planned(
        errors.ProjectName,
        host(project={"path": "/opt/agnes", "link": "", "name": "agnes_live", "fetched": []}), {},
        "AH053: Compose gives the project in /opt/agnes the name 'agnes_live', and the product's scripts expect "
        "'agnes'; take COMPOSE_PROJECT_NAME out of .env, or the name out of the compose file",
    ),
    Planned(
        errors.EnvUnreadable, host(env={**env(), "trouble": [[3, "COMPOSE_FILE is set again, to another value"]]}), {},
        "AH046: /opt/agnes/.env line 3: COMPOSE_FILE is set again, to another value; write one "
        "plain KEY=value a line",
    ),
    Planned(
        errors.UnsuitableEngine, host(engine=engine(swarm="active", error="later")), {},
        "AH051: the Docker engine here is a swarm node (active), where the swarm may start "
        "containers by itself; use the distribution's docker.io or docker-ce",
    ),
]  # fmt: skip

PLANNED += [Planned(*each) for each in KEPT]
