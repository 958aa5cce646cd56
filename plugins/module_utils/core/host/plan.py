# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a host: from what was observed and what is asked, what will be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..compose.chain import chain_for, chain_now, layout_overlays, order_note, split
from ..compose.engine import check_engine, check_selinux
from ..compose.project import check_project
from ..compose.stack import left_behind, run_since_before
from ..disks import fstab, growing
from ..disks.disks import DiskPlan, Request, check_record, plan_disks
from ..disks.elsewhere import check_elsewhere
from ..disks.mounts import on_top
from ..disks.protection import to_protect
from ..disks.which_copy import decide, note
from ..layout.boot import check_boot
from ..layout.choice import asked_layout, check_trust, choose_layout, current_layout
from ..layout.layouts import DEFAULT_LAYOUT, LAYOUTS, Layout, mount_points
from ..layout.state_on import check_not_retired, check_state_on
from ..layout.tree import AGNES_UID
from ..move.moves import MovePlan, interrupted, plan_interrupted, plan_move
from ..move.plan_facts import facts_of
from ..move.plan_file import MADE, Given, check_disks, check_given, given
from ..move.pre_move import backup_line
from . import parts as run_parts
from .errors import NewerFormat, Refusal
from .facts import FORMAT, Host
from .guard import ENGINE, check_guard, check_overlay, guard_wanted
from .guard import sentences as say_guard
from .host_tools import LEAVE, keeps_env
from .keeping import host_tools, secrets_and_keepers
from .tools import ALWAYS, check_tools, needed

AGNES_ACCOUNT = "agnes-applier"
"""The product's account on the host; it has the uid and gid of its containers."""


def _notes(host: Host, layout: Layout, disks: Sequence[DiskPlan]) -> list[str]:
    """What an operator should know, though it stops nothing."""
    notes = [note for disk in disks for note in disk.notes]
    user, group = host["accounts"]["user"], host["accounts"]["group"]
    if user not in ("", AGNES_ACCOUNT):
        notes.append(
            f"uid {AGNES_UID} is account '{user}' on this host, which can read state files"
        )
    if group not in ("", AGNES_ACCOUNT):
        notes.append(
            f"gid {AGNES_UID} is group '{group}' on this host, so 'ls -l' shows that name for files of state"
        )
    volume = host["data_volume"]
    if volume["bind"]:
        notes.append(
            f"volume '{volume['name']}' is left over and binds {volume['bind']}: its options can't be "
            f"changed, no service may use it; 'docker volume rm {volume['name']}' removes it"
        )
    notes += left_behind(host["containers"], layout)
    stale = _run_since_before(host, disks)
    if stale:
        notes.append(
            f"containers were started before their disk was mounted, and do not see it: {', '.join(stale)}; the "
            "run recreates them, or stops if the mount shadows files"
        )
    both = layout_overlays(split(host["env"]["values"].get("COMPOSE_FILE", "")))
    others = set(both) - {layout.overlay, LAYOUTS[DEFAULT_LAYOUT].overlay}
    if others and both[-1] == layout.overlay:
        notes.append(f"COMPOSE_FILE names {' and '.join(both)}; the last one counts, and is proved")
    return notes


def _run_since_before(host: Host, disks: Sequence[DiskPlan]) -> list[str]:
    mounts = {mount["target"]: mount["maj_min"] for mount in on_top(host["mounts"])}
    to_mount = {d.mount_point: d.maj_min for d in disks if d.action in ("format", "mount")}
    return run_since_before(host["containers"], mounts, to_mount)


def _copy_that_counts(host: Host, layout: Layout, request: Mapping[str, Any], moves: bool) -> str:
    """Which copy counts where state is mounted over another one. Raises ShadowConflict."""
    said = request.get("authority") or []
    decisions = said.split(",") if isinstance(said, str) else [str(each) for each in said]
    name, shadows = str(request.get("host") or "HOST"), host["moving"]["shadows"]
    return decide(layout.mounts["state"], shadows, decisions, name, moves)


def _shadowed(host: Host, move: Optional[MovePlan]) -> list[str]:
    """Notes of what a mount shadows and what stays there in this run."""
    shadows = host["moving"]["shadows"] if not move else {}
    return [note(path, shadow) for path, shadow in shadows.items() if shadow["conflicts"]]


