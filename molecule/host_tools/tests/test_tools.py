# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools that a run has left on the host: rotations, upgrades, and what they leave alone."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pairs
import pytest
import records
from play import play

CERTS = "/data-state/certs"
ENV = "/opt/agnes/.env"
LOCK = "/var/lock/agnes-auto-upgrade.lock"
INTENT = "/var/lib/agnes-host/intent.json"
PRE_MIGRATE = "/data-state/system.duckdb.pre-migrate"
UNPUBLISH = "docker tag agnes-demo:first agnes-demo:1"


def write(name: str, path: str, text: str) -> None:
    # docker exec may wait for ever where its input ends at once: an empty text needs no input.
    talk = ["--interactive"] if text else []
    command = ["docker", "exec", *talk, name, "sh", "-c", f"cat > {path}"]
    subprocess.run(command, input=text, text=True, check=True)


def ids(host: Any) -> dict[str, str]:
    """Container -> its id and the id of its image."""
    form = "{{.Name}} {{.Id}} {{.Image}}"
    lines = host.check_output(f"docker inspect --format '{form}' $(docker ps --all --quiet)")
    return dict(line.split(" ", 1) for line in lines.splitlines())


def journal(host: Any, unit: str) -> str:
    return str(host.check_output(f"journalctl --no-pager --output cat --unit {unit}"))


def start(host: Any, unit: str, code: int = 0) -> str:
    """Start a unit as its timer does; what it has said in the journal this time."""
    before = journal(host, unit)
    # systemd starts nothing more than five times in ten seconds.
    done = host.run(f"systemctl reset-failed {unit}; systemctl start {unit}")
    said = journal(host, unit)[len(before) :]
    assert done.rc == code, said
    return said


def env(host: Any, key: str, value: str) -> None:
    host.check_output(f"sed -i '/^{key}=/d' {ENV} && echo '{key}={value}' >> {ENV}")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pairs.Pair:
    """The pair of the server that gives certificates."""
    return pairs.make(tmp_path_factory.mktemp("server"), "localhost")


@pytest.fixture(scope="module")
def source(name: str, host: Any, authority: pairs.Pair) -> Iterator[Path]:
    """A server on the host, which the host trusts; the path of the folder that it serves."""
    host.check_output("mkdir -p /srv/source")
    write(name, "/srv/server.pem", authority.certificate)
    write(name, "/srv/server.key", authority.key)
    host.check_output(
        "cp /srv/server.pem /usr/local/share/ca-certificates/lab.crt && update-ca-certificates 2>/dev/null && "
        "systemd-run --quiet --unit lab-source /srv/source.py /srv/server.pem /srv/server.key /srv/source && "
        "timeout 20 sh -c 'until curl -fs https://localhost:8443/ >/dev/null; do sleep 0.2; done'"
    )
    yield Path("/srv/source")
    host.check_output("systemctl stop lab-source")


def publish(name: str, pair: pairs.Pair) -> None:
    write(name, "/srv/source/chain.pem", pair.certificate)
    write(name, "/srv/source/key.pem", pair.key)


