# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan is applied as it was shown, or not at all."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.move.plan_facts import (
    changed,
    facts_of,
    hash_of,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.pre_move import (
    SHOWN,
    backup_line,
)

from .hosts import device, ext4, host, mount
from .move_refusals import FLAT, NESTED, host_with, one_disk
from .moving import intent, with_facts, with_keys
from .plan_refusals import OTHER_MOVE, apply, carried_out, file_for, with_one_service_less
from .shadows import USED, shadow

Change = Callable[[Any], object]


def _restart(host: Any) -> None:
    for number, container in enumerate(host["containers"]):
        container.update(id=f"other-{number}", pid=number, restarts=number, health="starting",
                         image="sha256:other", exit_code=number)  # fmt: skip


def _reboot_renumbers(host: Any) -> None:
    """The two disks change their names and numbers; their UUIDs tell them."""
    swap = {"8:16": "8:32", "8:32": "8:16"}
    host["boot_id"] = "boot-2"
    for item in [*host["devices"], *host["mounts"], *host["asked"].values()]:
        item["maj_min"] = swap.get(item["maj_min"], item["maj_min"])
    for item, name in zip(host["devices"], ("sdc", "sdb")):
        item.update(path=f"/dev/{name}", kernel_name=name)


def _unrelated(host: Any) -> None:
    host["devices"].append(
        device("/dev/loop7", maj_min="7:7", kind="loop", signatures=["squashfs"])
    )
    host["mounts"].append(mount("/snap/core/7", "7:7"))


VOLATILE: dict[str, Change] = {
    "containers restart": _restart,
    "restarting for a moment": lambda h: h["containers"][0].update(status="restarting"),
    "another way to have ended": lambda h: h["containers"][1].update(status="dead"),
    "state grows": lambda h: h["moving"].update(used=999 << 20, files=77),
    "disks grow": lambda h: [d.update(size=d["size"] * 2) for d in h["devices"]],
    "opened for a moment": lambda h: h["devices"][0].update(exclusive=False),
    "a shadowed tick": lambda h: h["moving"]["unmounted"].update({"/data/state": {}}),
    "disks are numbered anew": _reboot_renumbers,
    "a disk and a mount of somebody else": _unrelated,
    "timers": lambda h: h["moving"].update(open_units=["agnes-watchdog.timer"], held_units=[]),
    "another value of a key that says nothing of places": lambda h: h["env"]["values"].update(AGNES_TAG="2"),
    "what is recorded of other things": lambda h: h["record"].update(spent=["x"]),
}  # fmt: skip

MEANINGFUL: dict[str, tuple[str, Change]] = {
    "STATE_DIR": ("layout", lambda h: h["env"]["values"].update(STATE_DIR="/elsewhere")),
    "a move since": ("layout", lambda h: with_facts(h, moved="move-7")),
    "backend": ("layout", lambda h: h["moving"].update(backend="side_car")),
    "DATA_DIR": ("env", lambda h: h["env"]["values"].update(DATA_DIR="/srv")),
    "COMPOSE_FILE": ("env", lambda h: h["env"]["values"].update(COMPOSE_FILE="b.yml")),
    "certificate": ("env", lambda h: h["env"]["values"].update(AGNES_TLS_FULLCHAIN_PATH="/x")),
    "a key more": ("env", lambda h: h["env"]["keys"].append("NEW_SECRET")),
    "a key less": ("env", lambda h: h["env"]["keys"].pop()),
    "another UUID": ("devices", lambda h: h["devices"][1]["filesystem"].update(uuid="u-other")),
    "a serial": ("devices", lambda h: h["devices"][1].update(serial="S9")),
    "a signature more": ("devices", lambda h: h["devices"][1]["signatures"].append("LVM2_member")),
    "read-only": ("devices", lambda h: h["devices"][1].update(read_only=True)),
    "a disk gone": ("devices", lambda h: h["devices"].pop(1)),
    "a second disk with the UUID": ("devices", lambda h: h["devices"].append(ext4("/dev/sdd", "u-state"))),
    "the inventory names another disk": ("devices", lambda h: h["asked"]["state"].update(maj_min="")),
    "unmounted": ("mounts", lambda h: h["mounts"].pop(1)),
    "mounted twice": ("mounts", lambda h: h["mounts"].append(mount("/mnt", "8:32", "u-state"))),
    "another disk at the place": ("mounts", lambda h: h["mounts"][1].update(uuid="u-other")),
    "a part of it": ("mounts", lambda h: h["mounts"][1].update(root="/sub")),
    "something inside": ("mounts", lambda h: h["mounts"].append(mount("/data/state/x", "9:9"))),
    "fstab": ("mounts", lambda h: with_facts(h, lines={"/data-state": "LABEL=x"})),
    "a shadowed copy": ("shadowed", lambda h: h["moving"]["shadows"].update({"/data/state": shadow({}, USED)})),
    "a service stopped": ("services", lambda h: h["containers"][0].update(status="exited")),
    "a service started": ("services", lambda h: h["containers"][1].update(status="running")),
    "a service gone": ("services", lambda h: h["containers"].pop(1)),
}  # fmt: skip


