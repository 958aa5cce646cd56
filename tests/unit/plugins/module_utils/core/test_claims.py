# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk says itself what it is; the variables may be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks.claims import claims
from ansible_collections.agnes.host.plugins.module_utils.core.disks.disks import Request, plan_disks
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .hosts import device, ext4, flat_host, host, inside, nested_host

MARKER = {"format": 1, "role": "active", "instance_id": "i-1", "epoch": 3}
STATE = inside("system.duckdb", "certs", marker=MARKER)
DATA = inside("analytics", "extracts", "uploads")
ONE_DISK = inside("extracts", "uploads", "state", "state/system.duckdb", state_marker=MARKER)
NOTHING = inside()
UNKNOWN = {"unknown": "ext4: Structure needs cleaning", "contents": None}
BOTH = {"adopt": ["u-1", "u-2"]}

TEST_CLAIMS: list[Any] = [
    ("", NOTHING, [], []),
    ("agnes-state", NOTHING, [], ["its label 'agnes-state'"]),
    ("agnes-data", UNKNOWN, ["its label 'agnes-data'"], []),
    ("", STATE, [], [".agnes-state.json at its top (active)", "system.duckdb"]),
    ("", DATA, ["analytics/", "extracts/", "uploads/"], []),
    ("", inside("uploads", "photos"), [], []),
    ("", ONE_DISK, ["state/system.duckdb", "extracts/", "uploads/"], []),
    ("", inside("system.duckdb", "extracts", "uploads"), [], ["system.duckdb"]),
]


@pytest.mark.parametrize(("label", "contents", "data", "state"), TEST_CLAIMS)
def test_claims(label: str, contents: Any, data: list[str], state: list[str]) -> None:
    assert claims(label, contents) == {"data": data, "state": state}


def two(data: Any, state: Any, labels: tuple[str, str] = ("", ""), **differs: Any) -> Any:
    """A host whose root disk is new, with a filesystem on each of its two disks."""
    disks = [ext4("/dev/sdb", "u-1"), ext4("/dev/sdc", "u-2", serial="S2")]
    for disk, label in zip(disks, labels):
        disk["filesystem"]["label"] = label
    return host(**{"devices": disks, "inside": {"8:16": data, "8:32": state}, **differs})


LABELS = ("agnes-data", "agnes-state")
EXCHANGED = ("agnes-state", "agnes-data")
ALONE = {"layout": "nested", "adopt": ["u-1"]}
NO_STATE = {"data": {"device": "/dev/sdb", "problem": "", "maj_min": "8:16"},
            "state": {"device": "", "problem": "", "maj_min": ""}}  # fmt: skip

TEST_NEW_ROOT: list[Any] = [
    pytest.param(two(DATA, STATE), BOTH, "", id="adopted"),
    pytest.param(two(DATA, STATE), {"adopt": ["U-1", "U-2"]}, "", id="adopted-in-capitals"),
    pytest.param(two(DATA, STATE), {}, "disks_adopt: [u-1, u-2];", id="both-in-one-sentence"),
    pytest.param(two(DATA, STATE), {"adopt": ["u-1"]}, "disks_adopt: [u-1, u-2];", id="one-was-adopted"),
    pytest.param(two(NOTHING, NOTHING, LABELS), {}, "AH038", id="by-labels"),
    pytest.param(two(STATE, DATA), BOTH, "AH036", id="exchanged"),
    pytest.param(two(STATE, DATA), {}, "AH036", id="exchanged-and-not-adopted"),
    pytest.param(two(NOTHING, NOTHING, EXCHANGED), BOTH, "AH036", id="exchanged-by-label-only"),
    pytest.param(two(DATA, DATA), BOTH, "AH036", id="no-marker-and-datas-tree-for-state"),
    pytest.param(two(DATA, inside(marker=MARKER)), BOTH, "", id="a-marker-alone"),
    pytest.param(two(NOTHING, NOTHING), BOTH, "", id="they-say-nothing"),
    pytest.param(two(DATA, UNKNOWN), BOTH, "AH014", id="could-not-look"),
    pytest.param(
        two(DATA, STATE, record={"format": 1, "disks": {
            "data": {"uuid": "u-2", "phase": "adopted"}, "state": {"uuid": "u-1", "phase": "adopted"}}}),
        {}, "AH036", id="recorded-the-wrong-way-round",
    ),
    pytest.param(two(ONE_DISK, NOTHING, asked=NO_STATE), ALONE, "", id="one-disk-with-both"),
    pytest.param(
        host(devices=[device("/dev/sdb"), ext4("/dev/sdc", "u-2")], inside={"8:32": STATE}),
        {}, "disks_adopt: [u-2];", id="a-new-data-disk",
    ),
    pytest.param(
        two(DATA, STATE),
        {"adopt": ["u-1"], "format": [{"device": "/dev/sdc", "identity": "serial:S2", "found": "ext4"}]},
        "", id="lost-by-consent",
    ),
    pytest.param(
        flat_host(inside={"/data": STATE, "/data-state": DATA}), {}, "AH036", id="mounted-the-wrong-way",
    ),
    pytest.param(
        flat_host(inside={"/data": DATA, "/data-state": STATE}), {}, "", id="mounted-as-they-should",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "request_", "expected"), TEST_NEW_ROOT)
def test_who_is_who(observed: Any, request_: dict[str, Any], expected: str) -> None:
    plan = make_plan(observed, {"layout": "flat", **request_})
    assert expected in plan["refusal"] and bool(plan["refusal"]) == bool(expected), plan["refusal"]


