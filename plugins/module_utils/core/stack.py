# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services of the stack are to be started, and which are as they must be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

_ENDED = ("exited", "dead")


def is_one_shot(service: Mapping[str, Any]) -> bool:
    """Whether a service runs once and ends: Compose would not restart it."""
    return service.get("restart") in (None, "", "no")


def unknown_profiles(
    services: Mapping[str, Mapping[str, Any]], profiles: Collection[str]
) -> dict[str, str]:
    """Profile -> what to know, for those that no service has: a typo, or what the product dropped."""
    known = sorted({profile for service in services.values() for profile in service["profiles"]})
    said = f"in no compose file; they have profiles {', '.join(known) or 'none'}"
    return {f"(profile {profile})": said for profile in profiles if profile not in known}


def left_alone(
    services: Mapping[str, Any], names: Collection[str], found: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Service -> what to know, for those that run though no wanted profile has them."""
    return {
        name: "running, but "
        + (
            "in no wanted profile: left alone"
            if name in services
            else "in no compose file any more: remove it with 'docker compose up --remove-orphans'"
        )
        for name, container in found.items()
        if name not in names and container["status"] == "running"
    }


def selected(services: Mapping[str, Mapping[str, Any]], profiles: Collection[str]) -> list[str]:
    """The services that run with these profiles: those without any, and those with one of them."""
    return sorted(
        name
        for name, service in services.items()
        if not service["profiles"] or set(service["profiles"]) & set(profiles)
    )


def awake(names: Sequence[str], present: Collection[str], resting: Collection[str]) -> list[str]:
    """The services of ``names`` that are to run.

    present: services that run; resting: those that were not running when a move took their
    containers away, or were stopped while it went on. They stay so until somebody starts them.
    """
    return [name for name in names if name in present or name not in resting]


def step_for(
    service: Mapping[str, Any], container: Optional[Mapping[str, Any]], recreate: Collection[str]
) -> str:
    """What ``up`` has to do for a service: ``create``, ``recreate``, ``start`` or empty.

    recreate: names of containers that Compose would recreate. A one-shot service
    that has ended well is not run again for nothing.
    """
    if container is None:
        return "create"
    if container["name"] in recreate:
        return "recreate"
    if container["status"] == "running":
        return ""
    if is_one_shot(service) and container["status"] in _ENDED and container["exit_code"] == 0:
        return ""
    return "start"


def trouble_with(service: Mapping[str, Any], container: Optional[Mapping[str, Any]]) -> str:
    """Why a service is not as it must be, for a message; empty when it is."""
    if container is None:
        return "absent"
    status = str(container["status"])
    if status in _ENDED and is_one_shot(service):
        return "" if container["exit_code"] == 0 else f"ended with {container['exit_code']}"
    if status != "running":
        return status
    if is_one_shot(service):
        return "still running"
    health = container["health"]
    return "" if health in ("", "healthy") else f"running, {health}"


def say_state(service: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """The state of a service for the summary."""
    if container["status"] in _ENDED:
        return f"ended with {container['exit_code']}"
    return container["health"] or f"{container['status']} (no health check)"
