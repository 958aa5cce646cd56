# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host, or soon will be, from what was observed and the plan. No I/O.

A refusal of the plan, or of a part of a run, is a finding with its own code and sentence. Everything
else has a code of its own here; docs/errors.md has a section for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional, TypedDict

from ..compose.stack import UP, has_ended_well
from ..copy.retired import say as say_retired
from ..disks.disks import mounted_at
from ..disks.elsewhere import LEFT
from ..disks.protection import FILLED, UNKNOWN, becomes_immutable
from ..disks.which_copy import note as shadow_note
from ..layout.choice import current_layout
from ..layout.layouts import CERTIFICATES, Layout
from ..layout.tree import AGNES_UID
from ..move.moves import interrupted
from ..move.plan_file import MADE
from .errors import Refusal, WrongDiskInContainer
from .facts import Elsewhere, Host, Upkeep
from .keepers import keeper_notes
from .parts import CADDY, PROJECT, STACK, TREE
from .text import say_size

ERROR, WARNING, NOTE = "error", "warning", "note"
LEVELS = (ERROR, WARNING, NOTE)
"""The worst first."""

DAY = 86400
CERTIFICATE_WARNS, CERTIFICATE_IS_LATE = 30 * DAY, 7 * DAY
"""Seconds before a certificate ends from which on it is a warning, and an error."""
FULL_WARNS, FULL_IS_LATE = 85, 95
"""Percent of a filesystem, or of its inodes, likewise."""


class Finding(TypedDict):
    """One line of an audit."""

    code: str
    level: str
    sentence: str
    """What is wrong, what was found, what to do."""


class Kind(NamedTuple):
    """A situation that no refusal is about."""

    code: str
    level: str
    sentence: str

    def finding(self, level: str = "", **facts: object) -> Finding:
        """The finding. level: where it is another than the usual one."""
        return finding(self.code, level or self.level, self.sentence.format(**facts))


NOT_REACHED = Kind(
    "AH210", ERROR, "the host was not reached ({found}), so nothing is known of it; see that SSH gets there"
)  # fmt: skip
NOT_AUDITED = Kind(
    "AH211", ERROR, "no run can begin on the host ({found}); correct that, and audit it again"
)
OTHER_LAYOUT = Kind(
    "AH212", WARNING,
    "layout {wanted} is wanted, and state is in layout {found}; see with 'site.yml --check' what the move would do, "
    "then run site.yml, or correct what is wanted",
)  # fmt: skip
MOVE_BEGUN = Kind(
    "AH213", ERROR, "a move from layout {source} to {target} is not ended; run site.yml, which goes on with it"
)  # fmt: skip
DISK = Kind(
    "AH214", ERROR,
    "the {role} disk is not as it must be: a run would {what}; see with 'site.yml --check' that this is right, then "
    "run site.yml",
)  # fmt: skip
NOT_AT_BOOT = Kind(
    "AH214", ERROR,
    "the {role} disk is mounted at {path} now, and may not be after the next boot: {found}; correct that as "
    "AH214 in docs/errors.md shows",
)  # fmt: skip
TREE_DIFFERS = Kind(
    "AH215", WARNING, "'{path}' is not as a run leaves it (found {before}, wanted {after}); run site.yml"
)  # fmt: skip
ENV_DIFFERS = Kind(
    "AH216", WARNING,
    "'{path}' is not as a run leaves it (found {before}, wanted {after}); find out what wrote it, then run site.yml",
)  # fmt: skip
FILE_DIFFERS = Kind(
    "AH217", WARNING,
    "'{path}' is not what today's compose files and the layout need (found {before}, wanted {after}); run site.yml",
)  # fmt: skip
SERVICE = Kind("AH218", ERROR, "{service} is not as it must be ({found}); run site.yml")
SERVED = Kind(
    "AH219", WARNING, "Caddy does not serve the certificate that it must ({found}); run site.yml"
)  # fmt: skip
CERTIFICATE_ENDS = Kind(
    "AH220", WARNING, "the certificate in {path} {ends} ({until}); place a new one, or see why the rotation does not"
)  # fmt: skip
FULL = Kind(
    "AH221",
    WARNING,
    "{what} of the filesystem at '{path}' is in use ({found}); make room, or grow it",
)
RETIRED = Kind("AH222", NOTE, "set aside by a run: {found}; purge.yml deletes what you name")
LEFT_OVER = Kind("AH223", NOTE, "{kind} '{name}' is left over ({found}); {remedy}")
FOREIGN_OWNER = Kind(
    "AH224", ERROR,
    "'{path}' belongs to uid {uid}, and the product, which is uid {wanted}, can't write to it; find out who made it, "
    "then 'chown {wanted}:{wanted} {path}'",
)  # fmt: skip
PRODUCT_TOOL = Kind("AH225", WARNING, "{found}")
PLAN_NOTES = Kind("AH226", NOTE, "{found}")
COULD_NOT_LOOK = Kind(
    "AH227", WARNING, "{what} could not be looked at ({found}); see to that, and audit again"
)
SHADOWED = Kind("AH228", WARNING, "{found}")
WAL_DISCARDED = Kind(
    "AH229", ERROR,
    "the product has discarded a part of its database: {found} in {path}; what was committed last is only there: see "
    "AH229 in docs/errors.md before anything is deleted",
)  # fmt: skip

