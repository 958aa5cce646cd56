# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade decides: which services run, which images are new, and whether there is a way back. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

from ..layout.backend import DUCKDB
from .chain import TLS_PROFILE
from .images import short
from .stack import UP, starts_again

FORMAT = 1

Sign = Optional[Sequence[int]]
"""Inode, size and time of system.duckdb.pre-migrate, which the product writes before it changes the
schema; empty where there is none, None where that is not known."""


def profiles_for(
    services: Mapping[str, Any], present: Mapping[str, Any], pair: bool, own_issue: bool
) -> list[str]:
    """The profiles that are on: those of services that have a container; tls is on where Caddy has a certificate.

    pair: whether STATE_DIR/certs has the certificate; own_issue: whether Caddy gets one by itself.
    """
    there = {name for name in services if present.get(name)}
    profiles = {each for name in there for each in services[name]["profiles"]}
    if pair:
        profiles.add(TLS_PROFILE)
    elif not own_issue:
        profiles.discard(TLS_PROFILE)
    return sorted(profiles)


def new_images(
    services: Mapping[str, Any], names: Sequence[str], present: Mapping[str, Sequence[Any]], ids: Mapping[str, str]
) -> dict[str, tuple[str, str]]:  # fmt: skip
    """Image as the chain names it -> id that runs, id that it names now; for those that differ.

    names: services that run; ids: image -> id, of those that are on the host.
    """
    differ = {}
    for name in names:
        image = services[name]["image"]
        for container in present.get(name, ()):
            wanted = ids.get(image, "")
            if wanted and container["image"] != wanted:
                differ[image] = (str(container["image"]), wanted)
    return differ


def stopped_by_hand(
    services: Mapping[str, Any], present: Mapping[str, Sequence[Any]], tried: Collection[str]
) -> list[str]:
    """Services that somebody has stopped: the engine itself would have kept their containers running.

    tried: images that an upgrade is trying; their containers may be down because of that.
    """
    return sorted(
        name
        for name, service in services.items()
        if present.get(name)
        and service["image"] not in tried
        and all(
            each["status"] not in (*UP, "created") and starts_again(service, each["exit_code"])
            for each in present[name]
        )
    )


def schema_is_as_before(backend: str, before: Sign, after: Sign) -> bool:
    """Whether the database's schema is proved to be the one that the earlier image knows."""
    known = before is not None and after is not None
    return backend == DUCKDB and known and list(before or ()) == list(after or ())


def unfinished(memory: Mapping[str, Any]) -> str:
    """What earlier upgrades have left that somebody should know, for people; empty where all is well.

    memory: ``trying``, images that are being tried, and ``rejected``, those that did not come up.
    """
    if memory.get("trying"):
        return "an upgrade is at work, or was cut off: the next one ends it"
    reasons = list((memory.get("rejected") or {}).values())
    return (
        f"the newest image did not come up, and the one before it runs: {reasons[-1]}"
        if reasons
        else ""
    )


def say_images(images: Mapping[str, Sequence[str]]) -> str:
    """For people: each image, from what to what."""
    return ", ".join(
        f"{name} ({short(old)} -> {short(new)})" for name, (old, new) in sorted(images.items())
    )
