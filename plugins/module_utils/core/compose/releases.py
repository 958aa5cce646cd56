# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release of the product means for each layout, in words and as a page of Markdown.

Pure. What is told of a release is a ``Fit``, made by parts/release.py with the functions of a run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional, TypedDict

from ..layout.layouts import Layout, overlays, state_dirs
from .overlay import say
from .project import compose_files
from .sight import needs, sees_state_at

OWN, DERIVED = "own", "derived"
"""Where the layout's overlay comes from: the release has it and it passes the proof, or a run writes it."""


class Fit(TypedDict):
    """A release in a layout."""

    release: str
    layout: str
    backend: str
    kept: bool
    """Whether a run takes it."""
    chain: str
    """COMPOSE_FILE as a run writes it."""
    overlay: str
    """The name of the layout's overlay."""
    origin: str
    """OWN or DERIVED; empty where the release is not taken."""
    text: str
    """The overlay as it is written."""
    services: dict[str, dict[str, Any]]
    """Service -> ``profiles``, and the paths in its containers that must show ``data`` and ``state``."""
    changes: list[str]
    """What is another with a run than with the release's files alone, a sentence each."""
    traps: list[str]
    """What to know before; a refusal is the first."""


def services_seen(
    services: Mapping[str, Mapping[str, Any]], layout: Layout
) -> dict[str, dict[str, Any]]:
    """Of each service of a cut configuration what a row of the page tells."""
    seen_by = {}
    for name in sorted(services):
        seen = needs(services, name, layout)
        seen_by[name] = {
            "profiles": list(services[name].get("profiles") or ()),
            **{
                role: sorted(path for path, need in seen.items() if need.role == role)
                for role in ("data", "state")
            },
        }
    return seen_by


def changes(
    layout: Layout,
    chain: str,
    origin: str,
    services: Mapping[str, Mapping[str, Any]],
    by_itself: Optional[tuple[str, Mapping[str, Any]]],
) -> list[str]:
    """What a run makes otherwise than the product's own upgrade does.

    by_itself: the chain that the upgrade makes, and its services; None where Compose rejects it.
    """
    said = [f"`.env` gets `{key}={value}`" for key, value in sorted(layout.env().items())]
    if by_itself and chain != by_itself[0]:
        said.append(f"`COMPOSE_FILE` is `{chain}` in place of `{by_itself[0]}`")
    if origin == DERIVED:
        said.append(f"`{layout.overlay}` is written, see below")
    if by_itself is None:
        return said
    for name in sorted(services):
        before, after = (_mounts(which, name) for which in (by_itself[1], services))
        moved = [("gets", after - before), ("loses", before - after)]
        words = [f"{verb} {_code(sorted(mounts))}" for verb, mounts in moved if mounts]
        said += [f"service `{name}` {' and '.join(words)}"] if words else []
    return said


def _mounts(services: Mapping[str, Mapping[str, Any]], name: str) -> set[str]:
    return {say([mount]) for mount in (services.get(name) or {}).get("volumes") or ()}


def not_placed(contents: Mapping[str, bytes], placed: Collection[str]) -> list[str]:
    """A line for each compose file of a release that a run does not put into the project's directory."""
    left = sorted(compose_files(contents) - {*placed, *overlays()})
    return [f"`{name}` is not used: `COMPOSE_FILE` does not name it" for name in left]


def words_of(service: Mapping[str, Any]) -> str:
    """What a service runs, of the configuration as Compose resolves it: its command and health check."""
    check = (service.get("healthcheck") or {}).get("test")
    parts = [service.get("entrypoint"), service.get("command"), check]
    return " ".join(
        part if isinstance(part, str) else " ".join(map(str, part)) for part in parts if part
    )


def astray(
    words: Mapping[str, str], services: Mapping[str, Mapping[str, Any]], layout: Layout
) -> list[str]:
    """A line for each path of state that a service's command names, and where its containers see no state.

    words: service -> see ``words_of``. Nothing of them is told: they may have secrets.
    """
    return [
        f"service '{name}' has '{path}' in its command or health check, and sees no state there"
        for name in sorted(services)
        for path in state_dirs()
        if re.search(rf"(?<![\w/.-]){re.escape(path)}(?![\w-])", words.get(name, ""))
        and not sees_state_at(services, name, path, layout)
    ]


def compared(services: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """What has become of the services of the release before."""
    new, gone = sorted(set(services) - set(before)), sorted(set(before) - set(services))
    said = [f"service `{name}` is new" for name in new]
    return said + [f"service `{name}` is gone" for name in gone]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _row(*cells: str) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |\n"


def _code(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _list(title: str, sentences: Sequence[str], nothing: str) -> str:
    if not sentences:
        return f"\n**{title}.** {nothing}\n"
    return f"\n**{title}.**\n\n" + "".join(f"- {sentence}\n" for sentence in sentences)


def _title(fit: Fit) -> str:
    more = "" if fit["backend"] == "duckdb" else f", database {fit['backend']}"
    return f"{fit['release']}, layout {fit['layout']}{more}"


def _short(fit: Fit) -> tuple[str, str, str]:
    """Of a row: whether it can be kept, where the overlay comes from, and how many traps there are."""
    origins = {OWN: "its own", DERIVED: "derived", "": "none"}
    return "yes" if fit["kept"] else "**no**", origins[fit["origin"]], str(len(fit["traps"]))


def lines(fits: Sequence[Fit]) -> list[str]:
    """A line for each release and layout."""
    told = []
    for fit in fits:
        _kept, origin, traps = _short(fit)
        kept = "can be kept" if fit["kept"] else "REFUSED"
        told.append(f"{_title(fit)}: {kept}, overlay {origin}, traps: {traps}")
        told += [f"    {trap}" for trap in fit["traps"]]
    return told


def _section(fit: Fit) -> str:
    text = f"\n## {_title(fit)}\n\n"
    if fit["kept"]:
        text += f"Can be kept. `COMPOSE_FILE={fit['chain']}`\n"
    else:
        text += "Can't be kept: a run refuses it before it changes anything.\n"
    text += _list("Traps", fit["traps"], "None found.")
    if not fit["kept"]:
        return text
    text += _list("What a run changes", fit["changes"], "Nothing.")
    text += "\n| Service | Profiles | Data disk at | State disk at |\n|---|---|---|---|\n"
    for name, seen in fit["services"].items():
        profiles = ", ".join(seen["profiles"]) or "always"
        text += _row(f"`{name}`", profiles, _code(seen["data"]) or "-", _code(seen["state"]) or "-")
    if fit["origin"] == OWN:
        return text + f"\n`{fit['overlay']}` of the release is taken as it is.\n"
    return text + f"\n`{fit['overlay']}`, as it is written:\n\n```yaml\n{fit['text']}```\n"


def page(fits: Sequence[Fit]) -> str:
    """The table, and a section for each release and layout."""
    text = "| Release | Layout | Database | Can be kept | Overlay | Traps |\n|---|---|---|---|---|---|\n"
    for fit in fits:
        text += _row(fit["release"], fit["layout"], fit["backend"], *_short(fit))
    return text + "".join(map(_section, fits))
