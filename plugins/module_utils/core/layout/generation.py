# SPDX-License-Identifier: GPL-3.0-or-later
"""How new state is: a number that the marker on the disk and the host count up together. No I/O.

An older snapshot of a disk has the same UUID, marker and files as the disk. Its number tells it:
it is lower than the one that the host keeps. The disk is written first, so a power cut in between
leaves the disk ahead, never behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..host.errors import NewerFormat, Unreadable
from ..host.guard_errors import StateOlder

PATH = "/var/lib/agnes-host/generation.json"
FORMAT = 1
KEY = "generation"
"""In the marker, and in what the host keeps."""
AT = "at"
"""When the host has counted last, as UTC."""
ACCEPTED = "accepted"
"""A lower number that somebody has accepted by ``agnes-host rebind``; gone with the next count."""

_MOST = 1 << 53


def check_kept(kept: Mapping[str, Any]) -> None:
    """Raise unless this version reads what the host keeps."""
    if not kept:
        return
    form = kept.get("format")
    if kept.get("error") or not isinstance(form, int):
        raise Unreadable(path=PATH, found=str(kept.get("error") or "no format"))
    if form != FORMAT:
        raise NewerFormat(path=PATH, found=form, known=FORMAT)


def number(values: Mapping[str, Any], key: str = KEY) -> int:
    """The number in a marker or in what the host keeps; zero for none, or for what is no count."""
    count = values.get(key)
    if isinstance(count, bool) or not isinstance(count, int):
        return 0
    return count if 0 < count < _MOST else 0


def is_older(marker: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """Whether state is older than the host last had it, and nobody has accepted that.

    State without any marker is not judged here.
    """
    mine = number(marker)
    if not marker or mine >= number(kept):
        return False
    return ACCEPTED not in kept or kept[ACCEPTED] != mine


def following(marker: Mapping[str, Any], kept: Mapping[str, Any]) -> int:
    """The next number: above all that was ever counted on this host or on this disk."""
    return max(number(marker), number(kept)) + 1


def check_not_older(
    marker: Mapping[str, Any], kept: Mapping[str, Any], path: str, role: str, uuid: str
) -> None:
    """Raise StateOlder for state that is older than the host last had it.

    path: STATE_DIR; role, uuid: of the disk that it is on.
    """
    check_kept(kept)
    if is_older(marker, kept):
        raise StateOlder(
            path=path, role=role, uuid=uuid, found=number(marker), kept=number(kept),
            at=str(kept.get(AT) or "a day that is not known"),
        )  # fmt: skip