def _disk_request(request: Mapping[str, Any]) -> Request:
    return Request(
        fstype=str(request.get("fstype") or "ext4"),
        min_gib=request.get("min_gib") or {},
        adopt=[str(uuid) for uuid in request.get("adopt") or []],
        format=list(request.get("format") or []),
        state_on=str(request.get("state_on") or ""),
        grow=growing.setting(request.get("grow")),
    )


def _disks(
    host: Host, layout: Layout, request: Mapping[str, Any], move: Optional[MovePlan]
) -> list[DiskPlan]:
    """Until state has moved, the disks are those of the layout that the host has.

    In the middle of a move they are the move's own matter.
    """
    if move and interrupted(host):
        return []
    now = current_layout(host) if move else layout
    return plan_disks(host, now or layout, _disk_request(request))


def _move_part(host: Host, move: Optional[MovePlan], request: Mapping[str, Any]) -> dict[str, Any]:
    if move is None:
        return {}
    begun = interrupted(host) is not None
    part = {
        **move.as_dict(),
        "begun": begun,
        "new": move.direction == "forward" and not begun,
    }
    if part["disk"]:
        part["disk"].setdefault("selinux_type", str(request.get("selinux_type") or ""))
    return part


def _moves_to(move: Mapping[str, Any]) -> str:
    """The layout to which a move that has not been committed brings project and stack; else empty."""
    if move.get("direction") != "forward" or move["now"] == move["target"]:
        return ""
    return str(move["target"])


def _decided(
    host: Host, layout: Layout, source: str, request: Mapping[str, Any], move: Optional[MovePlan],
    plan: Optional[Given],
) -> dict[str, Any]:  # fmt: skip
    part = _move_part(host, move, request)
    if plan:
        check_given(plan, host, part)
    check_selinux(host, layout, str(request.get("selinux_type") or ""))
    keeps = keeps_env(request, host["project"]["path"])
    guard = guard_wanted(request)
    check_guard(host, guard)
    check_boot(host, layout, str(request.get("boot_script") or ""), keeps)
    disks = _disks(host, layout, request, move)
    if plan:
        check_disks(plan, host, [disk.as_dict() for disk in disks])
    check_tools(host["tools"], needed(disks, part))
    at = {entry["mount_point"] for entry in host["fstab"]}
    lacking = [d.mount_point for d in disks if d.action in MADE and d.mount_point not in at]
    moved = [path for path in (move.status.old, move.status.new) if path] if move else []
    fstab.check_replaceable(host["fstab_fixed"], dict.fromkeys([*lacking, *moved]))
    profiles = list(request.get("profiles") or [])
    current = chain_now(host["env"]["values"], host["compose_files"], host["project"]["path"])
    backend = host["moving"]["backend"]
    chain = chain_for(layout, current, profiles, host["compose_files"], backend)
    notes, kept = [*_notes(host, layout, disks), *_shadowed(host, move)], list[str]()
    notes += [order] if (order := order_note(current, chain)) else []
    notes += move.remarks if move else ()
    tools = LEAVE
    if not (move and interrupted(host)):
        # In the middle of a move there may be state nowhere; what it does is decided already.
        left = [str(name) for name in request.get("left_behind") or []]
        notes += check_elsewhere(host, disks, (current_layout(host) or layout).state_dir, left)
        now = current_layout(host) or layout
        kept, more = secrets_and_keepers(host, now, layout, disks, request)
        notes += more
        tools = host_tools(host, disks, request)
        check_overlay(guard, layout, host["project"]["fetched"], tools, host["project"]["path"])
        kept += say_guard(guard, host["engine"]["guard"])
    mounted = [disk.mount_point for disk in disks if disk.action != "directory"]
    touches = any(disk.action in MADE for disk in disks)
    parts = run_parts.asked(host, layout, mounted)
    needs = run_parts.needed(host, disks, part, parts)
    return {
        "layout": layout.name,
        "now": str(part.get("now") or layout.name),
        "moves_to": _moves_to(part),
        "needs": needs,
        "parts": parts,
        "refused": {} if part else run_parts.refused(host, layout, disks, parts),
        "state_dir": layout.state_dir,
        "overlay": layout.overlay,
        "move": part,
        "disks": [disk.as_dict() for disk in disks],
        "touches_disks": touches,
        # A move that has begun goes on by what its own intent says.
        "worth_a_file": bool(part.get("new")) or (touches and not part),
        "facts": {} if part else facts_of(host),
        "mounted": mounted,
        "host_tools": tools,
        "keep_env": keeps,
        "guard": guard,
        "notes": notes,
        "sentences": [
            *(move.sentences() if move else ()),
            *([backup_line(request.get("pre_move") or {})] if part.get("new") else ()),
            f"layout {layout.name} ({source}): state in {layout.state_dir}{' after the move' if part else ''}",
            *(
                f"{disk.sentence}{', until the move' if part and disk.role == 'state' else ''}"
                for disk in disks
            ),
            *(
                f"make the mount point {path} itself immutable"
                for path in to_protect(disks, host["protection"])
            ),
            *kept,
            *(f"note: {note}" for note in notes),
        ],
    }


