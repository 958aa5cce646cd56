# SPDX-License-Identifier: GPL-3.0-or-later
"""What the names of images mean on this host, and whether the stack could be started again with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...core.compose.images import Named
from ...core.move.move_errors import ImageGone
from ..host.commands import Failed, last_line, run

_FORMAT = "{{json .Id}} {{json .RepoDigests}}"


def named(docker: str, names: Collection[str]) -> dict[str, Named]:
    """Image -> what it is, without those that are not on the host. Raises Failed where Docker does not say."""
    return _named(docker, sorted({name for name in names if name}))


def _named(docker: str, names: Sequence[str]) -> dict[str, Named]:
    if not names:
        return {}
    done = run([docker, "image", "inspect", "--format", _FORMAT, *names], codes=())
    if done.code == 0:
        return dict(zip(names, map(_cut, done.out.splitlines())))
    if len(names) > 1:
        # It does not say which line is whose, where one is missing.
        return {name: each for one in names for name, each in _named(docker, [one]).items()}
    if "no such" not in done.err.lower():
        raise Failed(f"image '{names[0]}' can't be looked for: {last_line(done.err)}")
    return {}


def _cut(line: str) -> Named:
    image_id, _space, digests = line.partition(" ")
    return {
        "id": json.loads(image_id),
        "digests": sorted({each.rpartition("@")[2] for each in json.loads(digests) or []}),
    }


def check_there(
    docker: str, services: Mapping[str, Any], names: Collection[str], directory: str
) -> None:
    """Raise ImageGone for a service whose image has lost its tag since its container was made.

    names: services that a move starts; directory: that of the project. Asked in a check run of a
    move, and by the move before the stop. Raises Failed where Docker does not say.
    """
    images = {name: services[name]["image"] for name in sorted(set(names) & set(services))}
    there = named(docker, images.values())
    for name, image in images.items():
        if image and image not in there:
            raise ImageGone(image=image, service=name, project=directory)
