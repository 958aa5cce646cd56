# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose project: put together on a stage, proved, published."""

from __future__ import annotations

import os
import secrets as random
import stat
from typing import Any, NamedTuple, Optional

from ..core.compose import dry_run
from ..core.compose.chain import chain_for, chain_now, join, without_others
from ..core.compose.engine import check_start_interval, with_start_interval
from ..core.compose.project import PRODUCT_NAME, digest, left_to_upgrade, to_place
from ..core.compose.stack import needed_by
from ..core.compose.state_secrets import app_runs, fill
from ..core.copy.retired import REPLACED
from ..core.host.errors import NoArtifacts, ProjectLink
from ..core.host.guard import STACK
from ..core.layout import dotenv
from ..core.layout.layouts import LAYOUTS
from ..core.layout.settings import as_text, wanted_env
from ..system.compose import artifacts
from ..system.compose.compose import Compose
from ..system.compose.engine import client, containers, version
from ..system.compose.overlays import UNPROVED, in_order, proved_overlay
from ..system.compose.stage import Stage
from ..system.compose.switched import Switched, switched
from ..system.host import durable, listing
from ..system.host.actions import Actions
from ..system.host.commands import Failed
from ..system.layout import dotenv_file, state_secrets
from ..system.move import moving


class Proved(NamedTuple):
    """A project that has passed the proof: what is to be written, and what Compose makes of it."""

    stage: Stage
    chain: list[str]
    files: dict[str, artifacts.File]
    env_text: str
    config: dict[str, Any]
    notes: list[str]
    passed_over: list[str]
    """Why overlays that are there, or that the product has, were not taken."""


