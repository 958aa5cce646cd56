# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services of the stack are to be started, and which are as they must be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..layout.layouts import Layout, is_below
from .overlay import DATA_VOLUME
from .project import PRODUCT_NAME
from .stack_errors import OneOffHolds, StrayService

UP = ("running", "restarting", "paused")
"""Containers that are up, or about to be: their services are started again after a move."""
_ENDED = ("exited", "dead")

SETTLED_SECONDS = 10.0
"""How long a container that was started again by its policy must be up: from then on the engine
itself takes it for well, and waits no longer before it would start it the next time."""
SETTLED_AFTER_GROWTH = 30.0
"""The same for one that has been started again while we look."""
HOPELESS_RESTARTS = 8
"""Restarts from which on one more is not waited out: the engine's pauses add up to half a minute."""
SETTLED_AFTER_MANY = 90.0
"""The same for one that has been started again that often: it may die each minute."""
_LATELY_SECONDS = 600.0
"""For how long the summary tells that a container was started again."""

Container = Mapping[str, Any]
"""A container as system/compose/engine.py cuts it."""
Containers = dict[str, list[dict[str, Any]]]
"""Service -> its containers."""


def by_service(containers: Iterable[dict[str, Any]]) -> Containers:
    """The containers of each service; one-off containers of ``docker compose run`` are none of it."""
    grouped: Containers = {}
    for container in containers:
        if not container["one_off"]:
            grouped.setdefault(container["service"], []).append(container)
    return grouped


def starts_again(service: Mapping[str, Any], exit_code: int) -> bool:
    """Whether the engine starts a container of the service again that has ended so.

    The one owner of what restart policies mean; see overlay.cut for where they come from.
    """
    policy = service.get("restart") or "no"
    return policy in ("always", "unless-stopped") or (policy == "on-failure" and exit_code != 0)