KINDS = (
    NOT_REACHED, NOT_AUDITED, OTHER_LAYOUT, MOVE_BEGUN, DISK, TREE_DIFFERS, ENV_DIFFERS, FILE_DIFFERS, SERVICE,
    SERVED, CERTIFICATE_ENDS, FULL, RETIRED, LEFT_OVER, FOREIGN_OWNER, PRODUCT_TOOL, PLAN_NOTES, COULD_NOT_LOOK,
    SHADOWED, WAL_DISCARDED,
)  # fmt: skip


def finding(code: str, level: str, sentence: str) -> Finding:
    """One finding."""
    return {"code": code, "level": level, "sentence": sentence}


_CODE = re.compile(r"\b(AH\d{3}): ")
_PREFIX = re.compile(r"^(Task failed: )?(Action failed: |Module failed: )?")
"""What Ansible puts before the message of a task."""


def _message(text: str) -> str:
    return _PREFIX.sub("", " ".join(text.split()))


def refusal(message: str) -> Finding:
    """The finding that a message is: with the code of the refusal in it, without one NOT_AUDITED."""
    match = _CODE.search(message)
    if match:
        return finding(match[1], ERROR, _message(message[match.end() :]))
    return NOT_AUDITED.finding(found=_message(message))


def _layout_of(host: Host) -> Optional[Layout]:
    """The layout of now; None too where the evidence contradicts itself, which the plan refuses."""
    try:
        return current_layout(host)
    except Refusal:
        return None


def _interrupted(host: Host) -> Optional[tuple[Layout, Layout]]:
    """Source and target of a move that is not ended; None too where that can't be read."""
    try:
        return interrupted(host)
    except Refusal:
        return None


def _of_plan(host: Host, plan: Mapping[str, Any], layout: Optional[Layout]) -> Iterable[Finding]:
    """Refusal, layout, move and disks."""
    if plan["refusal"]:
        yield refusal(plan["refusal"])
    move = plan["move"]
    begun = _interrupted(host)
    if begun:
        yield MOVE_BEGUN.finding(source=begun[0].name, target=begun[1].name)
    elif move and layout:
        yield OTHER_LAYOUT.finding(wanted=plan["layout"], found=layout.name)
    recorded = host["record"].get("disks") or {}
    for disk in plan["disks"]:
        what = f"{disk['action']} {disk['device']} at {disk['mount_point']}"
        if disk["action"] in MADE:
            yield DISK.finding(role=disk["role"], what=what)
        elif disk["action"] != "directory" and disk["role"] not in recorded:
            what = (
                f"record {disk['device']} at {disk['mount_point']}, which this host's record lacks"
            )
            yield DISK.finding(WARNING, role=disk["role"], what=what)
        if disk["grows"]:
            what = f"grow the filesystem at {disk['mount_point']} to the {say_size(disk['size'])} of {disk['device']}"
            yield DISK.finding(WARNING, role=disk["role"], what=what)
        lacking = _not_at_boot(host, disk)
        if lacking:
            yield NOT_AT_BOOT.finding(role=disk["role"], found=lacking, path=disk["mount_point"])
        if becomes_immutable(disk["action"], host["protection"].get(disk["mount_point"], UNKNOWN)):
            what = f"make the mount point {disk['mount_point']} itself immutable"
            yield DISK.finding(WARNING, role=disk["role"], what=what)


