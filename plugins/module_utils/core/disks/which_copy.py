# SPDX-License-Identifier: GPL-3.0-or-later
"""Two copies of state, one shadowed by the mount of the other: the evidence, and who decides.

The collection never chooses. An operator names the copy that counts, for one host and for the
evidence that was shown; a decision for other evidence, or another host, decides nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional, TypedDict

from ..copy.copy_errors import DecisionUnusable, ShadowConflict
from ..copy.manifest import FILE, RULES, Entry, show
from .shadow import DIFFER, ONLY_MOUNTED, ONLY_SHADOWED, SAME, TICK, ComparedPath, conflicts

MOUNTED, SHADOWED = "mounted", "shadowed"
"""The copies that may be named as the one that counts."""

VARIABLE = "state_layout_authority"
_DIGITS = 8
_SHOWN = 3


class Copy(TypedDict):
    """One of the two copies."""

    device: str
    opened: list[str]
    """Services whose containers have files of it open."""
    seen: list[str]
    """Services in whose containers the path of state leads to it."""
    database: bool
    """Whether system.duckdb is in it."""
    rows: dict[str, int]
    """Table -> rows, by the product's own image."""
    uncounted: str
    """Why the rows were not counted; empty when they were."""
    role: str
    epoch: int
    """Of the marker in it; empty and zero without one."""
    bytes: int
    files: int
    newest: str
    """When its newest file was written, as UTC; empty when there is none."""


class Shadow(TypedDict):
    """The evidence for one mount that shadows more than leftovers."""

    trouble: str
    """Why the copies could not be compared; empty when they were."""
    mounted: Optional[Copy]
    shadowed: Optional[Copy]
    counts: dict[str, int]
    """Paths that are the same, only shadowed, only mounted, or differ."""
    names: list[str]
    """A few of the paths in conflict."""
    conflicts: int


def users(copy: Copy) -> list[str]:
    """Services of the project that work with this copy."""
    return sorted({*copy["opened"], *copy["seen"]})


def is_used(copy: Copy) -> bool:
    """Whether there are any."""
    return bool(users(copy))


def counted(entries: Iterable[Entry], leftovers: Iterable[bytes]) -> list[Entry]:
    """The files that a copy's numbers are about: no scratch, no marker, no tick that comes every 30 s."""
    left = {*leftovers, TICK.encode(), *(name.encode() for name in RULES.without)}
    return [e for e in entries if e.kind == FILE and e.path.split(b"/")[0] not in left]


def compared(paths: Sequence[ComparedPath]) -> tuple[dict[str, int], list[str], int]:
    """How many paths are where, a few of those in conflict, and how many those are."""
    counts = dict.fromkeys((SAME, ONLY_SHADOWED, ONLY_MOUNTED, DIFFER), 0)
    for each in paths:
        counts[each.where] += not each.harmless
    stand = conflicts(paths)
    names = [f"{show(e.path)} {e.where}" for e in stand[:_SHOWN]]
    return counts, names, len(stand)


def digest(shadow: Shadow) -> str:
    """A short hash of the evidence; numbers of a copy that containers write to are not in it."""
    copies = [shadow["mounted"], shadow["shadowed"]]
    moving = any(copy and is_used(copy) for copy in copies)
    facts: list[object] = [shadow["trouble"], {} if moving else shadow["counts"]]
    for copy in copies:
        known: dict[str, object] = dict(copy or {})
        if copy and is_used(copy):
            known = {key: known[key] for key in ("device", "database", "role")}
            known["used"] = users(copy)
        facts.append(known)
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _say_rows(copy: Copy) -> str:
    if not copy["database"]:
        return "no system.duckdb"
    if copy["uncounted"]:
        return f"rows not counted ({copy['uncounted']})"
    tables = sorted(copy["rows"].items())
    shown = ", ".join(f"{name} {rows}" for name, rows in tables[:_SHOWN])
    more = f" and {len(tables) - _SHOWN} more tables" if len(tables) > _SHOWN else ""
    return f"rows: {shown or 'none'}{more}"