def test_the_run_has_installed_them_and_a_second_one_changes_nothing(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    for timer in ("agnes-auto-upgrade.timer", "agnes-tls-rotate.timer"):
        assert host.run(f"systemctl is-enabled {timer}").stdout.strip() == "enabled"
        assert host.run(f"systemctl is-active {timer}").stdout.strip() == "active"
    done = play("host_tools-again", {name: facts})
    assert done.returncode == 0, done.stdout
    assert records.actions(records.read("host_tools-again", "site"), name) == set()
    # From here on the tests start them.
    host.check_output("systemctl stop agnes-auto-upgrade.timer agnes-tls-rotate.timer")


def test_status_and_explain_are_for_people_and_for_programs(host: Any) -> None:
    said = host.run("agnes-host status")
    assert said.rc == 0, said.stdout
    assert "layout       flat: STATE_DIR=/data-state" in said.stdout
    assert "well         nothing is to be done" in said.stdout
    status = json.loads(host.check_output("agnes-host status --json"))
    assert (status["layout"], status["problems"]) == ("flat", [])
    assert {each["role"]: each["right"] for each in status["disks"]} == {
        "data": True,
        "state": True,
    }
    lines = json.loads(host.check_output("agnes-host explain --json"))
    assert {"subject": "next", "text": "nothing is to be done"} in lines
    host.check_output("docker pause agnes-scheduler-1")
    said = host.run("agnes-host status")
    host.check_output("docker unpause agnes-scheduler-1")
    assert said.rc == 1
    assert "PROBLEM      container agnes-scheduler-1 is paused" in said.stdout


def test_a_certificate_from_a_server_is_placed_and_served_without_a_restart(
    name: str, host: Any, source: Path, tmp_path: Path
) -> None:
    pair = pairs.make(tmp_path)
    publish(name, pair)
    env(host, "TLS_FULLCHAIN_URL", "https://localhost:8443/chain.pem?token=topsecret")
    env(host, "TLS_PRIVKEY_URL", "https://localhost:8443/key.pem")
    before = ids(host)
    said = start(host, "agnes-tls-rotate")
    assert f"placed {CERTS}/privkey.pem, {CERTS}/fullchain.pem from" in said
    assert "topsecret" not in said
    assert pairs.served(host) == pairs.fingerprint(pair)
    assert ids(host) == before
    assert host.check_output(f"stat -c '%u:%g %a' {CERTS} {CERTS}/privkey.pem").splitlines() == [
        "999:999 700",
        "0:0 600",
    ]
    # One that was placed and not served, as after a crash, is served by the next.
    assert "has the certificate of" in start(host, "agnes-tls-rotate")


def test_what_is_bad_is_said_and_the_old_one_is_served(
    name: str, host: Any, source: Path, tmp_path: Path
) -> None:
    before, placed = pairs.served(host), host.check_output(f"sha256sum {CERTS}/*")
    good = pairs.make(tmp_path)
    (tmp_path / "other").mkdir()
    other = pairs.make(tmp_path / "other", "other.test")
    cases = (
        (pairs.Pair("", good.key), "chain.pem", "it is empty"),
        (pairs.Pair("<html></html>", good.key), "chain.pem", "it has no certificate in PEM"),
        (pairs.expired(tmp_path), "chain.pem", "it has expired"),
        (other, "chain.pem", "it is not for agnes.test"),
        (pairs.Pair(good.certificate, other.key), "chain.pem", "the key is not the certificate's"),
        (good, "redirect", "it redirects (302)"),
        (good, "none.pem", "the server says 404"),
    )
    for pair, path, reason in cases:
        publish(name, pair)
        env(host, "TLS_FULLCHAIN_URL", f"https://localhost:8443/{path}")
        said = start(host, "agnes-tls-rotate", code=1)
        assert re.search(r"AH17[12]: ", said), said
        assert reason in said
    # A full disk, with a pair that is good.
    publish(name, pairs.make(tmp_path))
    env(host, "TLS_FULLCHAIN_URL", "https://localhost:8443/chain.pem")
    host.run("fallocate -l $(( $(stat -fc '%a * %S' /data-state) )) /data-state/filler")
    host.run("dd if=/dev/zero of=/data-state/filler2 bs=4k 2>/dev/null")
    said = start(host, "agnes-tls-rotate", code=1)
    host.check_output("rm -f /data-state/filler /data-state/filler2")
    assert "AH173: " in said
    assert "No space left on device" in said
    assert host.check_output(f"sha256sum {CERTS}/*") == placed
    assert pairs.served(host) == before
    env(host, "TLS_FULLCHAIN_URL", "")


def make_image(host: Any, version: str, command: str = "true") -> None:
    """An image like the demo's after a command; it is published by the name that the chain has."""
    host.check_output(
        f"docker run --name make --user 0 agnes-demo:first sh -c '{command}' && "
        f"docker commit --change 'LABEL version={version}' make agnes-demo:1 && docker rm make"
    )


def test_a_tick_with_nothing_new_touches_nothing(host: Any) -> None:
    host.check_output("docker tag agnes-demo:1 agnes-demo:first")
    # The keys that the rotation has had in .env are in the environment of containers.
    start(host, "agnes-auto-upgrade")
    before = ids(host)
    assert "nothing was done" in start(host, "agnes-auto-upgrade")
    assert ids(host) == before


def test_of_two_ticks_at_once_one_works_and_one_says_so(host: Any) -> None:
    make_image(host, "good")
    before = ids(host)
    said = host.check_output(
        "agnes-auto-upgrade > /tmp/first & sleep 1; agnes-auto-upgrade; wait; cat /tmp/first"
    )
    assert "another upgrade, rotation or move is at work" in said
    assert "upgraded agnes-demo:1" in said
    after = ids(host)
    assert before.keys() == after.keys()
    assert all(before[each] != after[each] for each in before)
    assert json.loads(host.check_output("agnes-host status --json"))["problems"] == []


def test_while_a_move_is_not_ended_both_stand_aside(host: Any) -> None:
    make_image(host, "better")
    before = ids(host)
    env(host, "TLS_FULLCHAIN_URL", "https://localhost:8443/chain.pem")
    host.check_output(f"echo '{{}}' > {INTENT}")
    for tool in ("agnes-auto-upgrade", "agnes-tls-rotate"):
        assert "a move of the state is not ended" in start(host, tool)
    host.check_output(f"rm {INTENT}")
    env(host, "TLS_FULLCHAIN_URL", "")
    assert ids(host) == before
    assert "upgraded agnes-demo:1" in start(host, "agnes-auto-upgrade")


def test_an_image_that_is_never_healthy_gives_way_to_the_one_before(host: Any) -> None:
    before = {name: each.split()[1] for name, each in ids(host).items()}
    make_image(host, "ill", "rm /usr/bin/curl")
    ill = host.check_output("docker image inspect --format '{{.Id}}' agnes-demo:1")
    said = start(host, "agnes-auto-upgrade", code=1)
    assert "AH176: the new image does not come up" in said
    assert {name: each.split()[1] for name, each in ids(host).items()} == before
    (problem,) = json.loads(host.run("agnes-host status --json").stdout)["problems"]
    assert problem.startswith("the newest image did not come up, and the one before it runs: AH")
    # The registry has it still.
    host.check_output(f"docker tag {ill} agnes-demo:1")
    running = ids(host)
    assert "AH178: the published image did not come up" in start(host, "agnes-auto-upgrade", code=1)
    assert ids(host) == running


def test_after_a_migration_nothing_older_is_started(host: Any) -> None:
    running = ids(host)["/agnes-app-1"].split()[1]
    make_image(host, "migrates", "rm /usr/bin/curl")
    # It migrates as the product does, which writes this file first.
    host.check_output(
        "(until [ \"$(docker inspect --format '{{.Image}}' agnes-app-1)\" != '"
        + running
        + "' ]; do sleep 0.2; "
        f"done; cp /data-state/system.duckdb {PRE_MIGRATE}) >/dev/null 2>&1 &"
    )
    said = start(host, "agnes-auto-upgrade", code=1)
    assert "AH177: " in said
    assert "has changed the database's schema" in said
    assert ids(host)["/agnes-app-1"].split()[1] != running
    # The way on: an image that comes up.
    make_image(host, "mended")
    assert "upgraded agnes-demo:1" in start(host, "agnes-auto-upgrade")


def test_without_the_state_disk_nothing_is_started(host: Any) -> None:
    host.check_output("systemctl stop docker.socket docker && umount /data-state")
    try:
        said = host.run("timeout 90 agnes-auto-upgrade")
        assert said.rc == 1
        assert "AH174: this host's state disk (UUID" in said.stderr
        assert host.run("systemctl is-active docker").stdout.strip() == "inactive"
        assert host.check_output("ls -A /data-state") == ""
        assert "PROBLEM      the state disk" in host.run("agnes-host status").stdout
    finally:
        host.check_output("mount /data-state && systemctl start docker")


def test_false_takes_them_away(name: str, facts: dict[str, Any], host: Any) -> None:
    # A YAML off is False.
    without = {**facts, "agnes_compose_host_tools": False, "agnes_compose_guard": False}
    done = play("host_tools-false", {name: without})
    assert done.returncode == 0, done.stdout
    assert "remove agnes-auto-upgrade and agnes-tls-rotate" in done.stdout
    assert "remove agnes-host-guard" in done.stdout
    assert host.run("systemctl cat docker | grep agnes-host-guard").rc != 0
    assert host.run("systemctl cat agnes-host-guard").rc != 0
    assert not host.file("/usr/local/sbin/agnes-auto-upgrade").exists
    assert host.run("systemctl is-enabled agnes-auto-upgrade.timer").rc != 0


def test_the_products_own_give_way_when_that_is_asked_for_and_come_back(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    script, crontab = "/usr/local/bin/agnes-auto-upgrade.sh", "/var/spool/cron/crontabs/root"
    line = f"*/5 * * * * {script} >> /var/log/agnes-auto-upgrade.log 2>&1"
    host.check_output(
        f"printf '#!/bin/sh\\necho the product\\n' > {script} && chmod 755 {script} && echo '{line}' | crontab -"
    )
    wanted = {name: {**facts, "agnes_compose_host_tools": True}}
    check = play("host_tools-check", wanted, "--check")
    assert f"in place of {script}, which are set aside" in " ".join(check.stdout.split())
    announced = records.actions(records.read("host_tools-check", "site"), name, check=True)
    done = play("host_tools-true", wanted)
    assert done.returncode == 0, done.stdout
    assert records.actions(records.read("host_tools-true", "site"), name) == announced != set()
    assert "agnes-host auto-upgrade" in host.file(script).content_string
    assert host.check_output("crontab -l").startswith("# Set aside by agnes.host: ")
    done = play("host_tools-back", {name: {**facts, "agnes_compose_host_tools": False}})
    assert done.returncode == 0, done.stdout
    assert host.check_output(script) == "the product"
    assert host.check_output("crontab -l") == line
    assert host.file(crontab).group == "crontab"
