# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what a run would make of releases of the product: of directories that are given, or of the demo's files.

    make releases RELEASE="DIR [DIR...]"      # the older one first
    make releases                             # docs/releases.md, from the demo's files

Docker Compose of this machine is asked, or of a disposable host where it has none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "releases.md"
DEMO = ROOT / "tests" / "stack" / "host"
SERVICES = ROOT / "molecule" / "services" / "files" / "docker-compose.services.yml"
MADE = "<!-- What follows is made by 'make releases'. -->\n\n"
REPORTS = """\
  reports:
    image: agnes-demo:1
    command: [cp, /data/state/system.duckdb, /reports/latest]
    volumes:
      - data:/reports

"""


def next_release(folder: Path) -> Path:
    """The demo's files with a service less and one more, of which their overlays know nothing."""
    release = folder / "demo-next"
    shutil.copytree(DEMO, release)
    for name in ("docker-compose.yml", "docker-compose.prod.yml"):
        new = REPORTS if name == "docker-compose.yml" else ""
        # A service is up to the next one, which caddy is in both files.
        text = (release / name).read_text("utf-8")
        text, count = re.subn(r"(?ms)^  ws-gateway:\n.*?(?=^  caddy:)", new, text)
        if count != 1:
            raise AssertionError(f"{name} has no ws-gateway before caddy")
        (release / name).write_text(text, "utf-8")
    return release


def with_own_files(folder: Path) -> Path:
    """The demo's files as on a host whose operator has services of their own in the chain."""
    release = folder / "demo-with-own-files"
    shutil.copytree(DEMO, release)
    shutil.copy(SERVICES, release)
    chain = f"docker-compose.yml:docker-compose.prod.yml:{SERVICES.name}"
    (release / ".env").write_text(f"COMPOSE_FILE={chain}\n", "utf-8")
    return release


def with_a_volume_over_state(folder: Path) -> Path:
    """The demo's files with a cache where state is."""
    release = folder / "demo-with-a-cache"
    shutil.copytree(DEMO, release)
    base = release / "docker-compose.yml"
    text, count = re.subn(
        r"(?m)^(  app:\n(?:    .*\n)*?    volumes:\n)",
        r"\1      - cache:/data/state\n      - cache:/data-state\n",
        base.read_text("utf-8"),
    )
    if count != 1:
        raise AssertionError("app has no volumes")
    base.write_text(f"{text}  cache:\n", "utf-8")
    return release


def options(directories: Sequence[Path], host: str, page: Path) -> list[str]:
    """What the playbook is given to write the page of directories, asking Compose of ``host``."""
    given = {
        "releases": [str(path) for path in directories],
        "releases_host": host,
        "releases_page": str(page),
    }
    return ["-e", json.dumps(given)]


class Hosts(NamedTuple):
    """Whose Compose is asked."""

    name: str
    inventory: list[str]
    """The options that name the inventory; none for this machine."""


def play(arguments: Sequence[str], hosts: Hosts) -> None:
    """Run a playbook. Ends the program when that fails."""
    done = subprocess.run(
        ["ansible-playbook", *hosts.inventory, *arguments], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"releases: {arguments[0]} failed:\n{done.stdout[-3000:]}{done.stderr}")


def look(directories: Sequence[Path], hosts: Hosts) -> str:
    """The page of directories."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.md"
        play(["playbooks/releases.yml", *options(directories, hosts.name, page)], hosts)
        return page.read_text("utf-8")


def documented(looked: Callable[[Sequence[Path]], str]) -> str:
    """The documentation's page, made anew. looked: makes the page of directories."""
    head, mark, _old = PAGE.read_text("utf-8").partition(MADE)
    with tempfile.TemporaryDirectory() as name:
        demo = Path(name) / "demo"
        shutil.copytree(DEMO, demo)
        pages = [
            looked([demo, next_release(Path(name))]),
            looked([with_own_files(Path(name)), with_a_volume_over_state(Path(name))]),
        ]  # fmt: skip
    return head + mark + "\n".join(pages)


def has_compose() -> bool:
    """Whether this machine has Docker Compose."""
    command = ["docker", "compose", "version"]
    return (
        bool(shutil.which("docker"))
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )


@contextmanager
def disposable_host() -> Iterator[Hosts]:
    """A host of the lab, removed at the end."""
    name = "agnes-releases"
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "hosts.json"
        inventory.write_text(json.dumps({"agnes": {"hosts": {name: {}}}}))
        hosts = Hosts(name, ["-i", "molecule/shared/inventory.yml", "-i", str(inventory)])
        try:
            play(["molecule/shared/create.yml"], hosts)
            yield hosts
        finally:
            play(["molecule/shared/destroy.yml"], hosts)


def main() -> None:
    """Command line."""
    given = [Path(name).resolve() for name in sys.argv[1:]]
    if given and has_compose():
        print(look(given, Hosts("localhost", [])))
        return
    # A newer Compose says the same in other words: the documentation has those of a host of the lab.
    with disposable_host() as hosts:
        if given:
            print(look(given, hosts))
        else:
            PAGE.write_text(documented(partial(look, hosts=hosts)), "utf-8")
            print(f"releases: {PAGE.relative_to(ROOT)} is written")


if __name__ == "__main__":
    main()
