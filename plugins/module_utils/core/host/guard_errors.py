# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals 181 to 186 and 194: of the guard, which keeps the engine from starting on the wrong disks; see errors.py."""

from __future__ import annotations

from .errors import Refusal


class GuardDiskAway(Refusal):
    code = "AH181"
    sentence = (
        "this host's {role} disk (UUID {uuid}) is not mounted at {path} ({found}), so Docker must not start; "
        "attach it, then 'systemctl start docker'; until then, at {path}: {itself}"
    )


class GuardOtherDisk(Refusal):
    code = "AH182"
    sentence = (
        "at {path}, where this host's {role} disk (UUID {uuid}) belongs, something else is mounted ({found}), so "
        "Docker must not start; find out what mounted it, unmount it, then 'systemctl start docker'"
    )


class GuardTwins(Refusal):
    code = "AH183"
    sentence = (
        "several devices carry the filesystem of this host's {role} disk for {path} ({found}; recorded "
        "{recorded}; mounted {shown}), and nothing proves that the right one is mounted, so Docker must not start; "
        "detach the copy, reboot or mount the right one, then 'systemctl start docker'"
    )


class GuardMarker(Refusal):
    code = "AH184"
    sentence = (
        "the disks are mounted, but what is in {path} is not this host's state in use (found {found}, wanted "
        "{wanted}), so Docker must not start; see AH184 in docs/errors.md for what it may be; 'agnes-host rebind "
        "--{role} {uuid}' shows what is there"
    )


class GuardNotHere(Refusal):
    code = "AH185"
    sentence = (
        "agnes_compose_guard: engine can't hold Docker back on this host ({found}); "
        "set agnes_compose_guard: off for it, and run again"
    )


class StateOlder(Refusal):
    code = "AH186"
    sentence = (
        "the state in {path} is older than this host has had it (count {found} on the {role} disk, {kept} on the "
        "host since {at}), as after a restore from a snapshot, so nothing is started on it; attach the newer disk, "
        "or, to go on with this one: 'agnes-host rebind --{role} {uuid} --because restore'"
    )
