# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain of compose files that COMPOSE_FILE names."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence

from .layouts import Layout, overlays

SEPARATOR = ":"
"""Compose's default separator in COMPOSE_FILE on Linux."""

BASE = ("docker-compose.yml", "docker-compose.prod.yml")
"""The product's files that are always in the chain."""

TLS_OVERLAY = "docker-compose.tls.yml"
TLS_PROFILE = "tls"


def split(compose_file: str) -> list[str]:
    """The files named in COMPOSE_FILE, in order."""
    return [name for name in compose_file.split(SEPARATOR) if name]


def join(files: Sequence[str]) -> str:
    """COMPOSE_FILE for ``files``."""
    return SEPARATOR.join(files)


def _bare(name: str) -> str:
    """An overlay of the table by its bare name, however it is spelled; other files as they are."""
    plain = posixpath.normpath(name)
    return plain if plain in overlays() else name


def layout_overlays(files: Sequence[str]) -> list[str]:
    """The files of a chain that are overlays of the table, in order."""
    return [_bare(name) for name in files if _bare(name) in overlays()]


def chain_for(
    layout: Layout,
    current: Sequence[str] = (),
    profiles: Collection[str] = (),
    available: Collection[str] = (),
) -> list[str]:
    """The chain with one layout overlay, that of ``layout``, or as it is if that one is last.

    current: the files that COMPOSE_FILE names now; files of others keep their place.
    profiles: the profiles that are to run; ``tls`` brings its overlay if it exists.
    available: the compose files that exist in the project directory.

    The layout's overlay comes last, because it replaces mounts that the files
    before it made; one that is in the chain already keeps its place, and the
    proof of the resolved chain decides whether that is right. The product's own
    upgrade puts the default layout's overlay before ours, every few minutes: that
    chain stands, because the last overlay replaces what an earlier one says.
    """
    files = [_bare(name) for name in (current or BASE)]
    stands = layout_overlays(files)[-1:] == [layout.overlay]
    last = max((n for n, name in enumerate(files) if name == layout.overlay), default=-1)
    files = [
        name
        for number, name in enumerate(files)
        if name not in overlays() or number == last or (stands and name != layout.overlay)
    ]
    if TLS_PROFILE in profiles and TLS_OVERLAY in available and TLS_OVERLAY not in files:
        position = files.index(layout.overlay) if layout.overlay in files else len(files)
        files.insert(position, TLS_OVERLAY)
    if layout.overlay not in files:
        files.append(layout.overlay)
    return files