def _layout_and_move(
    host: Host, request: Mapping[str, Any]
) -> tuple[Optional[Layout], str, Optional[MovePlan]]:
    """The layout to have, where that was said, and the move that leads there if one does."""
    layout, wanted = str(request.get("layout") or ""), str(request.get("wanted") or "")
    override = bool(request.get("override"))
    if interrupted(host):
        check_trust(host)
        asked, source = asked_layout(layout, wanted, override)
        if asked is None:
            return None, source, None
        move = plan_interrupted(host, asked)
        end = move.status.source if move.direction == "back" else move.status.target
        return (
            LAYOUTS[asked or end.name],
            source or "the target of the interrupted move",
            move,
        )
    chosen, source = choose_layout(host, layout, wanted, override)
    if chosen is None:
        return None, source, None
    current, wanted_disks = current_layout(host), _disk_request(request)
    check_not_retired(host)
    check_state_on(host, current, chosen, wanted_disks.state_on)
    if current in (None, chosen):
        if current:
            _copy_that_counts(host, current, request, moves=False)
        return chosen, source, None
    if current is None:
        raise AssertionError("without a layout there is nothing to move")
    copy_that_counts = _copy_that_counts(host, current, request, moves=True)
    move = plan_move(host, current, chosen, wanted_disks, copy_that_counts)
    return chosen, source, move


def make_plan(host: Host, request: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
    """What a run would do on ``host``; never raises a Refusal but returns it.

    request: ``layout``, ``wanted``, ``override`` (see choose_layout), ``fstype``,
    ``min_gib``, ``adopt``, ``format``, ``state_on``, ``grow`` (see disks.Request), ``left_behind`` (see
    check_elsewhere), ``selinux_type``,
    ``boot_script`` (see check_boot), ``profiles``, ``host_tools`` and ``keep_env`` (see core/host/host_tools.py),
    ``guard`` (see core/host/guard.py); ``host``, its name, and ``authority`` (see
    which_copy.decided); ``given_keys`` (see secrets_and_keepers); ``plan`` (see plan_file.given);
    ``pre_move`` (see pre_move.backup_line).
    Returns ``refusal`` and ``code`` (empty when there is none), ``layout`` (None
    when undecided or refused), ``needs``, the parts whose tasks are to run, and, when there is a
    layout, what _decided gives.
    """
    request = request or {}
    plan: dict[str, Any] = {
        "refusal": "", "code": "", "layout": None, "sentences": [], "disks": [], "needs": [], "move": {},
    }  # fmt: skip
    try:
        if host["format"] != FORMAT:
            raise NewerFormat(path="the observation", found=host["format"], known=FORMAT)
        check_tools(host["tools"], ALWAYS)
        check_record(host["record"])
        fstab.check_lines(host["fstab"], sorted(mount_points()))
        asked = str(request.get("layout") or "")
        approved = given(request.get("plan") or {}, str(request.get("host") or ""), asked)
        asked = approved.target if approved else asked
        layout, source, move = _layout_and_move(host, {**request, "layout": asked})
        if layout is None:
            plan["sentences"] = [f"layout undecided ({source}): observe and report, change nothing"]
            return plan
        if host["engine"]["guard"] == ENGINE and not move:
            # An engine that is held back does not answer: the disk that it waits for is the cause.
            _disks(host, layout, request, move)
        check_engine(host)
        check_project(host)
        decided = _decided(host, layout, source, request, move, approved)
        refused = decided.pop("refused")
        if not refused:
            plan.update(decided)
            return plan
        plan["refusal"], plan["code"] = refused["refusal"], refused["code"]
        plan["sentences"] = [refused["refusal"]]
    except Refusal as refusal:
        plan["refusal"], plan["code"] = str(refusal), refusal.code
        plan["sentences"] = [str(refusal)]
    return plan
