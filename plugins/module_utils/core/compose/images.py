# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether containers run the images that they shall run. No I/O.

A tag is no proof: it names another image on each host that has not pulled, or tagged, since. What is
compared are ids and digests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict

from ..host.fleet_errors import OtherImage, OtherThanNamed
from .project import APP

_DIGITS = 12


class Named(TypedDict):
    """What an image's name means on a host."""

    id: str
    """As the engine has it: sha256:..."""
    digests: list[str]
    """sha256:... of what was pulled from registries; none for an image that was loaded by hand."""


class Used(TypedDict):
    """One image of the stack."""

    id: str
    """Of what its name means on the host; empty where the host has no such image."""
    digests: list[str]
    services: list[str]
    """Those that name it, and shall run."""
    running: dict[str, str]
    """Container of these services that runs -> id of its image."""


def used(
    services: Mapping[str, Any], names: Collection[str], present: Mapping[str, Sequence[Any]],
    named: Mapping[str, Named],
) -> dict[str, Used]:  # fmt: skip
    """Image as the chain names it -> what it is.

    names: services that shall run; present: service -> its containers; named: of the images on the host.
    """
    result: dict[str, Used] = {}
    for name in sorted(set(names) & set(services)):
        image = services[name]["image"]
        if not image:
            continue
        known = named.get(image) or {"id": "", "digests": []}
        each = result.setdefault(image, {**known, "services": [], "running": {}})
        each["services"].append(name)
        for container in present.get(name, ()):
            if container["status"] == "running":
                each["running"][str(container["name"])] = str(container["image"])
    return result


def short(image_id: str) -> str:
    """For people."""
    return image_id.partition(":")[2][:_DIGITS] or image_id[:_DIGITS]


def check_wanted(images: Mapping[str, Used], wanted: str) -> None:
    """Raise OtherImage where the app's image is on the host, and is not the wanted one.

    wanted: digest or id, sha256:...; empty for none. Asked in the plan and again after a turn.
    """
    for image, each in images.items():
        is_it = wanted in (each["id"], *each["digests"])
        if wanted and APP in each["services"] and each["id"] and not is_it:
            digests = each["digests"] or [each["id"]]
            raise OtherImage(image=image, found=" and ".join(digests), wanted=wanted)


def check_running(images: Mapping[str, Used]) -> None:
    """Raise OtherThanNamed for containers that run another image than their service names now."""
    differ = [
        f"'{container}' runs {short(runs)}, and '{image}' is {short(each['id']) or 'no image on this host'}"
        for image, each in sorted(images.items())
        for container, runs in sorted(each["running"].items())
        if runs != each["id"]
    ]
    if differ:
        raise OtherThanNamed(found=", ".join(differ))


def say_running(images: Mapping[str, Used]) -> str:
    """For a report: each image that runs, with its digest or id."""
    return ", ".join(
        f"{image} ({', '.join(each['digests']) or each['id']})"
        for image, each in sorted(images.items())
        if each["running"]
    )
