# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's "Your own hosts", step by step, on each kind of host that can be made here.

What is published is installed where nothing else is, beside an ansible-core without any other
collection. The host is reached over SSH as a normal user whom sudo asks for a password; that and
the vault's are typed.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import artifact
import pytest
import sanity
import strikes
from engine import cache
from play import play
from records import ROOT

HOST = "agnes-own-hosts"
PLAYBOOKS = ROOT / "molecule" / "shared"
USER = "operator-asked"
DATA, STATE = "scsi-0Disk_of_data", "scsi-0Disk_of_state"
LINKS = f"""\
[Service]
ExecStartPre=/bin/mkdir -p /dev/disk/by-id
ExecStartPre=/bin/ln -sfn ../../sdb /dev/disk/by-id/{DATA}
ExecStartPre=/bin/ln -sfn ../../sdc /dev/disk/by-id/{STATE}
"""
"""Test hosts have no udev: their stand-in for fstab's generator makes the links, at each boot."""
PYTHON = "/opt/python"
OLD_ENGINE = """\
docker create --name plain agnes-demo:1
docker cp plain:/opt/agnes-host/docker-compose.yml /tmp/
sed -i /start_interval:/d /tmp/docker-compose.yml
docker cp /tmp/docker-compose.yml plain:/opt/agnes-host/
docker commit plain agnes-demo:1
docker rm plain
rm /tmp/docker-compose.yml
"""
"""The demo's compose file without what an engine before Docker 25 has not."""
HEALTHY_SECONDS = 180


@dataclass(frozen=True)
class Kind:
    """A host of the lab, the Python that its modules run with, and the ansible-core of the controller."""

    image: str
    release: str
    python: str = ""
    """Empty for the host's own; else one of this machine is copied beside it."""
    old_engine: bool = False


KINDS = [
    Kind("bookworm-compose", "2.19", old_engine=True),
    Kind("trixie", "2.21"),
    Kind("newer-compose", "2.20", "3.9"),
    Kind("trixie", "2.21", "3.10"),
    Kind("trixie", "2.20", "3.12"),
]


def readme_inventory() -> str:
    """The inventory that README.md has a new user write, with a user's disks and image in it."""
    (text,) = re.findall(r"(?m)^    agnes:\n(?:    .*\n)+", (ROOT / "README.md").read_text())
    lines = "".join(line.removeprefix("    ") for line in text.splitlines(keepends=True))
    for placeholder, own in (("by-id/DATA", f"by-id/{DATA}"), ("by-id/STATE", f"by-id/{STATE}"), (" IMAGE ", " agnes-demo:1 ")):  # fmt: skip
        assert placeholder in lines
        lines = lines.replace(placeholder, own)
    return lines


@dataclass
class Operator:
    """Somebody at a terminal, in a folder of theirs."""

    folder: Path
    name: str
    """The host, as their inventory has it."""
    commands: Path
    answers: dict[str, str] = field(default_factory=dict)
    """What is typed after a prompt that has a text."""

    def types(self, *command: str) -> tuple[int, str]:
        """Run a command at a terminal and answer its prompts; returns its exit status and what it showed."""
        process, terminal = pty.fork()
        if not process:
            os.chdir(self.folder)
            os.execve(self.commands / command[0], command, self.environment())
        shown, answered = b"", 0
        while True:
            try:
                read = os.read(terminal, 65536)
            except OSError:  # the terminal is gone with the command
                break
            if not read:
                break
            shown += read
            for prompt, answer in self.answers.items():
                if re.search(prompt.encode(), shown[answered:]):
                    answered = len(shown)
                    os.write(terminal, answer.encode() + b"\n")
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        return status, shown.decode(errors="replace").replace("\r\n", "\n")

    def environment(self) -> dict[str, str]:
        """A home of their own, in which SSH knows the host; nothing of this checkout."""
        return {
            "HOME": str(self.folder),
            "PATH": f"{self.commands}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CONFIG": str(self.folder / "empty.cfg"),
            "ANSIBLE_SSH_ARGS": f"-F {self.folder / 'ssh_config'}",
        }

    def play_status(self, playbook: str, *arguments: str) -> tuple[int, str]:
        """Run a playbook as the README says; its exit status and what it showed."""
        command = ["ansible-playbook", "-i", "inventory.yml", f"agnes.host.{playbook}", *arguments]
        status, shown = self.types(*command, "-K", "--ask-vault-pass")
        print(shown)
        assert "BECOME password" in shown and "Vault password" in shown
        return status, shown

    def plays(self, playbook: str, *arguments: str) -> str:
        """The same; an error fails the test."""
        status, shown = self.play_status(playbook, *arguments)
        assert status == 0, shown[-4000:]
        return shown


