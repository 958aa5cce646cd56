# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/audit.yml: nothing on a healthy host, and exactly the traps that were planted on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pairs
import pytest
import records
from play import play

PLAYBOOK = records.ROOT / "playbooks" / "audit.yml"
OWN = ("AH221", "the filesystem at '/'")
"""How full the machine is on which the lab runs is no matter of the host."""
METRICS = "/srv/metrics"
ENV = "/opt/agnes/.env"


COUNTING = """#!/bin/sh
echo "$PPID $*" >> /run/docker-calls
exec /usr/bin/docker "$@"
"""
"""A docker command that notes who called it with what."""
MOST_QUESTIONS = 14
"""What an observation asks Docker and Compose on a host that is right, one after the other."""


@pytest.fixture
def questions(host: Any) -> Iterator[Callable[[], list[str]]]:
    """The calls of docker that one process has made since, of the one that has asked for the engine."""
    host.check_output("printf %%s %s > /usr/local/sbin/docker", COUNTING)
    host.check_output("chmod 755 /usr/local/sbin/docker")

    def asked() -> list[str]:
        lines = [
            line.partition(" ")
            for line in host.file("/run/docker-calls").content_string.splitlines()
        ]
        (observing,) = {pid for pid, _space, call in lines if call.startswith("info ")}
        return [call for pid, _space, call in lines if pid == observing]

    yield asked
    host.check_output("rm -f /usr/local/sbin/docker /run/docker-calls")


class Audit:
    """One run of the playbook."""

    def __init__(self, label: str, hosts: Any, folder: Path, *arguments: str) -> None:
        report = folder / f"{label}.json"
        done = play(label, hosts, *arguments, "-e", f"audit_report={report}", playbook=PLAYBOOK)
        self.code, self.output = done.returncode, done.stdout + done.stderr
        assert report.exists(), self.output
        self.report = json.loads(report.read_text())
        self.records = records.read(label, "audit")
        self.changed = [r["task"] for r in self.records if r["changed"]]

    def findings(self, name: str) -> list[str]:
        """The code and the beginning of each finding."""
        return [
            f"{each['code']} {each['level']}: {each['sentence']}"
            for each in self.report["hosts"][name]["findings"]
            if not (each["code"] == OWN[0] and OWN[1] in each["sentence"])
        ]


def test_a_healthy_host_has_no_finding_and_one_that_is_away_has_one(
    name: str, facts: dict[str, Any], tmp_path: Path
) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {name: facts, "agnes-away": away}
    audit = Audit(f"{name}-audit", hosts, tmp_path)
    assert audit.findings(name) == [], audit.output
    (said,) = audit.findings("agnes-away")
    assert re.match(r"AH210 error: the host was not reached \(.*Connection refused\), so", said), (
        said
    )
    assert audit.code == 2
    assert audit.changed == []
    assert re.search(rf'"{name} +well +no finding, layout flat"', audit.output), audit.output
    # One call for the look; what is written is on the controller.
    calls = records.calls(audit.records, name)
    assert [each for each in calls if "copy" not in each] == ["agnes.host.observe"]


def test_a_healthy_host_is_no_error_in_a_check_run_either(
    name: str, facts: dict[str, Any], tmp_path: Path, questions: Callable[[], list[str]]
) -> None:
    arguments = ("--check", "-e", "audit_fail_on=warning", "-e", f"audit_textfile={METRICS}")
    audit = Audit(f"{name}-audit-check", {name: facts}, tmp_path, *arguments)
    assert (audit.code, audit.findings(name)) == (0, []), audit.output
    assert 0 < len(questions()) <= MOST_QUESTIONS, questions()


