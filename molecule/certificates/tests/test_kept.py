# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates are served, not only placed, and secrets outlive the boot disk: run after run on one host."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pairs
import pytest
import records
from play import play

CERTS = "/data-state/certs"
ENV = "/opt/agnes/.env"
NONE = pairs.Pair("", "")
DATABASE_URL = "postgresql://u:p@h/db?sslmode=require"


def run(
    name: str, *arguments: str, code: int = 0, pair: pairs.Pair | None = None, **more: Any
) -> str:
    """A run of the playbook with the pair in the inventory; what it printed."""
    variables: dict[str, Any] = {"layout": "flat", "agnes_compose_profiles": ["tls"], **more}
    if pair:
        variables |= {
            "state_layout_tls_fullchain": pair.certificate,
            "state_layout_tls_privkey": pair.key,
        }
    done = play("kept", {name: variables}, "--diff", "-v", *arguments)
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    for line in (pair.key if pair else "").splitlines()[1:-1]:
        assert line not in printed
    return printed


def actions(name: str, check: bool = False) -> set[Any]:
    """What the last run did, or announced, without services' own starts."""
    (step,) = records.RECORDED.joinpath("kept").glob("*.jsonl")
    return set(records.actions(records.read("kept", step.stem), name, check=check))


def changed(printed: str, name: str) -> int:
    match = re.search(rf"^{name} .*changed=(\d+) ", printed, re.M)
    assert match, printed
    return int(match[1])