def held_back(endings: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Names of containers that their policy would have started at the engine's start, and of those of which that
    is not known.

    endings: of containers that do not run: ``name``, ``policy``, ``exit_code``, and ``by_hand``, None for unknown.
    Unlike the engine, what somebody has stopped stays so with policy always, too: here it is no start of the engine.
    """
    due = [each for each in endings if starts_again({"restart": each["policy"]}, each["exit_code"])]
    return (
        [str(each["name"]) for each in due if each["by_hand"] is False],
        [str(each["name"]) for each in due if each["by_hand"] is None],
    )


def has_ended_well(service: Mapping[str, Any], container: Container) -> bool:
    """Whether a container has ended with 0, and nothing would start it again."""
    ended = container["status"] in _ENDED and container["exit_code"] == 0
    return ended and not starts_again(service, 0)


_OF_A_STOP = (0, 130, 137, 143)
"""Exit codes of a container that was told to end: by itself, by SIGINT, SIGKILL and SIGTERM."""


def has_crashed(container: Container) -> bool:
    """Whether a container has ended in a way in which none ends that somebody has stopped."""
    return container["status"] in _ENDED and container["exit_code"] not in _OF_A_STOP


def is_looping(container: Container, grown: Collection[str] = ()) -> bool:
    """Whether a container is not up for good: it was started again by its policy just now.

    grown: names of containers that were started again while we look.
    """
    if container["status"] == "restarting":
        return True
    settled = SETTLED_AFTER_GROWTH if container["name"] in grown else SETTLED_SECONDS
    if container["restarts"] >= HOPELESS_RESTARTS:
        settled = SETTLED_AFTER_MANY
    again = container["restarts"] > 0 or container["name"] in grown
    return container["status"] == "running" and again and container["up_seconds"] < settled


def is_hopeless(service: Mapping[str, Any], container: Container, grown: Collection[str]) -> bool:
    """Whether waiting longer is of no use: it has ended badly for good, or starts again and again."""
    if container["status"] in _ENDED:
        code = container["exit_code"]
        return code != 0 and not starts_again(service, code)
    return container["name"] in grown and container["restarts"] >= HOPELESS_RESTARTS


def unknown_profiles(
    services: Mapping[str, Mapping[str, Any]], profiles: Collection[str]
) -> dict[str, str]:
    """Profile -> what to know, for those that no service has: a typo, or what the product dropped."""
    known = sorted({profile for service in services.values() for profile in service["profiles"]})
    said = f"in no compose file; they have profiles {', '.join(known) or 'none'}"
    return {f"(profile {profile})": said for profile in profiles if profile not in known}


def left_alone(
    services: Mapping[str, Any], names: Collection[str], present: Containers, layout: Layout
) -> dict[str, str]:
    """Service -> what to know, for those that run though no wanted profile has them.

    No advice ever takes a container away that holds anything: it may be the live database.
    """
    lines = {}
    for name, containers in present.items():
        running = [each for each in containers if each["status"] == "running"]
        if name in names or not running:
            continue
        if name in services:
            lines[name] = "running, but in no wanted profile: left alone"
            continue
        held = sorted({what for each in running for what in holdings(each, layout)})
        others = sorted({mount["target"] for each in running for mount in each["mounts"]})
        what = f"it holds {', '.join(held or others)}" if held or others else "it holds no data"
        lines[name] = (
            f"running, but in no compose file of the chain: left alone, {what}; find out what it is for"
        )
    return lines


def holdings(container: Container, layout: Layout) -> list[str]:
    """What a container has of data and state, as paths of the host or names of volumes."""
    data, state = layout.mounts["data"], layout.state_dir
    held = []
    for mount in container["mounts"]:
        source = mount["source"]
        if mount["type"] == "volume":
            held.append(f"volume {mount['volume']}")
        elif mount["type"] == "bind" and any(
            is_below(source, path) or is_below(path, source) for path in (data, state)
        ):
            held.append(source)
    return sorted(set(held))


def selected(services: Mapping[str, Mapping[str, Any]], profiles: Collection[str]) -> list[str]:
    """The services that run with these profiles: those without any, and those with one of them."""
    return sorted(
        name
        for name, service in services.items()
        if not service["profiles"] or set(service["profiles"]) & set(profiles)
    )


def on_disks(container: Container, layout: Layout) -> list[str]:
    """What a container has of the two disks: paths of the host, and the project's data volume."""
    data = f"volume {PRODUCT_NAME}_{DATA_VOLUME}"
    held = holdings(container, layout)
    return [what for what in held if what == data or not what.startswith("volume ")]


def one_offs(containers: Iterable[dict[str, Any]], layout: Layout) -> dict[str, tuple[bool, str]]:
    """One-off container that holds a disk -> whether it is up, and what it holds."""
    held_by = {}
    for each in containers:
        held = on_disks(each, layout) if each["one_off"] else []
        if held:
            held_by[str(each["name"])] = (each["status"] in UP, ", ".join(held))
    return held_by


def check_one_offs(containers: Iterable[dict[str, Any]], layout: Layout) -> None:
    """Raise OneOffHolds where ``docker compose run`` still runs on what would move.

    Asked in the plan of a move, and again before it stops the stack.
    """
    up = {name: held for name, (is_up, held) in one_offs(containers, layout).items() if is_up}
    if up:
        raise OneOffHolds(
            found=", ".join(f"'{name}' ({held})" for name, held in up.items()),
            names=" ".join(up),
        )


def check_strays(
    services: Mapping[str, Any], containers: Iterable[dict[str, Any]], layout: Layout
) -> None:
    """Raise StrayService for containers that ``down`` would leave, because the chain lacks their service.

    Asked in the plan of a move, and again before it stops the stack.
    """
    strays = [
        f"'{each['name']}' of service '{each['service']}' ({', '.join(holdings(each, layout)) or 'no data'})"
        for each in containers
        if not each["one_off"] and each["service"] not in services
    ]
    if strays:
        raise StrayService(found=", ".join(strays))


def left_behind(containers: Iterable[dict[str, Any]], layout: Layout) -> list[str]:
    """Notes for one-off containers that hold a disk, with the command that takes each away."""
    return [
        f"container '{name}' of 'docker compose run' {'still runs' if is_up else 'was left behind'} and "
        f"holds {held}: "
        + (f"'docker stop {name}' ends it" if is_up else f"'docker rm {name}' removes it")
        for name, (is_up, held) in one_offs(containers, layout).items()
    ]


def to_run(names: Sequence[str], present: Containers, left_stopped: Collection[str]) -> list[str]:
    """The services of ``names`` that are to run.

    left_stopped: services that were not running when a move took their containers away, or that
    were stopped by hand in the middle of one. They stay so until somebody starts them.
    """
    return [
        name
        for name in names
        if name not in left_stopped
        or any(each["status"] not in (*_ENDED, "created") for each in present.get(name, ()))
    ]


def needed_by(services: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    """The services that those of ``names`` depend on, directly or not."""
    needed: set[str] = set()
    left = list(names)
    while left:
        for name in services.get(left.pop(), {}).get("depends_on") or ():
            if name not in needed:
                needed.add(name)
                left.append(name)
    return needed


def run_since_before(
    containers: Iterable[dict[str, Any]], mounts: Mapping[str, str], to_mount: Mapping[str, str]
) -> list[str]:
    """Running containers that do not see the disk which the host has, or will have, at a path they mount.

    mounts: mount point -> MAJ:MIN of the host's disks; to_mount: the same of disks to come. One that
    runs since before a disk was unmounted sees it all the time. Where a disk is to come, a container
    of which nothing is known does not see it.
    Asked in the plan, of what was observed; the run looks again when all disks are mounted.
    """
    since_before, wanted = set(), {**mounts, **to_mount}
    for each in containers:
        for mount in each["mounts"]:
            over = [point for point in wanted if is_below(mount["source"], point)]
            if mount["type"] != "bind" or each["status"] != "running" or not over:
                continue
            point = max(over, key=len)
            if mount["seen"] != wanted[point] and (mount["seen"] or point in to_mount):
                since_before.add(str(each["name"]))
    return sorted(since_before)


def step_for(
    service: Mapping[str, Any],
    containers: Sequence[Container],
    recreate: Collection[str],
) -> str:
    """What ``up`` has to do for a service: ``create``, ``recreate``, ``start`` or empty.

    recreate: names of containers that Compose would recreate, or that are to be. One that has
    ended well is not run again for nothing, and one that its policy starts again is not ours.
    """
    if len(containers) < service.get("scale", 1):
        return "create"
    if any(each["name"] in recreate for each in containers):
        return "recreate"
    if all(
        each["status"] in ("running", "restarting") or has_ended_well(service, each)
        for each in containers
    ):
        return ""
    return "start"


def steps_after_move(
    services: Mapping[str, Any],
    names: Iterable[str],
    starts: Collection[str],
    recreates: Collection[str],
) -> dict[str, str]:
    """Service -> what ``up`` has to do for each of ``names`` after a move, which is still to come.

    starts: services that the move starts, all with new containers; it removes those of the others.
    recreates: services that differ from what the move started.
    """
    steps = {
        name: ("recreate" if name in recreates else "")
        if name in starts
        else step_for(services[name], [], ())
        for name in names
    }
    return {name: step for name, step in steps.items() if step}


def trouble_with(
    service: Mapping[str, Any], containers: Sequence[Container], grown: Collection[str] = ()
) -> str:
    """Why a service is not as it must be, for a message; empty when it is.

    Every container of it counts. grown: see is_looping.
    """
    wanted = service.get("scale", 1)
    if len(containers) < wanted:
        return f"{len(containers)} of {wanted} containers" if containers else "absent"
    said = [(each["name"], _trouble(service, each, grown)) for each in containers]
    bad = [(name, why) for name, why in said if why]
    if len(containers) == 1:
        return bad[0][1] if bad else ""
    return ", ".join(f"{name} {why}" for name, why in bad)


def _trouble(service: Mapping[str, Any], container: Container, grown: Collection[str]) -> str:
    status = str(container["status"])
    if status in _ENDED:
        code = container["exit_code"]
        return "" if has_ended_well(service, container) else f"ended with {code}"
    if status == "restarting":
        return f"restarting ({container['restarts']} times so far, ended with {container['exit_code']})"
    if status != "running":
        return status
    if is_looping(container, grown):
        return f"started again {container['restarts']} times, and up for {container['up_seconds']:.0f} s only"
    health = container["health"]
    return "" if health in ("", "healthy") else f"running, {health}"


def _lately(container: Container) -> str:
    """What to know of a container that was started again by its policy not long ago."""
    times, ago = container["restarts"], container["up_seconds"]
    if not times or ago >= _LATELY_SECONDS or container["status"] != "running":
        return ""
    return f", but started again {times} times so far, the last time {ago:.0f} s ago"


def say_state(service: Mapping[str, Any], containers: Sequence[Container]) -> str:
    """The state of a service for the summary."""
    said = []
    for each in containers:
        if each["status"] in _ENDED:
            said.append(f"ended with {each['exit_code']}")
        else:
            said.append((each["health"] or f"{each['status']} (no health check)") + _lately(each))
    counts = [f"{said.count(one)} {one}" for one in dict.fromkeys(said)]
    return (said[0] if len(said) == 1 else ", ".join(counts)) or "no container (scale 0)"
