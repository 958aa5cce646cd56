# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the stack could be started again: the images of its services are on the host."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ...core.move.move_errors import ImageGone
from ..host.commands import Failed, last_line, run


def check_there(
    docker: str, services: Mapping[str, Any], names: Collection[str], directory: str
) -> None:
    """Raise ImageGone for a service whose image has lost its tag since its container was made.

    names: services that a move starts; directory: that of the project. Asked in a check run of a
    move, and by the move before the stop. Raises Failed where Docker does not say.
    """
    for name in sorted(set(names) & set(services)):
        image = services[name]["image"]
        if not image:
            continue
        done = run([docker, "image", "inspect", "--format", "{{.Id}}", image], codes=())
        if done.code and "no such" not in done.err.lower():
            raise Failed(f"image '{image}' can't be looked for: {last_line(done.err)}")
        if done.code:
            raise ImageGone(image=image, service=name, project=directory)
