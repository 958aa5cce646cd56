# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of rollouts as playbooks/rollout.yml keeps them, made up: for tests of the report and its picture in docs/."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

BEGIN = datetime(2026, 11, 28, 21, 0, tzinfo=timezone.utc)
DEPLOYMENTS = ("acme", "globex", "hooli", "initech")

REFUSED = (
    "AH022: refusing to format '/dev/sdb' for /data: it is not proved blank, found ext4 labelled 'old'; attach a blank "
    "disk, or give the consent for this disk"
)
SHADOWED = (
    "AH089: the mount at '/data/state' shadows another copy of the state, with system.duckdb of 2026-11-02, and which one "
    "counts can't be told; see what both hold, and name the one that counts"
)
FAILED = (
    "agnes.host.agnes_compose : Deploy | Start the stack and prove its disks: AH145: services do not stay up: app is "
    "restarting (exit code 1); its log ends with: INFO opening /data-state/system.duckdb | ERROR: connection to queue "
    "refused | Traceback: ConnectionRefusedError; see 'docker compose logs' in /opt/agnes, correct the cause, and run again"
)
GONE_BACK = (
    "agnes.host.state_layout : Move | Move the state, and wait for its end: AH069: the move to layout flat stopped at "
    "step 'start' (service 'app' is unhealthy) and went back: state is at '/data/state' as before, and the services that "
    "ran before run again; correct the cause, then run again"
)
LOST = "Failed to connect to the host via ssh: connect to host 10.20.4.17 port 22: Connection timed out"
HALT = (
    "AH207: hosts have failed or can't be reached ({count}: {hosts}), and rollout_max_failures allows 2, so no further "
    "wave begins; correct the cause, or leave them out with --limit, and run again"
)


