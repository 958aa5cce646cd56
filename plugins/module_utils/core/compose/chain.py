# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain of compose files that COMPOSE_FILE names."""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Collection, Mapping, Sequence

from ..layout.backend import DUCKDB, SIDE_CAR
from ..layout.layouts import DEFAULT_LAYOUT, LAYOUTS, Layout, overlays

SEPARATOR = ":"
"""Compose's default separator in COMPOSE_FILE on Linux."""

BASE = ("docker-compose.yml", "docker-compose.prod.yml")
"""The product's files that are always in the chain."""

TLS_OVERLAY = "docker-compose.tls.yml"
TLS_PROFILE = "tls"

_POSTGRES = "docker-compose.postgres.yml"
_POSTGRES_MOUNT = "docker-compose.postgres-host-mount.yml"
_DEFAULT = LAYOUTS[DEFAULT_LAYOUT].overlay
RESOLVED = (*BASE, _POSTGRES, _DEFAULT, _POSTGRES_MOUNT, TLS_OVERLAY)
_ORDER = (*RESOLVED, "docker-compose.gcp-logging.yml")
"""The files that the product's own resolver decides on, in its order; it warns of another one.

The last is switched on by being there, the others by what they are for.
"""

_TAKEN_ALONE = (
    ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"),
    (
        "compose.override.yml", "compose.override.yaml",
        "docker-compose.override.yml", "docker-compose.override.yaml",
    ),
)  # fmt: skip
"""What Compose takes where no COMPOSE_FILE is set: the first that is there of each."""


def split(compose_file: str) -> list[str]:
    """The files named in COMPOSE_FILE, in order."""
    return [name for name in compose_file.split(SEPARATOR) if name]


def chain_now(env: Mapping[str, str], present: Collection[str], directory: str) -> list[str]:
    """The files of which the project is made now; empty where there is no project yet.

    env: what ``.env`` has; present: names in the project directory. Without COMPOSE_FILE it is what
    Compose takes by itself, with the product's production file, which its scripts always add.
    """
    named = split(env.get("COMPOSE_FILE", ""))
    if named:
        return [_in_directory(name, directory) for name in named]
    base, override = ([n for n in names if n in present][:1] for names in _TAKEN_ALONE)
    if base == [BASE[0]]:
        base = list(BASE)
    return base + override if base else []


def _in_directory(name: str, directory: str) -> str:
    """A file that is named by its absolute path, but lies in the project directory, by its bare name."""
    plain = posixpath.normpath(name)
    folder, bare = posixpath.split(plain)
    return bare if directory and folder == posixpath.normpath(directory) else name


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


def _inserted(files: Sequence[str], name: str, overlay: str) -> list[str]:
    """``files`` with ``name`` right behind those that come before it in the resolver's order.

    overlay: that of the layout; where the resolver does not know it, it stays behind.
    """
    if name in files:
        return list(files)
    before = _ORDER[: _ORDER.index(name)]
    at = max((n + 1 for n, file in enumerate(files) if file in before), default=0)
    if overlay in files and overlay not in _ORDER:
        at = min(at, files.index(overlay))
    return [*files[:at], name, *files[at:]]


def _in_order(files: Sequence[str]) -> list[str]:
    """``files`` with those that the resolver decides on in its order, where they stand side by side.

    A file of others in between stays there: it may need what comes before it.
    """
    groups = [list(group) for _known, group in itertools.groupby(files, _ORDER.__contains__)]
    return [
        name
        for group in groups
        for name in (sorted(group, key=_ORDER.index) if group[0] in _ORDER else group)
    ]


def chain_for(
    layout: Layout,
    current: Sequence[str] = (),
    profiles: Collection[str] = (),
    available: Collection[str] = (),
    backend: str = DUCKDB,
) -> list[str]:
    """The chain with the overlay of ``layout``, as the product's own resolver would have it.

    current: the files of which the project is made now, see ``chain_now``; none of others is left
    out, and they keep their order. profiles: the profiles that are to run; ``tls`` brings its
    overlay if it exists. available: the compose files that exist, or are to be placed, in the
    project directory. backend: of the database; the product's side-car brings its two files.

    The layout's overlay comes last, because it replaces mounts that the files before it made; one
    that is in the chain already keeps its place among those of others, and the proof of the resolved
    chain decides whether that is right. The product's upgrade puts the default layout's overlay into
    each chain: where it is, it comes before ours, which replaces what it says.
    """
    files = [_bare(name) for name in (current or BASE)]
    if backend == SIDE_CAR:
        for name in (_POSTGRES, _POSTGRES_MOUNT):
            files = _inserted(files, name, layout.overlay)
    stands = layout_overlays(files)[-1:] == [layout.overlay]
    product = layout.overlay != _DEFAULT and _DEFAULT in available and BASE[0] in files
    last = max((n for n, name in enumerate(files) if name == layout.overlay), default=-1)
    files = [
        name
        for number, name in enumerate(files)
        if name not in overlays() or number == last or (stands and name != layout.overlay)
    ]
    if product:
        files = _inserted(files, _DEFAULT, layout.overlay)
    if TLS_PROFILE in profiles and TLS_OVERLAY in available:
        files = _inserted(files, TLS_OVERLAY, layout.overlay)
    if layout.overlay not in files:
        files.append(layout.overlay)
    return _in_order(files)


def resolvers_order(chain: Sequence[str]) -> list[str]:
    """The same files as the product's resolver has them: those that it decides on first, then the others.

    A file of others that stood between them may need what came before it, or say what one behind it
    replaces: Compose is to be asked whether both orders mean the same. A chain with another first
    file, by which Compose knows where the project is, stays as it is, and so does one whose last
    overlay would be another layout's.
    """
    known = sorted((name for name in chain if name in _ORDER), key=_ORDER.index)
    ordered = [*known, *(name for name in chain if name not in _ORDER)]
    same = list(chain[:1]) == ordered[:1] == [BASE[0]]
    return ordered if same and layout_overlays(ordered) == layout_overlays(chain) else list(chain)


def order_note(current: Sequence[str], chain: Sequence[str]) -> str:
    """What to know where a run gives the files of COMPOSE_FILE another order; else empty.

    current: the files of which the project is made now; chain: what ``chain_for`` makes of it.
    """
    ordered = resolvers_order(chain)
    stays, gets = ([n for n in a if n in b] for a, b in ((current, ordered), (ordered, current)))
    if stays == gets:
        return ""
    return (
        f"the files in COMPOSE_FILE are put in the order of the product's own upgrade, {join(ordered)}; "
        "a file keeps its place if another one would change what Compose resolves"
    )


def without_others(layout: Layout, chain: Sequence[str]) -> list[str]:
    """A chain without overlays of the table but that of ``layout``, for where one of them is stale."""
    return [name for name in chain if name == layout.overlay or name not in overlays()]
