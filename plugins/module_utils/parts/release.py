# SPDX-License-Identifier: GPL-3.0-or-later
"""A release of the product, looked at without a host: what a run would make of its files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

from ..core.compose.chain import BASE, chain_for, chain_now, join, resolvers_order
from ..core.compose.engine import COMPOSE_MINIMUM, version_of
from ..core.compose.overlay import prove, wanted_mounts
from ..core.compose.releases import (
    DERIVED,
    OWN,
    Fit,
    astray,
    changes,
    compared,
    not_placed,
    services_seen,
)
from ..core.compose.sight import remarks
from ..core.compose.stack import unknown_profiles
from ..core.host.errors import ComposeTooOld, NoArtifacts, NoEngine, Refusal
from ..core.layout import dotenv
from ..core.layout.backend import DUCKDB, SIDE_CAR
from ..core.layout.layouts import DEFAULT_LAYOUT, LAYOUTS, Layout, overlays
from ..core.layout.settings import owned_keys
from ..system.compose import artifacts
from ..system.compose.overlays import UNPROVED
from ..system.compose.remembered import remembered
from ..system.compose.scratch import Scratch
from ..system.compose.stage import Stage
from ..system.host.actions import Actions
from ..system.host.commands import run
from .project import ProjectManager, Proved

SIDE_CAR_FILE = "docker-compose.postgres.yml"
"""A release that has it can have its database in a container."""
_WHERE = "/opt"
"""The folder of the project's directory on a host; it stands for the scratch folder in what is told."""


class Release(ProjectManager):
    """The project of a host that has nothing but the files of a release."""

    def __init__(
        self, layout: Layout, profiles: Collection[str], directory: str, backend: str
    ) -> None:
        params = {
            "layout": layout.name, "moves_to": "", "project_dir": directory, "image": "",
            "artifacts_dir": "", "profiles": list(profiles), "env": {}, "secrets": {},
        }  # fmt: skip
        super().__init__(params, Actions(True))
        self.backend = backend

    def present(self) -> list[str]:
        """Nothing."""
        return []

    def secrets(self, current: dict[str, str], given: dict[str, str]) -> dict[str, str]:
        """None: no container is started."""
        return {}

    def stage(self, files: dict[str, artifacts.File], env_text: str) -> Stage:
        """Without root, and without a host's files."""
        return Scratch(self.docker, self.dir, files, env_text)

    def chain(self, product: Mapping[str, artifacts.File], current: dict[str, str]) -> list[str]:
        """The chain that a run begins with."""
        return chain_for(
            self.layout, chain_now(current, (), self.dir), self.params["profiles"], set(product),
            self.backend,
        )  # fmt: skip


def check_compose(docker: str) -> None:
    """Raise NoEngine or ComposeTooOld unless Compose is here and knows ``!override``. No engine is asked."""
    version = run([docker, "compose", "version", "--short"], codes=())
    if version.code:
        raise NoEngine(found="'docker compose' is not installed")
    if version_of(version.out.strip()) < COMPOSE_MINIMUM:
        wanted = ".".join(map(str, COMPOSE_MINIMUM))
        raise ComposeTooOld(found=version.out.strip(), wanted=wanted)


def _settings(product: dict[str, artifacts.File]) -> dict[str, str]:
    """What a ``.env`` beside the files says; where state is is a layout's business, and a secret nobody's here."""
    file = product.pop(".env", None)
    if file is None:
        return {}
    given = dotenv.read(file.content.decode("utf-8", "surrogateescape"))
    layouts = owned_keys() - {"COMPOSE_FILE"}
    return {
        key: value if key in dotenv.PLAIN_KEYS else "hidden"
        for key, value in given.items()
        if key not in layouts
    }