def started(host: Any) -> str:
    return str(host.check_output("docker inspect --format '{{.State.StartedAt}}' agnes-caddy-1"))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> pairs.Pair:
    return pairs.make(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> pairs.Pair:
    return pairs.make(tmp_path_factory.mktemp("second"))


def test_another_certificate_is_announced_placed_and_served_without_a_restart(
    name: str, host: Any, first: pairs.Pair
) -> None:
    before, since = pairs.served(host), started(host)
    printed = run(name, "--check", pair=first)
    assert "certificate that is served: sha256:" in printed
    announced = actions(name, check=True)
    assert pairs.served(host) == before
    run(name, pair=first)
    assert actions(name) == announced
    assert pairs.served(host) == pairs.fingerprint(first) != before
    assert started(host) == since
    assert host.check_output(
        f"find /var/lib/agnes-host/replaced{CERTS} -name 'privkey.pem.*' -perm 0600"
    )
    assert changed(run(name, pair=first), name) == 0


def test_one_that_others_placed_and_nobody_serves_is_served_by_the_next_run(
    name: str, host: Any, second: pairs.Pair
) -> None:
    for file, text in (("privkey.pem", second.key), ("fullchain.pem", second.certificate)):
        write = ["docker", "exec", "--interactive", name, "sh", "-c", f"cat > {CERTS}/{file}"]
        subprocess.run(write, input=text, text=True, check=True)
    assert pairs.served(host) != pairs.fingerprint(second)
    printed = run(name, pair=NONE)
    assert "certificate that is served" in printed
    assert pairs.served(host) == pairs.fingerprint(second)


def test_a_caddy_that_does_not_answer_is_said_and_never_restarted(name: str, host: Any) -> None:
    since = started(host)
    pid = host.check_output("docker inspect --format '{{.State.Pid}}' agnes-caddy-1")
    host.check_output(f"kill -STOP {pid}")
    try:
        for arguments in (["--check"], []):
            printed = run(name, *arguments, code=2, pair=NONE)
            assert "AH165: service 'caddy' does not answer at 127.0.0.1:443" in printed
    finally:
        host.check_output(f"kill -CONT {pid}")
    assert started(host) == since
    assert changed(run(name, pair=NONE), name) == 0


def test_a_key_of_another_certificate_is_refused_and_nothing_is_replaced(
    name: str, host: Any, first: pairs.Pair, second: pairs.Pair
) -> None:
    before = host.check_output(f"sha256sum {CERTS}/*")
    printed = run(name, code=2, pair=pairs.Pair(first.certificate, second.key))
    assert "AH058: the certificate of the inventory can't be served: the key is not" in printed
    assert host.check_output(f"sha256sum {CERTS}/*") == before


def test_a_number_that_yaml_has_changed_is_refused_and_not_written(name: str, host: Any) -> None:
    # As 'AGNES_TAG: 1.10' comes out of an inventory.
    given = {"agnes_compose_env": {"DOMAIN": "agnes.test", "AGNES_TAG": 1.10}}
    printed = run(name, code=2, pair=NONE, **given)
    assert "AH153: YAML reads AGNES_TAG in agnes_compose_env" in printed
    assert changed(printed, name) == 0
    assert not host.run(f"grep AGNES_TAG {ENV}").stdout


def test_another_caddyfile_is_seen(name: str, host: Any) -> None:
    host.check_output("mv /opt/agnes/Caddyfile /opt/agnes/Caddyfile.old")
    host.check_output("sed '$a# another' /opt/agnes/Caddyfile.old > /opt/agnes/Caddyfile")
    seen = "docker exec agnes-caddy-1 tail -n 1 /etc/caddy/Caddyfile"
    assert host.check_output(seen) != "# another"
    # The run puts the image's file back, by another rename.
    since = started(host)
    run(name, "--check", pair=NONE)
    announced = actions(name, check=True)
    run(name, pair=NONE)
    assert actions(name) == announced
    assert started(host) != since
    assert (
        host.check_output("docker exec agnes-caddy-1 sha256sum /etc/caddy/Caddyfile").split()[0]
        == (host.check_output("sha256sum /opt/agnes/Caddyfile").split()[0])
    )
    assert changed(run(name, pair=NONE), name) == 0


def test_a_new_boot_disk_takes_its_secrets_from_the_state_disk(name: str, host: Any) -> None:
    host.check_output("cd /opt/agnes && docker compose --profile '*' down")
    host.check_output("mv /opt/agnes /opt/agnes.lost")
    host.check_output(
        "echo jwt-of-this-state > /data-state/.jwt_secret; echo k_-e-y= > /data-state/agnes-vault.key"
    )
    printed = run(name, "--check", pair=NONE)
    assert "take JWT_SECRET_KEY, AGNES_VAULT_KEY into .env from the files in STATE_DIR" in printed
    assert (
        "make SESSION_SECRET, SCHEDULER_API_TOKEN (the ones that this state was used with"
        in printed
    )
    assert "jwt-of-this-state" not in printed
    # Characters that only some readers of .env would read differently come through as they are.
    secrets = {"agnes_compose_secrets": {"DATABASE_URL": DATABASE_URL}}
    printed = run(name, pair=NONE, **secrets)
    assert "jwt-of-this-state" not in printed
    assert DATABASE_URL not in printed
    assert host.check_output(f"grep -c '^JWT_SECRET_KEY=jwt-of-this-state$' {ENV}") == "1"
    assert host.check_output(f"grep -c '^AGNES_VAULT_KEY=k_-e-y=$' {ENV}") == "1"
    inspected = json.loads(host.check_output("docker inspect agnes-app-1"))[0]["Config"]["Env"]
    assert "JWT_SECRET_KEY=jwt-of-this-state" in inspected
    assert f"DATABASE_URL={DATABASE_URL}" in inspected
    assert changed(run(name, pair=NONE, **secrets), name) == 0


def test_profile_tls_without_a_certificate_is_refused_before_anything(name: str, host: Any) -> None:
    host.check_output(f"mv {CERTS} {CERTS}.away")
    try:
        printed = run(name, code=2, pair=NONE)
        assert "AH057: profile tls starts Caddy, which needs a certificate" in printed
        assert changed(printed, name) == 0
        # Without the profile none is needed, and no empty directory is made.
        run(name, pair=NONE, agnes_compose_profiles=[])
        assert not host.file(CERTS).exists
    finally:
        host.check_output(f"mv {CERTS}.away {CERTS}")