def on_host(script: str) -> str:
    """What a script on the host prints, as root; an error fails the test."""
    command = ["docker", "exec", HOST, "sh", "-euc", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
    return done.stdout


def make_host(kind: Kind, python: Path | None) -> None:
    """Make a host of the lab that has the links of its disks, and the Python beside its own."""
    hosts = {HOST: {"lab_image": kind.image, "lab_ssh": True}}
    for step in ("create", "prepare"):
        done = play(f"own-hosts-{step}", hosts, playbook=PLAYBOOKS / f"{step}.yml")
        assert done.returncode == 0, done.stdout + done.stderr
    folder = "/etc/systemd/system/lab-mounts.service.d"
    on_host(f"mkdir {folder}; echo '{LINKS}' > {folder}/by-id.conf; systemctl daemon-reload")
    on_host("systemctl restart lab-mounts.service")
    if python:
        subprocess.run(["docker", "cp", f"{python.parent}/.", f"{HOST}:{PYTHON}"], check=True)
        on_host(f"echo {PYTHON}/lib > /etc/ld.so.conf.d/python.conf; ldconfig")


def make_folder(folder: Path, kind: Kind, commands: Path) -> Operator:
    """An operator's folder: what is published, their inventory, certificate, and way in."""
    inventory = readme_inventory()
    (name,) = re.findall(r"(?m)^    (\S+\.\S+):$", inventory)
    operator = Operator(folder, name, commands)
    if kind.python:
        inventory = inventory.replace(
            f"{name}:\n", f"{name}: {{ansible_python_interpreter: {PYTHON}/bin/python{kind.python}}}\n"
        )  # fmt: skip
    (folder / "inventory.yml").write_text(inventory)
    inspect = ["docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", HOST]
    address = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip()
    said = {
        "HostName": address, "User": USER, "IdentityFile": cache() / "ssh" / "key", "LogLevel": "ERROR",
        "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null",
    }  # fmt: skip
    lines = "".join(f"  {key} {value}\n" for key, value in said.items())
    (folder / "ssh_config").write_text(f"Host {name}\n{lines}")
    make_certificate(folder, name)
    artifact.build(ROOT, folder)
    return operator


def make_certificate(folder: Path, name: str) -> None:
    """A certificate for a name, with its key, from the authority of the lab."""
    tls = cache() / "tls"
    (folder / "leaf.cnf").write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")
    for command in (
        ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", "privkey.pem", "-out", "leaf.csr", "-subj", f"/CN={name}"],
        ["x509", "-req", "-in", "leaf.csr", "-CA", f"{tls}/ca.pem", "-CAkey", f"{tls}/ca.key",
         "-set_serial", "1", "-days", "60", "-extfile", "leaf.cnf", "-out", "fullchain.pem"],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


def python_for(version: str, known: Mapping[str, Path], use: str) -> Path:
    """A Python of this machine; without it the test is skipped, and says what for."""
    if version not in known:
        pytest.skip(f"no Python {version} on this machine, for {use}")
    return known[version] / f"python{version}"


@pytest.fixture(
    scope="module", params=KINDS, ids=lambda k: f"{k.image}-{k.release}-{k.python or 'own'}"
)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(scope="module")
def operator(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator with a folder of theirs, and a host with two blank disks."""
    known = sanity.interpreters(os.environ["PATH"], Path.home())
    controllers = [version for version in sanity.RELEASES[kind.release] if version in known]
    wanted = controllers[0] if controllers else sanity.RELEASES[kind.release][0]
    python = python_for(wanted, known, f"a controller with ansible-core {kind.release}")
    beside = None
    if kind.python:
        beside = python_for(kind.python, known, "the host").resolve()
    pinned = ROOT / "requirements" / f"sanity-{kind.release}.txt"
    commands = sanity.tools(kind.release, pinned, python)
    folder = tmp_path_factory.mktemp("operator")
    make_host(kind, beside and beside.parent)
    try:
        yield make_folder(folder, kind, commands)
    finally:
        play("own-hosts-destroy", {HOST: {}}, playbook=PLAYBOOKS / "destroy.yml")


def state_of_host() -> Sequence[str]:
    """What a run would have changed: disks, folders, units, accounts."""
    return on_host(
        "blkid -p /dev/sdb /dev/sdc || true; ls -d /data* /opt/agnes /var/lib/agnes-host /etc/systemd/system/* 2>/dev/null || true; "
        "cat /etc/fstab /etc/passwd; docker ps --all --quiet"
    ).splitlines()


def test_it_is_installed_and_the_key_is_encrypted(operator: Operator) -> None:
    (published,) = operator.folder.glob("*.tar.gz")
    assert f"install {published.name} " in (ROOT / "README.md").read_text()
    status, shown = operator.types("ansible-galaxy", "collection", "install", published.name)
    assert status == 0, shown
    operator.answers = {"Vault password.*: ": "of the vault"}
    status, shown = operator.types("ansible-vault", "encrypt", "privkey.pem")
    assert status == 0, shown
    assert (operator.folder / "privkey.pem").read_text().startswith("$ANSIBLE_VAULT;")
    operator.answers["BECOME password.*: "] = (cache() / "ssh" / "password").read_text()


def test_an_engine_that_can_not_start_a_service_is_told_before_it_is_tried(
    operator: Operator, kind: Kind
) -> None:
    if not kind.old_engine:
        pytest.skip("this engine can start each service of the demo")
    before = state_of_host()
    status, shown = operator.play_status("site", "-e", "layout=flat")
    assert status != 0
    assert "AH149: service 'app' has healthcheck.start_interval, which needs Docker 25" in shown, (
        shown
    )
    assert state_of_host() == before
    on_host(OLD_ENGINE)


def test_a_check_run_says_what_would_be_done_and_does_nothing(operator: Operator) -> None:
    before = state_of_host()
    shown = operator.plays("site", "-e", "layout=flat", "--check", "--diff")
    for disk in (r"/dev/sdb \(16 GiB, blank\)", r"/dev/sdc \(8 GiB, blank\)"):
        assert re.search(f"format {disk} as ext4 labelled agnes-", shown), shown
    assert state_of_host() == before


def answers_over_tls(operator: Operator) -> bool:
    """Whether the app answers through Caddy, with the certificate that was placed."""
    authority = (cache() / "tls" / "ca.pem").read_text()
    return "ok" in on_host(
        f"echo '{authority}' > /srv/ca.pem; curl -fsS --retry 60 --retry-all-errors --retry-delay 1 --cacert /srv/ca.pem "
        f"--resolve {operator.name}:443:127.0.0.1 https://{operator.name}/api/health"
    )


def test_a_run_does_it_and_a_second_one_has_nothing_to_do(operator: Operator, kind: Kind) -> None:
    operator.plays("site", "-e", "layout=flat")
    assert answers_over_tls(operator)
    shown = operator.plays("site", "-e", "layout=flat")
    assert re.search(rf"{operator.name} +: ok=\d+ +changed=0 ", shown), shown[-2000:]
    assert re.search("layout +flat:", on_host("agnes-host status"))
    used = on_host("cat /usr/local/sbin/agnes-host")
    assert (f"{PYTHON}/bin/python{kind.python}" in used) is bool(kind.python)


def test_it_is_as_it_was_after_a_restart_and_an_audit_finds_nothing(operator: Operator) -> None:
    subprocess.run(["docker", "restart", HOST], check=True, capture_output=True)
    health = "docker inspect --format '{{.State.Health.Status}}' agnes-app-1"
    strikes.wait_for(HOST, f"{health} | grep -qx healthy", HEALTHY_SECONDS)
    assert answers_over_tls(operator)
    shown = operator.plays("audit", "-e", "audit_fail_on=warning")
    assert f"{operator.name}  well" in shown, shown[-2000:]


def test_state_is_moved_to_the_other_layout(operator: Operator) -> None:
    operator.plays("site", "-e", "layout=nested")
    assert answers_over_tls(operator)
    assert re.search("layout +nested:", on_host("agnes-host status"))
