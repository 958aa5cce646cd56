# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layout a host has, and which it shall have."""

from __future__ import annotations

import posixpath
from typing import Any, Optional

from ..disks.mounts import on_top
from ..host.errors import (
    EnvUnreadable,
    LayoutContradiction,
    NewerFormat,
    NoStateDevice,
    StateElsewhere,
    StateLinkForeign,
    StateTwice,
    UnknownDataDir,
    UnknownLayout,
    UnknownStateDir,
    Unreadable,
)
from ..host.facts import Host, StatePlace
from .layouts import (
    CERTIFICATES,
    DEFAULT_LAYOUT,
    LAYOUTS,
    UNDECIDED,
    Layout,
    known_layouts,
    layout_at,
    resolve_data_dir,
    resolve_state_dir,
    state_dirs,
)
from .tree import MARKER, MARKER_FORMAT

RUN = "-e layout="
"""Where the run's own choice is said."""


def _holds_state(place: Optional[StatePlace]) -> bool:
    """Whether there is more than a run makes before the product's first start: it may have been cut short."""
    return bool(
        place and place["kind"] == "directory" and set(place["names"]) - {MARKER, CERTIFICATES}
    )


def holding(host: Host) -> list[str]:
    """The places that hold state; one disk mounted at two of them counts once."""
    places = [path for path in state_dirs() if _holds_state(host["state"].get(path))]
    disks = {m["target"]: m["maj_min"] for m in on_top(host["mounts"]) if m["target"] in places}
    if len(places) > 1 and len(disks) == len(places) and len(set(disks.values())) == 1:
        named = resolve_state_dir(host["env"]["values"])
        return [named if named in places else places[0]]
    return places


def _is_mounted(place: Optional[StatePlace]) -> bool:
    return bool(place and place["kind"] == "directory" and place["mounted"])


def _check_markers(host: Host) -> None:
    for path, place in host["state"].items():
        form: Any = (place["marker"] or {}).get("format", MARKER_FORMAT)
        if not isinstance(form, int):
            raise Unreadable(path=posixpath.join(path, MARKER), found=str(form))
        if form != MARKER_FORMAT:
            raise NewerFormat(path=posixpath.join(path, MARKER), found=form, known=MARKER_FORMAT)


def _check_env(host: Host) -> None:
    for line, why in host["env"]["trouble"]:
        raise EnvUnreadable(path=host["env"]["path"], line=line, found=why)


def _check_data_dir(host: Host) -> None:
    data_dir = resolve_data_dir(host["env"]["values"])
    known = list(dict.fromkeys(layout.mounts["data"] for layout in LAYOUTS.values()))
    if posixpath.normpath(data_dir) not in known:
        raise UnknownDataDir(env_path=host["env"]["path"], found=data_dir, known=", ".join(known))


def check_trust(host: Host) -> None:
    """Raise unless the markers and ``.env`` can be read as they stand."""
    _check_markers(host)
    _check_env(host)


def _layout_without_disks(host: Host) -> Optional[Layout]:
    """The layout of a host whose disks are not mounted now, so that no state shows.

    STATE_DIR in ``.env`` says it; the default, which needs no line there, is what the
    host's record says. A host that has neither has no state yet.
    """
    env, record = host["env"]["values"], host["record"]
    if env.get("STATE_DIR"):
        return layout_at(resolve_state_dir(env))
    moved = str((record.get("move") or {}).get("target") or "")
    point = ((record.get("disks") or {}).get("state") or {}).get("mount_point")
    recorded = [
        layout
        for layout in LAYOUTS.values()
        if layout.name == moved or (not moved and point and layout.mounts["state"] == point)
    ]
    return recorded[0] if recorded else None


