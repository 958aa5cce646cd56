# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the engine can serve a host: binds, units and uids must mean what they say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

from ..host.errors import (
    ComposeTooOld,
    EngineBefore25,
    EngineSlow,
    NoEngine,
    SelinuxLabels,
    UnsuitableEngine,
)
from ..host.facts import Engine, Host
from ..host.host_errors import EngineOnStateDisk
from ..layout.layouts import Layout, is_below, state_dirs

COMPOSE_MINIMUM = (2, 24, 4)
"""From this version on ``!override`` replaces a service's volumes."""

START_INTERVAL_MINIMUM = (25,)
"""Before this version of Docker, Compose starts no service that has healthcheck.start_interval (pkg/compose/create.go)."""

LOCAL_ENDPOINTS = ("", "unix:///var/run/docker.sock", "unix:///run/docker.sock")
"""Where the distribution's engine listens."""


def version_of(text: str) -> tuple[int, ...]:
    """The numbers of a version such as ``v2.26.1-4``; empty when there are none."""
    numbers = []
    for part in text.lstrip("v").replace("-", ".").replace("+", ".").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def unsuitable(engine: Engine) -> Optional[tuple[str, str]]:
    """What kind of engine it is and why that kind is wrong here, or None."""
    if engine["platform"] == "Podman":
        return "podman", "restart policies do not outlive a boot and Compose is not all there"
    if "/snap/" in f"{engine['docker']}/" or engine["root_dir"].startswith("/var/snap/"):
        return f"from snap ({engine['docker']})", "binds outside the home directory are hidden"
    if "rootless" in engine["security"]:
        return "rootless", "uid 999 in a container is another uid on the disks"
    if "userns" in engine["security"]:
        return "with userns-remap", "uid 999 in a container is another uid on the disks"
    if engine["endpoint"] not in LOCAL_ENDPOINTS:
        return f"another one than this host's ({engine['endpoint']})", "binds are on another host"
    if engine["swarm"] not in ("", "inactive"):
        return f"a swarm node ({engine['swarm']})", "the swarm may start containers by itself"
    if engine["root_dir"] and not engine["here"]:
        return f"in another place than this host ('{engine['root_dir']}' is not here)", (
            "binds are of the container or the machine that it runs in"
        )
    return None


def with_start_interval(
    services: Mapping[str, Mapping[str, Any]], profiles: Collection[str]
) -> list[str]:
    """The services of a cut configuration that are started with these profiles and have healthcheck.start_interval."""
    return sorted(
        name
        for name, service in services.items()
        if service.get("start_interval")
        and (not service["profiles"] or not {*profiles}.isdisjoint(service["profiles"]))
    )


def check_start_interval(services: Sequence[str], version: str) -> None:
    """Raise EngineBefore25 where services have healthcheck.start_interval and the engine's version is too old for it."""
    if services and version_of(version) < START_INTERVAL_MINIMUM:
        raise EngineBefore25(service=services[0], found=version or "of an unknown version")


def check_engine(host: Host) -> None:
    """Raise unless the engine answers, serves this host, and Compose is new enough."""
    engine = host["engine"]
    wrong = unsuitable(engine)
    if wrong:
        raise UnsuitableEngine(found=wrong[0], why=wrong[1])
    if engine["waited"]:
        raise EngineSlow(found=engine["error"])
    if engine["error"]:
        raise NoEngine(found=engine["error"])
    for path in state_dirs():
        if is_below(engine["root_dir"], path):
            raise EngineOnStateDisk(root_dir=engine["root_dir"], path=path)
    if version_of(engine["compose_version"]) < COMPOSE_MINIMUM:
        wanted = ".".join(map(str, COMPOSE_MINIMUM))
        raise ComposeTooOld(found=engine["compose_version"] or "(none)", wanted=wanted)


def check_selinux(host: Host, layout: Layout, selinux_type: str) -> None:
    """Raise when containers could not use the disks for their labels, and no type is given."""
    if host["selinux_enforcing"] and "selinux" in host["engine"]["security"] and not selinux_type:
        raise SelinuxLabels(mount_points=" and ".join(layout.mounts.values()))


def security_names(options: object) -> list[str]:
    """The names in the engine's SecurityOptions, such as ``name=seccomp,profile=default``."""
    names = []
    for option in options if isinstance(options, list) else []:
        fields: Mapping[str, str] = dict(
            item.partition("=")[::2] for item in str(option).split(",")
        )
        names.append(fields.get("name", str(option)))
    return names
