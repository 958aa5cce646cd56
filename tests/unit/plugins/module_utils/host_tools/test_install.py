# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools take the place of the product's, and give it back as it was."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host import host_tools as core
from ansible_collections.agnes.host.plugins.module_utils.core.host.guard import (
    ENGINE,
    OFF,
    STACK,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tools import (
    INSTALL,
    LEAVE,
    REMOVE,
    decide,
    sentences,
    with_calls,
    without_calls,
)
from ansible_collections.agnes.host.plugins.module_utils.host_tools import install
from ansible_collections.agnes.host.plugins.module_utils.system.host import (
    durable,
    permit,
    record,
)
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions

CRONTAB = """# m h dom mon dow command
MAILTO=root
*/5 * * * * /usr/local/bin/agnes-auto-upgrade.sh >> /var/log/agnes-auto-upgrade.log 2>&1
#0 0 * * * /usr/local/bin/agnes-tls-rotate.sh
0 3 * * * /usr/local/bin/agnes-db-backup.sh
0 4 * * * /usr/local/bin/agnes-auto-upgrade.sh.old
"""


class Host:
    """A host's root file system in a directory; systemd is not there."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def path(self, path: str) -> Path:
        full_path = self.top / path.lstrip("/")
        full_path.parent.mkdir(parents=True, exist_ok=True)
        return full_path

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        self.path(path).write_text(text)
        self.path(path).chmod(mode)

    def tree(self) -> dict[str, tuple[str, int]]:
        """Path -> text or target, and mode, of all but what runs keep for themselves."""
        files = {}
        for path in self.top.rglob("*"):
            name = "/" + str(path.relative_to(self.top))
            if name.startswith("/var/lib/"):
                continue
            if path.is_symlink():
                files[name] = (f"-> {os.readlink(path)}", 0)
            elif path.is_file():
                files[name] = (path.read_text(), path.stat().st_mode & 0o777)
        return files

    def run(
        self, decision: str, check: bool = False, keeps_env: bool = False, guard: str = OFF
    ) -> list[str]:
        actions = Actions(check)
        install.keep(decision, keeps_env, guard, actions)
        return [item["what"].removeprefix(str(self.top)) for item in actions.items]

    def loosen(self, guard: str, check: bool = False) -> list[str]:
        actions = Actions(check)
        install.loosen_guard(guard, actions)
        return [item["what"].removeprefix(str(self.top)) for item in actions.items]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made, root = Host(tmp_path), str(tmp_path)
    texts, env_texts = install.texts, install.env_texts

    monkeypatch.setattr(record, "PATH", f"{root}/var/lib/agnes-host/record.json")
    monkeypatch.setattr(install, "REPLACED", f"{root}/var/lib/agnes-host/replaced")
    monkeypatch.setattr(install, "REPLACES", {k: root + v for k, v in core.REPLACES.items()})
    monkeypatch.setattr(install, "CRON", tuple(root + path for path in install.CRON))
    monkeypatch.setattr(install, "_systemd", lambda: False)
    # Paths of the product's scripts are below the root already.
    monkeypatch.setattr(
        install, "texts",
        lambda: {p if p.startswith(root) else root + p: each for p, each in texts().items()},
    )  # fmt: skip
    monkeypatch.setattr(
        install, "env_texts", lambda: {root + path: each for path, each in env_texts().items()}
    )
    monkeypatch.setattr(install, "_GUARD_PATHS", tuple(root + p for p in install._GUARD_PATHS))
    monkeypatch.setattr(permit, "DROP_IN", root + permit.DROP_IN)
    made.write("/var/lib/agnes-host/record.json", json.dumps({"format": 1, "disks": {}}))
    return made


def field(host: Host) -> None:
    """What the product's own set-up leaves."""
    host.write("/usr/local/bin/agnes-auto-upgrade.sh", "#!/bin/bash\nupgrade\n", 0o755)
    host.write("/etc/systemd/system/agnes-tls-rotate.timer", "[Timer]\nOnCalendar=weekly\n")
    host.path("/etc/systemd/system/agnes-tls-rotate.service").symlink_to("/srv/rotate.service")
    host.write("/var/spool/cron/crontabs/root", CRONTAB, 0o600)
    host.write("/etc/cron.d/other", "* * * * * root true\n")


def test_a_host_without_the_product_gets_commands_and_units(host: Host) -> None:
    announced = host.run(INSTALL, check=True)
    assert host.tree() == {}
    assert host.run(INSTALL) == announced
    assert sorted(host.tree()) == [
        "/etc/systemd/system/agnes-auto-upgrade.service",
        "/etc/systemd/system/agnes-auto-upgrade.timer",
        "/etc/systemd/system/agnes-tls-rotate.service",
        "/etc/systemd/system/agnes-tls-rotate.timer",
        "/usr/local/sbin/agnes-auto-upgrade",
        "/usr/local/sbin/agnes-tls-rotate",
    ]
    assert host.run(INSTALL) == []
    host.run(REMOVE)
    assert host.tree() == {}
    assert core.KEPT not in record.load()


def test_the_products_own_are_replaced_and_come_back_as_they_were(host: Host) -> None:
    field(host)
    before = host.tree()
    announced = host.run(INSTALL, check=True)
    assert host.tree() == before
    assert host.run(INSTALL) == announced
    now = host.tree()
    # Whoever starts the product's script starts ours; a script that was not there is not made.
    assert "agnes-host auto-upgrade" in now["/usr/local/bin/agnes-auto-upgrade.sh"][0]
    assert now["/usr/local/bin/agnes-auto-upgrade.sh"][1] == 0o755
    assert "/usr/local/bin/agnes-tls-rotate.sh" not in now
    assert "-> " not in now["/etc/systemd/system/agnes-tls-rotate.service"][0]
    assert now["/etc/cron.d/other"] == before["/etc/cron.d/other"]
    assert host.run(INSTALL) == []
    announced = host.run(REMOVE, check=True)
    assert host.tree() == now
    assert host.run(REMOVE) == announced
    assert host.tree() == before


def test_what_a_startup_script_brings_back_is_replaced_again(host: Host) -> None:
    field(host)
    before = host.tree()
    host.run(INSTALL)
    now = host.tree()
    field_again = "#!/bin/bash\nnewer\n"
    host.write("/usr/local/bin/agnes-auto-upgrade.sh", field_again, 0o755)
    host.write("/var/spool/cron/crontabs/root", CRONTAB, 0o600)
    actions = Actions(False)
    install.place(actions)
    assert len(actions.items) == 2
    assert host.tree() == now
    host.run(REMOVE)
    assert host.tree() == before


def test_a_run_that_is_cut_off_loses_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    field(host)
    before, write = host.tree(), durable.write
    left = [3]

    def cut_off(path: str, *arguments: Any, **more: Any) -> None:
        if "/var/lib/" not in path:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
        write(path, *arguments, **more)

    monkeypatch.setattr(durable, "write", cut_off)
    with pytest.raises(KeyboardInterrupt):
        host.run(INSTALL)
    host.run(INSTALL)
    host.run(REMOVE)
    assert host.tree() == before


def test_what_somebody_has_written_since_stays(host: Host) -> None:
    host.run(INSTALL)
    host.write("/etc/systemd/system/agnes-auto-upgrade.timer", "mine")
    host.run(REMOVE)
    assert host.tree() == {"/etc/systemd/system/agnes-auto-upgrade.timer": ("mine", 0o644)}


def test_the_units_that_keep_env_come_and_go_by_themselves(host: Host) -> None:
    host.path("/etc/systemd/system/any")
    announced = host.run(LEAVE, check=True, keeps_env=True)
    assert host.tree() == {}
    assert host.run(LEAVE, keeps_env=True) == announced
    assert sorted(host.tree()) == [
        "/etc/systemd/system/agnes-host-env.path",
        "/etc/systemd/system/agnes-host-env.service",
    ]
    assert host.run(LEAVE, keeps_env=True) == []
    announced = host.run(LEAVE, check=True)
    assert len(host.tree()) == 2
    assert host.run(LEAVE) == announced
    assert host.tree() == {}


def test_the_guard_comes_and_goes_and_the_engine_never_needs_what_is_not_there(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, drop_in = "/etc/systemd/system/", "docker.service.d/50-agnes-host-guard.conf"
    order = ["agnes-host-guard-held.service", "agnes-host-guard.service", drop_in]
    wanted = [folder + name for name in order]
    assert host.run(LEAVE, check=True, guard=ENGINE) == wanted
    assert host.tree() == {}
    assert host.run(LEAVE, guard=ENGINE) == wanted
    assert set(host.tree()) == set(wanted)
    text = host.tree()[folder + drop_in][0]
    assert "\nRequires=agnes-host-guard.service\nAfter=agnes-host-guard.service\n" in text
    assert host.run(LEAVE, guard=ENGINE) == []
    # What holds back less takes its place at the end of a run, see parts/stack.py.
    assert host.run(LEAVE, check=True) == host.run(LEAVE) == []
    assert host.loosen(OFF, check=True) == wanted[::-1]
    assert host.loosen(OFF) == wanted[::-1]
    assert host.tree() == {}


def test_the_guard_of_the_stack_holds_no_engine_back_and_starts_the_stack_later(host: Host) -> None:
    folder, drop_in = "/etc/systemd/system/", "docker.service.d/50-agnes-host-guard.conf"
    order = ["agnes-host-stack.service", "agnes-host-guard.service", drop_in]
    assert host.run(LEAVE, guard=STACK) == [folder + name for name in order]
    text = {name: host.tree()[folder + name][0] for name in order}
    assert "\nWants=agnes-host-guard.service\nAfter=agnes-host-guard.service\n" in text[drop_in]
    assert "Requires" not in text[drop_in]
    guard = text["agnes-host-guard.service"]
    assert "\nOnFailure=agnes-host-stack.service\n" in guard
    assert "guard --wait 0\n" in guard
    stack = text["agnes-host-stack.service"]
    assert "guard --wait 90 --start\n" in stack
    # To start the engine is to ask the guard, whose failure starts this: that would never end.
    assert "\nAfter=docker.service " in stack
    assert not re.search(r"^(Requires|Wants|BindsTo|Requisite)=", stack, re.M)
    assert permit.guard_here() == STACK
    assert host.run(LEAVE, guard=STACK) == host.loosen(STACK) == []


def test_of_two_guards_the_one_that_holds_back_more_is_there_until_the_end_of_a_run(
    host: Host,
) -> None:
    host.run(LEAVE, guard=ENGINE)
    assert host.run(LEAVE, guard=STACK) == []
    assert permit.guard_here() == ENGINE
    assert host.loosen(STACK, check=True) == host.loosen(STACK)
    assert permit.guard_here() == STACK
    assert host.loosen(ENGINE) == []
    host.run(LEAVE, guard=ENGINE)
    assert permit.guard_here() == ENGINE
    assert not [path for path in host.tree() if path.endswith("agnes-host-stack.service")]


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/data", "data.mount"),
        ("/data/state", "data-state.mount"),
        ("/data-state", "data\\x2dstate.mount"),
    ],
)
def test_the_unit_of_a_mount_point_has_the_name_that_systemd_gives_it(path: str, unit: str) -> None:
    assert install.unit_of(path) == unit
    assert f" {unit}" in next(
        text for text, _mode in install.guard_texts().values() if "After=local" in text
    )


