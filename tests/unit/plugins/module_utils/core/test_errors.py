# SPDX-License-Identifier: GPL-3.0-or-later
"""Each refusal is really raised somewhere, says the whole sentence, and is documented."""

from __future__ import annotations

import ast
import importlib
import json
import os
import pkgutil
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
from stage_stand_in import run_in_copy

from ansible_collections.agnes.host.plugins.module_utils import core, system
from ansible_collections.agnes.host.plugins.module_utils.core.compose import stack_errors
from ansible_collections.agnes.host.plugins.module_utils.core.compose.engine import (
    check_start_interval,
)
from ansible_collections.agnes.host.plugins.module_utils.core.compose.overlay import (
    cut,
    prove,
    wanted_mounts,
)
from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack import (
    check_one_offs,
    check_strays,
)
from ansible_collections.agnes.host.plugins.module_utils.core.copy.retired import check_named
from ansible_collections.agnes.host.plugins.module_utils.core.host import errors, host_errors
from ansible_collections.agnes.host.plugins.module_utils.core.host.audit import KINDS
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.dotenv import upsert
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.core.layout.settings import (
    as_text,
    wanted_env,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.tree import Entry
from ansible_collections.agnes.host.plugins.module_utils.core.move import move_errors
from ansible_collections.agnes.host.plugins.module_utils.host_tools import install
from ansible_collections.agnes.host.plugins.module_utils.system.compose import (
    artifacts,
    caddy,
    proof,
    stacks,
    stage,
)
from ansible_collections.agnes.host.plugins.module_utils.system.compose.compose import Compose
from ansible_collections.agnes.host.plugins.module_utils.system.disks import devices, filesystems
from ansible_collections.agnes.host.plugins.module_utils.system.host import host
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.layout import trees
from ansible_collections.agnes.host.plugins.module_utils.system.move import units

from .copy_refusals import COPYING
from .fleet_refusals import FLEET
from .guard_refusals import GUARD
from .host_tool_refusals import HOST_TOOLS
from .hosts import container, holds
from .move_refusals import MOVED
from .plan_refusals import PLAN_FILES
from .rebind_refusals import REBIND
from .refusals import PLANNED

ROOT = Path(__file__).resolve().parents[5]
FLAT = LAYOUTS["flat"]


class Case(NamedTuple):
    """What raises a refusal, and its sentence; ``{tmp}`` is the test's directory."""

    cls: type[Refusal]
    trigger: Callable[[Path], object]
    message: str


# Decisions that are no part of a plan.

CONFIG = cut({"services": {"app": {"volumes": [
    {"type": "volume", "source": "data", "target": "/data"}
]}}})  # fmt: skip
WANTED = wanted_mounts(CONFIG, FLAT)
ONE_MORE = {"type": "bind", "source": "/etc", "target": "/etc", "read_only": True}
OVER_STATE = {"type": "volume", "source": "other", "target": FLAT.state_dir}


def with_mounts(*volumes: Any) -> dict[str, Any]:
    return {"services": {"app": {"volumes": [*volumes]}}}


DECIDED = [
    Case(
        errors.NotRetired,
        lambda tmp: check_named([str(tmp)], []),
        "AH100: '{tmp}' is not one of the paths that were set aside on this host (set aside: none), "
        "so it is not deleted; name one of these exactly as it is written",
    ),
    Case(
        errors.OverlayUnproved,
        lambda tmp: prove(with_mounts(*WANTED["app"], ONE_MORE), WANTED, ["a.yml", "b.yml"]),
        "AH044: with the compose files a.yml:b.yml, service 'app' would mount "
        "/data-state:/data-state:rw, /data:/data:rw, /etc:/etc:ro (wanted "
        "/data-state:/data-state:rw, /data:/data:rw); find out which of these files does it, then "
        "correct it or take it out of COMPOSE_FILE",
    ),
    Case(
        errors.VolumeLeftOver,
        lambda tmp: prove(CONFIG, WANTED, ["a.yml"]),
        "AH045: service 'app' would still use the named volume 'data' for data; find the compose "
        "file that does it, then correct it or take it out of COMPOSE_FILE",
    ),
    Case(
        errors.MountOverState,
        lambda tmp: wanted_mounts(with_mounts(OVER_STATE), FLAT),
        "AH052: service 'app' mounts something else (other:/data-state:rw) at '/data-state', where "
        "it would shadow the state; find the compose file that does it, and take the mount out",
    ),
    Case(
        errors.EnvValueUnsafe,
        lambda tmp: upsert("", {"DOMAIN": "a$b"}),
        "AH047: the value for DOMAIN holds '$', which the product's scripts and Compose read "
        "differently; use a value without quotes, $, backticks, backslashes, and spaces at its "
        "start or end",
    ),
    Case(
        host_errors.ChangedByYaml,
        lambda tmp: as_text({"A": "x", "AGNES_TAG": 1.1}),
        "AH153: YAML reads AGNES_TAG in agnes_compose_env or agnes_compose_secrets as a number with a "
        "point, and does not keep it as it is written (1.10 becomes 1.1); put the value in quotes",
    ),
    Case(
        errors.EnvKeyOwned,
        lambda tmp: wanted_env(FLAT, ["a.yml"], {}, {"STATE_DIR": "/srv"}, {}),
        "AH050: STATE_DIR in agnes_compose_env is decided by the layout; take it out, and choose "
        "with -e layout= or state_layout_wanted",
    ),
]  # fmt: skip

# The functions that do input and output, on a temporary directory, with a docker that is a script.


def docker(tmp: Path, body: str) -> str:
    """A docker command that does what ``body`` says."""
    path = tmp / "docker"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def resolve(tmp: Path, body: str) -> object:
    (tmp / "project").mkdir()
    env = "JWT_SECRET_KEY=topsecret\nLOG_LEVEL=info\n"
    with mock.patch.object(stage, "run", run_in_copy):
        return stage.Stage(docker(tmp, body), str(tmp / "project"), {}, env).resolve(
            ["a.yml", "b.yml"]
        )


RESOLVED = {"name": "agnes", "services": {"app": {"volumes": [
    {"type": "bind", "source": "/opt/shared", "target": "/x"}
]}}}  # fmt: skip
PRINTS = r"""
[ "$1" = ps ] || exit 0
if [ -e "$0.asked" ]; then name={1}; else name={0}; fi; touch "$0.asked"
printf "id-$name\tagnes-$name\trunning\tapp\t\n"
"""
"""A docker that lists one container, the second time perhaps another one, and says nothing in a dry run."""


def wait(tmp: Path) -> object:
    clock = iter([0.0, 100.0])
    stack = stacks.Stack(docker(tmp, "exit 0"), str(tmp))
    services = {"app": {"restart": "always"}, "bot": {"restart": "always"}}
    return stack.wait(services, ["bot", "app"], 60, clock=lambda: next(clock))


LOOPING = {
    "Name": "/agnes-app-1", "Image": "i", "RestartCount": 9, "Mounts": [],
    "Config": {"Labels": {"com.docker.compose.service": "app"}, "Env": ["A=topsecret"]},
    "State": {"Status": "restarting", "ExitCode": 1, "Pid": 0},
}  # fmt: skip


def looping(tmp: Path) -> object:
    (tmp / ".env").write_text("JWT_SECRET_KEY=topsecret\n")
    (tmp / "answer").write_text(json.dumps([LOOPING]))
    clock = iter([0.0, 100.0])
    stack = stacks.Stack(
        docker(tmp, 'case "$1" in ps) printf "1\\ta\\trestarting\\tagnes\\n";; inspect) cat "$(dirname "$0")/answer";; '
                    'logs) printf "one\ntwo\n  topsecret x\033\n";; esac'), str(tmp)
    )  # fmt: skip
    certs = {"type": "bind", "source": f"{tmp}/certs", "target": "/certs"}
    services = {"app": {"restart": "always", "volumes": [certs]}}
    return stack.wait(services, ["app"], 60, clock=lambda: next(clock))


def tmp_with_file(tmp: Path) -> Path:
    (tmp / "data" / "sub").mkdir(parents=True)
    (tmp / "data" / "sub" / "rows").write_text("x")
    (tmp / "data" / "db.lock").write_text("")
    return tmp / "data"


def keep_link(path: Path, target: str) -> None:
    path.symlink_to("/etc")
    entry = Entry(str(path), "link", 0, 0, 0o777, target=target)
    trees.keep(entry, Actions(check=True))


NUMBER = {path: devices.maj_min_of(os.stat(path).st_dev) for path in ("/proc", "/sys")}
ODD = Layout("odd", {"data": "/proc", "state": "/sys"}, "/sys", "odd.yml")
CONTAINER = container("app", pid=os.getpid())
ODD_SERVICES = {"app": {"volumes": [
    {"type": "bind", "source": "/sys", "target": "/proc"},
    {"type": "bind", "source": "/sys/kernel", "target": "/none"},
]}}  # fmt: skip


def silent(_tmp: Path) -> object:
    """Nobody listens at port 1."""
    web = caddy.Caddy("docker", {**container("caddy"), "up_seconds": 9.0}, FLAT, {})
    return web.answer(("127.0.0.1", 1), "", 0)


def unreadable(_tmp: Path) -> object:
    with trees.looking("/data/state"):
        raise OSError(5, "Input/output error")


def units_of(folder: str) -> object:
    with mock.patch.object(units, "_FOLDERS", ("/none", folder)):
        return units.product_units()


def unlistable(tmp: Path) -> object:
    broken = OSError(5, "Input/output error", f"{tmp}/folder")
    with (
        mock.patch.object(install, "CRON", ("/none/*", f"{tmp}/folder/*")),
        mock.patch("os.listdir", side_effect=broken),
    ):
        return install._crontabs()


DONE = [
    Case(
        host_errors.CrontabsUnreadable,
        unlistable,
        "AH192: '{tmp}/folder' can't be listed (Input/output error), so it is not known whether cron starts "
        "the product's own upgrade and rotation; look for disk errors with 'dmesg', correct the cause, and "
        "run again",
    ),
    Case(
        host_errors.UnitsUnreadable,
        # A name that is too long: an error that root meets, too.
        lambda tmp: units_of("/" + "x" * 300),
        "AH167: '/" + "x" * 300 + "' can't be listed (File name too long), so it is not known which "
        "units of the product a move must hold back; look for disk errors with 'dmesg', correct the "
        "cause, and run again",
    ),
    Case(
        stack_errors.CaddySilent,
        silent,
        "AH165: service 'caddy' does not answer at 127.0.0.1:1 (Connection refused, for 0 s), so it is "
        "not known which certificate it serves; see 'docker compose logs caddy' and what else uses "
        "that port, correct the cause, and run again",
    ),
    Case(
        host_errors.PlaceUnreadable,
        unreadable,
        "AH016: '/data/state' can't be read (Input/output error), so it is not known whether "
        "state or data is there; look for disk errors with 'dmesg', correct the cause, and run "
        "again",
    ),
    Case(
        host_errors.NotRoot,
        lambda tmp: host.check_root(54321),
        "AH015: the run is user '54321' on the host, and only root can read disks and mounts; "
        "set ansible_become: true for the host, and no other ansible_become_user than root",
    ),
    Case(
        errors.NotMounted,
        lambda tmp: stacks.check_mounts(["/", str(tmp)]),
        "AH032: '{tmp}' is not mounted (found a plain directory or nothing), so nothing is written "
        "there; run the disks role first",
    ),
    Case(
        move_errors.OtherDeviceMounted,
        lambda tmp: filesystems.check_mounted("/proc", "8:16"),
        "AH137: another device is mounted at '/proc' than the one that belongs there (found device "
        f"{NUMBER['/proc']}, wanted 8:16), so nothing is written there; find out with 'findmnt /proc' "
        "what it is, unmount it, then run again",
    ),
    Case(
        errors.StateLinkForeign,
        lambda tmp: keep_link(tmp / "link", "/data-state"),
        "AH007: '{tmp}/link' must be a link to '/data-state', found a link to '/etc'; "
        "find out who made it, then move it aside",
    ),
    Case(
        errors.NoArtifacts,
        lambda tmp: artifacts.from_directory(f"{tmp}/none"),
        "AH042: no compose files: '{tmp}/none' is no directory on this host; set "
        "agnes_compose_image to an image that carries /opt/agnes-host, or "
        "agnes_compose_artifacts_dir to a directory on the host",
    ),
    Case(
        errors.NoArtifacts,
        lambda tmp: artifacts.from_image(
            docker(tmp, '[ "$1" = cp ] || exit 0; echo >&2 "No such path"; exit 1'), "agnes:1"
        ),
        "AH042: no compose files: image 'agnes:1' has no /opt/agnes-host (No such path); set "
        "agnes_compose_image to an image that carries /opt/agnes-host, or "
        "agnes_compose_artifacts_dir to a directory on the host",
    ),
    Case(
        errors.ComposeInvalid,
        lambda tmp: resolve(tmp, 'case "$*" in *a.yml*--quiet*) exit 0;; esac; '
                            'echo >&2 "$PWD/b.yml: bad topsecret at info"; exit 15'),
        "AH043: Compose rejects b.yml: {tmp}/project/b.yml: bad (hidden) at info; correct the file",
    ),
    Case(
        errors.ProjectName,
        lambda tmp: resolve(tmp, 'echo \'{"name": "agnes_live"}\''),
        "AH053: Compose gives the project in {tmp}/project the name 'agnes_live', and the product's scripts "
        "expect 'agnes'; take COMPOSE_PROJECT_NAME out of .env, or the name out of the compose file",
    ),
    Case(
        errors.NotAsProved,
        lambda tmp: Compose(docker(tmp, f"echo '{json.dumps(RESOLVED)}'"), str(tmp)).check("", CONFIG),
        "AH140: the project in {tmp} has changed since it was proved (service 'app' would mount "
        "/opt/shared:/x:rw), so nothing is started; find out what changes its files or .env at "
        "the same time, stop that, and run again",
    ),
    Case(
        errors.PathOfOurs,
        lambda tmp: resolve(tmp, f"echo '{json.dumps(RESOLVED)}'".replace("/opt/", "/run/agnes-host/stage-x/")),
        "AH141: 'app' would mount '/run/agnes-host/stage-x/shared', which belongs to this "
        "collection and is gone at the next boot; find the compose file that does it, and correct "
        "it",
    ),
    Case(
        errors.NoStage,
        lambda tmp: stage.Stage("docker", "/nowhere/agnes", {}, "").config(),
        "AH142: the project can't be proved before it is written, because no directory above "
        "'/nowhere/agnes' is there; the proof needs unshare, tar and the kernel's overlay "
        "filesystem (modprobe overlay)",
    ),
    Case(
        errors.DryRunUnreadable,
        lambda tmp: Compose(docker(tmp, PRINTS.format("app-1", "app-1")), str(tmp)).recreated(["app"]),
        "AH143: the output of a dry run of Compose can't be read (nothing about container 'agnes-app-1'), "
        "so it is not known which containers it would recreate; use a version of Compose that was tested "
        "(see AH143 in docs/errors.md)",
    ),
    Case(
        errors.DryRunActed,
        lambda tmp: Compose(docker(tmp, PRINTS.format("app-1", "app-2")), str(tmp)).recreated(["app"]),
        "AH144: containers have changed during a dry run of Compose (agnes-app-1, agnes-app-2): either "
        "something else changed them, or this version of Compose acts in a dry run; run again, and if it "
        "comes again use another version of Compose",
    ),
    Case(
        errors.EngineBefore25,
        lambda tmp: check_start_interval(["app"], "20.10.24+dfsg1"),
        "AH149: service 'app' has healthcheck.start_interval, which needs Docker 25 or later, and the engine here is "
        "20.10.24+dfsg1; upgrade Docker, or take that line out of the compose file",
    ),
    Case(
        errors.NotHealthy,
        wait,
        "AH049: service 'app' is absent after 100 s; see 'docker compose logs app' in {tmp}",
    ),
    Case(
        errors.NotHealthy,
        lambda tmp: stacks.Stack(
            docker(tmp, '[ "$1" = compose ] || exit 0; echo no disk >&2; exit 3'), str(tmp)
        ).up({}, ["app"], 9),
        "AH049: service 'app' is not up ('{tmp}/docker compose --project-name' failed (3): no disk) after "
        "0 s; see 'docker compose logs app' in {tmp}",
    ),
    Case(
        errors.WrongDiskInContainer,
        lambda tmp: proof.prove(ODD_SERVICES, ["app"], {"app": [CONTAINER]}, ODD, "/opt/agnes"),
        f"AH048: containers see something else than this host's disks: 'agnes-app-1' has '/none' on "
        f"device none (No such file or directory) (the state disk is {NUMBER['/sys']}), 'agnes-app-1' "
        f"has '/proc' on device {NUMBER['/proc']} (the state disk is {NUMBER['/sys']}); stop them, "
        "then see AH048 in docs/errors.md",
    ),
    Case(
        stack_errors.NothingProved,
        lambda tmp: proof.prove(
            ODD_SERVICES, ["app"], {"app": [{**CONTAINER, "status": "paused"}]}, ODD, "/opt/agnes"
        ),
        "AH055: these services must see this host's disks, and it could not be proved that they "
        "do: 'app' (/none, /proc): agnes-app-1 is paused; see with 'docker compose ps --all' in "
        "/opt/agnes why they do not run, and run again",
    ),
    Case(
        stack_errors.NotUp,
        looping,
        "AH145: services do not stay up: app is restarting (9 times so far, ended with 1); there "
        "is no certificate in '{tmp}/certs/fullchain.pem'; its log ends with: one | two | "
        "(hidden) x?; see 'docker compose logs' in {tmp}, correct the cause, and run again",
    ),
    Case(
        stack_errors.OneOffHolds,
        lambda tmp: check_one_offs(
            [container("app", name="run-1", one_off=True, mounts=[holds("/data")])], FLAT
        ),
        "AH146: containers that 'docker compose run' has started still run and use what would "
        "move: 'run-1' (/data); wait until they exit, or stop them with 'docker stop run-1', "
        "then run again",
    ),
    Case(
        stack_errors.StrayService,
        lambda tmp: check_strays({}, [container("old", mounts=[holds("/data/pg")])], FLAT),
        "AH148: containers of the project belong to no service of its compose files, so a move "
        "would not stop them: 'agnes-old-1' of service 'old' (/data/pg); find out what they are "
        "for, then add their file to COMPOSE_FILE in .env or remove them",
    ),
    Case(
        stack_errors.StaleHolds,
        lambda tmp: proof.check_shadowed({f"{tmp_with_file(tmp)}": ["agnes-app-1"]}),
        "AH147: containers were started before their disk was mounted (agnes-app-1), and the "
        "mount at '{tmp}/data' shadows files that they may have written (found sub/rows); stop "
        "them, look at the files as AH147 in docs/errors.md shows, move them aside, then run "
        "again",
    ),
]  # fmt: skip

DONE += [Case(*each) for each in [*COPYING, *PLAN_FILES, *HOST_TOOLS, *FLEET, *GUARD, *REBIND]]


@pytest.mark.parametrize(
    "case", [*DECIDED, *DONE, *MOVED], ids=lambda case: f"{case.cls.code}-{case.cls.__name__}"
)
def test_a_refusal_says_its_whole_sentence(case: Case, tmp_path: Path) -> None:
    with pytest.raises(case.cls) as refused:
        case.trigger(tmp_path)
    assert refused.type is case.cls
    assert str(refused.value) == case.message.replace("{tmp}", str(tmp_path))


@pytest.mark.parametrize("case", PLANNED, ids=lambda case: f"{case.cls.code}-{case.cls.__name__}")
def test_a_planned_refusal_is_of_its_class(case: Any) -> None:
    assert make_plan(case.host, case.request)["code"] == case.cls.code
    assert case.message.startswith(f"{case.cls.code}: ")


def subclasses(of: type[Refusal]) -> set[type[Refusal]]:
    return {each for cls in of.__subclasses__() for each in (cls, *subclasses(cls))}


def refusals() -> set[type[Refusal]]:
    """Every class of refusal, wherever in module_utils it is defined."""
    for package in (core, system):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return subclasses(Refusal)


def test_each_class_is_met_in_a_test_that_compares_its_sentence() -> None:
    covered = {case.cls for case in PLANNED} | {case.cls for case in [*DECIDED, *DONE, *MOVED]}
    assert {cls.__name__ for cls in refusals() - covered} == set()


def constructed() -> set[str]:
    """The names that are called in plugins, outside of the module that defines the refusals."""
    names = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        if path.name != "errors.py":
            calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
            names |= {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    return names


def test_each_class_is_raised_somewhere() -> None:
    assert {cls.__name__ for cls in refusals()} - constructed() == set()


def test_codes_are_well_formed_and_each_is_used_once() -> None:
    codes = [cls.code for cls in refusals()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"AH\d{3}", code) and code != "AH000" for code in codes)


ALL: list[type[Refusal]] = sorted(refusals(), key=lambda cls: cls.code)


@pytest.mark.parametrize("cls", ALL)
def test_a_sentence_is_one_line_without_a_full_stop_and_has_facts(cls: type[Refusal]) -> None:
    assert "\n" not in cls.sentence
    assert not cls.sentence.endswith(".")
    assert re.search(r"\{\w+\}", cls.sentence)


DOCUMENTATION = (ROOT / "docs" / "errors.md").read_text("utf-8")
PARTS = ["What", "Why", "Do", "Verify"]
CODES = sorted([cls.code for cls in ALL] + [kind.code for kind in KINDS])
"""Those of refusals, and of what only an audit finds."""


def sections() -> dict[str, str]:
    parts = re.split(r"^### (AH\d{3}) ", DOCUMENTATION, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def test_each_code_is_documented_exactly_once_and_in_order() -> None:
    headings = re.findall(r"^#+ .*?\b(AH\d{3})\b", DOCUMENTATION, re.M)
    assert headings == CODES


@pytest.mark.parametrize("code", CODES)
def test_what_why_do_and_verify_are_said_of_each_code(code: str) -> None:
    parts = re.findall(r"^- \*(\w+)\.\* \S", sections()[code], re.M)
    assert parts == PARTS


def test_codes_that_other_documents_name_exist() -> None:
    known = set(CODES)
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        assert set(re.findall(r"\bAH\d{3}\b", path.read_text("utf-8"))) <= known, path.name
