# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that was made flat beside the product's keepers, which work now; to nested and back.

Each way in an environment that means harm: on one by the play and sudo, on the other by the host
and su.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import field
import pytest
from records import ROOT

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

HOSTILE = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "tr_TR.UTF-8",
    "COMPOSE_FILE": "docker-compose.yml",
    "COMPOSE_PROJECT_NAME": "stranger",
    "COMPOSE_PROFILES": "nothing",
    "DOCKER_HOST": "tcp://127.0.0.1:1",
    "DOCKER_CONTEXT": "nowhere",
    "HOME": "/nonexistent",
    "TMPDIR": "/nonexistent",
    "DATA_DIR": "/elsewhere",
    "STATE_DIR": "/elsewhere/state",
}
ROLES = ["agnes.host.disks", "agnes.host.state_layout", "agnes.host.agnes_compose"]
UMASK = "/etc/sudoers.d/lab-umask"
BY_SU = {"ansible_become_method": "su"}


@pytest.fixture(scope="module", autouse=True)
def second_project(name: str) -> Iterator[None]:
    """Whatever is done to the host, its other project is left alone."""
    before = field.other(name)
    yield
    assert field.other(name) == before


@pytest.fixture
def by_play(name: str, host: Any) -> Iterator[Path]:
    """A playbook with the roles of site.yml whose play has HOSTILE; sudo gives umask 077."""
    play = {"hosts": "agnes", "become": True, "gather_facts": False, "environment": HOSTILE}
    path = ROOT / ".cache" / f"{name}-hostile.yml"
    path.write_text(json.dumps([{**play, "roles": ROLES}]), "utf-8")
    host.check_output(f"echo 'Defaults umask=0077, umask_override' > {UMASK}")
    yield path
    host.check_output(f"rm {UMASK}")


@pytest.fixture
def by_host(host: Any) -> Iterator[None]:
    """A host whose PAM gives HOSTILE to whom su lets in, with a locale it has not, and umask 000."""
    lines = {**HOSTILE, "LC_ALL": "xx_XX.UTF-8"}
    text = "\n".join(f"{key}={value}" for key, value in lines.items())
    host.check_output(
        "cp /etc/environment /etc/pam.d/su /srv/ && "
        f"printf '%s\n' '{text}' > /etc/environment && "
        "echo 'session optional pam_umask.so umask=0000' >> /etc/pam.d/su"
    )
    said = host.check_output("su root -c 'umask; echo $STATE_DIR'").split()
    assert said == ["0000", HOSTILE["STATE_DIR"]]
    yield
    host.check_output("cp /srv/environment /etc/environment && cp /srv/su /etc/pam.d/su")


def modes(host: Any) -> str:
    """Owner and mode of everything of ours: an umask must not decide them."""
    listing = host.check_output(
        "find /opt/agnes /etc/fstab /var/lib/agnes-host /usr/local/sbin/agnes-host "
        "! -name '*.lock' -printf '%p %U:%G %m\n' | grep -v -e '/replaced' -e journal | sort"
    )
    return str(listing)


def test_ticks_change_nothing(name: str, host: Any, facts: dict[str, Any]) -> None:
    field.check(name, host, LAYOUTS["flat"])
    assert field.drift(host) == []
    field.check(name, host, LAYOUTS["flat"])
    field.calm(name, "drifted", facts, "flat")


def test_the_migration_finds_the_database(host: Any) -> None:
    """Where it found none it would end green, and the product would begin anew."""
    said = host.check_output(
        "cd /opt/agnes && docker compose run --rm --no-deps --no-TTY data-migrate"
    )
    assert said == "source found"


def test_a_hostile_environment_by_the_play_changes_nothing_of_a_move(
    name: str, host: Any, facts: dict[str, Any], by_play: Path
) -> None:
    wanted = field.move(name, facts, "nested", "--check")
    assert wanted
    assert field.move(name, facts, "nested", "--check", playbook=by_play) == wanted
    field.move(name, facts, "nested", playbook=by_play)
    assert field.warned(host) == []
    field.check(name, host, LAYOUTS["nested"])
    field.calm(name, "nested-again", facts, "nested")


def test_a_hostile_environment_by_the_host_changes_nothing_of_a_move(
    name: str, host: Any, facts: dict[str, Any], by_host: None
) -> None:
    before = modes(host)
    field.move(name, {**facts, **BY_SU}, "flat")
    assert field.warned(host) == []
    field.check(name, host, LAYOUTS["flat"])
    field.calm(name, "flat-again", facts, "flat")
    assert modes(host) == before
    assert not host.file("/elsewhere").exists