class ProjectManager:
    """Puts the project together on a stage, proves it, publishes it."""

    def __init__(self, params: dict[str, Any], actions: Actions) -> None:
        self.params = params
        self.actions = actions
        self.now = LAYOUTS[params["layout"]]
        self.layout = LAYOUTS[params["moves_to"] or params["layout"]]
        self.dir = params["project_dir"].rstrip("/")
        self.docker = client()
        self.env_path = dotenv_file.path_in(self.dir)
        self.moved: Optional[Switched] = None

    def run(self) -> dict[str, Any]:
        """Stage, prove, publish, compare; returns the services and the chain."""
        if os.path.islink(self.dir):
            raise ProjectLink(path=self.dir, found=os.path.realpath(self.dir))
        product, present = self.product_files(), self.present()
        env_before = dotenv_file.read(self.dir)
        backend = moving.backend(self.now.state_dir)
        if self.layout is not self.now:
            if not self.actions.check:
                raise Failed("moves_to is for a check run: state is not in that layout yet")
            self.moved = switched(
                self.docker, self.dir, self.now, self.layout, env_before or "",
                self.params["profiles"], backend,
            )  # fmt: skip
            env_before = self.moved.env_text
            present = sorted({*present, self.layout.overlay})
        current = dotenv.read(env_before or "")
        wanted = chain_for(
            self.layout, chain_now(current, present, self.dir), self.params["profiles"],
            {*product, *present}, backend,
        )  # fmt: skip
        project = self.proved(product, present, wanted, env_before or "", current)
        self.check_start_intervals(project.config["services"])
        self.publish(project.files, env_before, project.env_text)
        recreates = self.announced_recreations(project)
        # Where a run has nothing to publish, M(agnes.host.stack) compares before it starts anything.
        if not self.moved and self.actions.check != bool(self.actions.items):
            Compose(self.docker, self.dir).check(digest(project.config), project.config)
        return {
            "layout": self.layout.name,
            "services": project.config["services"],
            "chain": project.chain,
            "recreates": sorted(recreates),
            "proved": digest(project.config),
            "notes": project.notes,
        }

    def check_start_intervals(self, services: dict[str, Any]) -> None:
        """Raise EngineBefore25 where the engine can't start a service as its compose file has it."""
        asked = with_start_interval(services, self.params["profiles"])
        if asked:
            check_start_interval(asked, version(self.docker))

    def proved(
        self, product: dict[str, artifacts.File], present: list[str], wanted: list[str],
        env_before: str, current: dict[str, str],
    ) -> Proved:  # fmt: skip
        """The project with the chain that passes the proof.

        An overlay of the table before ours may be stale, with no one who renews it: then the
        project is proved without it.
        """
        try:
            return self.proved_with(product, present, wanted, env_before, current)
        except UNPROVED as error:
            less = without_others(self.layout, wanted)
            if less == wanted:
                raise
            try:
                proved = self.proved_with(product, present, less, env_before, current)
            except UNPROVED:
                raise error from None
            out = ", ".join(name for name in wanted if name not in less)
            proved.notes.append(
                f"left out of COMPOSE_FILE, because the proof fails with it: {out} ({error})"
            )
            return proved

    def proved_with(
        self, product: dict[str, artifacts.File], present: list[str], chain: list[str],
        env_before: str, current: dict[str, str],
    ) -> Proved:  # fmt: skip
        """The project with ``chain``, on a stage, proved."""
        overlay = self.layout.overlay
        named = to_place({name: file.content for name, file in product.items()}, chain)
        there = [name for name in {*named, *present} if os.path.lexists(self.path_of(name))]
        left = left_to_upgrade(named, there)
        files = {name: product[name] for name in named - left - {overlay}}
        for name in chain:
            if name not in files and name != overlay and not os.path.exists(self.path_of(name)):
                raise NoArtifacts(found=f"compose file {name} is not there")
        values = self.env_values(chain, current)
        stage = self.stage(files, dotenv.upsert(env_before, values))
        if self.moved and self.moved.overlay:
            stage.put(overlay, self.moved.overlay)
        offered, passed_over = product[overlay].content if overlay in product else None, list[str]()
        held = self.params["guard"] == STACK if self.params.get("guard") else None
        text, config = proved_overlay(
            stage, self.layout, chain, overlay in present, offered, passed_over, held
        )
        chain = in_order(stage, chain)
        values["COMPOSE_FILE"] = join(chain)
        env_after = dotenv.upsert(env_before, values)
        stage = stage.with_env(env_after)
        if text:
            files[overlay] = artifacts.File(text, False)
        notes = []
        if text and overlay in left:
            left -= {overlay}
            notes.append(
                f"the {overlay} of the product's own upgrade fails the proof, so a derived one replaces it; the "
                "upgrade will put its own back, and then containers would see the wrong disk"
            )
        differ = sorted(n for n in left if not holds(self.path_of(n), product[n]))
        if differ:
            notes.append(
                f"left as they are, because the product's own upgrade manages them: {', '.join(differ)}"
            )
        return Proved(stage, chain, files, env_after, config, notes, passed_over)

    def stage(self, files: dict[str, artifacts.File], env_text: str) -> Stage:
        """The project with ``files`` and ``.env`` replaced, as Compose sees it."""
        return Stage(self.docker, self.dir, files, env_text)

    def path_of(self, name: str) -> str:
        """The path of a file of the chain, as Compose takes it."""
        return os.path.join(self.dir, name)

    def announced_recreations(self, project: Proved) -> set[str]:
        """In check mode, what starting the stack will recreate because of the changes announced here.

        Names of containers; after a move, which makes all of them itself, names of services.
        """
        pending = self.actions.check and self.actions.items and os.path.isdir(self.dir)
        if not pending:
            return set()
        if not self.moved:
            return project.stage.recreated(project.config["services"])
        # What runs now is made anew by the move: what counts is what differs from that.
        before, after = self.moved.stage.shapes(), project.stage.shapes()
        changed = {name for name in before if name in after and before[name] != after[name]}
        return changed | self.pulled_along(changed, project) if changed else set()

    def pulled_along(self, changed: set[str], project: Proved) -> set[str]:
        """Services that Compose makes anew because one of ``changed``, on which they depend, is.

        Whether it does so depends on its version, so it is asked: by a dry run of the project of now with
        a label at ``changed``. What they have after the move may be what they run with now, and was
        written into .env since.
        """
        text, services = dotenv_file.read(self.dir) or "", project.config["services"]
        known = Compose(self.docker, self.dir).config()["services"]
        chain = chain_now(dotenv.read(text), self.present(), self.dir)
        named = {"COMPOSE_FILE": join([*chain, dry_run.LABELLED])}
        stage = Stage(self.docker, self.dir, {}, dotenv.upsert(text, named))
        stage.put(dry_run.LABELLED, dry_run.labelled(sorted(changed & set(known))))
        anew = stage.recreated(services)
        replaced = {
            c["service"] for c in containers(self.docker, PRODUCT_NAME) if c["name"] in anew
        }
        return {name for name in replaced if needed_by(services, [name]) & changed}

    def present(self) -> list[str]:
        """Names in the project directory."""
        return listing.names(self.dir)

    def product_files(self) -> dict[str, artifacts.File]:
        """The product's files, without .env."""
        image, directory = self.params["image"], self.params["artifacts_dir"]
        if not image and not directory:
            return {}
        files = (
            artifacts.from_directory(directory)
            if directory
            else artifacts.from_image(self.docker, image, self.params.get("fetch", True))
        )
        return {name: file for name, file in files.items() if name != ".env"}

    def env_values(self, chain: list[str], current: dict[str, str]) -> dict[str, str]:
        """The keys of .env that this run writes."""
        given = as_text({**self.params["env"], **self.params["secrets"]})
        return wanted_env(self.layout, chain, current, given, self.secrets(current, given))

    def secrets(self, current: dict[str, str], given: dict[str, str]) -> dict[str, str]:
        """The secrets that .env lacks: taken over from STATE_DIR, or made."""
        values = {key: value for key, value in {**current, **given}.items() if value}
        secrets = state_secrets.read(self.now.state_dir)
        seen = {key: secret.seen(key, values) for key, secret in secrets.items()}
        up = app_runs(containers(self.docker, PRODUCT_NAME))
        taken, made = fill(seen, values, self.env_path, up)
        return {
            **{key: random.token_urlsafe(48) for key in made},
            **{key: secrets[key].value for key in taken},
        }

    def publish(
        self, files: dict[str, artifacts.File], env_before: Optional[str], env_after: str
    ) -> None:
        """Write what differs, .env last: it is what switches the project to the new files."""
        for name, file in sorted(files.items()):
            path = os.path.join(self.dir, name)
            self.publish_file(path, file)
        before = None if env_before is None else dotenv.shown(env_before)
        if env_before != env_after:
            self.actions.take(
                self.env_path,
                "absent" if before is None else _lines_missing_in(before, dotenv.shown(env_after)),
                _lines_missing_in(dotenv.shown(env_after), before or ""),
                lambda: self.write_env(env_before, env_after),
            )

    def write_env(self, before: Optional[str], after: str) -> None:
        """Write .env durably; the one that it replaces is kept."""
        if before is not None:
            durable.keep_aside(self.env_path, REPLACED)
        durable.write(self.env_path, after, 0o600)

    def publish_file(self, path: str, file: artifacts.File) -> None:
        """Write one file durably unless it is there already."""
        info = durable.read_stat(path)
        made = (
            self.moved.overlay if self.moved and path == self.path_of(self.layout.overlay) else b""
        )
        if made == file.content if made else holds(path, file):
            return
        before = "absent" if info is None else f"{info.st_size} bytes"
        before = f"{len(made)} bytes" if made else before
        after = f"{len(file.content)} bytes"

        def act() -> None:
            durable.make_directory(os.path.dirname(path))
            if info is not None and stat.S_ISREG(info.st_mode):
                durable.keep_aside(path, REPLACED)
            text = file.content.decode("utf-8", "surrogateescape")
            durable.write(path, text, file.mode)
            if info is not None and bool(info.st_mode & 0o100) != file.executable:
                os.chmod(path, file.mode)

        self.actions.take(path, before, after, act)


def holds(path: str, file: artifacts.File) -> bool:
    """Whether a regular file with the same content and executable bit is at ``path``."""
    info = durable.read_stat(path)
    if info is None or not stat.S_ISREG(info.st_mode):
        return False
    with open(path, "rb") as present:
        return present.read() == file.content and bool(info.st_mode & 0o100) == file.executable


def _lines_missing_in(text: str, other: str) -> str:
    """The lines of ``text`` that ``other`` lacks, on one line."""
    have = other.splitlines()
    return " ".join(line for line in text.splitlines() if line not in have) or "(none)"


def run(params: dict[str, Any], actions: Actions) -> dict[str, Any]:
    """The whole part. params: options of M(agnes.host.project)."""
    return ProjectManager(params, actions).run()