A_HOST = with_keys(host_with(NESTED), "COMPOSE_FILE", "DATA_DIR", "JWT_SECRET_KEY")


def after(*changes: Change) -> Any:
    observed = copy.deepcopy(A_HOST)
    for change in changes:
        change(observed)
    return observed


@pytest.mark.parametrize("name", VOLATILE)
def test_the_hash_does_not_hang_on_what_changes_by_itself(name: str) -> None:
    assert changed(facts_of(A_HOST), facts_of(after(VOLATILE[name]))) == []


@pytest.mark.parametrize("name", MEANINGFUL)
def test_the_hash_changes_with_what_a_plan_hangs_on_and_says_which_part(name: str) -> None:
    part, change = MEANINGFUL[name]
    assert part in changed(facts_of(A_HOST), facts_of(after(change)))
    assert facts_of(A_HOST) != facts_of(after(change))


def test_a_blank_disk_that_nothing_tells_from_others_is_known_until_the_next_boot() -> None:
    observed = one_disk()
    observed["devices"][1]["serial"] = None
    then = facts_of(observed)
    observed["boot_id"] = "boot-2"
    assert changed(then, facts_of(observed)) == ["devices"]
    observed["devices"][1]["serial"] = "S1"
    with_serial = facts_of(observed)
    observed["boot_id"] = "boot-3"
    assert changed(with_serial, facts_of(observed)) == []


def _shuffled(draw: Any, host: Any) -> Any:
    for key in ("devices", "mounts", "containers"):
        host[key] = draw(st.permutations(host[key]))
    host["env"]["keys"] = draw(st.permutations(host["env"]["keys"]))
    host["asked"] = dict(draw(st.permutations(list(host["asked"].items()))))
    return host


@for_all(st.data())
def test_the_hash_is_stable_under_any_order_and_all_that_changes_by_itself_and_nothing_else(
    data: st.DataObject,
) -> None:
    calm = data.draw(st.lists(st.sampled_from(sorted(VOLATILE)), unique=True))
    odd = data.draw(st.sampled_from(["", *MEANINGFUL]))
    changes = [VOLATILE[name] for name in calm] + ([MEANINGFUL[odd][1]] if odd else [])
    observed = _shuffled(data.draw, after(*changes))
    assert (facts_of(observed) == facts_of(A_HOST)) is (odd == "")