def current_layout(host: Host) -> Optional[Layout]:
    """The layout that the host has now, or None when it has no state.

    ``.env`` decides; without one, the place that holds state does. An empty
    mounted state disk counts when no place holds state: a run stopped there.
    Raises a Refusal when the evidence contradicts itself.
    """
    check_trust(host)
    here = holding(host)
    if len(here) > 1:
        raise StateTwice(found=", ".join(here))
    mounted = [path for path in state_dirs() if _is_mounted(host["state"].get(path))]
    if host["env"]["exists"]:
        expected = resolve_state_dir(host["env"]["values"])
        layout = layout_at(expected)
        if layout is None:
            raise UnknownStateDir(
                env_path=host["env"]["path"], found=expected, known=", ".join(state_dirs())
            )
        if here and layout.state_dir != here[0]:
            raise StateElsewhere(
                env_path=host["env"]["path"], expected=layout.state_dir, found=here[0]
            )
        _check_data_dir(host)
        if layout.state_dir in here or layout.state_dir in mounted:
            return layout
    places = here or mounted
    if len(places) > 1:
        raise StateTwice(found=", ".join(places))
    return layout_at(places[0]) if places else _layout_without_disks(host)


def _named(name: str, source: str) -> Layout:
    if name not in LAYOUTS:
        raise UnknownLayout(asked=name, source=source, known=known_layouts())
    return LAYOUTS[name]


def _say_place(place: StatePlace) -> str:
    said = {"link": f"a link to '{place['target']}'", "directory": "a directory"}
    return said.get(place["kind"], "a file")


def _check_places(host: Host, layout: Layout) -> None:
    """Raise StateLinkForeign unless links are where the layout has them, and only there."""
    state = host["state"].get(layout.state_dir)
    if state and state["kind"] not in ("absent", "directory"):
        raise StateLinkForeign(path=layout.state_dir, wanted="a directory", found=_say_place(state))
    for path, target in layout.links.items():
        place = host["state"].get(path)
        if place is None or place["kind"] == "absent":
            continue
        if place["kind"] != "link" or place["target"] != target:
            wanted = f"a link to '{target}', or absent"
            raise StateLinkForeign(path=path, wanted=wanted, found=_say_place(place))


def _check_state_disk(host: Host, current: Layout, chosen: Layout) -> None:
    """Raise NoStateDevice when no disk for state is named, and state is on none of its own."""
    has_one = host["asked"]["state"]["device"] or _is_mounted(host["state"].get(current.state_dir))
    if chosen.needs_state_disk and not has_one:
        raise NoStateDevice(layout=chosen.name)


def asked_layout(
    layout: str = "", wanted: str = "", override: bool = False
) -> tuple[Optional[str], str]:
    """The layout that is asked for, and where: empty when none is, None for undecided."""
    if layout:
        _named(layout, RUN)
    if wanted and wanted != UNDECIDED:
        _named(wanted, "state_layout_wanted")
    if layout and wanted and layout != wanted and not override:
        raise LayoutContradiction(asked=layout, wanted=wanted)
    if not layout and wanted == UNDECIDED:
        return None, "state_layout_wanted"
    return (layout, RUN) if layout else (wanted, "state_layout_wanted" if wanted else "")


def choose_layout(
    host: Host, layout: str = "", wanted: str = "", override: bool = False
) -> tuple[Optional[Layout], str]:
    """The layout to have, and where that was said.

    layout: the run's own choice (``-e layout=``); wanted: the inventory's
    (state_layout_wanted). Without either it is what the host has now, and only
    a host without any state falls to the default: not naming a layout never
    moves anything. None means undecided. Raises a Refusal.
    """
    name, source = asked_layout(layout, wanted, override)
    if name is None:
        return None, source
    current = current_layout(host)
    if not name:
        name, source = (
            (current.name, "what the host has")
            if current
            else (DEFAULT_LAYOUT, "the default for a host without state")
        )
    chosen = LAYOUTS[name]
    if current and current != chosen:
        # Where state is to move, the move itself judges what else stands in its way.
        _check_state_disk(host, current, chosen)
    else:
        _check_places(host, chosen)
    return chosen, source
