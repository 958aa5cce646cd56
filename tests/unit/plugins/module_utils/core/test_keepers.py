# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.keepers import (
    SCRIPTS,
    keeper_notes,
    keeper_of,
    keeper_without,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .hosts import env, flat_host, nested_host

STAND_INS = Path(__file__).resolve().parents[5] / "molecule" / "shared" / "files" / "field"
FIXED = "docker compose -f docker-compose.yml -f docker-compose.host-mount.yml up -d\n"
"""A chain of its own, whatever .env says."""

# Keeper, what its script has, and what is said of it in flat: a part of the sentence, or nothing.
TEST_FLAT: list[tuple[str, str, str]] = [
    ("upgrade", "COMPOSE_FILES=(\n docker-compose.host-mount.yml\n)\n", "ignores COMPOSE_FILE in .env"),
    ("upgrade", "COMPOSE_FILE=$(read COMPOSE_FILE)\n# docker-compose.host-mount.yml\n", ""),
    ("upgrade", ". scripts/ops/agnes-compose-file.sh\nagnes_resolve_compose_file /opt/agnes\n", ""),
    ("TLS rotation", f"CERT_DIR=$STATE_DIR/certs\n{FIXED}", "while Caddy is stopped it fails"),
    ("TLS rotation", "CERT_DIR=$STATE_DIR/certs\ndocker compose kill caddy\n", ""),
    ("state applier", f"FLAG=/data/state/db-state-target.flag\n{FIXED}", "change no backend in layout flat"),
    ("state applier", "STATE_DIR=${STATE_DIR:-/data/state}\n", ""),
    ("state applier", "# STATE_DIR is not known here\nFLAG=/data/state/x\n", "ignores STATE_DIR"),
    ("watchdog", "N=$(find /data/state -maxdepth 1 -name '*.discarded.*')\n", "a discarded WAL is not reported"),
    ("watchdog", "find '/data/state' -name x\n", "find follows no link"),
    ("watchdog", "find /data/state/ -name x\n", ""),
    ("watchdog", 'find "$STATE_DIR" -name x\n', ""),
    # Through the link they read and make what is right.
    ("backup", "cp /data/state/system.duckdb /data/backups/\n", ""),
    ("bootstrap", "ExecStart=/bin/mkdir -p /data/state\nExecStart=/bin/chown -R 999 /data/state\n", ""),
]  # fmt: skip


def only(name: str, text: str) -> dict[str, Any]:
    return {name: keeper_of(SCRIPTS[name], text)}


@pytest.mark.parametrize(("name", "text", "said"), TEST_FLAT)
def test_what_a_keeper_does_wrong_in_flat_is_a_note_and_nested_is_what_they_know(
    name: str, text: str, said: str
) -> None:
    keepers = only(name, text)
    notes = keeper_notes(keepers, LAYOUTS["flat"])
    assert bool(notes) == bool(said)
    assert all(said in note and SCRIPTS[name] in note and "\n" not in note for note in notes)
    assert keeper_notes(keepers, LAYOUTS["nested"]) == []


def test_the_stand_ins_of_the_lab_are_what_is_looked_for() -> None:
    keepers = {}
    for name, path in SCRIPTS.items():
        folder = "units" if path.endswith(".service") else "bin"
        text = (STAND_INS / folder / PurePath(path).name).read_text()
        keepers[name] = keeper_of(path, text)
    notes = keeper_notes(keepers, LAYOUTS["flat"])
    assert [note.split(" (")[0] for note in notes] == [
        "the product's TLS rotation", "the product's state applier", "the product's watchdog",
    ]  # fmt: skip
    assert keeper_notes(keepers, LAYOUTS["nested"]) == []


def test_one_that_can_not_be_read_is_not_taken_for_harmless() -> None:
    keepers = {"watchdog": keeper_without(SCRIPTS["watchdog"], "unknown")}
    (note,) = keeper_notes(keepers, LAYOUTS["flat"])
    assert "can't be read" in note
    assert keeper_notes(keepers, LAYOUTS["nested"]) == []
    assert keeper_notes({"watchdog": keeper_without("/x", "absent")}, LAYOUTS["flat"]) == []


def test_the_plan_of_a_move_warns_for_the_layout_that_it_leads_to() -> None:
    keepers = only("watchdog", "find /data/state -name x\n")
    moving = make_plan(nested_host(keepers=keepers), {"layout": "flat"})
    assert any("watchdog" in note for note in moving["notes"])
    back = make_plan(flat_host(keepers=keepers), {"layout": "nested"})
    assert back["refusal"] == ""
    assert not any("watchdog" in note for note in back["notes"])


def test_a_boot_that_writes_env_anew_is_named_where_the_layout_outlives_it() -> None:
    script = [{"path": "/etc/rc.local", "lines": [3]}]
    host = nested_host(boot_scripts=script, env=env())
    assert not any("boot" in note for note in make_plan(host, {})["notes"])
    (note,) = make_plan(host, {"given_keys": ["DOMAIN"]})["notes"]
    assert note == (
        "/etc/rc.local (line 3) rewrites .env at each boot: the keys that the inventory adds are "
        "missing until the next run"
    )