def _not_at_boot(host: Host, disk: Mapping[str, Any]) -> str:
    """Why a disk that is mounted now may not be after a boot; empty when it will be."""
    point = disk["mount_point"]
    if disk["action"] != "adopt" or point in (host["upkeep"] or {"mount_units": []})["mount_units"]:
        return ""
    lines = [line for line in host["fstab"] if line["mount_point"] == point]
    if not lines:
        return "/etc/fstab has no line for it"
    mount = mounted_at(host, point)
    if mount and mount["root"] == "/" and lines[0]["maj_min"] != mount["maj_min"]:
        return f"line {lines[0]['line']} of /etc/fstab names '{lines[0]['spec']}', which is not this disk"
    return ""


def _of_protection(host: Host) -> Iterable[Finding]:
    """Mount points whose mounts shadow something that is not compared with what is mounted."""
    shadows = host["moving"]["shadows"]
    for path, state in host["protection"].items():
        compared = path in shadows and shadows[path]["conflicts"]
        if state == UNKNOWN:
            yield COULD_NOT_LOOK.finding(
                what=f"what the mount at '{path}' shadows", found="no reason is known"
            )
        elif state == FILLED and not compared:
            yield SHADOWED.finding(
                NOTE,
                found=f"the mount at '{path}' shadows files, which nobody sees; look at "
                "them as AH228 in docs/errors.md shows, and move aside what is not needed",
            )


_RECREATE = "to recreate"
"""What a part says of a service that is up and differs from its files."""


def _of_parts(host: Host, layout: Optional[Layout]) -> Iterable[Finding]:
    """What each part of a run says of the host as it is; of one without state only refusals."""
    parts = host["parts"]
    for name, what in (
        (TREE, "the tree on the disks"), (PROJECT, "the compose project"), (STACK, "the stack"),
        (CADDY, "the certificate that Caddy serves"),
    ):  # fmt: skip
        part = parts.get(name)
        if not part:
            continue
        if part["refusal"]:
            yield refusal(part["refusal"])
        elif part["unknown"]:
            yield COULD_NOT_LOOK.finding(what=what, found=part["unknown"])
        for action in part["actions"] if layout else ():
            if name == STACK and parts[PROJECT]["actions"] and action["before"] == _RECREATE:
                # A run would do that because of what it writes before; one that is down is down already.
                if _is_down(host, action["what"]):
                    yield SERVICE.finding(service=action["what"], found="it is not running")
                continue
            yield _of_action(host, name, action)


def _is_down(host: Host, what: str) -> bool:
    """Whether no container runs of the service that an action of the stack is about."""
    name = what.partition(" ")[2]
    service = (host["project"]["services"] or {}).get(name) or {}
    return not any(
        each["status"] in UP or has_ended_well(service, each)
        for each in host["containers"]
        if each["service"] == name
    )


def _of_action(host: Host, part: str, action: Mapping[str, str]) -> Finding:
    said = {"path": action["what"], "before": action["before"], "after": action["after"]}
    if part == TREE:
        return TREE_DIFFERS.finding(**said)
    if part == PROJECT:
        return (ENV_DIFFERS if action["what"] == host["env"]["path"] else FILE_DIFFERS).finding(
            **said
        )
    if part == STACK:
        # It runs, with what the files had before.
        level = WARNING if action["before"] == _RECREATE else ERROR
        return SERVICE.finding(level, service=action["what"], found=action["before"])
    return SERVED.finding(found=f"{action['what']}: {action['before']}")