def _by_itself(
    release: Release, product: Mapping[str, artifacts.File], settings: dict[str, str],
    project: Proved,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """The chain that the product's own scripts make of a release, and its services. Raises a Refusal."""
    files = chain_for(
        LAYOUTS[DEFAULT_LAYOUT], chain_now(settings, (), release.dir), release.params["profiles"],
        set(product), release.backend,
    )  # fmt: skip
    files = resolvers_order([name for name in files if name in product])
    stage = release.stage(dict(product), project.stage.env_text())
    services: dict[str, Any] = stage.resolve(files)["services"]
    return join(files), services


def _stale(
    release: Release, product: Mapping[str, artifacts.File], project: Proved, before: Fit
) -> str:
    """Why the overlay that was written for the release before does not fit this one; empty if it does."""
    overlay = release.layout.overlay
    stage = release.stage(dict(product), project.stage.env_text())
    stage.put(overlay, before["text"].encode())
    try:
        base = stage.resolve([name for name in project.chain if name not in overlays()])
        prove(stage.resolve(project.chain), wanted_mounts(base, release.layout), project.chain)
    except UNPROVED as error:
        return str(error)
    return ""


def _fit(
    name: str, product: dict[str, artifacts.File], settings: dict[str, str], release: Release,
    before: Optional[Fit],
) -> Fit:  # fmt: skip
    layout = release.layout
    fit: Fit = {
        "release": name, "layout": layout.name, "backend": release.backend, "kept": False,
        "chain": "", "overlay": layout.overlay, "origin": "", "text": "", "services": {},
        "changes": [], "traps": [],
    }  # fmt: skip
    text = dotenv.upsert("", settings)
    try:
        project = release.proved(product, [], release.chain(product, settings), text, settings)
    except Refusal as error:
        fit["traps"] = [str(error)]
        return fit
    services = project.config["services"]
    written, own = project.files[layout.overlay].content, product.get(layout.overlay)
    fit["kept"], fit["chain"] = True, join(project.chain)
    fit["origin"] = OWN if own and own.content == written else DERIVED
    fit["text"] = written.decode("utf-8", "surrogateescape")
    fit["services"] = services_seen(services, layout)
    by_itself = None
    traps = [f"{layout.overlay} of the release is not taken: {why}" for why in project.passed_over]
    try:
        by_itself = _by_itself(release, product, settings, project)
    except Refusal as error:
        traps.append(f"the product's own upgrade gets no stack of it: {error}")
    fit["changes"] = changes(layout, fit["chain"], fit["origin"], services, by_itself)
    contents = {name: file.content for name, file in product.items()}
    fit["changes"] += not_placed(contents, {*project.files, *project.chain})
    if before and before["kept"]:
        fit["changes"] += compared(services, before["services"])
        stale = _stale(release, product, project, before)
        if stale:
            traps.append(f"{layout.overlay} as it is for {before['release']} does not fit: {stale}")
    traps += project.notes + remarks(services, layout)
    if isinstance(project.stage, Scratch):
        traps += astray(project.stage.words(), services, layout)
    asked = unknown_profiles(services, release.params["profiles"])
    fit["traps"] = traps + [f"{profile}: {what}" for profile, what in asked.items()]
    return fit


def look(directories: Sequence[str], profiles: Collection[str]) -> list[Fit]:
    """Each release in each layout, and with each database that it has.

    directories: with a release's compose files, in the order of the releases. Raises NoArtifacts where one
    is no directory or has no compose files, NoEngine, ComposeTooOld, and Failed.
    """
    short = [os.path.basename(os.path.normpath(directory)) for directory in directories]
    names = short if len({*short}) == len(short) else list(directories)
    fits: list[Fit] = []
    latest: dict[tuple[str, str], Fit] = {}
    parent = os.path.realpath(tempfile.mkdtemp(prefix="agnes-host-"))
    try:
        check_compose(Release(LAYOUTS[DEFAULT_LAYOUT], (), parent, DUCKDB).docker)
        for number, directory in enumerate(directories):
            product = artifacts.from_directory(directory)
            settings = _settings(product)
            if BASE[0] not in product and not settings.get("COMPOSE_FILE"):
                raise NoArtifacts(found=f"'{directory}' has no {BASE[0]}")
            # Its last part is what containers are named after; a folder for each, so no answer is another's.
            place = os.path.join(parent, str(number), "agnes")
            os.mkdir(os.path.dirname(place))
            backends = [DUCKDB, *([SIDE_CAR] if SIDE_CAR_FILE in product else [])]
            for backend in backends:
                for layout in LAYOUTS.values():
                    release = Release(layout, profiles, place, backend)
                    with remembered():
                        fit = _fit(
                            names[number], product, settings, release, latest.get((layout.name, backend)),
                        )  # fmt: skip
                    # Where the files are now is not where they will be on a host.
                    told = json.dumps(fit).replace(os.path.dirname(place), _WHERE)
                    fits.append(json.loads(told))
                    latest[layout.name, backend] = fits[-1]
    finally:
        shutil.rmtree(parent)
    return fits
