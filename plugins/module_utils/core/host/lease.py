# SPDX-License-Identifier: GPL-3.0-or-later
"""Who rolls out to a host: one rollout at a time, as the lease on the host says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import Refusal
from .fleet_errors import SecondRollout
from .waves import some

RUNS, ENDED, UNKNOWN = "runs", "ended", "unknown"
"""What is known of the run that a lease names: only its own machine can tell."""

_NOBODY = "somebody whom the lease in /run/agnes-host/rollout.json does not name"


def is_free(state: str, take_over: bool) -> bool:
    """Whether a lease of another run may be taken over. One that is known to run keeps it, whatever is asked."""
    return state == ENDED or (take_over and state == UNKNOWN)


def check_leases(held: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a rollout where another one has hosts.

    held: host -> the lease of another run on it; empty where it can't be read.
    """
    for lease in list(held.values())[:1]:
        known = {"user", "controller", "pid", "at"} <= set(lease)
        who = (
            "{user}@{controller} (process {pid}, since {at})".format(**lease) if known else _NOBODY
        )
        raise SecondRollout(hosts=some([*held]), who=who)


def held(leases: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a rollout must not begin; empty if it may."""
    try:
        check_leases(leases)
    except Refusal as refusal:
        return str(refusal)
    return ""