def _ends(left: int) -> str:
    days = abs(left) // DAY
    count = f"{days} day{'' if days == 1 else 's'}"
    return f"ends in {count}" if left > 0 else f"has ended {count} ago"


def _of_certificate(host: Host, upkeep: Upkeep, layout: Layout) -> Iterable[Finding]:
    placed = host["certificates"]["placed"].get(layout.state_dir)
    left = upkeep["certificates"].get(layout.state_dir)
    if placed and left is not None and left < CERTIFICATE_WARNS:
        level = ERROR if left < CERTIFICATE_IS_LATE else WARNING
        path = f"{layout.state_dir}/{CERTIFICATES}"
        yield CERTIFICATE_ENDS.finding(level, path=path, ends=_ends(left), until=placed["until"])


def _percent(used: int, free: int) -> int:
    """As df has it: rounded up."""
    return -(-used * 100 // (used + free)) if used + free else 0


def _of_filesystems(upkeep: Upkeep) -> Iterable[Finding]:
    for each in upkeep["filesystems"]:
        room = _percent(each["used"], each["free"])
        inodes = _percent(each["used_inodes"], each["free_inodes"])
        if max(room, inodes) < FULL_WARNS:
            continue
        level = ERROR if max(room, inodes) >= FULL_IS_LATE else WARNING
        if inodes > room:
            what, free = f"{inodes} % of the inodes", f"{each['free_inodes']} are free"
        else:
            what, free = f"{room} %", f"{say_size(each['free'])} are free"
        yield FULL.finding(level, what=what, path=each["path"], found=free)


def _of_copiers(upkeep: Upkeep, layout: Layout) -> Iterable[Finding]:
    """Jobs that copy another place than STATE_DIR: a link without what is in it, or nothing at all."""
    for each in upkeep["copiers"]:
        if each["place"] == layout.state_dir or (each["place"] in layout.links and each["inside"]):
            continue
        why = "where no state is"
        if each["place"] in layout.links:
            why = "which is a link, and tar, rsync and find take the link without what is in it"
        yield PRODUCT_TOOL.finding(
            found=f"line {each['line']} of {each['path']} copies {each['place']}, {why}; let it copy "
            f"{layout.state_dir}/"
        )


def _of_upkeep(host: Host, layout: Optional[Layout]) -> Iterable[Finding]:
    """What only an audit looks for; nothing where it was not asked for."""
    upkeep = host["upkeep"]
    if upkeep is None:
        return
    for what, why in upkeep["unknown"]:
        yield COULD_NOT_LOOK.finding(what=what, found=why)
    yield from _of_filesystems(upkeep)
    for item in upkeep["retired"]:
        yield RETIRED.finding(found=say_retired(item))
    if layout:
        yield from _of_certificate(host, upkeep, layout)
        for name, uid in upkeep["foreign"].get(layout.state_dir, {}).items():
            yield FOREIGN_OWNER.finding(
                path=f"{layout.state_dir}/{name}", uid=uid, wanted=AGNES_UID
            )
        yield from _of_copiers(upkeep, layout)
        names = upkeep["discarded"].get(layout.state_dir)
        if names:
            yield WAL_DISCARDED.finding(found=", ".join(names), path=layout.state_dir)


_ON_THE_OLD_DISK = "containers were started before their disk was mounted"
"""How the plan's note begins of containers that write to a mount point's own filesystem."""


def _notes(
    host: Host, layout: Optional[Layout], notes: Sequence[str]
) -> Iterable[tuple[Optional[Finding], str]]:
    """The notes of the plan that have a code of their own, each with how the plan's begins."""
    name, bind = host["data_volume"]["name"], host["data_volume"]["bind"]
    if bind:
        said = LEFT_OVER.finding(
            WARNING, kind="volume", name=name, remedy=f"'docker volume rm {name}' removes it",
            found=f"it binds {bind}, its options can't be changed, and a service that uses it sees the wrong disk",
        )  # fmt: skip
        yield said, f"volume '{name}' is left over"
    for each in host["elsewhere"]:
        begin = f"{each['kind']} '{each['name']}' "
        known = any(note.startswith(begin) and note.endswith(LEFT) for note in notes)
        left = not (each["used_by"] or each["unknown"] or known)
        yield (_left_over(each) if left else None), begin
    for path, shadow in host["moving"]["shadows"].items():
        if shadow["conflicts"]:
            note = shadow_note(path, shadow)
            yield SHADOWED.finding(found=note), note
    if layout:
        for note in keeper_notes(host["keepers"], layout):
            yield PRODUCT_TOOL.finding(found=note), note
        # AH220 says it better.
        yield None, f"the certificate in {layout.state_dir}/{CERTIFICATES} has expired"
    # The stack says the same by itself, where it could be asked.
    asked = host["parts"].get(STACK)
    for note in notes:
        if note.startswith(_ON_THE_OLD_DISK):
            said = finding(WrongDiskInContainer.code, ERROR, note)
            yield (None if asked else said), _ON_THE_OLD_DISK


def _left_over(each: Elsewhere) -> Finding:
    return LEFT_OVER.finding(
        kind=each["kind"], name=each["name"],
        found=f"it has {', '.join(each['proof'])}, and no container uses it",
        remedy="if nothing of it is needed, name it in disks_left_behind",
    )  # fmt: skip


_EVERYWHERE = f"gid {AGNES_UID} is group "
"""How a note begins that Debian's hosts all have, whose own groups take that number: no finding."""


def findings(host: Host, plan: Mapping[str, Any]) -> list[Finding]:
    """Everything that is wrong with ``host``, or will be; the worst first, each once.

    plan: what make_plan says of the host, also where it refuses.
    """
    layout = _layout_of(host)
    listed = [*_of_plan(host, plan, layout), *_of_parts(host, layout), *_of_protection(host)]
    listed += _of_upkeep(host, layout)
    notes = plan.get("notes") or []
    begins = [_EVERYWHERE]
    for each, begin in _notes(host, layout, notes):
        listed += [each] if each else []
        begins.append(begin)
    listed += [
        PLAN_NOTES.finding(found=note) for note in notes if not note.startswith(tuple(begins))
    ]
    return ordered(listed)


def ordered(listed: Sequence[Finding]) -> list[Finding]:
    """Each finding once, the worst first."""
    once = {(each["code"], each["sentence"]): each for each in listed}
    return sorted(once.values(), key=lambda each: (LEVELS.index(each["level"]), each["code"]))


class Audited(TypedDict):
    """What an audit has found on one host."""

    away: bool
    """Whether it was not reached."""
    layout: str
    """The layout that it has; empty where none is known."""
    findings: Sequence[Finding]
    certificate_seconds: Optional[int]
    """Until the certificate in STATE_DIR ends; None where that is not known."""


def _host_audited(
    listed: Sequence[Finding], away: bool = False, layout: str = "", seconds: Optional[int] = None
) -> Audited:
    return {
        "away": away, "layout": layout, "findings": ordered(listed), "certificate_seconds": seconds,
    }  # fmt: skip


def not_reached(message: str) -> Audited:
    """A host that nothing is known of. message: why, for people."""
    return _host_audited([NOT_REACHED.finding(found=_message(message))], away=True)


def audited(
    observed: Mapping[str, Any], plan: Mapping[str, Any], inventory: str = "", reason: str = ""
) -> Audited:
    """What is found on a host.

    observed: the result of M(agnes.host.observe), also of one that failed or did not get there; plan:
    what make_plan says, empty where there is none; inventory: what is wrong there; reason: why there is
    no observation or no plan.
    """
    told = [refusal(inventory)] if inventory else []
    if observed.get("unreachable"):
        away = not_reached(str(observed.get("msg") or "no reason is known"))
        return _host_audited([*told, *away["findings"]], away=True)
    host = observed.get("host")
    if host is None or not plan:
        return _host_audited([*told, refusal(reason or "no reason is known")])
    layout = _layout_of(host)
    ends = (host["upkeep"] or {"certificates": {}})["certificates"]
    return _host_audited(
        [*told, *findings(host, plan)],
        layout=layout.name if layout else "",
        seconds=ends.get(layout.state_dir) if layout else None,
    )