PLANTED = f"""
set -eu
chown 0:0 /data/uploads
cp -a {ENV} /srv/env
sed -i /^AGNES_TLS_FULLCHAIN_PATH=/d {ENV}
echo stale >> /opt/agnes/static/maintenance.html
docker stop agnes-ws-gateway-1
docker volume create --opt type=none --opt o=bind --opt device=/srv/metrics agnes_data
fallocate --length 13G /data/tmp/big
mkdir -p /data/.agnes-host-aside && echo old > /data/.agnes-host-aside/old
touch /data-state/system.duckdb.wal.discarded.1
echo 'find /data/state -name "*.wal.discarded.*"' > /usr/local/bin/agnes-watchdog.sh
echo '0 3 * * * root tar czf /srv/backup.tgz /data/state' > /etc/cron.d/backup
cp -a /etc/fstab /srv/fstab
cp /etc/fstab /tmp/fstab && grep -v /data-state /tmp/fstab > /etc/fstab
chown 0:0 /data-state/system.duckdb
useradd --uid 999 --no-create-home mallory
mount --bind / /mnt
lsattr -d /mnt/data > /srv/flags || true
chattr -i /mnt/data || true
echo lost > /mnt/data/lost
umount /mnt
"""
UNDONE = f"""
mount --bind / /mnt
rm -f /mnt/data/lost
cut -c 1-20 /srv/flags | grep -q i && chattr +i /mnt/data
umount /mnt
userdel mallory
chown 999:999 /data-state/system.duckdb
cp -a /srv/fstab /etc/fstab
rm -f /etc/cron.d/backup
rm -f /usr/local/bin/agnes-watchdog.sh /data-state/system.duckdb.wal.discarded.1 /data/tmp/big
rm -rf /data/.agnes-host-aside
docker volume rm agnes_data
docker start agnes-ws-gateway-1
sed -i '/^stale$/d' /opt/agnes/static/maintenance.html
mv /srv/env {ENV}
chown 999:999 /data/uploads
"""
FINDINGS = (
    r"AH218 error: service ws-gateway is not as it must be \(it is not running\); run site\.yml",
    r"AH214 error: the state disk is mounted at /data-state now, and .*: /etc/fstab has no line for it; .*",
    r"AH224 error: '/data-state/system\.duckdb' belongs to uid 0, and the product, which is uid 999, .*",
    r"AH229 error: the product has discarded .*: system\.duckdb\.wal\.discarded\.1 in /data-state; .*",
    r"AH215 warning: '/data/uploads' is not .* \(found owner 0:0, wanted owner 999:999\); run site\.yml",
    r"AH216 warning: '/opt/agnes/\.env' is not .* \(found \(none\), wanted "
    r"AGNES_TLS_FULLCHAIN_PATH=/data-state/certs/fullchain\.pem\); .*",
    r"AH217 warning: '/opt/agnes/static/maintenance\.html' is not what today's compose files .*",
    r"AH221 warning: \d\d % of the filesystem at '/data' is in use .*",
    r"AH223 warning: volume 'agnes_data' is left over \(it binds /srv/metrics, .*",
    r"AH225 warning: the product's watchdog \(/usr/local/bin/agnes-watchdog\.sh\) searches /data/state.*",
    r"AH225 warning: line 1 of /etc/cron\.d/backup copies /data/state, which is a link, .*",
    r"AH222 note: set aside by a run: /data/\.agnes-host-aside/old \(1 files, 4 bytes.*",
    r"AH226 note: uid 999 is account 'mallory' on this host, .*",
    r"AH228 note: the mount at '/data' shadows files, .*",
)


@pytest.fixture(scope="module")
def planted(
    name: str, facts: dict[str, Any], host: Any, tmp_path_factory: pytest.TempPathFactory
) -> Audit:
    """What an audit says of a host with many traps at once, which are then taken away."""
    folder = tmp_path_factory.mktemp("audit")
    arguments = ("-e", f"audit_textfile={METRICS}", "-e", "audit_fail_on=never")
    host.check_output(f"mkdir -p {METRICS}")
    try:
        host.check_output(PLANTED)
        return Audit(f"{name}-planted", {name: facts}, folder, *arguments)
    finally:
        host.run(UNDONE)


def test_each_trap_that_is_planted_is_that_finding_and_there_is_no_other(
    name: str, planted: Audit
) -> None:
    findings = planted.findings(name)
    for wanted in FINDINGS:
        assert [each for each in findings if re.fullmatch(wanted, each)], (wanted, findings)
    assert len(findings) == len(FINDINGS), findings
    assert planted.code == 0


def test_the_host_s_metrics_are_the_one_thing_that_is_written_there(
    host: Any, planted: Audit
) -> None:
    assert planted.changed == ["Metrics | Put them in their place"]
    assert host.check_output(f"ls -A {METRICS}") == "agnes_host.prom"
    text = host.check_output(f"cat {METRICS}/agnes_host.prom")
    assert 'agnes_host_audit_findings{level="error"} 4' in text
    assert 'agnes_host_audit_finding{code="AH229",level="error"} 1' in text
    assert 'agnes_host_layout_info{layout="flat"} 1' in text
    ends = re.search(r"^agnes_host_certificate_end_time_seconds (\d+)$", text, re.M)
    assert ends
    pem = "/data-state/certs/fullchain.pem"
    until = host.check_output(
        f'date -d "$(openssl x509 -in {pem} -noout -enddate | cut -d= -f2)" +%s'
    )
    assert abs(int(ends[1]) - int(until)) <= 30


def test_a_certificate_near_its_end_and_a_state_dir_that_is_gone_are_found(
    name: str, facts: dict[str, Any], host: Any, tmp_path: Path
) -> None:
    """The certificate twice, because Caddy serves the old one; STATE_DIR as the refusal of a run."""
    certs = "/data-state/certs"
    host.check_output(f"cp -a {certs} /srv/certs && cp -a {ENV} /srv/env")
    pair = pairs.make(tmp_path, days=5)
    unmanaged = {"state_layout_tls_fullchain": "", "state_layout_tls_privkey": ""}
    try:
        for path, text in (("fullchain.pem", pair.certificate), ("privkey.pem", pair.key)):
            host.check_output(f"cat > {certs}/{path} <<'END'\n{text}END")
        audit = Audit(f"{name}-audit-late", {name: {**facts, **unmanaged}}, tmp_path)
        late, served = audit.findings(name)
        assert late.startswith("AH220 error: the certificate in /data-state/certs ends in "), late
        assert served.startswith("AH219 warning: Caddy does not serve the certificate"), served
        assert audit.code == 2
        host.check_output(f"sed -i /^STATE_DIR=/d {ENV}")
        audit = Audit(f"{name}-audit-env", {name: {**facts, **unmanaged}}, tmp_path)
        (finding,) = audit.findings(name)
        assert finding.startswith(f"AH004 error: {ENV} puts state at '/data/state', but there")
    finally:
        host.run(f"rm -r {certs} && mv /srv/certs {certs}; mv /srv/env {ENV}")
