# SPDX-License-Identifier: GPL-3.0-or-later
"""What raises each refusal of a move, and its whole sentence; ``{tmp}`` is the test's directory."""

from __future__ import annotations

import fcntl
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

from ansible_collections.agnes.host.plugins.module_utils.core.copy import copy_errors
from ansible_collections.agnes.host.plugins.module_utils.core.disks import which_copy
from ansible_collections.agnes.host.plugins.module_utils.core.disks.disks import Request
from ansible_collections.agnes.host.plugins.module_utils.core.host import host_errors
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.core.layout.state_on import (
    check_measured,
    check_not_retired,
    check_state_on,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move import move_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import REMOUNT
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus
from ansible_collections.agnes.host.plugins.module_utils.core.move.moves import (
    plan_interrupted,
    plan_move,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.presence import Seen, late
from ansible_collections.agnes.host.plugins.module_utils.move import (
    canary,
    copy_steps,
    places,
    steps,
)
from ansible_collections.agnes.host.plugins.module_utils.move.project import Project
from ansible_collections.agnes.host.plugins.module_utils.move.runner import Runner, StepFailed
from ansible_collections.agnes.host.plugins.module_utils.system.compose import images
from ansible_collections.agnes.host.plugins.module_utils.system.disks import devices
from ansible_collections.agnes.host.plugins.module_utils.system.layout import markers, trees
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger
from ansible_collections.agnes.host.plugins.module_utils.system.move.moving import Held
from ansible_collections.agnes.host.plugins.modules import move

from .hosts import blank_disk_host, container, env, ext4, flat_host, mount, nested_host
from .moving import intent, leftover, move_facts_of, unmounted, with_facts
from .shadows import USED, shadow

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
HOSTS = {"nested": nested_host, "flat": flat_host}
RUNNING = [
    container("app", "running"),
    container("extract", "exited"),
]


def host_with(layout: Layout, **moving: Any) -> Any:
    """A host in ``layout`` with a stack, and what differs in the facts of a move."""
    fstab = [
        {"line": 2, "maj_min": "", "mount_point": layout.mounts["state"], "spec": "UUID=u-state"}
    ]
    values = {**layout.env(), "COMPOSE_FILE": f"docker-compose.yml:{layout.overlay}"}
    made: Any = HOSTS[layout.name](
        fstab=fstab, env=env(**values), containers=RUNNING,
    )  # fmt: skip
    return with_facts(made, **moving)


def one_disk(**moving: Any) -> Any:
    """A host with state in a directory of the data disk, a stack, and a blank disk that is asked for."""
    values = {"COMPOSE_FILE": f"docker-compose.yml:{NESTED.overlay}"}
    made: Any = blank_disk_host(env=env(**values), containers=RUNNING)
    return with_facts(made, **moving)


def foreign() -> Any:
    """The disk has a filesystem that is mounted by consent, not one of ours."""
    made = one_disk()
    made["devices"][1] = ext4("/dev/sdc", "u-other")
    return made


def left_behind() -> Any:
    """Its state was on the disk before it was copied into the directory."""
    made = one_disk()
    made["devices"][1] = ext4("/dev/sdc", "u-state", serial="S1")
    made["record"]["disks"] = {"retired": {"uuid": "u-state", "phase": "formatted"}}
    return made


def covered(role: str) -> Any:
    """A disk that a move was to copy to has been mounted over state since."""
    made = host_with(NESTED)
    made["state"]["/data/state"]["marker"] = {"format": 1, "role": role}
    return made


def copied(observed: Any) -> Callable[[Path], object]:
    """Planning a move that copies."""
    return lambda tmp: plan_move(observed, NESTED, FLAT, Request(adopt=["u-other"]))


def half_way(tmp: Path) -> object:
    """Ask for the layout that a committed copy has left."""
    return plan_interrupted(one_disk(intent=intent(kind="copy"), env=FLAT.env()), "nested")


def marker_as(tmp: Path, make: Callable[[Path], object]) -> object:
    """Read a marker that somebody has replaced."""
    make(tmp / ".agnes-state.json")
    with trees.opened(str(tmp)) as directory:
        return markers.read(directory)


def aside_taken(tmp: Path) -> object:
    """Take a directory out of its place where things set aside would go to a place of others."""
    (tmp / ".agnes-host-aside").symlink_to("/etc")
    (tmp / "state").mkdir()
    return places.retire(str(tmp / "state"), "/data-state", "m-state")


def swapped() -> Any:
    """A flat host on which the link for readers points elsewhere."""
    made = host_with(FLAT)
    made["moving"]["unmounted"]["/data/state"] = unmounted("link", "/etc")
    return made


def interrupted(**differs: Any) -> Callable[[Path], object]:
    """Planning how a move ends that was interrupted before its commit, with what differs on the host."""
    made = host_with(NESTED)
    with_facts(made, intent=intent(), points=[])
    made.update(differs)
    return lambda tmp: plan_interrupted(made, "")


def of_another_version(tmp: Path) -> object:
    """Read an intent that lacks a field."""
    said = intent()
    del said["services"]
    ledger.write(f"{tmp}/intent.json", said)
    return ledger.read_intent(f"{tmp}/intent.json")


def image_gone(tmp: Path) -> object:
    """Look for the images of what runs where one has been removed."""
    docker = tmp / "docker"
    docker.write_text("#!/bin/sh\necho >&2 'Error: No such image: agnes:1'; exit 1\n")
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    return images.check_there(str(docker), {"app": {"image": "agnes:1"}}, ["app"], "/opt/agnes")


def no_copy_disk(_tmp: Path) -> object:
    """Look for the disk to copy to where it has been detached."""
    with patch.object(devices, "devices", list):
        return copy_steps.device_with("u-copy")


def other_shown(_tmp: Path) -> object:
    """Go on with a move where another disk is mounted at /data."""
    status = MoveStatus(NESTED, FLAT, "u-state", move_facts_of(host_with(NESTED)), REMOUNT)
    return late(status, "u-data", Seen({"/data": "u-1"}, [], []))


def not_alone(tmp: Path) -> object:
    """Start the stack where the state disk is still at the old place, too."""
    points = [
        {"target": path, "uuid": "u-state", "root": "/"} for path in ("/data/state", "/data-state")
    ]
    moving = move_facts_of(host_with(NESTED, points=points, env=FLAT.env()))
    return steps._start(
        SimpleNamespace(
            look=lambda containers: MoveStatus(NESTED, FLAT, "u-state", moving, REMOUNT)
        )
    )  # type: ignore[arg-type]


class Case(NamedTuple):
    """As in test_errors.py."""

    cls: type[Refusal]
    trigger: Callable[[Path], object]
    message: str


SHADOWED = unmounted("directory", "", leftover("system.duckdb", size=12288))


def shadowed_at(path: str, there: dict[str, Any]) -> dict[str, Any]:
    return {**host_with(NESTED)["moving"]["unmounted"], path: there}


def planned(moving: dict[str, Any]) -> Callable[[Path], object]:
    """Planning a move from nested to flat with what differs in its facts."""
    return lambda tmp: plan_move(host_with(NESTED, **moving), NESTED, FLAT)


COPIES = shadow({"role": "active", "epoch": 3}, {**USED, "rows": {}, "uncounted": "in use by app"})
NOW = which_copy.digest(COPIES)
EVIDENCE = (
    "mounted (/dev/sdc): files open in no container, seen by none; rows: main.rows 3; 2 files, 10 bytes, "
    "newest 2026-01-02 03:04:05; marker active, epoch 3 -- shadowed (/dev/sdb): files open in app, seen by "
    "app, scheduler; rows not counted (in use by app); 2 files, 10 bytes, newest 2026-01-02 03:04:05; "
    "marker none -- paths: 1 same, 2 only shadowed, 0 only mounted, 1 differ, among them 'system.duckdb' differ"
)


def two_copies(*decisions: str) -> Callable[[Path], object]:
    """Deciding between two copies on host agnes1."""
    shadows = {"/data/state": COPIES}
    return lambda tmp: which_copy.decide("/data/state", shadows, decisions, "agnes1", True)


CONTEXT: Any = SimpleNamespace(
    target=FLAT, source=NESTED, intent=MoveIntent.from_dict(intent()), copy_uuid="u-state",
    all_held=lambda: [Held("8:32")],
)  # fmt: skip


def locked(tmp: Path) -> object:
    """Take the host's lock while somebody has it."""
    path = tmp / "lock"
    path.write_text("a move, process 7, since then\n")
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with ledger.locked("a test", str(path)):
            return None


def product_locked(tmp: Path) -> object:
    """Take one of the product's locks while it works."""
    with (tmp / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with steps.product_lock(str(tmp / "lock"), seconds=0):
            return None


def gone_before(tmp: Path) -> object:
    """Go back where something else is mounted over the state disk."""
    points = [*move_facts_of(host_with(NESTED))["points"], {"target": "/data/state", "source": "/dev/sde",
              "uuid": "u-e", "root": "/", "maj_min": "8:64", "fstype": "ext4"}]  # fmt: skip
    status = MoveStatus(
        NESTED, FLAT, "u-state", move_facts_of(host_with(NESTED, points=points)), REMOUNT
    )
    return steps._check_as_before(SimpleNamespace(look=lambda containers: status))  # type: ignore[arg-type]


def failing(step: str, committed: bool, gone: bool = False) -> Callable[[Path], object]:
    """A move that fails at ``step``."""

    def forward(tmp: Path) -> object:
        runner = Runner(CONTEXT)
        error = StepFailed(step, OSError("no space"), committed)
        with (
            patch.object(runner, "_pass", side_effect=error),
            patch.object(runner, "back", return_value=True),
            patch.object(runner, "_start_anyway"),
            patch(f"{Runner.__module__}.is_gone", return_value=gone),
        ):
            return runner.forward()

    return forward


def held(tmp: Path) -> object:
    """Look for holders where one is."""
    with patch.object(steps, "holders", return_value=["backup (7): open files"]):
        return steps._nobody(CONTEXT, 0, containers=True)


def lost(tmp: Path) -> object:
    """Send a canary where nobody listens."""
    with patch.object(canary, "_SECONDS", 0.01), trees.opened(str(tmp)) as directory:
        return canary.send("http://app:1/rows", str(tmp), directory, "m")


def strays(tmp: Path) -> object:
    """Stop a project that leaves a container."""
    docker = tmp / "docker"
    docker.write_text("#!/bin/sh\n[ $1 = compose ] || printf 'agnes-old-1\\trunning\\told\\n'\n")
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    return Project(str(docker), str(tmp)).down()


MOVED = [
    Case(
        errors.BackendNotMovable, planned({"backend": "side_car"}),
        "AH060: instance.yaml in '/data/state' names database backend 'side_car', and the product's "
        "scripts for it know the nested layout only; only hosts with backend duckdb can be moved (see "
        "docs/moving.md)",
    ),
    Case(
        errors.ShadowedState, planned({"unmounted": shadowed_at("/data/state", SHADOWED)}),
        "AH062: the mount at '/data/state' shadows what may be a second copy of state (found "
        "system.duckdb), and it is not decided which copy counts; run again: the plan shows both copies "
        "and how to decide",
    ),
    Case(
        copy_errors.ShadowConflict, two_copies(),
        "AH089: the mount at '/data/state' shadows what may be a second copy of state, and this collection "
        f"never chooses between two; found {EVIDENCE}; compare them, then say which copy counts: -e "
        f"state_layout_authority=agnes1:mounted:{NOW} or agnes1:shadowed:{NOW}",
    ),
    Case(
        copy_errors.DecisionUnusable, two_copies("agnes1:shadowed:old"),
        "AH090: state_layout_authority has 'agnes1:shadowed:old', which is no decision about this evidence "
        f"(wanted agnes1:mounted:{NOW} or agnes1:shadowed:{NOW}, for the evidence as it is now: {EVIDENCE}); "
        "look at it again, then decide",
    ),
    Case(
        copy_errors.NotMeasured,
        lambda tmp: check_measured(
            host_with(NESTED, unmeasured={"/data": "Input/output error"}), "/data"
        ),
        "AH166: '/data' can't be measured (Input/output error), so it is not known whether a copy of "
        "state has room; correct the cause, and run again",
    ),
    Case(
        errors.StateDiskShared, planned({"others": ["backup-agent-1"]}),
        "AH063: containers of other projects have the state disk at '/data/state' mounted (found "
        "backup-agent-1); stop them first",
    ),
    Case(
        errors.MountInside,
        planned({"points": [
            *move_facts_of(host_with(NESTED))["points"],
            mount("/data/state/certs", "8:48"),
        ]}),
        "AH064: below '/data/state' other things are mounted (found /data/state/certs); unmount them "
        "first",
    ),
    Case(
        errors.MovePlaceInUse, planned({"unmounted": shadowed_at("/data-state", SHADOWED)}),
        "AH065: '/data-state' can't become the state disk's mount point, found system.duckdb (wanted: "
        "nothing, or an empty directory); move it aside",
    ),
    Case(
        errors.MovePlaceInUse, planned({"unmounted": shadowed_at("/data-state", unmounted("link", "/srv"))}),
        "AH065: '/data-state' can't become the state disk's mount point, found a link to '/srv' "
        "(wanted: nothing, or an empty directory); move it aside",
    ),
    Case(
        errors.MovePlaceInUse, planned({"lines": {"/data-state": "LABEL=old"}}),
        "AH065: '/data-state' can't become the state disk's mount point, found LABEL=old in /etc/fstab "
        "(wanted: nothing, or an empty directory); move it aside",
    ),
    Case(
        errors.CanNotLook, planned({"unmounted": shadowed_at("/data/state", unmounted("unknown", "not allowed"))}),
        "AH072: can't look at the directory '/data/state' without what is mounted on it (not allowed), "
        "so nothing is moved; this needs Linux 5.2 or later",
    ),
    Case(
        errors.MoveUnderWay, locked,
        "AH066: another move is under way (a move, process 7, since then); wait for it, or see "
        "'agnes-host explain' on the host",
    ),
    Case(
        errors.StateDiskHeld, held,
        "AH067: the state disk at '/data/state' is still used (found backup (7): open files); end that, "
        "then run again",
    ),
    Case(
        errors.LockHeld, product_locked,
        "AH068: '{tmp}/lock' is locked by one of the product's scripts for 0 s; wait until that has "
        "ended, then run again",
    ),
    Case(
        errors.MoveGoneBack, failing("mount", committed=False),
        "AH069: the move to layout flat stopped at step 'mount' (no space) and went back: state is at "
        "'/data/state' as before, and the services that ran before run again; correct the cause, then "
        "run again",
    ),
    Case(
        errors.MoveStuck, failing("line", committed=True),
        "AH070: the move to layout flat stopped at step 'line' (no space); all state is at '/data-state', which "
        ".env names (on the disk with UUID u-state): correct the cause, then run again: the move goes on from there",
    ),
    Case(
        errors.CopyGone, failing("put", committed=True, gone=True),
        "AH126: the move to layout flat is committed and stopped at step 'put' (no space), and the copy that it has "
        "made is not at '/data-state': find out where it was moved to, bring it back and run again; the disk with UUID "
        "u-state has all state as it was when the stack stopped",
    ),
    Case(
        errors.NotAsBefore, gone_before,
        "AH079: '/data/state' is not as it was before the move (found /dev/sdX and /dev/sde and a directory without "
        "its mount), so the stack is not started; see 'agnes-host explain', bring it back as it was, then run again",
    ),
    Case(
        errors.CanaryLost, lost,
        "AH071: the canary row posted to http://app:1/rows did not arrive on the state disk at '{tmp}' "
        "([Errno 111] Connection refused); see 'docker compose logs app'",
    ),
    Case(
        errors.StrayContainers, strays,
        "AH073: containers of the project belong to no service or did not stop (found agnes-old-1); "
        "remove them, then run again",
    ),
    Case(
        errors.CopyTargetForeign, copied(foreign()),
        "AH120: '/dev/sdc' is not blank and not an unused copy of this host's state (found ext4 that "
        "this host did not make), and copying state to it would delete what is there; name a blank disk, "
        "or see what it is and move it aside",
    ),
    Case(
        errors.CopyMustEnd, half_way,
        "AH121: the move to layout flat is committed and has not ended, and layout nested is asked for; "
        "run once with layout=flat, which ends it, then ask for nested",
    ),
    Case(
        errors.StateRetired, copied(one_disk(roles={"/data/state": "retired"})),
        "AH122: by its marker, '/data/state' has the old state that an earlier move to '/data-state' left "
        "behind; find out what changed .env or mounted it there, then make both lead to the state at "
        "'/data-state' again",
    ),
    Case(
        errors.StateOnImpossible, lambda tmp: check_state_on(host_with(FLAT), FLAT, FLAT, "directory"),
        "AH130: state_layout_state_on is 'directory', and layout flat keeps state on a disk of its own; "
        "correct it, or leave it empty",
    ),
    Case(
        errors.StateOnCovered,
        lambda tmp: check_state_on(host_with(NESTED), NESTED, NESTED, "directory"),
        "AH131: state at '/data/state' is on a disk of its own, and state_layout_state_on asks for a "
        "directory, which would have the same path in this layout; run with layout=flat first, then with "
        "layout=nested",
    ),
    Case(
        errors.StateOnCovered, lambda tmp: check_state_on(one_disk(), NESTED, NESTED, "disk"),
        "AH131: state at '/data/state' is on the data disk, and state_layout_state_on asks for a disk, "
        "which would have the same path in this layout; run with layout=flat first, then with "
        "layout=nested",
    ),
    Case(
        errors.DiskRetired, copied(left_behind()),
        "AH132: the disk '/dev/sdc' has the old state of before the move to '/data/state' (found ext4), and is "
        'kept as it is; to lose what is on it set disks_format: [{"device": "/dev/sdc", "identity": '
        '"serial:S1", "found": "ext4"}], or name a blank disk',
    ),
    Case(
        errors.ConfigDiskNamed,
        lambda tmp: plan_move(
            host_with(FLAT, config_disk="8:32"), FLAT, NESTED, Request(state_on="directory")
        ),
        "AH133: '/dev/disk/by-id/google-config-disk' is /dev/sdX, and each run of the product's upgrade mounts the "
        "disk of that name at STATE_DIR: it would shadow the state directory '/data/state'; attach the disk under "
        "another name first",
    ),
    Case(
        errors.CopyShown, lambda tmp: check_not_retired(covered("incomplete")),
        "AH134: '/data/state' has a copy of state from a move that did not end (its marker says incomplete), and "
        "no move is under way; see 'agnes-host explain' and AH134 in docs/errors.md before you start or remove "
        "anything there",
    ),
    Case(
        errors.NotReplaceable, planned({"blocked": {"/opt/agnes/.env": "a mount point of its own"}}),
        "AH094: '/opt/agnes/.env' can't be changed (found a mount point of its own), and a move "
        "must write there while the stack is down; remove the cause, then run again",
    ),
    Case(
        errors.StateDiskHeld, planned({"kernel_users": ["a swap file of /data/state/swap"]}),
        "AH067: the state disk at '/data/state' is still used (found a swap file of /data/state/swap); end that, "
        "then run again",
    ),
    Case(
        host_errors.KernelUsersUnreadable,
        planned({"kernel_unread": {"/proc/swaps": "Input/output error"}}),
        "AH190: '/proc/swaps' can't be read (Input/output error), so it is not known whether a swap file, a "
        "loop device or an NFS export keeps the state disk in use; look for errors with 'dmesg', correct the "
        "cause, and run again",
    ),
    Case(
        errors.ImageGone, image_gone,
        "AH061: image 'agnes:1' of service 'app' is not on this host any more, so the stack could not be started "
        "again once it is stopped; get it ('docker compose pull app' in /opt/agnes), then run again",
    ),
    Case(
        errors.MoveDiskAway, interrupted(devices=[ext4("/dev/sdb", "u-data")]),
        "AH135: the disk with UUID u-state, which this move needs, is not mounted at '/data/state' "
        "(found no such disk attached), so nothing is written, mounted or started; attach the disk, "
        "then run again or 'systemctl start agnes-host-move': both mount it (by hand: 'mount "
        "UUID=u-state /data/state')",
    ),
    Case(
        errors.OtherDiskShown, other_shown,
        "AH169: '/data' has another filesystem (UUID u-1) mounted, and not the disk with UUID u-data, which "
        "this move needs, so nothing is written, mounted or started; unmount it with 'umount /data', attach "
        "the disk, then run again or 'systemctl start agnes-host-move'",
    ),
    Case(
        errors.CopyDiskNotOne, no_copy_disk,
        "AH168: the copy of state is made on the disk with UUID u-copy, and 0 disks here have that UUID "
        "(wanted 1); attach that disk, or detach what is a snapshot or a clone of it, then run again",
    ),
    Case(
        errors.MountLineMissing, interrupted(mounts=[]),
        "AH136: '/data' is not mounted, and /etc/fstab has no line for it; the disk with UUID "
        "u-data belongs there: run 'mount UUID=u-data /data', then run again",
    ),
    Case(
        errors.UuidTwice,
        interrupted(devices=[ext4(f"/dev/sd{name}", "u-state") for name in "cd"]),
        "AH138: 2 disks here have the UUID u-state, and only one of them belongs at '/data/state'; detach the copy "
        "(a snapshot or a clone), then run again",
    ),
    Case(
        errors.StateNotAlone, not_alone,
        "AH139: the stack is not started: '/data-state' must be the only place that has the "
        "state (found mounts at /data-state, /data/state); see with 'agnes-host explain' what is "
        "mounted where, correct it, then run again",
    ),
    Case(
        errors.MarkerForeign, lambda tmp: marker_as(tmp, lambda path: path.symlink_to("/etc/shadow")),
        "AH123: '{tmp}/.agnes-state.json' is not the marker that root has written (found a link or a socket), "
        "and nothing of it was read or followed: somebody who writes as uid 999 has put it there; find out "
        "who, then move it aside",
    ),
    Case(
        errors.LinkForeign, lambda tmp: plan_move(swapped(), FLAT, NESTED),
        "AH124: '/data/state' must be a link to '/data-state', found a link to '/etc'; uid 999 owns the "
        "directory that holds it, so take this for a break-in until you know who did it: it is left as found, "
        "move it aside",
    ),
    Case(
        errors.AsideForeign, aside_taken,
        "AH125: '{tmp}/.agnes-host-aside', where moves keep what they set aside, must be a directory of "
        "root's with mode 0700, found a link or a file; uid 999 owns the directory that holds it: find out "
        "who made it, then move it aside",
    ),
    Case(
        errors.MovePartUnreadable, lambda tmp: move.planned_move({**intent(), "uuid": None}),
        "AH160: the part 'move' of the plan can't be read (field 'uuid' is None); give the task the part that "
        "the filter agnes.host.plan has made in this run, as it is",
    ),
    Case(
        errors.IntentUnreadable, of_another_version,
        "AH161: a move has begun, and this version of agnes.host can't read its intent in '{tmp}/intent.json' (no "
        "field 'services'); end the move with the version that began it, then use this one",
    ),
]  # fmt: skip
