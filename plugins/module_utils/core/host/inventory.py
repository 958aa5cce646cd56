# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory says, checked before any host is touched: names that nobody reads, and values that can't be meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Optional

from .errors import Refusal
from .fleet_errors import DeploymentUncertain, OneDeviceTwice, TwoCanaries, UnknownVariable

DEPLOYMENT, CANARY = "agnes_deployment", "rollout_canary"
DATA, STATE = "disks_data_device", "disks_state_device"
FACTS = ("disks_plan", "rollout_result")
"""Facts with a prefix of ours that a run leaves: a playbook that runs two of ours has them already."""
_NEAR = 0.9
"""Ratio of difflib from which one name is a misspelling of another; 0.9 is one slip in ten letters."""
_LONGER = 2
"""More letters than this are no slip: ``vault_disks_adopt`` is a name of its own."""
_SHOWN = 3
"""How many hosts a sentence names."""


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _nearest(name: str, known: Iterable[str], cutoff: float) -> str:
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return matches[0] if matches else ""


def misspelt(name: str, known: Iterable[str], prefixes: Iterable[str]) -> Optional[str]:
    """The known name that is nearest (empty for none), or None if ``name`` is no matter of ours.

    A name is ours if it begins with a role's prefix, or is within a slip of a known name.
    Names that begin with two underscores are the roles' own.
    """
    names = set(known)
    if name in names or name in FACTS or name.startswith("__"):
        return None
    near = _nearest(name, names, _NEAR)
    if near and abs(len(near) - len(name)) <= _LONGER:
        return near
    if name.startswith(tuple(prefixes)):
        return _nearest(name, names, 0.75)
    return None


def check_names(
    hosts: Mapping[str, Mapping[str, Any]], known: Iterable[str], prefixes: Iterable[str]
) -> None:
    names, begins = set(known), tuple(prefixes)
    places: dict[str, list[str]] = {}
    for host, said in hosts.items():
        for name in said["names"]:
            places.setdefault(name, []).append(host)
    nearest = {name: misspelt(name, names, begins) for name in sorted(places)}
    wrong = [
        f"'{name}' ({_some(places[name])}{f'; did you mean {near}?' if near else ''})"
        for name, near in nearest.items()
        if near is not None
    ]
    if wrong:
        raise UnknownVariable(found=", ".join(wrong))


def check_deployments(hosts: Mapping[str, Mapping[str, Any]]) -> None:
    """A deployment is a group. Where one host has a deployment, each has."""
    known = sorted({said["deployment"] for said in hosts.values()} - {""})
    without = [host for host, said in hosts.items() if not said["deployment"]]
    if known and without:
        raise DeploymentUncertain(
            hosts=_some(without), found=f"none, while others are in {', '.join(known)}"
        )
    for deployment in known:
        outside = [
            host
            for host, said in hosts.items()
            if said["deployment"] == deployment and deployment not in said["groups"]
        ]
        if outside:
            groups = sorted({group for host in outside for group in hosts[host]["groups"]})
            near = _nearest(deployment, groups, 0.6)
            meant = f", did you mean {near}?" if near else ""
            raise DeploymentUncertain(
                hosts=_some(outside),
                found=f"'{deployment}', which is none of their groups ({', '.join(groups)}{meant})",
            )


def check_canaries(hosts: Mapping[str, Mapping[str, Any]]) -> None:
    canaries: dict[str, list[str]] = {}
    for host, said in hosts.items():
        if said["canary"]:
            canaries.setdefault(said["deployment"] or "agnes", []).append(host)
    for deployment, names in canaries.items():
        if len(names) > 1:
            raise TwoCanaries(deployment=deployment, found=_some(names))


def check_devices(hosts: Mapping[str, Mapping[str, Any]]) -> None:
    same: dict[str, list[str]] = {}
    for host, said in hosts.items():
        device = said["devices"][DATA]
        if device and device == said["devices"][STATE]:
            same.setdefault(device, []).append(host)
    for device, names in same.items():
        raise OneDeviceTwice(device=device, hosts=_some(names))


def problems(
    hosts: Mapping[str, Mapping[str, Any]], known: Iterable[str], prefixes: Iterable[str]
) -> list[str]:
    """A sentence for each kind of mistake; none for an inventory that can be meant.

    hosts: for each, ``names`` of its variables, ``groups``, ``deployment`` (empty for none),
    ``canary``, and ``devices``, the two as they are said (empty: none, or not known here).
    known: the names of all variables; prefixes: of the roles, such as ``disks_``.
    """
    checks: tuple[Callable[[], None], ...] = (
        lambda: check_names(hosts, known, prefixes),
        lambda: check_deployments(hosts),
        lambda: check_canaries(hosts),
        lambda: check_devices(hosts),
    )
    refusals = []
    for check in checks:
        try:
            check()
        except Refusal as refusal:
            refusals.append(str(refusal))
    return refusals
