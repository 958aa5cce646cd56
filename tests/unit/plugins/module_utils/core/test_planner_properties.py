# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner over generated hosts: what it may never do, whatever a host looks like.

A host is one of the usual ones with a few things changed that go wrong in the field.
A plan is carried out in the smallest words, and the host is planned again.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.disks.devices import (
    consented,
    identity_of,
    not_blank_because,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.choice import (
    current_layout,
    holding,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import (
    LAYOUTS,
    state_dirs,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import remaining

from .hosts import (
    STATE,
    blank_disk_host,
    device,
    env,
    ext4,
    flat_host,
    host,
    inside,
    mount,
    nested_host,
    one_disk_host,
    place,
    volume,
)
from .moving import applied, leftover, move_facts_of, moving_of, unmounted, with_facts

CONSENT = {"device": "/dev/sdc", "identity": "serial:S1", "found": "xfs labelled 'old'"}
FOREIGN = {"signatures": ["xfs labelled 'old'"], "zeros": False,
           "filesystem": {"type": "xfs", "uuid": "u-old", "label": "old"}}  # fmt: skip


def _replaced(observed: Any, path: str, **differs: Any) -> None:
    for item in observed["devices"]:
        if item["path"] == path:
            item.update(differs)


def _state_disk_gone(observed: Any) -> None:
    observed["devices"] = [item for item in observed["devices"] if item["path"] != "/dev/sdc"]
    observed["asked"]["state"].update(problem="does not exist", maj_min="")


def _unmounted(observed: Any) -> None:
    observed["mounts"] = [m for m in observed["mounts"] if m["target"] not in state_dirs()]
    for state_place in observed["state"].values():
        state_place.update(mounted=False)


def _state_dir(observed: Any, path: str) -> None:
    observed["env"] = env(**{**observed["env"]["values"], "STATE_DIR": path})


def _shadowed(observed: Any, entry: dict[str, Any]) -> None:
    for there in observed["moving"]["unmounted"].values():
        if there["kind"] == "directory":
            there["entries"].append(entry)


# Each changes one thing; what hangs on it in a real host is not made to fit.
CHANGES: dict[str, Any] = {
    "a foreign signature": lambda o: _replaced(o, "/dev/sdc", serial="S1", **FOREIGN),
    "not zero": lambda o: _replaced(o, "/dev/sdc", zeros=False),
    "a partition": lambda o: _replaced(o, "/dev/sdc", partitions=["sdc1"]),
    "a holder": lambda o: _replaced(o, "/dev/sdc", holders=["dm-0"]),
    "in use": lambda o: _replaced(o, "/dev/sdc", exclusive=False),
    "read-only": lambda o: _replaced(o, "/dev/sdc", read_only=True),
    "small": lambda o: _replaced(o, "/dev/sdc", size=1 << 20),
    "a clone": lambda o: o["devices"].append(ext4("/dev/sdd", "u-state")),
    "another blank disk": lambda o: o["devices"].append(device("/dev/sdd")),
    "the state disk is gone": _state_disk_gone,
    "no state disk is asked for": lambda o: o["asked"]["state"].update(device="", maj_min=""),
    "one disk for both": lambda o: o["asked"]["state"].update(maj_min="8:16"),
    "nothing mounted for state": _unmounted,
    "STATE_DIR of flat": lambda o: _state_dir(o, "/data-state"),
    "STATE_DIR of nested": lambda o: _state_dir(o, ""),
    "STATE_DIR elsewhere": lambda o: _state_dir(o, "/srv/state"),
    "no .env": lambda o: o.update(env={**env(), "exists": False}),
    "state at both places": lambda o: o["state"].update(
        {p: place(names=STATE) for p in state_dirs()}),
    "a link elsewhere": lambda o: o["state"].update({"/data/state": place("link", target="/srv")}),
    "shadowed state": lambda o: _shadowed(o, leftover("system.duckdb", size=4096)),
    "a shadowed tick": lambda o: _shadowed(o, leftover("agnes-state-applier.tick", size=9)),
    "a foreign fstab line": lambda o: o["fstab"].append(
        {"line": 3, "spec": "LABEL=x", "mount_point": "/data-state", "tag": None, "maj_min": ""}),
    "known by the record": lambda o: o["record"]["disks"].update(
        state={"uuid": "u-state", "phase": "formatted"}),
    "formatting was cut short": lambda o: o["record"]["disks"].update(
        state={"uuid": "u-cut", "phase": "formatting", "size": 16 << 30, "boot_id": "boot-1",
               "maj_min": "8:32", "identity": "none"}),
    "an old volume": lambda o: o["elsewhere"].append(volume()),
    "a volume that containers use": lambda o: o["elsewhere"].append(volume(used_by=["agnes-app-1 (running)"])),
    "a volume that could not be looked at": lambda o: o["elsewhere"].append(volume(proof=[], unknown="x")),
    "a probe failed": lambda o: _replaced(o, "/dev/sdc", probed="it hangs"),
    "the state disk says that it is data's": lambda o: o["inside"].update(
        {"8:32": inside("extracts", "uploads")}),
    "the data disk has the marker": lambda o: o["inside"].update(
        {"8:16": inside("system.duckdb", marker={"role": "active"})}),
    "a link in the way": lambda o: o["point_trouble"].update({"/data": "'/data' is a link to '/mnt'"}),
    "another backend": lambda o: o["moving"].update(backend="side_car"),
    "a foreign container": lambda o: o["moving"].update(others=["other-1"]),
    "retired": lambda o: with_facts(o, roles={"/data/state": "retired"}),
}  # fmt: skip
BASES = (host, nested_host, flat_host, one_disk_host, blank_disk_host)
REQUESTS = st.fixed_dictionaries(
    {
        "layout": st.sampled_from(["", *LAYOUTS, *LAYOUTS]),
        "wanted": st.sampled_from(["", "", "", "undecided", *LAYOUTS]),
        "override": st.booleans(),
        "state_on": st.sampled_from(["", "", "disk", "directory"]),
        "format": st.sampled_from([[], [CONSENT], [{**CONSENT, "found": "ext4"}]]),
        "adopt": st.sampled_from([[], ["u-old"], ["u-state"]]),
        "min_gib": st.just({"data": 1, "state": 1}),
    }
)


@st.composite
def hosts(draw: st.DrawFn) -> Any:
    """A usual host with up to four things changed."""
    observed = draw(st.sampled_from(BASES))()
    for name in draw(st.lists(st.sampled_from([*CHANGES]), max_size=4, unique=True)):
        CHANGES[name](observed)
    return observed


def _disks(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [*plan["disks"], *([plan["move"]["disk"]] if plan.get("move") else [])]


def _carried_out_disk(observed: Any, disk: dict[str, Any]) -> None:
    if disk["action"] not in ("format", "mount"):
        return
    uuid = disk["uuid"] or f"u-new-{disk['role']}"
    if disk["action"] == "format":
        observed["record"]["disks"][disk["role"]] = {"uuid": uuid, "phase": "formatted"}
    made = ext4(disk["device"], uuid)
    observed["devices"] = [made if d["path"] == disk["device"] else d for d in observed["devices"]]
    observed["mounts"].append(mount(disk["mount_point"], disk["maj_min"], uuid))


def _carried_out_move(observed: Any, move: dict[str, Any]) -> None:
    uuid = move["uuid"] if move["uuid"] != "new" else "u-new-state"
    target = LAYOUTS[move["target"]]
    status = MoveStatus(
        LAYOUTS[move["source"]], target, uuid, move_facts_of(observed), KINDS[move["kind"]], "move-1",
        disk=move["disk"],
    )  # fmt: skip
    for step, _phase in remaining(status):
        status = applied(status, step)
    observed["moving"] = status.facts
    observed["env"] = env(**status.facts["env"])
    kept = [m for m in observed["mounts"] if m["target"] not in observed["state"]]
    at = [p for p in status.facts["points"] if p["root"] == "/"]
    observed["mounts"] = kept + [mount(p["target"], p["maj_min"], p["uuid"]) for p in at]
    if move["kind"] == "copy_back":
        known = observed["record"]["disks"]
        known["retired"] = known.pop("state", {"uuid": uuid})
    elif move["disk"]:
        made = ext4(move["disk"]["device"], uuid)
        observed["devices"] = [
            made if d["path"] == made["path"] else d for d in observed["devices"]
        ]
    observed["record"]["move"] = {"target": target.name}
    for path, there in status.facts["unmounted"].items():
        observed["state"][path] = place(there["kind"], target=there["target"])
    observed["state"][target.state_dir] = place(
        mounted=any(p["target"] == target.state_dir for p in at), names=STATE, database=True
    )


def carried_out(observed: Any, plan: dict[str, Any]) -> Any:
    """The host after the plan; the stack has been started, so there is state."""
    after, layout = copy.deepcopy(observed), LAYOUTS[plan["layout"]]
    if plan["move"]:
        _carried_out_move(after, plan["move"])
        return after
    for disk in plan["disks"]:
        _carried_out_disk(after, disk)
    after["env"] = env(**{**after["env"]["values"], **layout.env()})
    mounted = any(m["target"] == layout.state_dir for m in after["mounts"])
    after["state"][layout.state_dir] = place(mounted=mounted, names=STATE, database=True)
    for path, target in layout.links.items():
        after["state"][path] = place("link", target=target)
    shadowed = after["moving"]["unmounted"]
    after["moving"] = {**moving_of(after), "backend": after["moving"]["backend"]}
    for path, there in after["moving"]["unmounted"].items():
        there["entries"] = shadowed.get(path, unmounted())["entries"]
    return after


@settings(max_examples=400)
@given(hosts(), REQUESTS)
def test_what_is_formatted_is_proved_blank_or_lost_by_consent(
    observed: Any, request: dict[str, Any]
) -> None:
    before = copy.deepcopy(observed)
    plan = make_plan(observed, request)
    assert observed == before, "planning changes nothing"
    assert make_plan(observed, request) == plan, "the same facts give the same plan"
    for disk in _disks(plan):
        if not disk or disk["action"] != "format":
            continue
        (chosen,) = [d for d in observed["devices"] if d["path"] == disk["device"]]
        identity, lost = identity_of(chosen, observed["devices"]), not_blank_because(chosen)
        if disk["uuid"] == "u-cut":
            assert not chosen["signatures"], "our own, begun before and cut short"
            continue
        assert disk["lost"] == lost
        assert not chosen["probed"]
        assert "/data" not in observed["point_trouble"] or disk["role"] == "state"
        assert not [each for each in observed["elsewhere"] if each["used_by"]]
        recorded = {
            role for role, said in observed["record"]["disks"].items() if said["uuid"] != "u-cut"
        }
        assert recorded or holding(observed) or not observed["elsewhere"]
        assert chosen["exclusive"] and not chosen["holders"] and not chosen["read_only"]
        assert not lost or consented(request["format"], [chosen["path"]], identity, lost)
        mounted = {m["maj_min"] for m in observed["mounts"]}
        assert chosen["maj_min"] not in mounted


@settings(max_examples=400)
@given(hosts(), REQUESTS)
def test_after_a_plan_there_is_one_active_copy_and_nothing_left_to_do(
    observed: Any, request: dict[str, Any]
) -> None:
    plan = make_plan(observed, request)
    assume(plan["layout"] is not None)
    assert plan["refusal"] == ""
    after = carried_out(observed, plan)
    again = make_plan(after, {**request, "override": True})
    assert again["refusal"] == "", plan["sentences"]
    assert again["layout"] == plan["layout"]
    assert again["move"] == {}
    assert {disk["action"] for disk in again["disks"]} <= {"adopt", "directory"}
    holding = [p for p, state_place in after["state"].items()
               if state_place["kind"] == "directory" and state_place["names"]]  # fmt: skip
    assert holding == [LAYOUTS[plan["layout"]].state_dir]
    now = current_layout(after)
    assert now and now.name == plan["layout"]


@settings(max_examples=200)
@given(hosts(), REQUESTS)
def test_a_refusal_names_its_code_and_leaves_nothing_to_be_done(
    observed: Any, request: dict[str, Any]
) -> None:
    plan = make_plan(observed, request)
    assume(plan["refusal"])
    assert plan["refusal"].startswith(f"{plan['code']}: ")
    assert plan["disks"] == [] and plan["layout"] is None and not plan.get("move")