def refused(code: str, act: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as error:
        act()
    assert error.value.code == code
    return str(error.value)


@pytest.mark.parametrize("name", VOLATILE)
def test_a_plan_whose_facts_hold_may_be_applied(name: str) -> None:
    apply(after(VOLATILE[name]), file_for(A_HOST))


def test_the_file_has_what_it_takes_and_no_secret() -> None:
    observed = A_HOST
    content = json.loads(file_for(observed))
    assert {key: content[key] for key in ("format", "host", "layout", "bytes", "kind")} == {
        "format": 1, "host": "agnes1", "layout": "flat", "bytes": 10 << 20, "kind": "remount",
    }  # fmt: skip
    assert content["facts_hash"] == hash_of(facts_of(observed))
    assert content["downtime"].startswith("that of 'docker compose down'")
    assert "commit" in [step["id"] for step in content["steps"]]
    assert "JWT" not in file_for(observed)


def _edited(**changes: Any) -> str:
    return json.dumps({**json.loads(file_for(host_with(NESTED))), **changes})


UNREADABLE = {
    "no JSON": "{",
    "a list": "[]",
    "another format": _edited(format=2),
    "edited facts": _edited(facts={}),
    "edited hash": _edited(facts_hash="0"),
    "facts that are none": _edited(facts="x"),
    "unknown layout": _edited(target="deep"),
    "an empty object": '{"format": 1}',
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_plan_of_ours_is_refused(name: str) -> None:
    refused("AH074", lambda: apply(text=UNREADABLE[name]))


def test_the_plan_is_applied_with_other_steps_by_no_means() -> None:
    steps = json.loads(file_for(host_with(NESTED)))["steps"][1:]
    said = refused("AH076", lambda: apply(text=_edited(steps=steps)))
    assert "(changed: steps)" in said


def test_a_blank_disk_that_shall_get_another_filesystem_is_another_plan() -> None:
    observed = one_disk()
    text = file_for(observed)
    request = {"host": "agnes1", "plan": {"path": "p.json", "text": text}}
    assert make_plan(observed, request)["refusal"] == ""
    again = make_plan(observed, {**request, "fstype": "xfs"})
    assert "(changed: disk)" in again["refusal"]


@pytest.mark.parametrize(("source", "target"), [(NESTED, FLAT), (FLAT, NESTED)])
def test_a_run_with_a_plan_needs_no_layout_and_has_the_plans_own(source: Any, target: Any) -> None:
    observed = host_with(source)
    request = {
        "host": "agnes1",
        "plan": {"path": "p.json", "text": file_for(observed, target.name)},
    }
    plan = make_plan(observed, request)
    assert (plan["refusal"], plan["layout"]) == ("", target.name)
    assert plan["move"]["facts"] == facts_of(observed)
    stopped = with_one_service_less() if source is NESTED else with_keys(host_with(source))
    assert make_plan(stopped, request)["code"] == "AH076"


def test_after_this_run_has_applied_it_the_plan_only_names_the_layout() -> None:
    given = {"path": "p.json", "text": file_for(host_with(NESTED)), "applied": True}
    plan = make_plan(host_with(FLAT), {"host": "agnes1", "plan": given})
    assert (plan["refusal"], plan["layout"], plan["move"]) == ("", "flat", {})


def _interrupted(facts: dict[str, str]) -> Any:
    return host_with(NESTED, intent=intent(facts=facts))


def test_an_interrupted_move_goes_on_with_the_plan_it_began_with_and_with_no_other() -> None:
    own = _interrupted(facts_of(host_with(NESTED)))
    apply(own)
    assert "last verified backup" not in " ".join(make_plan(own, {"layout": "flat"})["sentences"])
    for other in ({"layout": "of another plan"}, {}):
        said = refused("AH076", lambda: apply(_interrupted(other)))  # noqa: B023
        assert "a move began that is not this one" in said
        assert "run once without a plan, which ends what was begun, then make a new plan" in said


def test_a_move_that_hangs_on_no_facts_is_no_plans_own() -> None:
    empty = _edited(facts={}, facts_hash=hash_of({}))
    said = refused("AH076", lambda: apply(_interrupted({}), empty))
    assert "a move began that is not this one" in said


def test_a_blank_host_has_no_state_to_which_a_plan_could_apply() -> None:
    assert "no state to move" in refused("AH076", lambda: apply(host()))


def test_the_runner_begins_what_was_planned_and_goes_on_with_what_has_begun() -> None:
    with pytest.raises(KeyError, match="a move begins"):
        carried_out(host_with(NESTED))
    refused("AH076", lambda: carried_out(with_one_service_less()))
    # A second run that was planned before the first ended: it finds the host where it shall be.
    with pytest.raises(KeyError, match="a move begins"):
        carried_out(host_with(FLAT))


UNSET = "unknown, because state_layout_pre_move_command is not set"
SAID: list[Any] = [
    ({}, UNSET),
    ({"configured": False, "result": {"rc": 0, "stdout": "x"}}, UNSET),
    ({"configured": True}, "not asked yet"),
    ({"configured": True, "result": {"skipped": True, "rc": 0}}, "not asked in a check run"),
    ({"configured": True, "result": {"rc": 0, "stdout": "  daily 2026-11-02 \nkey=s3cr3t\n"}}, "daily 2026-11-02"),
    ({"configured": True, "result": {"rc": 0, "stdout": ""}}, "nothing was reported"),
    ({"configured": True, "result": {"rc": 0, "stdout": "a\x1b[2Jb"}}, "a[2Jb"),
    ({"configured": True, "result": {"rc": 0, "stdout": "x" * 500}}, f"{'x' * SHOWN}..."),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "said"), SAID)
def test_the_line_of_the_last_verified_backup(asked: dict[str, Any], said: str) -> None:
    assert backup_line(asked) == f"last verified backup: {said}"


@pytest.mark.parametrize("rc", [1, 127, None])
def test_the_failure_of_the_command_stops_a_move_and_its_output_is_not_said(rc: Any) -> None:
    asked = {"configured": True, "result": {"rc": rc, "stdout": "s3cr3t", "stderr": "s3cr3t"}}
    plan = make_plan(host_with(NESTED), {"layout": "flat", "pre_move": asked})
    assert plan["code"] == "AH078"
    assert "s3cr3t" not in plan["refusal"]
    assert make_plan(host_with(NESTED), {"pre_move": asked})["refusal"] == ""
    assert (
        make_plan(_interrupted({"layout": "x"}), {"layout": "flat", "pre_move": asked})["refusal"]
        == ""
    )


def two_blank(first: str = "S1", second: str = "S2", **differs: Any) -> Any:
    """An untouched host with two blank disks of one size."""
    return host(
        devices=[device("/dev/sdb", serial=first), device("/dev/sdc", serial=second)], **differs
    )


def with_file(observed: Any, text: str, **more: Any) -> dict[str, Any]:
    given = {"path": "p.json", "text": text, **more}
    return make_plan(observed, {"host": "agnes1", "plan": given})


DISKS_FILE = file_for(two_blank())


def test_a_plan_of_disks_is_applied_to_those_disks() -> None:
    plan = with_file(two_blank(), DISKS_FILE)
    assert (plan["refusal"], plan["layout"]) == ("", "flat")
    content = json.loads(DISKS_FILE)
    assert [(disk["role"], disk["identity"]) for disk in content["disks"]] == [
        ("data", "serial:S1"), ("state", "serial:S2"),
    ]  # fmt: skip


OTHER_DISKS: dict[str, Any] = {
    "exchanged": (two_blank("S2", "S1"), "devices, the data disk, the state disk"),
    "another disk": (two_blank("S1", "S9"), "devices, the state disk"),
    "something was written to one": (
        host(devices=[device("/dev/sdb", serial="S1"), ext4("/dev/sdc", "u-1", serial="S2")]), "AH022"),
    "another size": (
        host(devices=[device("/dev/sdb", serial="S1", size=20 << 30), device("/dev/sdc", serial="S2")]),
        "(changed: the data disk)"),
    "two that nothing tells apart, exchanged": (two_blank("", ""), "the data disk, the state disk"),
    "mounted already": (host(
        devices=[ext4("/dev/sdb", "u-1", serial="S1"), ext4("/dev/sdc", "u-2", serial="S2")],
        mounts=[mount("/data", "8:16", "u-1"), mount("/data-state", "8:32", "u-2")]), "AH077"),
    "state came up since": (host_with(NESTED), "there is state to move"),
    "a move began": (
        host_with(NESTED, intent=OTHER_MOVE), "(a move has begun and not ended), so it is not applied; run once"),
    "a run was cut off": (
        host(devices=[ext4("/dev/sdb", "u-1", serial="S1"), device("/dev/sdc", serial="S2")],
             record={"format": 1, "disks": {"data": {"uuid": "u-1", "phase": "formatted"}}}),
        "(a run has begun to format the data disk), so it is not applied; run once without a plan"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_DISKS)
def test_a_plan_of_disks_is_applied_to_no_others(name: str) -> None:
    observed, said = OTHER_DISKS[name]
    refusal = with_file(observed, DISKS_FILE)["refusal"]
    assert said in refusal, refusal


def test_exchanged_disks_without_a_serial_are_seen_by_their_numbers() -> None:
    text = file_for(two_blank("", ""))
    observed = two_blank("", "")
    assert with_file(observed, text)["refusal"] == ""
    asked = observed["asked"]
    asked["data"]["maj_min"], asked["state"]["maj_min"] = "8:32", "8:16"
    assert "changed: devices" in with_file(observed, text)["refusal"]
    assert "changed: devices" in with_file(two_blank("", "", boot_id="boot-2"), text)["refusal"]


def test_after_this_run_has_made_the_disks_their_plan_only_names_the_layout() -> None:
    mounted = OTHER_DISKS["mounted already"][0]
    assert with_file(mounted, DISKS_FILE, made=True)["refusal"] == ""
    assert with_file(mounted, DISKS_FILE, applied=True)["code"] == "AH077"
    moved = {"path": "p.json", "text": file_for(host_with(NESTED)), "made": True}
    stale = make_plan(with_one_service_less(), {"host": "agnes1", "plan": moved})
    assert stale["code"] == "AH076", "disks that were mounted say nothing of a move"


@pytest.mark.parametrize(
    "changes", [{"disks": None}, {"disks": ["x"]}, {"disks": "x"}, {"facts": {}}]
)
def test_a_plan_of_disks_that_was_edited_is_refused(changes: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(DISKS_FILE), **changes})
    assert with_file(two_blank(), text)["code"] == "AH074"