def _time(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def host(name: str, deployment: str = "acme", outcome: str = "done", **more: Any) -> dict[str, Any]:
    """One host that has moved, but for what ``more`` says."""
    return {
        "name": name, "deployment": deployment, "stage": "wave", "does": ["move"],
        "planned": "flat: move state from layout nested (12 steps; downtime: that of 'docker compose down' and 'up', and "
        "less than a second more), and 3 changes: /opt/agnes/.env, docker-compose.override.yml, overlay",
        "source": "nested", "target": "flat", "wave": "", "began": "", "ended": "", "outcome": outcome, "code": "",
        "message": "", "downtime": None, "bytes": None, "changes": 3, "back": False, "proofs": [], "log": [],
        "downtime_expected": "that of 'docker compose down' and 'up', and less than a second more",
        "changed": [
            {"what": "STATE_DIR", "before": "/data/state", "after": "/data-state"},
            {"what": "/etc/fstab", "before": "UUID=6a0c… /data/state", "after": "UUID=6a0c… /data-state"},
            {"what": "service app", "before": "running", "after": "to recreate"},
        ],
        **more,
    }  # fmt: skip


PROOFS = [
    "STATE_DIR is on the state disk, as seen in app, extract, scheduler and ws-gateway",
    "row 4711 was committed through the app and read back",
]


def few() -> dict[str, Any]:
    """Three hosts in two deployments: one done, one that was right, one refused."""
    return {
        "format": 1, "at": _time(94), "began": _time(0), "ended": True, "halt": "", "failures": 0, "max_failures": 0,
        "controller": "ops@deploy-1", "check": False, "counts": {"done": 1, "nothing": 1, "refused": 1},
        "waves": [
            {"name": "canary of acme", "kind": "canary", "hosts": ["acme-2"], "began": _time(12), "ended": _time(58)},
            {"name": "wave 1 of 1", "kind": "wave", "hosts": ["acme-1"], "began": _time(58), "ended": _time(90)},
        ],
        "hosts": [
            host("acme-1", outcome="nothing", wave="wave 1 of 1", began=_time(58), ended=_time(90), does=["nothing"],
                 source="flat", planned="flat: nothing to change", changes=0, changed=[], downtime_expected="",
                 proofs=PROOFS),
            host("acme-2", stage="canary", wave="canary of acme", began=_time(12), ended=_time(58), downtime=3.4,
                 proofs=PROOFS),
            host("globex-1", "globex", "refused", stage="refused", does=["refuse"], code="AH022", message=REFUSED,
                 planned=REFUSED, source="", changes=0, changed=[], downtime_expected=""),
        ],
    }  # fmt: skip


def many(number: int = 100) -> dict[str, Any]:
    """A fleet in four deployments; the third wave goes wrong and the rest is untouched."""
    names = [
        (f"{DEPLOYMENTS[i % 4]}-{i // 4 + 1:03}.example.org", DEPLOYMENTS[i % 4])
        for i in range(number)
    ]
    hosts = {name: host(name, deployment, "untouched") for name, deployment in names}
    refused = [names[i][0] for i in range(9, number, 24)]
    undecided = [names[i][0] for i in range(14, number, 40)]
    for place, name in enumerate(refused):
        text = SHADOWED if place % 2 else REFUSED
        hosts[name].update(
            outcome="refused", stage="refused", does=["refuse"], code=text[:5], message=text, planned=text,
            changes=0, changed=[], downtime_expected="",
        )  # fmt: skip
    for name in undecided:
        hosts[name].update(
            outcome="nothing", stage="undecided", does=["nothing"], planned="no layout: nothing to change", source="flat",
            target="", changes=0, changed=[], downtime_expected="",
        )  # fmt: skip
    able = [name for name, _deployment in names if name not in {*refused, *undecided}]
    canaries = [
        next(n for n in able if hosts[n]["deployment"] == deployment) for deployment in DEPLOYMENTS
    ]
    rest = [name for name in able if name not in canaries]
    size = max(1, len(rest) // 4)
    groups = [(f"canary of {hosts[name]['deployment']}", "canary", [name]) for name in canaries]
    groups.append(("soak of 600 s", "soak", canaries))
    parts = [rest[:1], *(rest[i : i + size] for i in range(1, len(rest), size))]
    groups += [
        (f"wave {place} of {len(parts)}", "wave", part) for place, part in enumerate(parts, start=1)
    ]
    waves, bad, clock, halted = [], [], 40.0, False
    for title, kind, members in groups:
        wave = {"name": title, "kind": kind, "hosts": members, "began": "", "ended": ""}
        waves.append(wave)
        if kind != "soak":
            for name in members:
                hosts[name]["wave"] = title
        if halted:
            continue
        wave["began"] = _time(clock)
        took = 600.0 if kind == "soak" else 0.0
        for place, name in enumerate(members if kind != "soak" else []):
            own = 45 + 7.0 * ((place * 13) % 11)
            took = max(took, own)
            copies = hosts[name]["deployment"] == "initech"
            hosts[name].update(
                stage=kind, began=_time(clock), ended=_time(clock + own), outcome="done", proofs=PROOFS,
                downtime=round(2.1 + (place * 7 % 9) * 0.6 + (11.5 if copies else 0), 1),
                bytes=(3 + place % 5) << 30 if copies else None, does=["copy" if copies else "move"],
            )  # fmt: skip
            if place % 6 == 5:
                hosts[name].update(
                    outcome="nothing", does=["nothing"], source="flat", downtime=None, bytes=None, changes=0, changed=[],
                    planned="flat: nothing to change", downtime_expected="",
                )  # fmt: skip
        if title.startswith("wave 3"):
            halted = True
            troubles = (("failed", FAILED), ("failed", GONE_BACK), ("lost", LOST))
            for name, (outcome, text) in zip(members, troubles):
                bad.append(name)
                hosts[name].update(outcome=outcome, message=text, proofs=[], downtime=None)
                if outcome == "lost":
                    hosts[name]["ended"] = ""
        clock += took
        wave["ended"] = _time(clock)
    return {
        "format": 1, "at": _time(clock + 6), "began": _time(0), "ended": True, "failures": len(bad),
        "halt": HALT.format(count=len(bad), hosts=", ".join(bad)),
        "max_failures": 2, "controller": "ops@deploy-1.example.org", "check": False, "counts": {}, "waves": waves,
        "hosts": list(hosts.values()),
    }  # fmt: skip