def test_only_lines_that_start_what_is_replaced_are_set_aside() -> None:
    after = without_calls(CRONTAB)
    changed = [
        n
        for n, pair in enumerate(zip(CRONTAB.split("\n"), after.split("\n")))
        if pair[0] != pair[1]
    ]
    assert changed == [2]
    assert without_calls(after) == after
    assert with_calls(after) == CRONTAB


MADE = {"disks": {"data": {"phase": "formatted"}}}
ADOPTED = {"disks": {"data": {"phase": "adopted"}}}
DECIDED: list[tuple[str, dict[str, Any], bool, str, str]] = [
    ("auto", {}, True, "/opt/agnes", INSTALL),
    ("auto", MADE, False, "/opt/agnes/", INSTALL),
    ("auto", ADOPTED, False, "/opt/agnes", LEAVE),
    ("auto", {**ADOPTED, core.KEPT: {}}, False, "/opt/agnes", INSTALL),
    ("True", ADOPTED, False, "/opt/agnes", INSTALL),
    ("False", MADE, True, "/opt/agnes", LEAVE),
    ("False", {**MADE, core.KEPT: {}}, False, "/opt/agnes", REMOVE),
    ("true", MADE, True, "/srv/agnes", LEAVE),
]


@pytest.mark.parametrize(("setting", "recorded", "formats", "directory", "decision"), DECIDED)
def test_who_gets_the_tools(
    setting: str, recorded: dict[str, Any], formats: bool, directory: str, decision: str
) -> None:
    assert decide(setting, recorded, formats, directory) == decision


def test_the_plan_says_it_once() -> None:
    assert sentences(INSTALL, {}, ["/a", "/b"]) == [
        "install agnes-auto-upgrade and agnes-tls-rotate with their timers, in place of /a and /b, which are "
        "set aside"
    ]
    assert sentences(INSTALL, {core.KEPT: {}}, ["/a"]) == []
    assert sentences(LEAVE, {}, ["/a"]) == []
    assert sentences(REMOVE, {core.KEPT: {}}, []) == [
        "remove agnes-auto-upgrade and agnes-tls-rotate, and put back what they have replaced"
    ]
