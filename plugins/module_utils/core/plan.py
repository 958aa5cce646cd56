# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a host: from what was observed and what is asked, what will be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from .chain import chain_for, split
from .choice import choose_layout
from .disks import DiskPlan, plan_disks
from .errors import ComposeTooOld, NewerFormat, NoEngine, Refusal
from .facts import FORMAT, Host
from .layouts import Layout

COMPOSE_MINIMUM = (2, 24, 4)
"""From this version on ``!override`` replaces a service's volumes."""


def version_of(text: str) -> tuple[int, ...]:
    """The numbers of a version such as ``v2.26.1-4``; empty when there are none."""
    numbers = []
    for part in text.lstrip("v").replace("-", ".").replace("+", ".").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def check_engine(host: Host) -> None:
    """Raise unless the engine answers and Compose is new enough."""
    engine = host["engine"]
    if engine["error"]:
        raise NoEngine(found=engine["error"])
    if version_of(engine["compose_version"]) < COMPOSE_MINIMUM:
        wanted = ".".join(map(str, COMPOSE_MINIMUM))
        raise ComposeTooOld(found=engine["compose_version"] or "(none)", wanted=wanted)


def _sentences(layout: Layout, source: str, disks: Sequence[DiskPlan]) -> list[str]:
    return [
        f"layout {layout.name} ({source}): state in {layout.state_dir}",
        *(disk.sentence for disk in disks),
    ]


def _decided(host: Host, layout: Layout, source: str, request: Mapping[str, Any]) -> dict[str, Any]:
    disks = plan_disks(host, layout, str(request.get("fstype") or "ext4"), request.get("min_gib"))
    profiles = list(request.get("profiles") or [])
    current = split(host["env"]["values"].get("COMPOSE_FILE", ""))
    return {
        "layout": layout.name,
        "source": source,
        "state_dir": layout.state_dir,
        "overlay": layout.overlay,
        "disks": [disk.as_dict() for disk in disks],
        "mounted": [disk.mount_point for disk in disks if disk.action != "directory"],
        "chain": chain_for(layout, current, profiles, host["compose_files"]),
        "sentences": _sentences(layout, source, disks),
    }


def make_plan(host: Host, request: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
    """What a run would do on ``host``; never raises a Refusal but returns it.

    request: ``layout``, ``wanted``, ``override`` (see choose_layout), ``fstype``,
    ``min_gib`` (see plan_disks), ``profiles``.
    Returns ``refusal`` and ``code`` (empty when there is none), ``layout`` (None
    when undecided or refused) and, when there is a layout, what _decided gives.
    """
    request = request or {}
    plan: dict[str, Any] = {"refusal": "", "code": "", "layout": None, "sentences": [], "disks": []}
    try:
        if host["format"] != FORMAT:
            raise NewerFormat(path="the observation", found=host["format"], known=FORMAT)
        layout, source = choose_layout(
            host,
            str(request.get("layout") or ""),
            str(request.get("wanted") or ""),
            bool(request.get("override")),
        )
        if layout is None:
            plan["sentences"] = [f"layout undecided ({source}): observe and report, change nothing"]
            return plan
        check_engine(host)
        plan.update(_decided(host, layout, source, request))
    except Refusal as refusal:
        plan["refusal"], plan["code"] = str(refusal), refusal.code
        plan["sentences"] = [str(refusal)]
    return plan
