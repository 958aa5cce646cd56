# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals 181 to 186 and 196: of the guard, which keeps the engine from starting on the wrong disks; see errors.py."""

from __future__ import annotations

from .errors import Refusal


class GuardDiskAway(Refusal):
    code = "AH181"
    sentence = (
        "this host's {role} disk (UUID {uuid}) is not mounted at {path} ({found}), so {what} must not start; "
        "attach it, then '{start}'; until then, at {path}: {itself}"
    )


class GuardOtherDisk(Refusal):
    code = "AH182"
    sentence = (
        "at {path}, where this host's {role} disk (UUID {uuid}) belongs, something else is mounted ({found}), so "
        "{what} must not start; find out what mounted it, unmount it, then '{start}'"
    )


class GuardTwins(Refusal):
    code = "AH183"
    sentence = (
        "several devices carry the filesystem of this host's {role} disk for {path} ({found}; recorded "
        "{recorded}; mounted {shown}), and nothing proves that the right one is mounted, so {what} must not start; "
        "detach the copy, reboot or mount the right one, then '{start}'"
    )


class GuardMarker(Refusal):
    code = "AH184"
    sentence = (
        "the disks are mounted, but what is in {path} is not this host's state in use (found {found}, wanted "
        "{wanted}), so {what} must not start; see AH184 in docs/errors.md for what it may be; 'agnes-host rebind "
        "--{role} {uuid}' shows what is there"
    )


class GuardNotHere(Refusal):
    code = "AH185"
    sentence = (
        "agnes_compose_guard: {wanted} can't hold anything back on this host ({found}); "
        "set agnes_compose_guard: off for it, and run again"
    )


class StateOlder(Refusal):
    code = "AH186"
    sentence = (
        "the state in {path} is older than this host has had it (count {found} on the {role} disk, {kept} on the "
        "host since {at}), as after a restore from a snapshot, so nothing is started on it; attach the newer disk, "
        "or, to go on with this one: 'agnes-host rebind --{role} {uuid} --because restore'"
    )


class GuardOverlay(Refusal):
    code = "AH196"
    sentence = (
        "agnes_compose_guard: stack holds containers back by a line in '{path}', and the product's own upgrade on "
        "this host writes that file without it; set agnes_compose_host_tools: true, or agnes_compose_guard: engine, "
        "and run again"
    )