def test_the_instance_of_an_adopted_state_disk_is_taken_over() -> None:
    plan = make_plan(two(DATA, STATE), {"layout": "flat", **BOTH})
    assert [disk["instance"] for disk in plan["disks"]] == ["", "i-1"]
    assert "instance i-1 of the marker on /dev/sdc is taken over" in plan["notes"]


def recorded(identity: str) -> dict[str, Any]:
    return {
        "format": 1,
        "disks": {"state": {"uuid": "u-state", "phase": "formatted", "identity": identity}},
    }


def with_state_disk(identity: str, *more: Any, **differs: Any) -> Any:
    disks = [ext4("/dev/sdb", "u-data"), ext4("/dev/sdc", "u-state", **differs), *more]
    return nested_host(devices=disks, record=recorded(identity))


ORIGINAL = ext4("/dev/sdd", "u-state", serial="S1")

TEST_CLONES: list[Any] = [
    pytest.param(with_state_disk("serial:S1", serial="S1"), [], id="the-same"),
    pytest.param(with_state_disk("none", serial="S9"), [], id="nothing-was-recorded"),
    pytest.param(with_state_disk("serial:S1"), [], id="nothing-tells-it-now"),
    pytest.param(with_state_disk("serial:S1", wwn="w"), [], id="told-by-something-else-now"),
    pytest.param(
        with_state_disk("serial:S1", serial="S2"),
        ["/data/state is on another disk than the recorded one (serial:S2, recorded serial:S1), "
         "with the same UUID: it is a copy, such as a restored snapshot"],
        id="a-restored-snapshot",
    ),
    pytest.param(
        with_state_disk("serial:S1", ext4("/dev/sdd", "u-state", serial="S3"), serial="S1"),
        ["/dev/sdd has the same UUID as /dev/sdc, which is mounted at /data/state: the next boot "
         "may mount either of them; detach the copy, or give it another UUID"],
        id="a-copy-beside-it",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "notes"), TEST_CLONES)
def test_notes_of_a_copy(observed: Any, notes: list[str]) -> None:
    assert list(plan_disks(observed, LAYOUTS["nested"], Request())[1].notes) == notes


def test_a_copy_that_is_mounted_beside_its_original_is_refused() -> None:
    plan = make_plan(with_state_disk("serial:S1", ORIGINAL, serial="S2"), {})
    assert plan["refusal"] == (
        "AH027: '/data/state' has filesystem u-state on /dev/sdc (serial:S2) mounted, this host's record "
        "says the same on serial:S1, which is /dev/sdd; mount the right disk, or find out why it changed; "
        "if it was meant, 'agnes-host rebind --state UUID --because replaced' takes the one that is mounted"
    )


def named(device_name: str, **differs: Any) -> list[str]:
    asked = {**host()["asked"], "state": {"device": device_name, "problem": "", "maj_min": "8:32"}}
    observed = host(devices=[device("/dev/sdb"), device("/dev/sdc", **differs)], asked=asked)
    return list(plan_disks(observed, LAYOUTS["flat"], Request())[1].notes)


KERNEL_NAME = "disks_state_device names '{}', which may be another disk after the next boot; "
BY_ID = KERNEL_NAME + "a link in /dev/disk/by-id does not change"

TEST_NOTES: list[Any] = [
    ("/dev/sdc", {}, [BY_ID.format("/dev/sdc")]),
    ("/dev/nvme1n1", {}, [BY_ID.format("/dev/nvme1n1")]),
    ("/dev/vdc", {"serial": "S1"}, [KERNEL_NAME.format("/dev/vdc") + "'S1', its serial, does not change"]),
    ("/dev/disk/by-id/google-state", {}, []),
    ("S1", {"serial": "S1"}, []),
    ("S1", {"traits": ["removable", "rotational"]}, ["/dev/sdc for state is removable and rotational"]),
    ("S1", {"traits": ["ephemeral"]},
     ["/dev/sdc for state is ephemeral (what is on it is gone when the machine is stopped)"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "differs", "notes"), TEST_NOTES)
def test_notes_of_a_disk_to_format(name: str, differs: dict[str, Any], notes: list[str]) -> None:
    assert named(name, **differs) == notes


def test_a_plan_says_which_disk_it_is() -> None:
    disk = device("/dev/sdb", model="QEMU HARDDISK", serial="S1")
    plan = make_plan(host(devices=[disk, device("/dev/sdc")]), {"layout": "flat"})
    assert (
        "format /dev/sdb (16 GiB, QEMU HARDDISK, serial:S1, blank) as ext4" in plan["sentences"][1]
    )


def test_nothing_is_formatted_and_no_consent_offered_where_a_probe_failed() -> None:
    consent = {"device": "/dev/sdb", "identity": "none", "found": "nothing certain (it hangs)"}
    observed = host(devices=[device("/dev/sdb", probed="it hangs"), device("/dev/sdc")])
    plan = make_plan(observed, {"format": [consent]})
    assert plan["code"] == "AH037" and "disks_format" not in plan["refusal"]


def test_a_disk_that_is_not_found_may_be_one_that_could_not_be_probed() -> None:
    record = {
        "format": 1,
        "disks": {"data": {"uuid": "u-1", "phase": "formatted", "size": 1 << 30}},
    }
    devices = [device("/dev/sdb", probed="it hangs"), device("/dev/sdc")]
    refusal = make_plan(host(devices=devices, record=record), {})["refusal"]
    assert "is not on this host; what is on /dev/sdb could not be found out, so" in refusal
    mounted = flat_host(
        record={"format": 1, "disks": {"data": {"uuid": "u-data", "phase": "formatted"}}}
    )
    mounted["devices"][0].update(probed="it hangs", filesystem={})
    mounted["mounts"][0]["uuid"] = ""
    assert make_plan(mounted, {})["code"] == "AH037"
