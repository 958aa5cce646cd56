# SPDX-License-Identifier: GPL-3.0-or-later
"""A script that writes .env at each boot; it has run at the restart before these checks."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import records
from play import play

FILES = Path(__file__).resolve().parent.parent / "files"
NAIVE, CHANGED = FILES / "agnes-startup.sh", FILES / "agnes-startup-changed.sh"
SCRIPT = "/usr/local/sbin/agnes-startup.sh"
WRITING_LINE = 'cat > "$APP_DIR/.env" <<ENV'
OTHERS = {
    "/usr/lib/systemd/system/agnes-fetch.service": (
        "[Service]\nExecStart=/usr/bin/install -m 600 /usr/share/agnes.env /opt/agnes/.env\n"
    ),
    "/etc/cron.d/agnes-fetch": (
        "# at boot\n@reboot root curl -fsS https://agnes.test/env -o /opt/agnes/.env\n"
    ),
}
"""What else writes the file at a boot, by other means and in other places: path -> text."""


def put(script: Path, name: str) -> None:
    """Make ``script`` the one that runs at boot."""
    subprocess.run(["docker", "cp", str(script), f"{name}:{SCRIPT}"], check=True)


def restart(name: str, host: Any) -> None:
    """Restart the host and wait for its app."""
    subprocess.run(["docker", "restart", "--time", "60", name], check=True, capture_output=True)
    health = "docker inspect --format '{{.State.Health.Status}}' agnes-app-1"
    deadline = time.monotonic() + 120
    while host.run(health).stdout.strip() != "healthy":
        assert time.monotonic() < deadline, "the app is not healthy after the restart"
        time.sleep(1)


def refusals(run: str) -> list[str]:
    """The messages of what failed in a run of site.yml."""
    return [item["msg"] for item in records.read(run, "site") if item["status"] == "failed"]


def env(host: Any) -> list[str]:
    text: str = host.file("/opt/agnes/.env").content_string
    return [line for line in text.splitlines() if line]


def test_the_changed_script_is_what_the_docs_show() -> None:
    docs = (records.ROOT / "docs" / "boot-script.md").read_text("utf-8")
    lines = [line for line in CHANGED.read_text("utf-8").splitlines() if "$keep" in line]
    lines += [line for line in CHANGED.read_text("utf-8").splitlines() if "keep=$(" in line]
    assert len(lines) == 2
    for line in lines:
        assert line in docs


def test_the_script_ran_at_boot_and_the_keys_of_the_layout_are_there_once(host: Any) -> None:
    log = host.file("/var/log/agnes-startup.log").content_string
    assert log.count("wrote /opt/agnes/.env") == 2, log
    lines = env(host)
    assert lines.count("STATE_DIR=/data-state") == 1
    assert len([line for line in lines if line.startswith("COMPOSE_FILE=")]) == 1
    assert "SESSION_SECRET=session-of-the-script-0123456789abcdef01" in lines


def test_unless_it_is_said_to_be_handled_flat_is_refused_and_the_lines_are_named(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    put(NAIVE, name)
    for path, text in OTHERS.items():
        host.check_output("mkdir -p $(dirname %s) && printf %%s %s > %s", path, text, path)
    before = host.check_output("lab-snapshot")
    unsaid = {key: value for key, value in facts.items() if key != "state_layout_boot_script"}
    done = play("boot_script-unsaid", {name: unsaid})
    number = NAIVE.read_text("utf-8").splitlines().index(WRITING_LINE) + 1
    assert done.returncode != 0
    assert refusals("boot_script-unsaid") == [
        f"AH009: layout flat would be lost at the next boot, because /opt/agnes/.env is written anew "
        f"without STATE_DIR, AGNES_TLS_FULLCHAIN_PATH by {SCRIPT} (line {number}) and "
        "/usr/lib/systemd/system/agnes-fetch.service (line 2) and /etc/cron.d/agnes-fetch (line 2); change that as "
        "docs/boot-script.md shows, then set state_layout_boot_script: handled"
    ], done.stdout + done.stderr
    now = json.loads(host.check_output("lab-snapshot"))
    for part in ("files", "containers", "mounts"):
        assert now[part] == json.loads(before)[part]
    host.check_output(f"rm {' '.join(OTHERS)}")


def test_a_script_that_was_not_changed_is_met_after_the_next_boot_and_state_is_not_moved(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    put(NAIVE, name)
    restart(name, host)
    assert "STATE_DIR=/data-state" not in env(host)
    done = play("boot_script-after", {name: facts})
    assert done.returncode != 0
    assert refusals("boot_script-after") == [
        "AH004: /opt/agnes/.env puts state at '/data/state', but there is none; state was found at "
        "'/data-state': set STATE_DIR=/data-state again if that is this host's state, and find out "
        "what rewrote the file"
    ], done.stdout + done.stderr
    assert host.file("/data-state/system.duckdb").is_file
    assert host.check_output("readlink /data/state") == "/data-state"


def wait_for(host: Any, question: str) -> None:
    """Until a shell's answer on the host is yes."""
    done = host.run(f"timeout 120 sh -c 'until {question}; do sleep 0.5; done'")
    assert done.rc == 0, host.check_output("journalctl --no-pager --unit agnes-host-env")


def put_right(host: Any) -> int:
    """How often the host has put .env right so far."""
    journal = host.check_output("journalctl --no-pager --output cat --unit agnes-host-env")
    return int(journal.count("they are put back"))


def test_a_host_that_keeps_env_stays_flat_with_the_script_as_it_is(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    # As AH004 has said.
    host.check_output("echo STATE_DIR=/data-state >> /opt/agnes/.env")
    keeps = {key: value for key, value in facts.items() if key != "state_layout_boot_script"}
    keeps["agnes_compose_keep_env"] = True
    done = play("boot_script-keeps", {name: keeps})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agnes-host-env puts the keys of the layout back" in " ".join(done.stdout.split())
    before_boots = put_right(host)
    state = host.check_output("stat -c %d /data-state")
    for boot in (1, 2, 3):
        restart(name, host)
        wait_for(host, "grep -q ^STATE_DIR=/data-state /opt/agnes/.env")
        wait_for(host, "systemctl show -p ActiveState --value agnes-host-env | grep -qx inactive")
        lines = env(host)
        assert len([line for line in lines if line.startswith("COMPOSE_FILE=")]) == 1
        assert "AGNES_TLS_FULLCHAIN_PATH=/data-state/certs/fullchain.pem" in lines
        assert "SESSION_SECRET=session-of-the-script-0123456789abcdef01" in lines
        assert put_right(host) == before_boots + boot
        assert host.check_output("docker exec agnes-app-1 stat -c %d /data-state") == state
    # Written while the host runs.
    before = host.check_output("docker ps --quiet --no-trunc")
    host.check_output(SCRIPT)
    wait_for(host, "grep -q ^STATE_DIR=/data-state /opt/agnes/.env")
    wait_for(host, "systemctl show -p ActiveState --value agnes-host-env | grep -qx inactive")
    assert put_right(host) == before_boots + 4
    assert host.check_output("docker ps --quiet --no-trunc") == before
    done = play("boot_script-kept", {name: keeps})
    assert done.returncode == 0, done.stdout + done.stderr
    assert records.actions(records.read("boot_script-kept", "site"), name) == set()
