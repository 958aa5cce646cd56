# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose project as the product's own scripts call it: from its directory, by its ``.env`` alone.

No file, directory or environment is named in a call, so what is asked and what is started are
the same: for a run, for a check run, and for the unit of a move. Only the project's name is
given, which is checked against what Compose itself takes for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

from ...core.compose import dry_run
from ...core.compose.chain import SEPARATOR, split
from ...core.compose.overlay import cut, same, say
from ...core.compose.project import PRODUCT_NAME, check_name, check_sources, digest
from ...core.host.errors import ComposeInvalid, DryRunActed, NotAsProved
from ...core.layout import dotenv
from ..host.commands import Done, last_line, run
from ..layout import dotenv_file
from . import upgrade
from .engine import PROJECT_LABEL
from .remembered import answer

_NO_DIFFERENCE = ("build", "pull_policy", "scale", "depends_on", "profiles", "develop")
"""Keys of a service for which Compose makes no container anew."""


def _hash(resolved: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()


class Compose:
    """The Compose project in ``directory``."""

    def __init__(self, docker: str, directory: str) -> None:
        self.docker = docker
        self.directory = directory.rstrip("/")
        self.name = PRODUCT_NAME

    def env_text(self) -> str:
        """``.env`` as Compose reads it; empty when there is none."""
        return dotenv_file.read(self.directory) or ""

    def differs(self) -> bytes:
        """What this project has otherwise than the one that is published: nothing, unless it is a stage."""
        return b""

    def launch(self, argv: Sequence[str], codes: Sequence[int], seconds: float) -> Done:
        """Run a command where the project is; see commands.run."""
        return run(argv, codes, cwd=self.directory, seconds=seconds)

    def call(self, *arguments: str, codes: Sequence[int] = (0,), seconds: float = 120) -> Done:
        """``docker compose`` with the project's name and all profiles."""
        argv = [self.docker, "compose", "--project-name", self.name, "--profile", "*", *arguments]
        return self.launch(argv, codes, seconds)

    def _config(self, files: Sequence[str] = ()) -> dict[str, Any]:
        """All that Compose resolves, secrets included. files: named in the call, and not by ``.env``."""
        named = [word for name in files for word in ("--file", name)]
        argv = [self.docker, "compose", "--profile", "*", *named, "config", "--format", "json"]
        question = (*argv, self.directory, self.differs())
        done = answer(question, lambda: self.launch(argv, (), 120))
        if done.code:
            raise self._invalid(last_line(done.err))
        try:
            resolved: dict[str, Any] = json.loads(done.out)
        except ValueError as error:
            raise self._invalid(f"its answer is no JSON ({error})") from error
        return resolved

    def described(self) -> tuple[str, dict[str, Any]]:
        """What Compose names the project, whatever that is, and its cut configuration. Raises ComposeInvalid."""
        resolved = self._config()
        return str(resolved.get("name") or ""), cut(resolved)

    def config(self) -> dict[str, Any]:
        """What Compose resolves, cut to what is no secret.

        Raises ComposeInvalid, ProjectName when it is a project of another name than the product's,
        and PathOfOurs.
        """
        resolved = self._config()
        check_name(str(resolved.get("name") or ""), self.directory)
        config = cut(resolved)
        check_sources(config)
        return config

    def means_the_same(self, chain: Sequence[str], other: Sequence[str]) -> bool:
        """Whether Compose makes of two chains the very same, in all that it resolves. Raises ComposeInvalid."""
        return self._config(chain) == self._config(other)

    def shapes(self) -> dict[str, str]:
        """Service -> a hash over what a container is made of; two that differ are made anew by ``up``.

        Without what ``up`` takes for no difference (docker/compose, pkg/compose/hash.go).
        Raises ComposeInvalid.
        """
        config = self._config()
        return {
            name: _hash({key: value for key, value in service.items() if key not in _NO_DIFFERENCE})
            for name, service in (config.get("services") or {}).items()
        }

    def check(self, proved: str, config: Optional[Mapping[str, Any]] = None) -> None:
        """Raise NotAsProved unless Compose resolves the configuration that was proved.

        proved: its digest; config: the configuration, where the caller still has it, for the message.
        """
        check_proved(proved, self.config(), self.directory, config)

    def _invalid(self, error: str) -> ComposeInvalid:
        """The refusal of the chain; it names the one file that Compose can't read alone, if any."""
        text = self.env_text()
        files = split(dotenv.read(text).get("COMPOSE_FILE", ""))
        alone = ["config", "--quiet", "--no-consistency", "--no-interpolate"]
        for name in files:
            argv = [self.docker, "compose", "--profile", "*", "--file", name, *alone]
            done = self.launch(argv, (), 120)
            if done.code:
                return ComposeInvalid(files=name, found=dotenv.redacted(last_line(done.err), text))
        return ComposeInvalid(files=SEPARATOR.join(files), found=dotenv.redacted(error, text))

    def recreated(self, services: Collection[str]) -> set[str]:
        """Names of the containers that differ from what they were made with, or whose image does.

        Asked by a dry run: the hash that ``config --hash`` prints is not the one that ``up``
        compares for a service with an env_file. ``create`` waits for no service to be healthy.
        It is asked again where an upgrade at work has changed containers meanwhile.
        services: those of the chain. Raises DryRunUnreadable, DryRunActed.
        """
        upgraded, begun = upgrade.at_work(), upgrade.last_begun()
        before, done, changed = self._dry_run()
        if changed and (upgraded or upgrade.at_work() or upgrade.last_begun() != begun):
            upgrade.wait_for()
            before, done, changed = self._dry_run()
        if changed:
            raise DryRunActed(found=", ".join(changed))
        running = [
            name
            for name, state, service in before.values()
            if state == "running" and service in services
        ]
        return dry_run.recreated(done.err + "\n" + done.out, running)

    def _dry_run(self) -> tuple[dict[str, tuple[str, str, str]], Done, list[str]]:
        """The containers, what Compose would do with them, and names of those that changed meanwhile."""
        before = self._listing()
        done = self.call("--dry-run", "create", "--no-build")
        after = self._listing()
        changed = {(before | after)[each][0] for each in before.keys() ^ after.keys()}
        return before, done, sorted(changed)

    def _listing(self) -> dict[str, tuple[str, str, str]]:
        """Id -> name, state and service of each container of the project that is no one-off."""
        label = f"label={PROJECT_LABEL}={self.name}"
        shape = "\t".join(
            ("{{.ID}}", "{{.Names}}", "{{.State}}", '{{.Label "com.docker.compose.service"}}',
             '{{.Label "com.docker.compose.oneoff"}}')
        )  # fmt: skip
        argv = [self.docker, "ps", "--all", "--no-trunc", "--filter", label, "--format", shape]
        rows = [(line.split("\t") + [""] * 4)[:5] for line in run(argv).out.splitlines()]
        return {row[0]: (row[1], row[2], row[3]) for row in rows if row[4] != "True"}

    def up(self, services: Sequence[str], seconds: float, options: Sequence[str] = ()) -> None:
        """Start services; raises Failed."""
        self.call("up", "--detach", "--no-color", *options, *services, seconds=seconds)

    def down(self, grace: int, seconds: float) -> None:
        """Stop and remove all containers. grace: seconds that each has to end; raises Failed."""
        self.call("down", "--timeout", str(grace), seconds=seconds)


def check_proved(
    proved: str,
    published: Mapping[str, Any],
    directory: str,
    config: Optional[Mapping[str, Any]] = None,
) -> None:
    """Raise NotAsProved unless the configuration ``published`` is the one that was proved; see Compose.check."""
    if digest(published) != proved:
        differs = (
            difference(config, published) if config else "a file of it or .env was written since"
        )
        raise NotAsProved(project=directory, found=differs)


def difference(proved: Mapping[str, Any], published: Mapping[str, Any]) -> str:
    """The first thing in which two cut configurations differ, for a message."""
    was, now = proved["services"], published["services"]
    for name in sorted(was.keys() | now.keys()):
        if name not in now or name not in was:
            return f"service '{name}' is {'new' if name in now else 'gone'}"
        if not same(was[name]["volumes"], now[name]["volumes"]):
            return f"service '{name}' would mount {say(now[name]['volumes'])}"
        keys = sorted(key for key in now[name] if was[name].get(key) != now[name][key])
        if keys:
            return f"service '{name}' has another '{keys[0]}'"
    return "a volume is another"