def _say(name: str, copy: Copy) -> str:
    """One copy, for people."""
    marker = f"{copy['role'] or 'no role'}, epoch {copy['epoch']}" if copy["role"] else "none"
    return (
        f"{name} ({copy['device']}): files open in {', '.join(copy['opened']) or 'no container'}, "
        f"seen by {', '.join(copy['seen']) or 'none'}; {_say_rows(copy)}; {copy['files']} files, "
        f"{copy['bytes']} bytes, newest {copy['newest'] or 'none'}; marker {marker}"
    )


def evidence(shadow: Shadow) -> str:
    """Both copies and what differs, for people, without content."""
    if shadow["trouble"] or not shadow["mounted"] or not shadow["shadowed"]:
        return f"they could not be compared: {shadow['trouble']}"
    counts = shadow["counts"]
    said = ", ".join(f"{number} {where}" for where, number in counts.items())
    names = ", ".join(shadow["names"])
    both = (_say(MOUNTED, shadow["mounted"]), _say(SHADOWED, shadow["shadowed"]))
    return f"{both[0]} -- {both[1]} -- paths: {said}, among them {names}"


def decided(decisions: Sequence[str], host: str, shadow: Shadow) -> str:
    """What the operator has named for this host and this evidence; empty when nothing.

    Raises DecisionUnusable for a decision about this host that is none, or about other evidence.
    """
    chosen = ""
    for decision in decisions:
        if not decision.startswith(f"{host}:"):
            continue
        copy, _colon, evidence_of = decision[len(host) + 1 :].partition(":")
        wanted = digest(shadow)
        if copy not in (MOUNTED, SHADOWED) or evidence_of != wanted or chosen not in ("", copy):
            raise DecisionUnusable(
                variable=VARIABLE, found=decision, host=host, wanted=wanted, now=evidence(shadow)
            )
        chosen = copy
    return chosen


def refuse(path: str, host: str, shadow: Shadow, moves: bool) -> ShadowConflict:
    """The refusal that shows the evidence and says how to decide."""
    wanted = digest(shadow)
    how = f"-e {VARIABLE}={host}:{MOUNTED}:{wanted} or {host}:{SHADOWED}:{wanted}"
    if not moves:
        how += ", and for the latter a layout to move to with -e layout="
    return ShadowConflict(path=path, found=evidence(shadow), how=how)


def decide(
    path: str, shadows: Mapping[str, Shadow], decisions: Sequence[str], host: str, moves: bool
) -> str:
    """The copy that counts of what is mounted at ``path``: empty when there is nothing to decide.

    moves: whether this run moves state. Without a move the mounted copy is left mounted, which is
    only right when it is the one in use, or nobody says otherwise. Raises ShadowConflict.
    """
    shadow = shadows.get(path)
    if shadow is None:
        return ""
    named = decided(decisions, host, shadow)
    if named == SHADOWED and not moves:
        raise refuse(path, host, shadow, moves)
    if named:
        return named
    mounted, shadowed = shadow["mounted"], shadow["shadowed"]
    if not shadow["trouble"] and not shadow["conflicts"]:
        # All that is shadowed is a leftover, or mounted just the same: nothing is lost with it.
        return MOUNTED
    if not moves and mounted and shadowed and not is_used(shadowed):
        if is_used(mounted) or mounted["role"] == "active":
            return ""
    raise refuse(path, host, shadow, moves)


def say_which_counts(path: str, copy_that_counts: str, shadow: Shadow) -> str:
    """For a move: what becomes of the copy that does not count, and who is stopped with it."""
    if not shadow["conflicts"]:
        return f"{path} shadows leftovers, and what is mounted there just the same: set aside"
    mounted, shadowed = shadow["mounted"], shadow["shadowed"]
    loser = shadowed if copy_that_counts == MOUNTED else mounted
    using = ", ".join(users(loser)) if loser else ""
    stopped = (
        f"; {using} work with it, are stopped in the move, and it is proved that nobody holds it"
        if using
        else ""
    )
    return (
        f"the {copy_that_counts} copy of {path} counts, by your decision; the other one is set aside on "
        f"its own disk, and never deleted{stopped}"
    )


def note(path: str, shadow: Shadow) -> str:
    """For a run that leaves it where it is."""
    return (
        f"the mount at {path} shadows what may be a second copy of state, left as it is; a move "
        f"will ask which of them counts: {evidence(shadow)}"
    )
